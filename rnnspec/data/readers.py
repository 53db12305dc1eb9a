"""One way to read rows of every format: chunks of raw cells, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from rnnspec.data.delimited import read_delimited
from rnnspec.data.jsonl import read_jsonl
from rnnspec.data.lines import Position
from rnnspec.data.parquet import read_parquet
from rnnspec.data.plain import Documents, read_plain
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError

__all__ = ["BadRows", "Chunk", "Documents", "Format", "Progress", "format_of", "read", "telling"]

Format = Literal["auto", "jsonl", "csv", "tsv", "parquet", "text"]

Progress = Callable[[float, str], None]
"""Called now and then with the share that is done, 0 to 1, and what is being done."""

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
}


def format_of(file: Path, format: Format = "auto") -> Format:
    """The format of `file`: as given, or by the ending of its name (before a `.gz`).

    Raises DataError for an ending that says nothing.
    """
    if format != "auto":
        return format
    name = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    found = _ENDINGS.get(name.suffix.lower())
    if found is None:
        known = ", ".join(name for name in get_args(Format) if name != "auto")
        ending = f"the ending {name.suffix!r}" if name.suffix else "a name without an ending"
        raise DataError(
            f"{file}: {ending} names no known format; set data.format to one of {known}"
        )
    return found


def read(
    file: Path,
    columns: Sequence[str],
    format: Format = "auto",
    bad: BadRows | None = None,
    documents: Documents = "file",
    progress: Callable[[float], None] | None = None,
) -> Iterator[Chunk]:
    """The rows of `file`, in order, as chunks of the cells of `columns`.

    A row that cannot be read, or that a caller adds to `bad`, is left out and reading goes on for
    a while; the DataError raised at the end of the file, or before, shows up to ten of them.
    `documents` says what a row of plain text is. `progress` is called after each chunk with the
    share of the file that has been read.

    Raises DataError for a file that is missing, unreadable, empty or without rows, and for a column
    that it lacks.
    """
    known = format_of(file, format)
    bad = BadRows(file) if bad is None else bad
    bad.word = "row" if known == "parquet" else "line"
    rows, position = 0, Position()
    for chunk in _chunks(file, columns, known, bad, documents, position):
        rows += chunk.begun
        yield chunk
        bad.check(chunk.lines[-1])
        if progress is not None:
            progress(position.done)
    bad.close()
    if not rows:
        raise DataError(f"{file}: the file has no rows")


def _chunks(
    file: Path,
    columns: Sequence[str],
    format: Format,
    bad: BadRows,
    documents: Documents,
    position: Position,
) -> Iterator[Chunk]:
    wanted = list(dict.fromkeys(columns))
    match format:
        case "jsonl":
            return read_jsonl(file, wanted, bad, position)
        case "parquet":
            return read_parquet(file, wanted, bad, position)
        case "text":
            return read_plain(file, wanted, documents, position)
    return read_delimited(file, wanted, bad, "," if format == "csv" else "\t", position)


def telling(progress: Progress | None, text: str) -> Callable[[float], None] | None:
    """`progress` for `read`, saying `text`."""
    if progress is None:
        return None

    def tell(done: float) -> None:
        progress(done, text)

    return tell
