"""Metrics of outputs that answer numbers, and errors beside those of the naive forecast."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Errors:
    """Sums of absolute errors, plain and divided by the scale of each series."""

    sum: float = 0.0
    count: int = 0
    scaled_sum: float = 0.0
    scaled_count: int = 0

    def add(self, error: Array, known: Mask, scale: Array | None) -> None:
        """`error`, and which are `known`, `[B, ...]`; `scale` `[B]`, of which those not above 0
        are left out."""
        self.sum += float(error[known].sum())
        self.count += int(known.sum())
        if scale is not None:
            of_all = np.broadcast_to(scale.reshape(-1, *[1] * (error.ndim - 1)), error.shape)
            there = known & (of_all > 0)
            self.scaled_sum += float((error[there] / of_all[there]).sum())
            self.scaled_count += int(there.sum())

    @property
    def mase(self) -> float:
        """The mean of the scaled errors (Hyndman and Koehler 2006); NaN of none."""
        return self.scaled_sum / self.scaled_count if self.scaled_count else float("nan")


@dataclass(slots=True)
class BesideNaive:
    """How much smaller absolute errors are than those of the naive forecast, both over the values
    that it reaches: `skill`, 1 - error / error of the naive forecast; and `scaled_skill`, the same
    of errors divided by the scale of their series, in which series of large and of small numbers
    weigh alike (of MASE to that of the naive forecast, as the M4 competition ranks them: Makridakis
    et al. 2020)."""

    found: Errors = field(default_factory=Errors)
    naive: Errors = field(default_factory=Errors)
    scaled: bool = False

    def add(self, error: Array, other: Array, known: Mask, scale: Array | None) -> None:
        """Errors and those of the naive forecast, NaN where it is unknown, `[B, ...]`; which have
        a true value; and the scales of the series `[B]`."""
        reached = known & ~np.isnan(other)
        self.found.add(error, reached, scale)
        self.naive.add(other, reached, scale)
        self.scaled |= scale is not None

    def values(self) -> dict[str, float]:
        """`scaled_skill` only where there are scales; NaN where the naive forecast has no error."""
        found = {"skill": _skill(self.found.sum, self.naive.sum)}
        if self.scaled:
            found["scaled_skill"] = _skill(self.found.scaled_sum, self.naive.scaled_sum)
        return found


def _skill(error: float, naive: float) -> float:
    return 1 - error / naive if naive > 0 else float("nan")


class NumericMetrics:
    """Mean absolute error and root of the mean squared error, over rows, steps and entries.

    Of numbers that lie ahead of their own past also `skill`, beside the naive forecast, and of
    series `mase` and `scaled_skill`: see `BesideNaive`. Targets that are NaN are left out. An
    answer that is NaN is not: the metrics are then NaN.
    """

    def __init__(self) -> None:
        self.absolute = self.squared = 0.0
        self.count = 0
        self.not_finite = 0
        """Answers that are no finite numbers, where there is a true one."""
        self.scaled: Errors | None = None
        self.beside: BesideNaive | None = None

    @np.errstate(invalid="ignore", over="ignore")  # of answers that are NaN or infinite
    def add(
        self,
        answers: Tensor,
        targets: Tensor,
        naive: NDArray[np.floating] | None = None,
        scale: NDArray[np.floating] | None = None,
    ) -> None:
        """`answers`, `targets` and the `naive` forecast `[B, ...]`, and the `scale` of the series
        of each row `[B]`."""
        found, true = answers.double().cpu().numpy(), targets.double().cpu().numpy()
        known, error = ~np.isnan(true), np.abs(found - true)
        self.absolute += float(error[known].sum())
        self.squared += float(np.square(error[known]).sum())
        self.count += int(known.sum())
        self.not_finite += int((~np.isfinite(error[known])).sum())
        scales = None if scale is None else np.asarray(scale, np.float64)
        if scales is not None:
            self.scaled = self.scaled or Errors()
            self.scaled.add(error, known, scales)
        if naive is not None:
            self.beside = self.beside or BesideNaive()
            self.beside.add(error, np.abs(np.asarray(naive, np.float64) - true), known, scales)

    def values(self) -> dict[str, float]:
        nothing = float("nan")
        found = {
            "mae": self.absolute / self.count if self.count else nothing,
            "rmse": (self.squared / self.count) ** 0.5 if self.count else nothing,
        }
        if self.scaled is not None:
            found["mase"] = self.scaled.mase
        return found | (self.beside.values() if self.beside is not None else {})
