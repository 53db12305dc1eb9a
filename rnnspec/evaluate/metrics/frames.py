"""Metrics of frames that a decoder writes, and of scores that tell rows apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.metrics.numbers import NumericMetrics


@dataclass(slots=True)
class FramesMetrics:
    """Errors over the frames that both the answer and the truth have; `length_error`, the mean
    difference of their numbers of frames, where the answer has one of its own (`apart`); and of
    reconstructions the mean `score`."""

    apart: bool
    again: bool
    numbers: NumericMetrics = field(default_factory=NumericMetrics)
    rows: int = 0
    away: float = 0.0
    scores: float = 0.0

    @property
    def not_finite(self) -> int:
        return self.numbers.not_finite

    def add(
        self,
        values: Tensor,
        lengths: Tensor,
        targets: Tensor,
        true_lengths: Tensor,
        scores: Tensor | None = None,
    ) -> None:
        """Answers `[B, U, width]` and targets `[B, V, width]`, NaN where one is missing, of rows
        with these lengths `[B]`; scores `[B]`."""
        steps = min(values.shape[1], targets.shape[1])
        both = torch.minimum(lengths, true_lengths)
        own = torch.arange(steps, device=both.device) < both[:, None]
        true = targets[:, :steps].masked_fill(~own[..., None], torch.nan)
        self.numbers.add(values[:, :steps], true)
        self.rows += len(lengths)
        self.away += float((lengths - true_lengths).abs().sum())
        if scores is not None:
            self.scores += float(scores.double().sum())

    def values(self) -> dict[str, float]:
        found = self.numbers.values()
        nothing = float("nan")
        if self.apart:
            found["length_error"] = self.away / self.rows if self.rows else nothing
        if self.again:
            found["score"] = self.scores / self.rows if self.rows else nothing
        return found


def auroc(scores: NDArray[np.floating], anomalous: NDArray[np.bool_]) -> float:
    """The area under the curve of the true against the false positives, for all thresholds: the
    probability that an anomalous row has the larger score of two, a tie counted half (Hanley and
    McNeil 1982). NaN without rows of both kinds, or where a score is no number."""
    count = int(anomalous.sum())
    others = len(anomalous) - count
    if not count or not others or np.isnan(scores).any():
        return float("nan")
    _, place, size = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[place]
    return float((ranks[anomalous].sum() - count * (count + 1) / 2) / (count * others))
