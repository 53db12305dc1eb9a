"""Readers: every format gives the same rows, and every wrong file its own message."""

from __future__ import annotations

import gzip
import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data import lines
from rnnspec.data.how import Documents, How
from rnnspec.data.readers import read
from rnnspec.errors import DataError
from rnnspec.spec.files import format_of
from tests.data_rows import error_of, rows_of, write_rows

FORMATS = ("jsonl", "csv", "tsv", "parquet")
# Lone surrogates are no UTF-8, U+0000 no CSV; both are refused by the decoder.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=12))
def test_every_format_gives_back_what_was_written(
    tmp_path: Path, rows: list[tuple[str, str, str]]
) -> None:
    written = [{"a": a, "b,\n": b, "c": c} for a, b, c in rows]
    for format in FORMATS:
        file = write_rows(tmp_path / f"rows.{format}", written)
        cells = [row[1:] for row in rows_of(file, ["c", "b,\n"], quoting="double")]
        assert cells == [(c, b) for _, b, c in rows], format


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_blocks_may_end_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    file = tmp_path / "rows.csv"
    file.write_bytes('\ufefftext,label\r\n"zwei\r\nZeilen, ""ü""",1\r\n\r\n\U0001f600,2'.encode())
    assert rows_of(file, ["text", "label"]) == [
        (2, 'zwei\r\nZeilen, "ü"', "1"),
        (5, "\U0001f600", "2"),
    ]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('\ufeff{"text": "a\u2028b"}\r\n\n  \n{"text": "c"}  \n{"text": null}')
    assert rows_of(file, ["text"]) == [(1, "a\u2028b"), (4, "c"), (5, None)]
    (tmp_path / "rows.tsv").write_text('text\tn\n"a\n\nb"\t1\n"c"\t2\n')
    assert rows_of(tmp_path / "rows.tsv", ["text"], quoting="double") == [(2, "a\n\nb"), (5, "c")]


def test_chunks_number_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 40)
    monkeypatch.setattr("rnnspec.data.delimited.CHUNK_ROWS", 3)
    monkeypatch.setattr("rnnspec.data.parquet.CHUNK_ROWS", 3)
    for format in FORMATS:
        file = write_rows(tmp_path / f"rows.{format}", [{"n": str(n)} for n in range(20)])
        chunks = list(read(file, ["n"]))
        assert len(chunks) > 2
        for chunk in chunks:
            assert chunk.cells["n"] == [str(chunk.first + i) for i in range(len(chunk))]


def test_gzip_is_read_on_the_way(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"text": 1}\n'))
    assert rows_of(file, ["text"]) == [(1, 1)]
    file.write_bytes(gzip.compress(b'{"text": 1}\n' * 100)[:-20])
    assert error_of(file, ["text"]).startswith("FILE: cannot be read: Compressed file ended")
    file.write_bytes(b'{"text": 1}\n')
    assert error_of(file, ["text"]).startswith("FILE: cannot be read: Not a gzipped file")


def test_the_ending_names_the_format(tmp_path: Path) -> None:
    assert format_of(Path("a/b.NDJSON")) == "jsonl"
    assert format_of(Path("b.tsv.gz")) == "tsv"
    assert format_of(Path("b.txt")) == "text"
    assert format_of(Path("b.json"), "jsonl") == "jsonl"
    with pytest.raises(DataError) as caught:
        format_of(Path("b.json"))
    assert str(caught.value) == (
        "b.json: the ending '.json' names no known format; "
        "set data.format to one of jsonl, csv, tsv, parquet, arrow, npz, conll, text, sqlite,"
        " duckdb"
    )


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, format: str) -> None:
    def peak(rows: int) -> int:
        file = tmp_path / f"{rows}.{format}"
        row = {"text": "abcd " * 200, "label": "x", "rest": "y" * 1000}
        write_rows(file, [row] * rows)
        tracemalloc.start()
        for _ in read(file, ["text", "label"]):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(8000) < 1.2 * peak(4000)


def test_long_cells_make_short_chunks(tmp_path: Path) -> None:
    rows = [{"frames": json.dumps([[float(n)] * 100] * 500), "n": n} for n in range(20)]
    for format in ("csv", "parquet"):
        file = write_rows(tmp_path / f"rows.{format}", rows)
        assert max(len(chunk) for chunk in read(file, ["frames"])) <= 8, format


def documents_of(file: Path, documents: Documents) -> list[tuple[int, str]]:
    """(line, text) of each row of a plain text, pieces put together."""
    rows: list[tuple[int, str]] = []
    for chunk in read(file, ["text"], How(documents=documents)):
        for at, (line, cell) in enumerate(zip(chunk.lines, chunk.cells["text"], strict=True)):
            if at == 0 and chunk.continued:
                first, before = rows.pop()
                rows.append((first, before + str(cell)))
            else:
                rows.append((line, str(cell)))
    return rows


PLAIN = st.text(st.sampled_from("ab \n\r\té😀"), min_size=1, max_size=60)


@settings(max_examples=60)
@given(text=PLAIN, block=st.sampled_from([1, 4, 9, 1 << 20]))
def test_documents_of_plain_text(tmp_path: Path, text: str, block: int) -> None:
    file = tmp_path / "rows.txt"
    file.write_text(text, encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        patch.setattr("rnnspec.data.plain.BLOCK", block)
        assert documents_of(file, "file") == [(1, text)]
        parts = [part.removesuffix("\r") for part in text.split("\n")]
        kept = [(line, part) for line, part in enumerate(parts, 1) if part.strip()]
        if kept:
            assert documents_of(file, "line") == kept
            joined = "\n".join(part if part.strip() else "" for part in parts)
            paragraphs = [part.strip("\n") for part in re.split(r"\n\n+", joined)]
            found = documents_of(file, "paragraph")
            assert [part for _, part in found] == [part for part in paragraphs if part]
            assert all(parts[line - 1] == part.split("\n")[0] for line, part in found)
        else:
            with pytest.raises(DataError, match="the file has no rows"):
                documents_of(file, "line")


def test_a_long_document_comes_in_pieces_cut_before_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 1000)
    monkeypatch.setattr("rnnspec.data.plain.BLOCK", 1000)
    file = tmp_path / "rows.txt"
    file.write_text("wörter und\nZeilen " * 500)
    seen: list[float] = []
    chunks = list(read(file, ["text"], progress=seen.append))
    assert len(chunks) > 5
    assert [chunk.continued for chunk in chunks] == [False] + [True] * (len(chunks) - 1)
    assert all(str(chunk.cells["text"][0]).startswith(" ") for chunk in chunks[1:])
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_wrong_plain_text(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_bytes(b"one\ntwo \xe9")
    assert error_of(file, ["text"]) == (
        "FILE:2: is not UTF-8: byte 0xE9 after 4 bytes; if 'two é' is right, set format to {text: "
        "{encoding: windows-1252}} (data.format of a spec, --format of run and evaluate); or save "
        "the file as UTF-8"
    )
    file.write_bytes(b"one")
    assert error_of(file, ["words"]) == (
        "FILE: there is no column 'words'; plain text has one column, 'text'"
    )


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_progress_rises_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 40)
    monkeypatch.setattr("rnnspec.data.delimited.CHUNK_ROWS", 3)
    monkeypatch.setattr("rnnspec.data.parquet.CHUNK_ROWS", 3)
    file = write_rows(tmp_path / f"rows.{format}", [{"n": str(n)} for n in range(20)])
    seen: list[float] = []
    for _ in read(file, ["n"], progress=seen.append):
        pass
    assert seen == sorted(seen)
    assert seen[0] < 0.7
    assert seen[-1] == 1
