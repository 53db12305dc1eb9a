"""One way to read rows of every format: chunks of raw cells, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rnnspec.data.arrays import read_npz
from rnnspec.data.arrow import read_arrow
from rnnspec.data.column_names import column_names
from rnnspec.data.conll import read_conll
from rnnspec.data.database import read_database
from rnnspec.data.delimited import in_quotes, read_delimited
from rnnspec.data.folders import read_folders
from rnnspec.data.how import How
from rnnspec.data.jsonl import read_jsonl
from rnnspec.data.lines import Position, check_file
from rnnspec.data.parallel import read_parallel
from rnnspec.data.parquet import read_parquet
from rnnspec.data.plain import read_plain
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.shape import shaped
from rnnspec.data.shards import FILE, Shards
from rnnspec.errors import DataError
from rnnspec.spec.files import Format, rows_in

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""


def read(
    file: Path | Shards,
    columns: Sequence[str],
    how: How | Format = "auto",
    bad: BadRows | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Chunk]:
    """The rows of `file`, or of several one after another, as chunks of the cells of `columns`.

    `how` they are read: a format alone means its defaults. A row that cannot be read, or that a
    caller adds to `bad`, is left out and reading goes on for a while; the DataError at the end of
    the file, or before, lists up to ten of them. `progress` is called after each chunk with the
    share of the file that has been read.

    Raises DataError for a file that is missing, unreadable or empty, for a column that it lacks,
    where there are no rows at all, and for files of different formats.
    """
    shards = Shards.of(file)
    how = How(how) if isinstance(how, str) else how
    known = shards.format(how.format)
    bad = BadRows(file) if bad is None else bad
    bad.word = unit_of(known)
    sizes = [_size(each, known) for each in shards.files]
    how = replace(how, format=known, end=how.end if len(shards.files) == 1 else 0.0)
    rows, before, total = 0, 0, sum(sizes)
    wanted = list(dict.fromkeys(columns))
    for number, shard in enumerate(shards.files):
        first, position = rows, Position()
        of_shard = replace(how, beside=shards.columns_of(number), query=shards.query)
        for chunk in _chunks(shard, wanted, of_shard, bad.of_file(number), position):
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


def _chunks(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """The chunks of one file; some columns may be made of others."""
    reader = READERS[how.format]
    if how.shape is None:
        return reader(file, columns, how, bad, position)

    def raw(wanted: Sequence[str], of_these: How) -> Iterator[Chunk]:
        return reader(file, wanted, of_these, bad, position)

    return shaped(
        file,
        columns,
        how,
        bad,
        lambda: column_names(Shards((file,), file, query=how.query), how),
        raw,
    )


def unit_of(format: Format) -> str:
    """What the rows of files of a format are counted in."""
    return {
        "folders": "file",
        **dict.fromkeys(("parquet", "arrow", "npz", "sqlite", "duckdb"), "row"),
    }.get(format, "line")


def notes_of(files: Shards, how: How) -> list[str]:
    """Remarks on how the files are read. Raises DataError for a file that cannot be read."""
    if how.quoting != "auto" or files.format(how.format) != "tsv":
        return []
    bad, coding = BadRows(files), replace(how, format="tsv").coding
    found = (in_quotes(file, bad.of_file(at), coding) for at, file in enumerate(files.files))
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


Reader = Callable[[Path, Sequence[str], How, BadRows, Position], Iterator[Chunk]]
"""Reads the columns of one file, and says in the position how far it has come. It raises DataError,
or notes bad rows."""
READERS: Mapping[Format, Reader] = {
    "jsonl": read_jsonl,
    "csv": read_delimited,
    "tsv": read_delimited,
    "parquet": read_parquet,
    "conll": read_conll,
    "text": read_plain,
    "folders": read_folders,
    "arrow": read_arrow,
    "npz": read_npz,
    "columns": read_parallel,
    "sqlite": read_database,
    "duckdb": read_database,
}
"""A reader for each format."""


def progress_of(progress: Progress | None, text: str) -> Callable[[float], None] | None:
    """The `progress` of `read`, with a text that says what is being done."""
    return None if progress is None else lambda done: progress(done, text)
