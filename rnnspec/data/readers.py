"""One way to read rows of every format: chunks of raw cells, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rnnspec.data.conll import read_conll
from rnnspec.data.delimited import Dialect, in_quotes, read_delimited
from rnnspec.data.folders import Holds, read_folders
from rnnspec.data.jsonl import read_jsonl
from rnnspec.data.lines import Position, check_file
from rnnspec.data.parquet import read_parquet
from rnnspec.data.plain import Documents, read_plain
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.shards import FILE, Shards
from rnnspec.errors import DataError
from rnnspec.spec.files import Format, Quoting, rows_in

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""


def read(
    file: Path | Shards,
    columns: Sequence[str],
    format: Format = "auto",
    bad: BadRows | None = None,
    documents: Documents = "file",
    progress: Callable[[float], None] | None = None,
    quoting: Quoting = "auto",
    end: float = 0.0,
    names: Sequence[str] = (),
    holds: Holds | None = None,
) -> Iterator[Chunk]:
    """The rows of `file`, or of several one after another, as chunks of the cells of `columns`.

    A row that cannot be read, or that a caller adds to `bad`, is left out and reading goes on for
    a while; the DataError at the end of the file, or before, lists up to ten of them.
    `documents` says what a row of plain text is, `quoting` what quotes are in CSV and TSV. `end`:
    this share at the end of one plain text that is read whole is a row of its own, held out.
    `names`: those of the columns of CoNLL, in their order. `holds`: what the files in folders are
    read as.
    `progress` is called after each chunk with the share of the file that has been read.

    Raises DataError for a file that is missing, unreadable or empty, for a column that it lacks,
    where there are no rows at all, and for files of different formats.
    """
    shards = Shards.of(file)
    known = shards.format(format)
    bad = BadRows(file) if bad is None else bad
    bad.word = unit_of(known)
    sizes = [_size(each, known) for each in shards.files]
    how = _How(known, documents, quoting, end if len(shards.files) == 1 else 0.0, names, holds)
    rows, before, total = 0, 0, sum(sizes)
    for number, shard in enumerate(shards.files):
        first, position = rows, Position()
        for chunk in _chunks(shard, columns, how, bad.of_file(number), position):
            rows += chunk.begun
            yield _moved(chunk, first, number) if number else chunk
            bad.check(len(chunk))
            if progress is not None:
                progress((before + position.done * sizes[number]) / total)
        before += sizes[number]
    bad.close()
    if not rows and not bad.found:
        none = "the file has" if len(shards.files) == 1 else "the files have"
        raise DataError(f"{file}: {none} no rows")


def unit_of(format: Format) -> str:
    """What the rows of files of a format are counted in."""
    return {"parquet": "row", "folders": "file"}.get(format, "line")


def notes_of(files: Shards, format: Format, quoting: Quoting) -> list[str]:
    """Remarks on how the files are read. Raises DataError for a file that cannot be read."""
    if quoting != "auto" or files.format(format) != "tsv":
        return []
    bad = BadRows(files)
    found = (in_quotes(file, bad.of_file(number)) for number, file in enumerate(files.files))
    first = next(filter(None, found), "")
    return [first] if first else []


def _size(file: Path, format: Format) -> int:
    if format == "folders":
        return len(rows_in(file))
    check_file(file)
    return file.stat().st_size


def _moved(chunk: Chunk, first: int, number: int) -> Chunk:
    """A chunk of file `number`, before which there are `first` rows in others."""
    lines = [number * FILE + line for line in chunk.lines]
    return replace(chunk, first=first + chunk.first, lines=lines)


@dataclass(frozen=True, slots=True)
class _How:
    """How the files are read."""

    format: Format
    documents: Documents
    quoting: Quoting
    end: float = 0.0
    names: Sequence[str] = ()
    holds: Holds | None = None


def _chunks(
    file: Path, columns: Sequence[str], how: _How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    wanted = list(dict.fromkeys(columns))
    match how.format:
        case "jsonl":
            return read_jsonl(file, wanted, bad, position)
        case "parquet":
            return read_parquet(file, wanted, bad, position)
        case "folders":
            return read_folders(file, wanted, how.holds, bad, position)
        case "text":
            return read_plain(file, wanted, how.documents, position, how.end)
        case "conll":
            return read_conll(file, wanted, how.names, bad, position)
        case "csv" | "tsv":
            dialect = Dialect.of(how.format, how.quoting)
            return read_delimited(file, wanted, bad, dialect, position)
    raise AssertionError(f"{how.format} is no format of a file")


def progress_of(progress: Progress | None, text: str) -> Callable[[float], None] | None:
    """The `progress` of `read`, with a text that says what is being done."""
    return None if progress is None else lambda done: progress(done, text)
