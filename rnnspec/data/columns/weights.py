"""The column that says how much each row counts in the loss."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError

WEIGHTS = "weights"
"""The array of the weights of rows."""


@dataclass(slots=True)
class WeightWriter:
    """Writes the weight of each row, and adds them up."""

    column: str
    values: Column
    total: float = 0.0

    @staticmethod
    def of(writer: Writer, column: str) -> WeightWriter:
        return WeightWriter(column, writer.column(WEIGHTS, "<f8"))

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        found = weights_of(self.column, chunk, bad)
        self.values.append(np.array(found, np.float64))
        self.total += sum(found)


def weights_of(column: str, chunk: Chunk, bad: BadRows) -> list[float]:
    """The weight of each row."""
    return bad.decoded(chunk, column, partial(_weight, textual=chunk.textual))


def _weight(cell: object, textual: bool) -> float:
    found = decode.real(cell, textual)
    if found < 0:
        raise DataError(f"is {found:g}, and the weight of a row is 0 or more")
    return found
