"""Rows of Arrow files (Feather): record batches in a file or a stream, through pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rnnspec.data.how import How
from rnnspec.data.lines import Position, check_file
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError

CHUNK_ROWS = 4096
MAGIC = b"ARROW1"


def read_arrow(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`, batch by batch; a file is mapped, so that memory is bounded by a batch.

    Raises DataError for a column that the file lacks and for what is no Arrow file.
    """
    arrow = _package(file)
    check_file(file)
    first = 0
    try:
        with arrow.memory_map(str(file)) as source:
            reader = _opened(arrow, source)
            check_columns(file, columns, reader.schema.names)
            for batch, done in _batches(reader):
                for start in range(0, batch.num_rows, CHUNK_ROWS):
                    part = batch.slice(start, CHUNK_ROWS)
                    cells = {name: plain_cells(part.column(name)) for name in columns}
                    lines = list(range(first + 1, first + 1 + part.num_rows))
                    position.done = done
                    yield Chunk(first, lines, cells)
                    first += part.num_rows
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"{file}: is not a whole Arrow file: {error}") from error


def names_of_arrow(file: Path) -> list[str]:
    """The names of the columns, none where the file cannot be read."""
    arrow = _package(file)
    with suppress(arrow.ArrowException, OSError), arrow.memory_map(str(file)) as source:
        return list(_opened(arrow, source).schema.names)
    return []


def check_columns(file: Path, columns: Sequence[str], names: Sequence[str]) -> None:
    """Raises DataError for a column that is not there, or there twice."""
    for column in columns:
        if column not in names:
            raise DataError(f"{file}: {no_column(column, names)}")
        if names.count(column) > 1:
            raise DataError(f"{file}: two columns are called {column!r}; rename one")


def _package(file: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise DataError(
            f"{file}: reading Arrow files needs pyarrow; pip install 'rnnspec[parquet]'"
        ) from error
    return pyarrow


def _opened(arrow: Any, source: Any) -> Any:
    """The reader of a file, or of a stream, which has no mark at its start."""
    is_file = source.read(len(MAGIC)) == MAGIC
    source.seek(0)
    return arrow.ipc.open_file(source) if is_file else arrow.ipc.open_stream(source)


def _batches(reader: Any) -> Iterator[tuple[Any, float]]:
    """Each batch, with the share of the file that ends with it."""
    count = getattr(reader, "num_record_batches", None)
    if count is None:
        yield from ((batch, 1.0) for batch in reader)
        return
    for at in range(count):
        yield reader.get_batch(at), (at + 1) / count


def plain_cells(column: Any) -> list[object]:
    """The cells of a column of Arrow: decimals as numbers, dates and times as ISO 8601."""
    cells: list[object] = column.to_pylist()
    kind = str(column.type)
    if any(word in kind for word in ("decimal", "date", "timestamp")):
        return [plain(cell) for cell in cells]
    return cells


def plain(cell: object) -> object:
    """A decimal as a number, a date or time as ISO 8601; of lists each."""
    match cell:
        case list():
            return [plain(each) for each in cell]
        case Decimal():
            return int(cell) if cell == cell.to_integral_value() else float(cell)
        case date():
            return cell.isoformat()
    return cell
