"""Which rows a validation share takes: by label where a class is answered, by seed always.

Oracles: counts written down by hand, and the per-label counts of scikit-learn's
StratifiedShuffleSplit, which are the share of each label's rows to within one.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from rnnspec.data import Reading, lines, survey
from rnnspec.data.encode import encode_parts
from rnnspec.data.rows import Chunk
from rnnspec.data.shards import FILE, Shards
from rnnspec.data.split import Split
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts, resolve
from rnnspec.spec import Spec
from tests.data_rows import CLASS, NUMBER, WORDS, any_spec, in_validation, write_rows

SHARES = (0.05, 0.1, 0.15, 0.2, 0.3, 1 / 3, 0.37, 0.5)


def chunk_of(labels: list[Any], first: int = 0) -> Chunk:
    return Chunk(first, list(range(1, len(labels) + 1)), {"label": list(labels)})


def taken(labels: list[Any], share: float, seed: int = 0) -> list[int]:
    """The rows of a file that belong to validation."""
    mask = Split(share, seed, "label").mask(chunk_of(labels))
    return np.flatnonzero(mask).tolist()


def counts(labels: list[Any], rows: list[int]) -> Counter[Any]:
    return Counter(labels[row] for row in rows)


def test_counts_by_hand() -> None:
    """A fifth of 10 a, 5 b and 20 c is 2, 1 and 4 of them, in whatever order and by every seed."""
    labels = ["a"] * 10 + ["b"] * 5 + ["c"] * 20
    for seed in range(50):
        np.random.default_rng(seed).shuffle(labels)
        assert counts(labels, taken(labels, 0.2, seed)) == {"a": 2, "b": 1, "c": 4}


def test_a_label_with_one_row_is_trained_on() -> None:
    """And at least one row of every label, in whatever part of the file its rows are."""
    labels = [f"l{n}" for n in range(40)] + [f"l{n}" for n in range(20)] + ["l0"] * 30
    for seed in range(50):
        for share in SHARES:
            found = counts(labels, taken(labels, share, seed))
            for label, rows in Counter(labels).items():
                assert found[label] < rows
                assert not (rows == 1 and found[label])


@pytest.mark.parametrize("share", SHARES)
def test_counts_are_those_of_scikit_learn_to_within_one(share: float) -> None:
    draw = np.random.default_rng(3)
    sizes = draw.integers(2, 60, 12)
    labels = draw.permutation(np.repeat([f"l{n}" for n in range(12)], sizes)).tolist()
    splitter = StratifiedShuffleSplit(1, test_size=share, random_state=0)
    ((_, test),) = splitter.split(np.zeros(len(labels)), labels)
    expected = counts(labels, test.tolist())
    for seed in range(20):
        found = counts(labels, taken(labels, share, seed))
        for label, rows in Counter(labels).items():
            assert abs(found[label] - share * rows) <= 1 + 1e-9
            assert abs(expected[label] - share * rows) <= 1 + 1e-9  # as of the oracle
            whole = share * rows
            if abs(whole - round(whole)) < 1e-9:
                assert found[label] == expected[label] == round(whole)


def test_every_row_but_the_first_is_as_likely() -> None:
    """Of 3,000 seeds: of 10 rows of a label a fifth, two, of which one is among the first five."""
    found = Counter(row for seed in range(3000) for row in taken(["a"] * 10, 0.2, seed))
    assert found[0] == 0
    assert all(600 < found[row] < 900 for row in range(1, 5)), found  # 750 expected
    assert all(480 < found[row] < 720 for row in range(5, 10)), found  # 600 expected


def test_labels_are_split_apart_and_by_seed() -> None:
    labels = ["a", "b"] * 200
    first, second = taken(labels, 0.2, 0), taken(labels, 0.2, 1)
    assert first == taken(labels, 0.2, 0) != second
    rows_of_a = [row // 2 for row in first if row % 2 == 0]
    rows_of_b = [row // 2 for row in first if row % 2 == 1]
    assert len(rows_of_a) == len(rows_of_b) == 40 and rows_of_a != rows_of_b


def test_rows_added_later_leave_the_split_of_the_others() -> None:
    labels = np.random.default_rng(0).choice(["a", "b", "c"], 300).tolist()
    whole = taken(labels, 0.15)
    assert taken(labels[:137], 0.15) == [row for row in whole if row < 137]


def test_chunks_make_no_difference_and_missing_labels_are_a_label() -> None:
    draw = np.random.default_rng(0)
    labels = [["a", "b", None, 3, 1.5][n] for n in draw.integers(0, 5, 300)]
    split, found = Split(0.2, 5, "label"), list[bool]()
    at = 0
    for size in (1, 2, 90, 7, 200):
        found += split.mask(chunk_of(labels[at : at + size], at)).tolist()
        at += size
    assert np.flatnonzero(found).tolist() == taken(labels, 0.2, 5)
    kinds = [label if label in ("a", "b", 3) else None for label in labels]  # 1.5 is no label
    for label, rows in Counter(kinds).items():
        assert abs(counts(kinds, taken(labels, 0.2, 5))[label] - 0.2 * rows) <= 1


# ---------------------------------------------------------------- of files


def parts(spec: Spec, train: Path | Shards, folder: Path) -> tuple[list[int], list[int]]:
    """The locations of the rows of each part; facts are those of the rows that are trained on."""
    share = spec.data.valid
    assert isinstance(share, float)
    facts = survey(spec, train)
    both = encode_parts(
        resolve(spec, facts), facts, Shards.of(train), Reading.of(spec), folder, share
    )
    assert facts.rows == both[0].rows
    known = facts.outputs.get("label")
    if isinstance(known, ClassFacts):
        assert sum(known.counts) <= both[0].rows
    trained, valid = (part.lines.tolist() for part in both)
    return trained, valid


ROWS = [{"text": f"w{n % 7}", "label": "abcd"[min(n % 5, 3)], "value": n} for n in range(120)]


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_survey_and_both_parts_split_alike(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 200)  # several chunks
    file = write_rows(tmp_path / f"rows.{format}", ROWS)
    spec = any_spec("N:1", WORDS, CLASS, valid=0.25)
    trained, valid = parts(spec, file, tmp_path / "cache")
    first = 2 if format == "csv" else 1  # the line of the first row
    assert sorted(trained + valid) == list(range(first, len(ROWS) + first))
    labels = [row["label"] for row in ROWS]
    assert [line - first for line in valid] == taken(labels, 0.25)


def test_rows_of_several_files_are_split_as_one_and_by_the_seed(tmp_path: Path) -> None:
    whole = write_rows(tmp_path / "rows.jsonl", ROWS)
    pieces = [
        write_rows(tmp_path / f"part{at}.jsonl", ROWS[start:end])
        for at, (start, end) in enumerate([(0, 13), (13, 14), (14, 120)])
    ]
    found = []
    for seed in (0, 1):
        spec = any_spec("N:1", WORDS, CLASS, {"seed": seed}, valid=0.25)
        _, of_whole = parts(spec, whole, tmp_path / "cache")
        shards = Shards(tuple(pieces), tmp_path / "part*.jsonl", 0)
        _, of_parts = parts(spec, shards, tmp_path / "cache")
        assert len(of_parts) == len(of_whole)
        rows = [(0, 13, 14)[at // FILE] + at % FILE for at in of_parts]
        found.append((of_whole, rows))
    assert found[0][0] != found[1][0]
    assert found[0][0] == found[0][1] and found[1][0] == found[1][1]


def test_the_first_class_of_several_outputs_decides(tmp_path: Path) -> None:
    rows = [{**row, "other": str(n % 3)} for n, row in enumerate(ROWS)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    other = {"column": "other", "as": "class"}
    _, valid = parts(
        any_spec("N:1", WORDS, [NUMBER, other, CLASS], valid=0.25), file, tmp_path / "cache"
    )
    assert counts([row["other"] for row in rows], [line - 1 for line in valid]) == {
        "0": 10,
        "1": 10,
        "2": 10,
    }


def test_without_a_class_rows_are_drawn_by_number_and_seed(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    for seed in (0, 7, 2**32 - 1):
        spec = any_spec("N:1", WORDS, NUMBER, {"seed": seed}, valid=0.25)
        _, valid = parts(spec, file, tmp_path / "cache")
        assert [line - 1 for line in valid] == [
            n for n in range(120) if in_validation(n, 0.25, seed)
        ]
    masks = {tuple(in_validation(n, 0.25, seed) for n in range(120)) for seed in range(20)}
    assert len(masks) == 20


def test_labels_with_one_row_each_leave_nothing_to_validate_on(tmp_path: Path) -> None:
    rows = [{"text": "w", "label": f"l{n}"} for n in range(9)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError) as caught:
        survey(any_spec("N:1", WORDS, CLASS, valid=0.5), file)
    assert str(caught.value) == (
        f"{file}: a validation share of 0.5 takes none of the 9 rows, for the first row of each "
        "label is trained on; set data.valid to a file"
    )
