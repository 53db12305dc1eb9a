"""Metrics of frames that a decoder writes."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnnspec.evaluate.metrics.numbers import NumericMetrics


def side_by_side(
    values: Tensor, lengths: Tensor, targets: Tensor, true_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """The steps that both answers `[B, U, width]` and targets `[B, V, width]` have, of rows with
    these lengths `[B]`; the targets of the others are NaN."""
    steps = min(values.shape[1], targets.shape[1])
    both = torch.minimum(lengths, true_lengths)
    own = torch.arange(steps, device=both.device) < both[:, None]
    return values[:, :steps], targets[:, :steps].masked_fill(~own[..., None], torch.nan)


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
        self.numbers.add(*side_by_side(values, lengths, targets, true_lengths))
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
