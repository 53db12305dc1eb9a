"""Metrics over a whole data set, added up batch by batch."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rnnspec.plan.nodes import ClassOutput, Output

LARGER_IS_BETTER = frozenset({"accuracy", "macro_f1"})
"""Metrics that improve upwards; all others improve downwards."""


class Metrics(Protocol):
    """Sums of one output."""

    def add(self, answers: Tensor, targets: Tensor) -> None:
        """Take in a batch: answers in the units of the data, and the true values."""

    def values(self) -> dict[str, float]:
        """The metrics of all batches so far, by name."""


def metrics_of(node: Output) -> Metrics:
    """Fresh sums for an output."""
    return ClassMetrics(node.classes) if isinstance(node, ClassOutput) else NumericMetrics()


class ClassMetrics:
    """Accuracy, and F1 averaged over the classes that occur or are answered (macro F1).

    F1 of a class is 2 hits / (rows of the class + rows answered as the class).
    """

    def __init__(self, classes: int) -> None:
        self.confusion = torch.zeros(classes, classes, dtype=torch.int64)
        """Rows by true class (first axis) and answered class (second)."""

    def add(self, answers: Tensor, targets: Tensor) -> None:
        classes = len(self.confusion)
        pairs = targets * classes + answers.argmax(dim=-1)
        counts = torch.bincount(pairs, minlength=classes * classes)
        self.confusion += counts.view(classes, classes).cpu()

    def values(self) -> dict[str, float]:
        hits = self.confusion.diagonal().double()
        seen = (self.confusion.sum(0) + self.confusion.sum(1)).double()
        accuracy = hits.sum() / self.confusion.sum()
        macro_f1 = (2 * hits / seen)[seen > 0].mean()
        return {"accuracy": accuracy.item(), "macro_f1": macro_f1.item()}


class NumericMetrics:
    """Mean absolute error and root of the mean squared error, over rows and entries."""

    def __init__(self) -> None:
        self.absolute = self.squared = 0.0
        self.count = 0

    def add(self, answers: Tensor, targets: Tensor) -> None:
        error = (answers - targets).double()
        self.absolute += error.abs().sum().item()
        self.squared += error.square().sum().item()
        self.count += error.numel()

    def values(self) -> dict[str, float]:
        mean_square: float = self.squared / self.count
        return {"mae": self.absolute / self.count, "rmse": mean_square**0.5}
