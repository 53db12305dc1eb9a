"""What all kinds of columns share: encoders of chunks, and ragged rows on disk."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.cache import Column, Writer
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.plan.facts import ColumnFacts

Lengths = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]


class ColumnEncoder(Protocol):
    """Encodes the cells of one column, chunk by chunk."""

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        """Adds a chunk. Returns the steps of each row if the column is on the shared time axis.

        A cell that cannot be read is noted in `bad`.
        """
        ...


class FactCollector(ColumnEncoder, Protocol):
    """Gathers the facts of one column."""

    def facts(self) -> ColumnFacts:
        """Raises DataError, without the place, where the rows seen are not enough."""
        ...


@dataclass(slots=True)
class RaggedWriter:
    """Writes `name`, rows one after the other, and `name.offsets` `[rows + 1]`: row i is
    `values[offsets[i]:offsets[i + 1]]`."""

    values: Column
    offsets: Column
    end: int = 0

    @staticmethod
    def new(writer: Writer, name: str, dtype: str, *entry: int) -> RaggedWriter:
        offsets = writer.column(f"{name}.offsets", "<i8")
        offsets.append(np.zeros(1, np.int64))
        return RaggedWriter(writer.column(name, dtype, *entry), offsets)

    def append(self, values: NDArray[Any], lengths: Lengths) -> None:
        """Adds rows of `lengths`, whose steps follow each other in `values`."""
        self.offsets.append(self.end + np.cumsum(lengths))
        self.values.append(values)
        self.end += len(values)


def lengths_of(rows: Sequence[Sized]) -> Lengths:
    return np.fromiter(map(len, rows), np.int64, len(rows))


def add_chunk(
    chunk: Chunk, encoders: Sequence[tuple[str, ColumnEncoder]], bad: BadRows
) -> Lengths | None:
    """Adds a chunk to every encoder, each with its column, and returns the steps of each row.

    Rows whose columns differ in their number of steps are bad. None if no column has steps.
    """
    found = [(column, encoder.add(chunk, bad)) for column, encoder in encoders]
    steps = [(column, lengths) for column, lengths in found if lengths is not None]
    if not steps:
        return None
    (first, lengths), *others = steps
    if bad.found:  # columns do not line up any more, and the file ends in an error
        return lengths
    for column, of_column in others:
        for at in np.flatnonzero(lengths != of_column).tolist():
            bad.add(
                chunk.lines[at],
                f"column {column!r} has {of_column[at]} steps, column {first!r} has "
                f"{lengths[at]}; they are read together, step by step",
            )
    return lengths
