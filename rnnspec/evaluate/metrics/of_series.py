"""Scale-free figures of forecasts of several series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(slots=True)
class ScaledSquares:
    """RMSSE: of each series the root of the mean squared error over all its windows and steps,
    over the mean squared change in a season before its first answer; the mean over series
    (Makridakis et al. 2022, M5, with their season of 1). Series that never change are left out."""

    sums: dict[int, float] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    scales: dict[int, float] = field(default_factory=dict)

    def add(self, point: Array, true: Array, squares: Array, series: NDArray[np.int64]) -> None:
        """`point` and `true` `[B, H]`, of which a NaN is missing; `squares` and numbers `series`
        `[B]`."""
        known = ~np.isnan(true)
        errors = np.where(known, point - true, 0.0) ** 2
        rows = zip(series.tolist(), errors.sum(1), known.sum(1), squares.tolist(), strict=True)
        for number, total, count, square in rows:
            self.sums[number] = self.sums.get(number, 0.0) + float(total)
            self.counts[number] = self.counts.get(number, 0) + int(count)
            self.scales[number] = square

    @property
    def value(self) -> float:
        """NaN of nothing."""
        ratios = [
            sqrt(self.sums[number] / count / self.scales[number])
            for number, count in self.counts.items()
            if count and self.scales[number] > 0
        ]
        return sum(ratios) / len(ratios) if ratios else nan


@dataclass(slots=True)
class WeightedPinball:
    """The weighted quantile loss: for each quantile 2 * the sum of max(q e, (q - 1) e), e the true
    number less the quantile, over the sum of the true sizes; the mean over quantiles (Park et al.
    2022, section 5; mean weighted quantile loss of GluonTS)."""

    quantiles: Sequence[float]
    loss: float = 0.0
    size: float = 0.0

    def add(self, found: Array, true: Array) -> None:
        """Quantiles `[B, H, Q]` and true numbers `[B, H]`, of which a NaN is missing."""
        levels, known = np.asarray(self.quantiles), ~np.isnan(true)
        short = true[..., None] - found
        pinball = np.maximum(levels * short, (levels - 1) * short).mean(-1)
        self.loss += float(2 * pinball[known].sum())
        self.size += float(np.abs(true[known]).sum())

    @property
    def value(self) -> float:
        """NaN of nothing, and of true numbers that are all 0."""
        return self.loss / self.size if self.size else nan
