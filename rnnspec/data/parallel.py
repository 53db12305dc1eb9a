"""Rows whose columns stand in files of their own: a line a row, or an entry of an .npy array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from rnnspec.data.arrays import ENDING, stored
from rnnspec.data.how import How
from rnnspec.data.lines import Coding, Position, blocks, check_file
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError

CHUNK_ROWS = 1024
Take = Callable[[int], list[object]]
"""The next cells of a column, fewer at its end."""


def read_parallel(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`, each from its file in `how.beside`: row n is line n of each text file,
    blank or not, and entry n of each .npy array.

    Raises DataError for a column without a file and for files of unequal length.
    """
    for column in columns:
        if column not in how.beside:
            raise DataError(f"{file}: {no_column(column, how.beside)}")
    files = {column: how.beside[column] for column in columns}
    files.setdefault(next(iter(how.beside)), file)
    with ExitStack() as stack:
        takes = {
            column: _taker(each, column, how.coding, position if each == file else None, stack)
            for column, each in files.items()
        }
        first = 0
        while True:
            cells = {column: take(CHUNK_ROWS) for column, take in takes.items()}
            _check_lengths(files, cells, first)
            count = len(next(iter(cells.values())))
            if not count:
                return
            lines = list(range(first + 1, first + count + 1))
            yield Chunk(first, lines, {column: cells[column] for column in columns}, True)
            first += count


def _check_lengths(files: dict[str, Path], cells: dict[str, list[object]], first: int) -> None:
    """Raises DataError where one column ends before another."""
    short = min(cells, key=lambda column: len(cells[column]))
    long = max(cells, key=lambda column: len(cells[column]))
    if len(cells[short]) != len(cells[long]):
        raise DataError(
            f"{files[short]}: ends after {first + len(cells[short]):,} rows, and {files[long]} goes"
            " on; line n of each file is row n"
        )


def _taker(
    file: Path, column: str, coding: Coding, position: Position | None, stack: ExitStack
) -> Take:
    check_file(file)
    if file.suffix.lower() == ENDING:
        return _array(file, column, stack)
    found = blocks(file, position, coding)
    lines = (line.removesuffix("\r") for _, block in found for line in block)
    return lambda rows: list(islice(lines, rows))


def _array(file: Path, column: str, stack: ExitStack) -> Take:
    stream = stack.enter_context(file.open("rb"))
    try:
        array = stored(stream, file, column)
    except ValueError as error:
        raise DataError(f"{file}: is no .npy file: {error}") from error
    left = array.shape[0]

    def take(rows: int) -> list[object]:
        nonlocal left
        rows = min(rows, left)
        left -= rows
        try:
            found: list[object] = array.take(rows).tolist()
        except DataError as error:
            raise DataError(f"{file}: {error}") from error
        return found

    return take
