"""Metrics of outputs that answer numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.metrics.naive import BesideNaive, Errors


class NumericMetrics:
    """Mean absolute error and root of the mean squared error, over rows, steps and entries.

    Of numbers that lie ahead of their own past also `skill`, beside the naive forecast, and of
    series `mase` and `scaled_skill`: see `BesideNaive`. Targets that are NaN are left out. An
    answer that is NaN is not: the metrics are then NaN.
    """

    def __init__(self) -> None:
        self.absolute = self.squared = 0.0
        self.count = 0
        self.lost = 0
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
        self.lost += int((~np.isfinite(error[known])).sum())
        scales = None if scale is None else np.asarray(scale, np.float64)
        if scales is not None:
            self.scaled = self.scaled or Errors()
            self.scaled.add(error, known, scales)
        if naive is not None:
            self.beside = self.beside or BesideNaive.new()
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
