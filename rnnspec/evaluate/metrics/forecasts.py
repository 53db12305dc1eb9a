"""Metrics of forecasts, beside the seasonal-naive one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.metrics.numbers import BesideNaive
from rnnspec.evaluate.prediction_intervals import within

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class StepSums:
    """Sums and counts of the known values of arrays `[B, H]`, for each step ahead.

    A value is known where the truth is: a NaN that is known makes its step, and the mean of all,
    NaN.
    """

    def __init__(self) -> None:
        self.sums: Array = np.zeros(0)
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, values: Array, known: Mask) -> None:
        """`values` and whether each is `known`, both `[B, H]`."""
        if not len(self.sums):
            steps = values.shape[1]
            self.sums, self.counts = np.zeros(steps), np.zeros(steps, np.int64)
        self.sums += np.where(known, values, 0.0).sum(axis=0)
        self.counts += known.sum(axis=0)

    @property
    def mean(self) -> float:
        """Over all steps; NaN of nothing."""
        count = self.counts.sum()
        return float(self.sums.sum() / count) if count else float("nan")

    @property
    def by_step(self) -> tuple[float, ...]:
        """The mean of each step ahead, `[H]`, NaN where there is nothing."""
        empty = np.full(len(self.sums), np.nan)
        found = np.divide(self.sums, self.counts, out=empty, where=self.counts > 0)
        return tuple(found.tolist())


@dataclass(slots=True)
class ErrorSums:
    """Errors of one forecast: sums for each step ahead, so that memory does not grow with rows."""

    absolute: StepSums = field(default_factory=StepSums)
    squared: StepSums = field(default_factory=StepSums)
    relative: StepSums = field(default_factory=StepSums)
    scaled: StepSums = field(default_factory=StepSums)

    def add(self, answer: Array, true: Array, known: Mask, unit: Array | None = None) -> None:
        """`answer`, `true` and which of them are `known` `[B, H]`; `unit` `[B]`, of which those
        not above 0 are left out."""
        error = np.abs(answer - true)
        self.absolute.add(error, known)
        self.squared.add(error**2, known)
        size = np.abs(answer) + np.abs(true)
        share = np.divide(2 * error, size, out=np.zeros_like(error), where=size != 0)
        self.relative.add(share, known)
        if unit is not None:
            scaled = unit > 0
            scale = np.where(scaled, unit, 1.0)
            self.scaled.add(error / scale[:, None], known & scaled[:, None])

    def values(self) -> dict[str, float]:
        """`mase` only where units were given."""
        found = {
            "mae": self.absolute.mean,
            "rmse": self.squared.mean**0.5,
            "smape": self.relative.mean,
        }
        return found | ({"mase": self.scaled.mean} if len(self.scaled.sums) else {})


class ForecastMetrics:
    """Errors of the point forecast over all windows and steps ahead, in the units of the data.

    `mae`, `rmse`; `mase`, the mean absolute error divided by that of the seasonal-naive forecast in
    training (Hyndman and Koehler 2006), of windows where that is above 0; `smape`, 2 |e| /
    (|answer| + |true|), 0 where both are 0 (from 0 to 2); `skill` and `scaled_skill`, see
    `BesideNaive`. For quantiles also `pinball`, the mean over quantiles of
    max(q e, (q - 1) e), and `coverage`, the share of true values between the
    lowest and the highest. True values that are NaN are left out; an answer that is NaN is not: the
    metrics that it bears on are then NaN.
    """

    def __init__(self, quantiles: Sequence[float] = ()) -> None:
        self.quantiles = quantiles
        self.errors, self.naive = ErrorSums(), ErrorSums()
        self.beside: BesideNaive | None = None
        self.pinball, self.inside = StepSums(), StepSums()
        self.not_finite = 0
        """Answers that are no finite numbers, where there is a true one."""

    @np.errstate(invalid="ignore", over="ignore")  # of answers that are NaN or infinite
    def add(
        self,
        point: Tensor,
        targets: Tensor,
        parameters: Tensor | None = None,
        naive: NDArray[np.floating] | None = None,
        unit: NDArray[np.floating] | None = None,
    ) -> None:
        """`point` and `targets` `[B, H]`, `parameters` the quantiles `[B, H, Q]`; `naive` the
        seasonal-naive forecast `[B, H]`, and `unit` its mean absolute error in training `[B]`."""
        answer, true = point.double().cpu().numpy(), targets.double().cpu().numpy()
        units = None if unit is None else np.asarray(unit, np.float64)
        known, all_of = ~np.isnan(true), answer[..., None]
        self.errors.add(answer, true, known, units)
        if naive is not None:
            other = np.asarray(naive, np.float64)
            self.naive.add(other, true, known & ~np.isnan(other), units)
            self.beside = self.beside or BesideNaive()
            self.beside.add(np.abs(answer - true), np.abs(other - true), known, units)
        if parameters is not None:
            all_of = parameters.double().cpu().numpy()
            if self.quantiles:
                self._add_quantiles(all_of, true, known)
        self.not_finite += int((known & ~np.isfinite(all_of).all(-1)).sum())

    def _add_quantiles(self, found: Array, true: Array, known: Mask) -> None:
        short = true[..., None] - found
        levels = np.asarray(self.quantiles)
        self.pinball.add(np.maximum(levels * short, (levels - 1) * short).mean(-1), known)
        self.inside.add(within(found[..., 0], found[..., -1], true), known)

    def values(self) -> dict[str, float]:
        found = self.errors.values()
        if self.beside is not None:
            found |= self.beside.values()
        if len(self.pinball.sums):
            found["pinball"], found["coverage"] = self.pinball.mean, self.inside.mean
        return found
