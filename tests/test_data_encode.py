"""Encoding: what stands in batches, the cache under changes, kills and rivals, wrong rows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data import Dataset, Reading, cache, encode, lines, survey
from rnnspec.data.decode import fold, words
from rnnspec.data.encode import Part, encode_parts
from rnnspec.errors import DataError
from rnnspec.plan import TextFacts, resolve
from rnnspec.plan.facts import PAD_ID, UNKNOWN_ID
from rnnspec.spec import Spec
from rnnspec.spec.files import Format
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
    {"text": "b a a", "label": "x", "value": 1.5, "vector": [1, 2], "frames": [[1, 2]] * 3},
    {"text": "", "label": "y", "value": -2, "vector": [3, 4], "frames": []},
    {"text": "c  a", "label": "x", "value": 0, "vector": [5, 6], "frames": [[3, 4], [5, 6]]},
]
FORMATS: list[Format] = ["jsonl", "csv", "tsv", "parquet"]


def encoded(spec: Spec, file: Path, other: Path | None = None, rows: Part = "all") -> Dataset:
    """`file` (or `other`, with the facts of `file`)."""
    facts = survey(spec, file)
    share = 0.0 if rows == "all" else spec.data.valid
    assert isinstance(share, float)
    folder = file.parent / "cache"
    plan, measured = resolve(spec, facts), rows == "valid"
    reading = Reading.of(spec) if share else Reading()
    return encode(plan, facts, other or file, reading, folder, rows, share, measured=measured)


def all_rows(dataset: Dataset) -> Any:
    return dataset.collate(np.arange(dataset.rows))


@pytest.mark.parametrize("format", FORMATS)
def test_words_to_class(tmp_path: Path, format: str) -> None:
    data = encoded(spec_of(WORDS, CLASS), write_rows(tmp_path / f"rows.{format}", ROWS))
    batch = all_rows(data)
    values, lengths = batch.inputs["text"]
    assert values.tolist() == [[3, 2, 2], [0, 0, 0], [4, 2, 0]]
    assert lengths.tolist() == data.lengths(np.arange(3)).tolist() == [3, 0, 2]
    assert values.dtype == lengths.dtype == batch.targets["label"].dtype == np.int64
    assert batch.targets["label"].tolist() == [0, 1, 0]
    first = 1 if format == "parquet" else 2 if format != "jsonl" else 1
    assert data.lines.tolist() == [first, first + 1, first + 2]


@pytest.mark.parametrize("format", FORMATS)
def test_frames_to_numbers(tmp_path: Path, format: str) -> None:
    file = write_rows(tmp_path / f"rows.{format}", ROWS)
    batch = encoded(spec_of(FRAMES, NUMBER), file).collate(np.array([2, 0, 1]))
    values, lengths = batch.inputs["frames"]
    assert lengths.tolist() == [2, 3, 0]
    assert values.tolist() == [
        [[3, 4], [5, 6], [0, 0]],
        [[1, 2], [1, 2], [1, 2]],
        [[0, 0], [0, 0], [0, 0]],
    ]
    assert values.dtype == batch.targets["value"].dtype == np.float32
    assert batch.targets["value"].tolist() == [[0], [1.5], [-2]]
    vectors = all_rows(encoded(spec_of(FRAMES, VECTOR), file)).targets["vector"]
    assert vectors.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_batch_of_empty_rows_has_one_step(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    values, lengths = encoded(spec_of(WORDS, CLASS), file).collate(np.array([1, 1])).inputs["text"]
    assert values.tolist() == [[PAD_ID], [PAD_ID]]
    assert lengths.tolist() == [0, 0]
    frames, _ = encoded(spec_of(FRAMES, CLASS), file).collate(np.array([1])).inputs["frames"]
    assert frames.tolist() == [[[0, 0]]]


def test_a_file_of_nothing_but_empty_rows(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    other = write_rows(tmp_path / "other.jsonl", [ROWS[1]])
    for source in (WORDS, CHARS, FRAMES):
        data = encoded(spec_of(source, CLASS), file, other)
        assert data.lengths(np.arange(1)).tolist() == [0]
        assert data.collate(np.array([0])).inputs[source["column"]][1].tolist() == [0]


KINDS: dict[str, tuple[Mapping[str, Any], Callable[[str], list[str]]]] = {
    "words": (WORDS, words),
    "chars": (CHARS, list),
    "folded": (CHARS | {"fold_case": True}, lambda text: list(map(fold, text))),
}
TEXTS = st.lists(st.text(st.sampled_from(" abAB\tİΣσç😀"), max_size=9), min_size=1, max_size=9)


@settings(max_examples=40)
@given(texts=TEXTS, unseen=TEXTS, kind=st.sampled_from(sorted(KINDS)))
def test_token_numbers_follow_the_vocabulary(
    tmp_path: Path, texts: list[str], unseen: list[str], kind: str
) -> None:
    source, tokens = KINDS[kind]
    spec = spec_of(source, CLASS)

    def write(name: str, texts: list[str]) -> Path:
        rows = [{"text": text, "label": n % 2} for n, text in enumerate(texts)]
        return write_rows(tmp_path / name, rows)

    train = write("train.jsonl", [*texts, "a", "b"])
    facts = survey(spec, train).inputs["text"]
    assert isinstance(facts, TextFacts)
    entries = facts.vocabulary.entries
    data = encoded(spec, train, write("other.jsonl", unseen))
    values, lengths = all_rows(data).inputs["text"]
    for text, row, length in zip(unseen, values.tolist(), lengths, strict=True):
        known = [entries.index(t) + 2 if t in entries else UNKNOWN_ID for t in tokens(text)]
        assert row[:length] == known
        assert row[length:] == [PAD_ID] * (len(row) - length)


def test_a_share_splits_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 200)
    rows = [{"value": n, "frames": [[n]]} for n in range(60)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    spec = spec_of(FRAMES, NUMBER, 0.25)
    train, valid = (encoded(spec, file, rows=part) for part in ("train", "valid"))
    expected = [n for n in range(60) if in_validation(n, 0.25)]
    assert all_rows(valid).targets["value"][:, 0].tolist() == expected
    assert valid.lines.tolist() == [n + 1 for n in expected]
    assert sorted([*train.lines, *valid.lines]) == list(range(1, 61))


def test_both_parts_of_a_share_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders are those of each part by itself, to the byte."""
    monkeypatch.setattr(lines, "BLOCK", 200)
    file = write_rows(tmp_path / "rows.jsonl", ROWS * 30)
    spec = spec_of(WORDS, CLASS, 0.25)
    apart = {encoded(spec, file, rows=part).key for part in ("train", "valid")}
    facts, read = survey(spec, file), list[float]()

    def tell(done: float, text: str) -> None:
        read.append(done)

    for already in (0, 1, 2):
        folder, read[:] = tmp_path / f"cache{already}", []
        for key in sorted(apart)[:already]:
            shutil.copytree(tmp_path / "cache" / key, folder / key)
        reading = Reading.of(spec)
        parts = encode_parts(resolve(spec, facts), facts, file, reading, folder, 0.25, tell)
        assert {part.key for part in parts} == apart
        assert read.count(1) == (already < 2), "passes over the file"
        assert _contents(folder) == _contents(tmp_path / "cache")


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_part_without_rows(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    spec = spec_of(WORDS, CLASS)
    facts = survey(spec, file)
    with pytest.raises(DataError) as caught:
        encode(resolve(spec, facts), facts, file, "auto", tmp_path / "cache", "valid", 0.01)
    assert str(caught.value) == (
        f"{file}: no row falls to validation with a validation share of 0.01; "
        "set data.valid to another share or to a file"
    )
    assert list((tmp_path / "cache").iterdir()) == []


WRONG: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "null": (WORDS, CLASS, {"text": None}, "column 'text' is null, expected a text"),
    "frames": (
        FRAMES,
        CLASS,
        {"frames": [[1]]},
        "column 'frames' has width 1, the training rows have width 2",
    ),
    "vector": (
        FRAMES,
        VECTOR,
        {"vector": [1, 2, 3]},
        "column 'vector' has width 3, the training rows have width 2",
    ),
    "NaN": (
        FRAMES,
        NUMBER,
        {"value": float("nan")},
        "column 'value' is NaN; only finite numbers can be learned from",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rows(tmp_path: Path, name: str) -> None:
    source, target, cells, message = WRONG[name]
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    other = write_rows(tmp_path / "other.jsonl", [ROWS[0], {**ROWS[0], **cells}, ROWS[1]])
    with pytest.raises(DataError) as caught:
        encoded(spec_of(source, target), file, other)
    assert str(caught.value) == f"{other}:2: {message}"
    assert list((tmp_path / "cache").iterdir()) == []


def folders(file: Path) -> list[Path]:
    return sorted((file.parent / "cache").iterdir())


def test_the_cache_is_keyed_by_all_that_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    spec = spec_of(WORDS, CLASS)
    encoded(spec, file)
    (first,) = folders(file)
    written = (first / cache.INDEX).stat().st_mtime_ns

    same = write_rows(tmp_path / "same.jsonl", ROWS)
    encoded(spec, file, same)  # the same content under another name
    assert folders(file) == [first]
    assert (first / cache.INDEX).stat().st_mtime_ns == written

    encoded(spec_of(WORDS | {"min_count": 2}, CLASS), file)
    encoded(spec_of(CHARS, CLASS), file)
    encoded(spec_of(CHARS | {"fold_case": True}, CLASS), file)
    encoded(spec_of(WORDS, NUMBER), file)
    encoded(spec_of(WORDS, CLASS), file, write_rows(tmp_path / "more.jsonl", ROWS * 2))
    assert len(folders(file)) == 6
    import_version = sys.modules["rnnspec.data.encode"]
    monkeypatch.setattr(import_version, "VERSION", 0)
    encoded(spec, file)
    assert len(folders(file)) == 7


def test_a_damaged_cache_is_written_anew(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    spec = spec_of(FRAMES, CLASS)
    expected = all_rows(encoded(spec, file)).inputs["frames"][0].tolist()
    (folder,) = folders(file)
    for name, content in (("input.0", b"cut"), (cache.INDEX, b"{"), (cache.INDEX, b"[1]")):
        (folder / name).write_bytes(content)
        assert all_rows(encoded(spec, file)).inputs["frames"][0].tolist() == expected
    (folder / "lines").unlink()
    assert all_rows(encoded(spec, file)).inputs["frames"][0].tolist() == expected


PROGRAM = """
import os, signal, sys
from pathlib import Path
from rnnspec.data import cache
from tests.data_rows import CLASS, WORDS, spec_of, in_validation
from tests.test_data_encode import encoded
if sys.argv[2] == "killed":
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
data = encoded(spec_of(WORDS, CLASS), Path(sys.argv[1]))
print((data.ends - data.starts).sum())
"""


def start(file: Path, how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(file), how]
    root = Path(__file__).parent.parent
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def test_killed_and_rival_processes(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS * 2000)
    killed = start(file, "killed")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    (left,) = folders(file)
    assert left.name.startswith(cache.UNFINISHED)
    rivals = [start(file, "whole") for _ in range(2)]
    assert [rival.communicate()[0] for rival in rivals] == ["10000\n"] * 2
    os.utime(left, (0, 0))  # long ago
    assert encoded(spec_of(WORDS, CLASS), file).rows == 6000  # from the cache
    encoded(spec_of(WORDS, NUMBER), file)  # writes, and tidies up
    assert not left.exists()
    assert len(folders(file)) == 2


def test_who_comes_second_takes_the_first_ones(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "key"
    for value in (1, 2):
        with cache.new_folder(folder) as writer:
            writer.column("x", np.int64).append(np.array([value]))
    arrays = cache.open_folder(folder)
    assert arrays is not None
    assert arrays["x"].tolist() == [1]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError) as caught:
        encoded(spec_of(WORDS, CLASS), file)
    place = tmp_path / "cache"
    assert str(caught.value) == (f"{place}: cannot write the encoded data: No space left on device")
    assert list(place.iterdir()) == []


def test_a_cache_that_is_no_folder(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="cannot write the encoded data: File exists"):
        encoded(spec_of(WORDS, CLASS), file)


def test_a_file_that_changes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    spec = spec_of(WORDS, CLASS)
    facts = survey(spec, file)
    module = sys.modules["rnnspec.data.encode"]
    real = module._write

    def change(*arguments: Any) -> None:
        real(*arguments)
        write_rows(file, ROWS * 2)

    monkeypatch.setattr(module, "_write", change)
    with pytest.raises(DataError, match="the file changed while it was read; try again"):
        encode(resolve(spec, facts), facts, file, "auto", tmp_path / "cache")


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 300)
    file = write_rows(tmp_path / "rows.jsonl", ROWS * 20)
    spec = spec_of(WORDS, CLASS)
    told: list[tuple[float, str]] = []
    facts = survey(spec, file, lambda done, text: told.append((done, text)))
    plan = resolve(spec, facts)
    for _ in range(2):  # the second time the arrays are there
        encode(plan, facts, file, "auto", tmp_path / "cache", progress=lambda *at: told.append(at))
    texts = [text for _, text in told]
    assert list(dict.fromkeys(texts)) == ["looking through rows.jsonl", "encoding rows.jsonl"]
    for text in set(texts):
        shares = [done for done, of in told if of == text]
        assert len(shares) > 5
        assert shares == sorted(shares)
        assert shares[-1] == 1
