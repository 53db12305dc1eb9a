"""The other nodes of a plan in torch, one class a node type or pooling kind.

Each class takes its plan node and has `canonical()`: the names of its weights below the node's own
name, and the tensors that hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.facts import PAD_ID
from rnnspec.to_torch.steps import Steps

ACTIVATIONS: dict[nodes.Activation, Callable[[Tensor], Tensor]] = {
    "none": lambda v: v,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
}


class Weighted(nn.Module):
    """A module whose own parameters and buffers are its canonical weights, under their names."""

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, value.detach()) for name, value in self.named_parameters(recurse=False))
        yield from self.named_buffers(recurse=False)


class Tokens(Weighted):
    """Token numbers, as they come."""

    def __init__(self, node: nodes.TokensInput) -> None:
        super().__init__()

    def forward(self, source: Steps) -> Steps:
        return source


class Frames(Weighted):
    """(v - mean) / deviation, or v; without the elapsed time."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, node: nodes.FramesInput) -> None:
        super().__init__()
        self.scaled, self.elapsed = node.scaled, node.elapsed
        if node.scaled:
            self.register_buffer("mean", torch.zeros(node.features))
            self.register_buffer("deviation", torch.ones(node.features))

    def forward(self, source: Steps) -> Steps:
        values = source.values
        if self.elapsed is not None:
            values = torch.cat([values[..., : self.elapsed], values[..., self.elapsed + 1 :]], -1)
        if self.scaled:
            values = (values - self.mean) / self.deviation
        return Steps(values, source.lengths)


class Vectors(Weighted):
    """Vectors, as they come."""

    def __init__(self, node: nodes.VectorInput) -> None:
        super().__init__()

    def forward(self, source: Tensor) -> Tensor:
        return source


class Elapsed(Weighted):
    """The time since the step before, `[T, B, 1]`."""

    def __init__(self, node: nodes.Elapsed) -> None:
        super().__init__()
        self.index = node.index

    def forward(self, source: Steps) -> Steps:
        return Steps(source.values[..., self.index : self.index + 1], source.lengths)


class Embed(Weighted):
    """`[T, B]` to `[T, B, width]`."""

    def __init__(self, node: nodes.Embed) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(node.size, node.width))

    def forward(self, source: Steps) -> Steps:
        return Steps(F.embedding(source.values, self.table, padding_idx=PAD_ID), source.lengths)


class PoolLast(Weighted):
    """The output after the last step each direction read; 0 for a row of no steps."""

    def __init__(self, node: nodes.Pool, directions: tuple[str, ...]) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, source: Steps) -> Tensor:
        lengths = source.lengths.of_rows
        parts = source.values.chunk(len(self.directions), dim=-1)
        rows = torch.arange(len(lengths), device=lengths.device)
        ends = {"forward": (lengths - 1).clamp(min=0), "reverse": torch.zeros_like(lengths)}
        last = [part[ends[d], rows] for part, d in zip(parts, self.directions, strict=True)]
        return torch.cat(last, dim=-1).masked_fill((lengths == 0)[:, None], 0.0)


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

    def forward(self, source: Tensor) -> Tensor:
        return self.activation(F.linear(source, self.W, self.b))


class ClassOutput(Weighted):
    """Scores as they come: training wants them; `answer` turns them into probabilities."""

    def __init__(self, node: nodes.ClassOutput) -> None:
        super().__init__()

    def forward(self, source: Tensor) -> Tensor:
        return source

    def answer(self, scores: Tensor) -> Tensor:
        """Probabilities `[B, classes]`."""
        return torch.softmax(scores, dim=-1)


class NumericOutput(Weighted):
    """Scaled values `[B, width]` as they come; `answer` gives them in the units of the data."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, node: nodes.NumericOutput) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(node.width), persistent=node.scaled)
        self.register_buffer("deviation", torch.ones(node.width), persistent=node.scaled)
        self.scaled = node.scaled

    def forward(self, source: Tensor) -> Tensor:
        return source

    def scale(self, target: Tensor) -> Tensor:
        """Targets in the units of the data to what the model is trained to give."""
        return (target - self.mean) / self.deviation if self.scaled else target

    def answer(self, scores: Tensor) -> Tensor:
        """`[B, width]` in the units of the data."""
        return scores * self.deviation + self.mean if self.scaled else scores
