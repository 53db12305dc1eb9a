"""The column that says how much each row, or each step of series, counts in the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import BatchColumn, Future, Steps
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import Table, Windows
from rnnspec.errors import DataError
from rnnspec.plan.nodes import ClassOutput, ForecastOutput, LabelsOutput, NumericOutput, Target

WEIGHTS = "weights"
"""The array of the weights of rows; of series of those of steps, by place."""


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


@dataclass(slots=True)
class StepWeights:
    """Holds the weights of the rows of a table, which are the steps of series."""

    column: str
    found: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.found.append(np.array(weights_of(self.column, chunk, bad), np.float64))

    def values(self, table: Table) -> NDArray[np.float64]:
        """By place; a step without a row weighs as much as the row before it."""
        return np.concatenate(self.found)[table.order]


def some_weigh(weights: NDArray[np.float64], answered: Windows, targets: Sequence[Target]) -> bool:
    """Whether some step that is answered weighs more than 0, of `weights` by place."""
    until = np.concatenate([[0.0], np.cumsum(weights)])
    for node in targets:
        ahead = node.horizon if isinstance(node, ForecastOutput) else 0
        first = answered.ends if ahead else answered.starts
        if (until[answered.ends + ahead] > until[first]).any():
            return True
    return False


def weights_in_batches(node: Target, weights: NDArray[np.float64]) -> BatchColumn:
    """The weights of the steps that an output answers, of `weights` by place."""
    if isinstance(node, ForecastOutput):
        return Future(weights, node.horizon, wide=False)
    if isinstance(node, ClassOutput | LabelsOutput | NumericOutput) and node.ahead:
        # the last step of a series has no next one, and no target
        weights = np.append(weights[1:], 0.0)
    return Steps(weights, 0.0)


def weights_of(column: str, chunk: Chunk, bad: BadRows) -> list[float]:
    """The weight of each row."""
    return bad.decoded(chunk, column, partial(_weight, textual=chunk.textual))


def _weight(cell: object, textual: bool) -> float:
    found = decode.real(cell, textual)
    if found < 0:
        raise DataError(f"is {found:g}, and the weight of a row is 0 or more")
    return found
