"""What the kinds of columns share: what reads a chunk of one, and what writes ragged rows."""

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
    """Takes the cells of one column in, chunk by chunk."""

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        """The steps of each row, if they are steps of the rows' own axis of time.

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
