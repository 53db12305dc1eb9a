"""Metrics of outputs that answer numbers."""

from __future__ import annotations

from torch import Tensor


class NumericMetrics:
    """Mean absolute error and root of the mean squared error, over rows, steps and entries.

    Targets that are NaN are left out. An answer that is NaN is not: the metrics are then NaN.
    """

    def __init__(self) -> None:
        self.absolute = self.squared = 0.0
        self.count = 0
        self.lost = 0
        """Answers that are no finite numbers, where there is a true one."""

    def add(self, answers: Tensor, targets: Tensor) -> None:
        error = answers.double() - targets.double()
        error = error[~targets.isnan()]
        self.absolute += error.abs().sum().item()
        self.squared += error.square().sum().item()
        self.count += error.numel()
        self.lost += int((~error.isfinite()).sum())

    def values(self) -> dict[str, float]:
        if not self.count:
            return {"mae": float("nan"), "rmse": float("nan")}
        mean_square: float = self.squared / self.count
        return {"mae": self.absolute / self.count, "rmse": mean_square**0.5}
