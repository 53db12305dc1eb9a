"""Outputs in torch: scores as training wants them, and `answer`, which turns them into answers."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Scaling, Weighted


def rows_first(source: Steps | Tensor) -> Tensor:
    """A sequence as `[B, T, W]`; a vector as it is."""
    return source.values.transpose(0, 1) if isinstance(source, Steps) else source


class ClassOutput(Weighted):
    """Scores `[B, classes]`, or `[B, T, classes]` of an output with steps."""

    def forward(self, source: Steps | Tensor) -> Tensor:
        return rows_first(source)

    def answer(self, scores: Tensor) -> Tensor:
        """Probabilities, as wide as the scores."""
        return torch.softmax(scores, dim=-1)


class LabelsOutput(Weighted):
    """Scores `[B, labels]`, or `[B, T, labels]`."""

    def forward(self, source: Steps | Tensor) -> Tensor:
        return rows_first(source)

    def answer(self, scores: Tensor) -> Tensor:
        """The probability of each label."""
        return torch.sigmoid(scores)


class NumericOutput(Scaling):
    """Scaled values `[B, width]`, or `[B, T, width]`."""

    def __init__(self, node: nodes.NumericOutput) -> None:
        super().__init__(node.width, node.scaled, node.double)

    def forward(self, source: Steps | Tensor) -> Tensor:
        return rows_first(source)

    def answer(self, scores: Tensor) -> Tensor:
        """In the units of the data."""
        return self.unscale(scores)


class TextOutput(Weighted):
    """Scores of each token `[B, U, size]`; `rnnspec.to_torch.search` finds the answer."""

    def forward(self, source: Steps) -> Tensor:
        return rows_first(source)
