"""Survey: the facts against plain definitions of them, the split, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rnnspec.data import lines, survey
from rnnspec.data.decode import fold
from rnnspec.data.split import splitmix64, validation_mask
from rnnspec.data.statistics import CharCounts, LengthStatistics, Moments, WordCounts
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts, NumericFacts, TextFacts
from tests.data_rows import (
    CHARS,
    CLASS,
    FRAMES,
    NUMBER,
    VECTOR,
    WORDS,
    in_validation,
    spec_of,
    write_rows,
)

ROWS = [
    {"text": "the cat  sat", "label": "x", "value": 1},
    {"text": "The cat", "label": "y", "value": 3.0},
    {"text": "", "label": 7, "value": 5},
    {"text": " the\tÉTÉ ", "label": True, "value": 7},
]


@pytest.mark.parametrize("format", ["jsonl", "csv", "tsv"])
def test_text_and_labels(tmp_path: Path, format: str) -> None:
    spec = spec_of(WORDS, CLASS, quoting="double" if format != "jsonl" else "auto")
    facts = survey(spec, write_rows(tmp_path / f"rows.{format}", ROWS))
    assert facts.rows == 4
    text, label = facts.inputs["text"], facts.outputs["label"]
    assert isinstance(text, TextFacts)
    assert text.vocabulary.entries == ("cat", "the", "The", "sat", "ÉTÉ")
    assert text.longest == 3
    assert label == ClassFacts(("7", "true", "x", "y"), (1, 1, 1, 1))


def test_limits_of_the_vocabulary(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)

    def entries(**limits: Any) -> tuple[str, ...]:
        text = survey(spec_of(limits, CLASS), file).inputs["text"]
        assert isinstance(text, TextFacts)
        return text.vocabulary.entries

    assert entries(**WORDS, min_count=2) == ("cat", "the")
    assert entries(**WORDS, max_size=3) == ("cat", "the", "The")
    assert entries(**CHARS, min_count=5) == (" ", "t")
    assert entries(**CHARS, max_size=3, fold_case=True) == ("t", " ", "a")
    folded = entries(**CHARS, fold_case=True)
    assert all(fold(char) == char for char in folded)
    counts = Counter(fold(char) for row in ROWS for char in str(row["text"]))
    assert list(folded) == sorted(counts, key=lambda char: (-counts[char], char))


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_numbers(tmp_path: Path, format: str) -> None:
    random = np.random.default_rng(0)
    rows = [
        {
            "frames": random.normal(1e4, 3, (int(steps), 3)).tolist(),
            "vector": [0.1, float(random.normal())],
            "value": float(random.normal()),
        }
        for steps in random.integers(0, 9, 200)
    ]
    file = write_rows(tmp_path / f"rows.{format}", rows)
    spec = spec_of(FRAMES, VECTOR)
    every = {
        "frames": np.concatenate([np.reshape(row["frames"], (-1, 3)) for row in rows]),
        "vector": np.array([row["vector"] for row in rows]),
        "value": np.array([[row["value"]] for row in rows]),
    }
    found = {**survey(spec, file).inputs, **survey(spec, file).outputs}
    found |= survey(spec_of(FRAMES, NUMBER), file).outputs
    for column, values in every.items():
        facts = found[column]
        assert isinstance(facts, NumericFacts)
        expected = values.std(axis=0)
        if column == "vector":
            expected[0] = 0.1  # the feature never changes: its own size
        assert facts.width == values.shape[1]
        np.testing.assert_allclose(facts.mean, values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(facts.deviation, expected, rtol=1e-9)
        assert facts.longest == (8 if column == "frames" else 1)


@example([[float(np.finfo(np.float32).tiny)]], 0.0)
@given(
    chunks=st.lists(st.lists(st.floats(-1, 1, width=32), max_size=5), min_size=1, max_size=6),
    offset=st.sampled_from([0.0, 1.0, 2.0**20]),
)
def test_moments_do_not_depend_on_the_chunks(chunks: list[list[float]], offset: float) -> None:
    narrow = np.array([v for chunk in chunks for v in chunk], np.float32) + np.float32(offset)
    values = narrow.astype(np.float64)
    if not len(values):
        return
    moments, start = Moments(), 0
    for chunk in chunks:
        moments.add(values[start : start + len(chunk), None])
        start += len(chunk)
    assert moments.mean()[0] == pytest.approx(values.mean(), rel=1e-12, abs=1e-12)
    if values.std() > 1e-30:
        assert moments.deviation()[0] == pytest.approx(values.std(), rel=1e-8)
    if len(set(values.tolist())) == 1:
        size = abs(values[0])
        assert moments.deviation()[0] == (size if size >= np.finfo(np.float32).tiny else 1)
    assert moments.lost() == ()


@given(
    chunks=st.lists(st.lists(st.floats(-100, 100, width=32), max_size=12), min_size=1, max_size=9),
    block=st.integers(1, 40),
)
def test_moments_have_the_same_bits_whatever_the_chunks(
    chunks: list[list[float]], block: int
) -> None:
    values = np.array([v for chunk in chunks for v in chunk], np.float64)
    if not len(values):
        return
    parts, whole, start = Moments(), Moments(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnspec.data.statistics.BLOCK", block)
        whole.add(values[:, None])
        for chunk in chunks:
            parts.add(values[start : start + len(chunk), None])
            start += len(chunk)
    assert (parts.mean(), parts.deviation()) == (whole.mean(), whole.deviation())
    assert parts.lost() == whole.lost()


@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=9), max_size=9))
def test_characters_are_counted_exactly(texts: list[str]) -> None:
    counts = CharCounts()
    for text in texts:
        counts.add([text])
    plain = Counter("".join(texts))
    ordered = sorted(plain, key=lambda char: (-plain[char], char))
    assert counts.entries(1, None, fold_case=False) == tuple(ordered)


@settings(max_examples=200)
@given(
    words=st.lists(st.lists(st.integers(0, 60).map(str), max_size=20), max_size=30),
    most=st.integers(2, 20),
    min_count=st.integers(1, 5),
    max_size=st.none() | st.integers(1, 10),
)
def test_bounded_counting_misses_no_frequent_word(
    words: list[list[str]], most: int, min_count: int, max_size: int | None
) -> None:
    counts = WordCounts(most)
    exact: Counter[str] = Counter()
    for chunk in words:
        counts.add(chunk)
        exact.update(chunk)
        assert len(counts.counts) <= most
    for word, count in exact.items():
        assert count - counts.error <= counts.counts[word] <= count
    try:
        entries = counts.entries(min_count, max_size)
    except DataError:
        assert counts.error
        return
    if not counts.error:
        plain = [word for word in exact if exact[word] >= min_count]
        plain.sort(key=lambda word: (-exact[word], word))
        assert entries == tuple(plain[:max_size])
    assert all(exact[word] >= min_count for word in entries)


def test_a_vocabulary_beyond_bounds_says_what_to_set() -> None:
    counts = WordCounts(most=4)
    counts.add(["a"] * 5 + ["b"] * 3 + ["c", "d", "e"])
    assert counts.entries(2, None) == ("a", "b")
    assert counts.entries(1, 2) == ("a", "b")
    with pytest.raises(DataError) as caught:
        counts.entries(1, None)
    assert str(caught.value) == (
        "more than 4 different words; set min_count to 2 or more, or max_size to 2 or less"
    )


def test_the_split_is_written_down() -> None:
    # The first entries of splitmix64 with seed 0, as published with its code.
    assert splitmix64(np.arange(3, dtype=np.uint64)).tolist() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    taken = [row for row in range(40) if in_validation(row, 0.1)]
    assert taken == [2, 32, 33]


def test_a_share_takes_about_its_part() -> None:
    for share in (0.01, 0.1, 0.5):
        taken = validation_mask(0, 100_000, share)
        assert taken.mean() == pytest.approx(share, rel=0.1)
        assert (taken[50:90] == [in_validation(row, share) for row in range(50, 90)]).all()
    assert not (validation_mask(0, 9999, 0.1) & ~validation_mask(0, 9999, 0.2)).any()


def test_facts_leave_validation_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 100)  # several chunks
    rows = [{"text": f"w{n}", "value": n} for n in range(50)]
    facts = survey(spec_of(WORDS, NUMBER, 0.2), write_rows(tmp_path / "rows.jsonl", rows))
    kept = {f"w{n}" for n in range(50) if not in_validation(n, 0.2)}
    text = facts.inputs["text"]
    assert isinstance(text, TextFacts)
    assert set(text.vocabulary.entries) == kept
    assert facts.rows == len(kept) < 50


def row(**cells: object) -> dict[str, object]:
    return {"text": "a", "label": "x", "frames": [[1]], "value": 1, "vector": [1]} | cells


WRONG: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], list[Any], str]] = {
    "one label": (
        WORDS,
        CLASS,
        [row(), row()],
        "FILE: column 'label' has one label only, 'x'; a classifier needs at least two",
    ),
    "null": (
        WORDS,
        CLASS,
        [row(), row(text=None, label="y"), row(label=0.5)],
        "FILE: 2 bad lines\n"
        "  FILE:2: column 'text' is null, expected a text\n"
        "  FILE:3: column 'label' is the number 0.5, expected a label: a text, a whole number or "
        "true and false; such a cell is answered with 'as: number'",
    ),
    "NaN": (
        WORDS,
        NUMBER,
        [row(), row(), row(value=float("nan"))],
        "FILE:3: column 'value' is NaN; only finite numbers can be learned from; set missing of "
        "the output to skip",
    ),
    "width": (
        FRAMES,
        NUMBER,
        [row(frames=[]), row(), row(frames=[[1, 2]])],
        "FILE:3: column 'frames' has width 2, the rows before have width 1",
    ),
    "vector width": (
        FRAMES,
        VECTOR,
        [row(), row(vector=[1, 2])],
        "FILE:2: column 'vector' has width 2, the rows before have width 1",
    ),
    "no steps": (
        FRAMES,
        NUMBER,
        [row(frames=[])],
        "FILE: column 'frames' has no step in any training row",
    ),
    "no words": (
        WORDS,
        NUMBER,
        [row(text="  ")],
        "FILE: column 'text' has no word in any training row",
    ),
    "rare words": (
        WORDS | {"min_count": 2},
        NUMBER,
        [row()],
        "FILE: column 'text' has no word that occurs 2 times; set min_count lower",
    ),
    "rare characters": (
        CHARS | {"min_count": 3},
        NUMBER,
        [row(), row()],
        "FILE: column 'text' has no character that occurs 3 times; set min_count lower",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rows(tmp_path: Path, name: str) -> None:
    source, target, rows, message = WRONG[name]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError) as caught:
        survey(spec_of(source, target), file)
    assert str(caught.value).replace(str(file), "FILE") == message


def test_parquet_names_rows(tmp_path: Path) -> None:
    rows = [row(), row(label="y"), row(text=None)]
    file = write_rows(tmp_path / "rows.parquet", rows)
    with pytest.raises(DataError) as caught:
        survey(spec_of(WORDS, CLASS), file)
    assert str(caught.value) == f"{file}: row 3: column 'text' is null, expected a text"


def test_a_split_that_leaves_a_side_empty(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [row(), row(label="y")])
    with pytest.raises(DataError) as caught:
        survey(spec_of(WORDS, NUMBER, 0.1), file)
    assert str(caught.value) == (
        f"{file}: a validation share of 0.1 takes none of the 2 rows; "
        "set data.valid to a larger share or to a file"
    )


def test_too_many_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.data.columns.labels.MOST_LABELS", 5)
    file = write_rows(tmp_path / "rows.jsonl", [row(label=n) for n in range(6)])
    with pytest.raises(DataError, match="has more than 5 different labels; read it as a number"):
        survey(spec_of(WORDS, CLASS), file)


@pytest.mark.parametrize(
    ("source", "cell"),
    [(WORDS, "a  " * 100_001), (CHARS, "a" * 100_001), (FRAMES, [[1.0]] * 100_001)],
)
def test_a_row_too_long_to_train_on_is_named(
    tmp_path: Path, source: dict[str, Any], cell: object
) -> None:
    short = [[1.0]] if source is FRAMES else "a b"
    rows = [
        {source["column"]: value, "label": label} for value, label in ((short, "x"), (cell, "y"))
    ]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=r"rows\.jsonl:2: .*has 100,001 steps.*cut it"):
        survey(spec_of(source, CLASS), file)


def test_lengths_of_rows_of_gigabytes() -> None:
    """A text of 10 GB is one row, read piece by piece: its square is beyond 64 bits."""
    counts = LengthStatistics()
    counts.add(np.array([5_000_000_000, 2]))
    counts.add(np.array([10_000_000_000, 4]), continued=True)
    assert (counts.rows, counts.longest) == (3, 10_000_000_002)
    lengths = (5_000_000_000, 10_000_000_002, 4)
    assert counts.mean() == pytest.approx(sum(lengths) / 3)
    assert counts.deviation() == pytest.approx(np.std(np.array(lengths, np.float64)))
