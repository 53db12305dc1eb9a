"""What stands between the recurrent layers of a plan, in torch: merge, norm, dropout, skips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.cells import LAYER_NORM_EPSILON
from rnnspec.plan import nodes
from rnnspec.to_torch.layers import on_each
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted

MERGES: dict[nodes.MergeKind, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "mean": lambda one, other: (one + other) / 2,
    "mul": torch.mul,
}


Drawn = dict[str, Tensor]
"""Masks of one sequence that a node has drawn, kept where the sequence is run step by step."""


class Dropout(Weighted):
    """Zeroes elements while training; sequences and vectors alike."""

    def __init__(self, node: nodes.Dropout) -> None:
        super().__init__()
        self.rate, self.per_sequence = node.rate, node.per_sequence

    def forward(self, source: Steps | Tensor, drawn: Drawn | None = None) -> Steps | Tensor:
        if isinstance(source, Steps) and self.per_sequence and self.training:
            mask = once(drawn, "mask", lambda: kept(source.values[:1], self.rate))
            return Steps(source.values * mask, source.lengths)
        return on_each(lambda v: F.dropout(v, self.rate, self.training), source)


def kept(like: Tensor, rate: float) -> Tensor:
    """A dropout mask of the shape of `like`: 0 with probability `rate`, else 1 / (1 - rate)."""
    return F.dropout(torch.ones_like(like), rate)


def once(drawn: Drawn | None, name: str, draw: Callable[[], Tensor]) -> Tensor:
    """A mask of a whole sequence: the one in `drawn`, else a new one, which is kept there."""
    if drawn is None:
        return draw()
    if name not in drawn:
        drawn[name] = draw()
    return drawn[name]


class Merge(Weighted):
    """Two directions, joined, to one output."""

    def __init__(self, node: nodes.Merge) -> None:
        super().__init__()
        self.merge = MERGES[node.kind]

    def forward(self, source: Steps | Tensor) -> Steps | Tensor:
        return on_each(lambda v: self.merge(*v.chunk(2, dim=-1)), source)


class Normalize(Weighted):
    """Layer normalisation of each vector, of a sequence or alone."""

    def __init__(self, node: nodes.Normalize) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(node.width))
        self.shift = nn.Parameter(torch.zeros(node.width))

    def forward(self, source: Steps | Tensor) -> Steps | Tensor:
        return on_each(self._normal, source)

    def _normal(self, values: Tensor) -> Tensor:
        return F.layer_norm(values, self.scale.shape, self.scale, self.shift, LAYER_NORM_EPSILON)


class Residual(Weighted):
    """`source + skip`."""

    def __init__(self, node: nodes.Residual) -> None:
        super().__init__()

    def forward(self, source: Steps, skip: Steps) -> Steps:
        return Steps(source.values + skip.values, source.lengths)


class Highway(Weighted):
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)`."""

    def __init__(self, node: nodes.Highway) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(node.width, node.width))
        self.b = nn.Parameter(torch.zeros(node.width))

    def forward(self, source: Steps, skip: Steps) -> Steps:
        gate = torch.sigmoid(F.linear(skip.values, self.W, self.b))
        return Steps(torch.lerp(skip.values, source.values, gate), source.lengths)
