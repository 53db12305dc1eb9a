"""Figures for each series of a table, so that one of large numbers does not speak for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.evaluate import Seen
from rnnspec.evaluate.examples_numbers import middle
from rnnspec.plan import NumericFacts
from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.report.model import SeriesRow

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class SeriesFigures:
    """Sums of absolute errors by series, of the model and of the naive forecast or, of what is no
    forecast, of the mean of the training rows."""

    def __init__(
        self, node: ForecastOutput | NumericOutput, known: NumericFacts, names: Sequence[str]
    ) -> None:
        self.node, self.column, self.names = node, node.column, names
        self.mean = np.asarray(known.mean)
        self.count, self.error = np.zeros(len(names), np.int64), np.zeros(len(names))
        self.reached = np.zeros(len(names), np.int64)
        self.beside, self.other = np.zeros(len(names)), np.zeros(len(names))
        self.scale: Array = np.full(len(names), np.nan)

    @np.errstate(invalid="ignore", over="ignore")  # of answers that are NaN or infinite
    def see(self, seen: Seen) -> None:
        answers = seen.answers[self.column]
        assert isinstance(answers, Tensor) and seen.series is not None
        found = answers.double().cpu().numpy()
        if isinstance(self.node, ForecastOutput):
            found = found[..., middle(self.node)]
        true = seen.batch.targets[self.column].astype(np.float64)
        naive = seen.naive.get(self.column)
        other = np.broadcast_to(self.mean, true.shape) if naive is None else naive.forecast
        known, error = ~np.isnan(true), np.abs(found - true)
        other = np.abs(np.asarray(other, np.float64) - true)
        reached = known & ~np.isnan(other)
        np.add.at(self.count, seen.series, _rows(known, known))
        np.add.at(self.error, seen.series, _rows(error, known))
        np.add.at(self.reached, seen.series, _rows(known, reached))
        np.add.at(self.beside, seen.series, _rows(error, reached))
        np.add.at(self.other, seen.series, _rows(other, reached))
        if naive is not None and naive.scale is not None:
            self.scale[seen.series] = naive.scale

    def rows(self) -> tuple[SeriesRow, ...]:
        """Of each series with true values, in the order of the file. `scaled` is the error divided
        by the scale of MASE, None where the series has none above 0; `skill` and the error of the
        naive forecast are None where it is unknown."""
        found = []
        for at in np.flatnonzero(self.count).tolist():
            error, scale = float(self.error[at] / self.count[at]), float(self.scale[at])
            naive = float(self.other[at] / self.reached[at]) if self.reached[at] else None
            skill = float(1 - self.beside[at] / self.other[at]) if self.other[at] > 0 else None
            scaled = error / scale if scale > 0 else None
            values = int(self.count[at])
            found.append(SeriesRow(self.names[at], values, error, naive, skill, scaled))
        return tuple(found)


def _rows(values: NDArray[np.generic], kept: Mask) -> Array:
    """The sum of the kept values of each row: `[B]`."""
    found: Array = np.where(kept, values, 0).reshape(len(values), -1).sum(axis=1)
    return found
