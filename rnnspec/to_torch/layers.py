"""Embeddings, poolings, dense layers and joins in torch, one class a node type or pooling kind.

Each class takes its plan node and has `canonical()`: the names of its weights below the node's own
name, and the tensors that hold them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.facts import PAD_ID
from rnnspec.to_torch.steps import Steps
from rnnspec.to_torch.weighted import Weighted

ACTIVATIONS: dict[nodes.Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda v: v,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


class Embed(Weighted):
    """`[T, B]` to `[T, B, width]`, or `[B]` to `[B, width]`."""

    def __init__(self, node: nodes.Embed) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(node.size, node.width))
        self.pad = PAD_ID if node.pad else None

    def forward(self, source: Steps | Tensor) -> Steps | Tensor:
        return on_each(lambda v: F.embedding(v, self.table, padding_idx=self.pad), source)


class PoolLast(Weighted):
    """The output after the last step each direction read; 0 for a row of no steps."""

    def __init__(self, node: nodes.Pool, directions: tuple[str, ...]) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, source: Steps) -> Tensor:
        lengths = source.lengths.of_rows
        parts = source.values.chunk(len(self.directions), dim=-1)
        last = [
            part[0] if direction == "reverse" else _at_ends(part, lengths)
            for part, direction in zip(parts, self.directions, strict=True)
        ]
        found = last[0] if len(last) == 1 else torch.cat(last, dim=-1)
        if lengths.device.type == "cpu" and bool(lengths.all()):
            return found
        return found.masked_fill((lengths == 0)[:, None], 0.0)


def _at_ends(values: Tensor, lengths: Tensor) -> Tensor:
    """The last step of each row, the first of a row of none."""
    rows = torch.arange(len(lengths), device=lengths.device)
    return values.flatten(0, 1).index_select(0, (lengths - 1).clamp(min=0) * len(lengths) + rows)


class PoolMean(Weighted):
    """The mean over the steps of a row; 0 for a row of no steps."""

    def __init__(self, node: nodes.Pool) -> None:
        super().__init__()

    def forward(self, source: Steps) -> Tensor:
        total = source.values.masked_fill(~source.lengths.mask[..., None], 0.0).sum(0)
        return total / source.lengths.of_rows.clamp(min=1)[:, None]


class PoolMax(Weighted):
    """The largest value of each element over the steps of a row; 0 for a row of no steps."""

    def __init__(self, node: nodes.Pool) -> None:
        super().__init__()

    def forward(self, source: Steps) -> Tensor:
        lowest = torch.finfo(source.values.dtype).min
        largest = source.values.masked_fill(~source.lengths.mask[..., None], lowest).amax(0)
        return largest.masked_fill((source.lengths.of_rows == 0)[:, None], 0.0)


class PoolAttention(Weighted):
    """`softmax_t(v · tanh(W y_t + b))` weighted mean (Yang et al. 2016, equations 5 to 7)."""

    def __init__(self, node: nodes.Pool) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(node.units, node.inputs))
        self.b = nn.Parameter(torch.zeros(node.units))
        self.v = nn.Parameter(torch.zeros(node.units))

    def forward(self, source: Steps) -> Tensor:
        mask = source.lengths.mask
        lowest = torch.finfo(source.values.dtype).min
        scores = torch.tanh(F.linear(source.values, self.W, self.b)) @ self.v
        weights = torch.softmax(scores.masked_fill(~mask, lowest), dim=0).masked_fill(~mask, 0.0)
        values = source.values.masked_fill(~mask[..., None], 0.0)
        return torch.einsum("tb,tbw->bw", weights, values)


class Dense(Weighted):
    """`activation(W v + b)`."""

    def __init__(self, node: nodes.Dense) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[node.activation]
        self.W = nn.Parameter(torch.zeros(node.units, node.inputs))
        self.b = nn.Parameter(torch.zeros(node.units))

    def forward(self, source: Steps | Tensor) -> Steps | Tensor:
        return on_each(lambda v: self.activation(F.linear(v, self.W, self.b)), source)


class Join(Weighted):
    """Values side by side; a vector among sequences stands at every step."""

    def forward(self, *sources: Steps | Tensor) -> Steps | Tensor:
        first = next((source for source in sources if isinstance(source, Steps)), None)
        if first is None:
            return torch.cat([source for source in sources if isinstance(source, Tensor)], dim=-1)
        longest = first.values.shape[0]
        parts = [
            source.values if isinstance(source, Steps) else source.expand(longest, -1, -1)
            for source in sources
        ]
        return Steps(torch.cat(parts, dim=-1), first.lengths)


class Scores(Weighted):
    """`W v + b`; with `tied`, W is the table of an embedding, which is given."""

    def __init__(self, node: nodes.Scores) -> None:
        super().__init__()
        if not node.tied:
            self.W = nn.Parameter(torch.zeros(node.size, node.inputs))
        self.b = nn.Parameter(torch.zeros(node.size))

    def forward(self, source: Steps, tied: Tensor | None = None) -> Steps:
        return Steps(
            F.linear(source.values, self.W if tied is None else tied, self.b), source.lengths
        )


def on_each(function: Callable[[Tensor], Tensor], source: Steps | Tensor) -> Steps | Tensor:
    """A function of vectors on those of a sequence or on vectors alone."""
    if isinstance(source, Steps):
        return Steps(function(source.values), source.lengths)
    return function(source)
