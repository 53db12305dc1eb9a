"""Rows of Parquet, through pyarrow, reading only the columns asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnnspec.data.arrow import check_columns, plain_cells
from rnnspec.data.how import How
from rnnspec.data.lines import Position, check_file
from rnnspec.data.processors import processors
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError

CHUNK_ROWS = 4096
CHUNK_BYTES = 1 << 20
"""Aim for the size of a chunk, by what the file states of its columns, as they are encoded: cells
that repeat within a page take more once they are read."""


def read_parquet(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`; memory is bounded by a row group's page, not by the row group."""
    arrow, parquet = _packages(file)
    check_file(file)
    arrow.set_cpu_count(min(arrow.cpu_count(), processors()))
    wanted = list(dict.fromkeys(columns))
    first = 0
    try:
        with parquet.ParquetFile(file, buffer_size=CHUNK_BYTES, pre_buffer=False) as source:
            check_columns(file, wanted, source.schema_arrow.names)
            size = _chunk_rows(source.metadata, set(wanted))
            for batch in source.iter_batches(batch_size=size, columns=wanted):
                lines = list(range(first + 1, first + 1 + batch.num_rows))
                cells = {name: plain_cells(batch.column(name)) for name in wanted}
                position.done = lines[-1] / max(1, source.metadata.num_rows) if lines else 0.0
                yield Chunk(first, lines, cells)
                first += batch.num_rows
    except (arrow.ArrowException, OSError) as error:
        if first:
            bad.fail(first + 1, f"cannot be read from here on: {_reason(error)}")
        raise DataError(
            f"{file}: is not a whole Parquet file: {_reason(error)}; was it written to its end?"
        ) from error


def _packages(file: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{file}: reading Parquet needs pyarrow; pip install 'rnnspec[parquet]'"
        ) from error
    return pyarrow, parquet


def _chunk_rows(metadata: Any, columns: set[str]) -> int:
    """Rows for about CHUNK_BYTES of the columns."""
    size = 0
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema.split(".")[0] in columns:
                size += column.total_uncompressed_size
    per_row = size / max(1, metadata.num_rows)
    return int(min(CHUNK_ROWS, max(1, CHUNK_BYTES // max(1, per_row))))


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
