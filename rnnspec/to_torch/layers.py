"""The layers of a stack but for the recurrent ones: one class a node type, or a kind of pooling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.cells import LAYER_NORM_EPSILON
from rnnspec.plan import nodes
from rnnspec.plan.facts import PAD_ID
from rnnspec.plan.nodes.comparison import LEAST_SQUARE
from rnnspec.plan.nodes.ordinal import FAR
from rnnspec.to_torch.functions import FUNCTIONS
from rnnspec.to_torch.gathered import linear
from rnnspec.to_torch.sequences import LookedUp, PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted

MERGES: dict[nodes.MergeKind, Callable[[Tensor, Tensor], Tensor]] = {
    "sum": torch.add,
    "mean": lambda one, other: (one + other) / 2,
    "mul": torch.mul,
}
Masks = dict[str, Tensor]
"""Dropout masks by name, each drawn once for a whole sequence that is run in several parts."""


class Embed(Weighted):
    """`[T, B]` to `[T, B, width]`, or `[B]` to `[B, width]`."""

    node: nodes.Embed
    table: Tensor
    vectors: Tensor

    def forward(self, source: Value) -> Value:
        if self.node.frozen:
            return on_each(self._looked_up, source)
        if not isinstance(source, PaddedSequence):
            return self._of_table(source)
        numbers, lengths = source.values, source.lengths
        rows = LookedUp(numbers, self.table, self._pad)
        return PaddedSequence(self._of_table(numbers), lengths, rows)

    @property
    def _pad(self) -> int | None:
        return PAD_ID if self.node.pad else None

    def _of_table(self, numbers: Tensor) -> Tensor:
        return F.embedding(numbers, self.table, padding_idx=self._pad)

    def _looked_up(self, numbers: Tensor) -> Tensor:
        """Numbers from `own` on have vectors that no gradient reaches, whatever their number."""
        own = self.node.own
        fixed = numbers >= own
        trained = self._of_table(numbers.masked_fill(fixed, PAD_ID))
        vectors = F.embedding((numbers - own).clamp(min=0), self.vectors)
        return torch.where(fixed.unsqueeze(-1), vectors, trained)


class Dropout(Weighted):
    """Zeroes elements of sequences or vectors while training."""

    node: nodes.Dropout

    def forward(self, source: Value, masks: Masks | None = None) -> Value:
        rate = self.node.rate
        if isinstance(source, PaddedSequence) and self.node.per_sequence and self.training:
            mask = drawn_once(masks, "mask", lambda: dropout_mask(source.values[:1], rate))
            return PaddedSequence(source.values * mask, source.lengths)
        return on_each(lambda v: F.dropout(v, rate, self.training), source)


def dropout_mask(like: Tensor, rate: float) -> Tensor:
    """A mask of the shape of `like`: 0 with probability `rate`, else 1 / (1 - rate)."""
    return F.dropout(torch.ones_like(like), rate)


def drawn_once(masks: Masks | None, name: str, draw: Callable[[], Tensor]) -> Tensor:
    """The mask of this name in `masks`, drawn and kept there if new; a new one without `masks`."""
    if masks is None:
        return draw()
    if name not in masks:
        masks[name] = draw()
    return masks[name]


class Merge(Weighted):
    """The two directions, side by side in `source`, merged to one output."""

    node: nodes.Merge

    def forward(self, source: Value) -> Value:
        return on_each(lambda v: MERGES[self.node.kind](*v.chunk(2, dim=-1)), source)


class Normalize(Weighted):
    """Layer normalisation of each vector, of a sequence or alone."""

    scale: Tensor
    shift: Tensor

    def forward(self, source: Value) -> Value:
        return on_each(self._normalized, source)

    def _normalized(self, values: Tensor) -> Tensor:
        return F.layer_norm(values, self.scale.shape, self.scale, self.shift, LAYER_NORM_EPSILON)


class Ordinal(Weighted):
    """Logarithms of the probabilities of classes in their order."""

    node: nodes.Ordinal
    gaps: Tensor

    def forward(self, source: Value) -> Value:
        return on_each(self._logs, source)

    def _logs(self, values: Tensor) -> Tensor:
        gaps = self.gaps if self.node.classes > 2 else values.new_zeros(0)
        zero, far = gaps.new_zeros(1), gaps.new_full((1,), FAR)
        cuts = torch.cat([zero, F.softplus(gaps).cumsum(0)])
        between = torch.cat([zero, F.logsigmoid(gaps), zero])
        at_most = F.logsigmoid(torch.cat([cuts, far]) - values)
        return at_most + F.logsigmoid(values - torch.cat([-far, cuts])) + between


class Residual(Weighted):
    """`source + skip`."""

    def forward(self, source: PaddedSequence, skip: PaddedSequence) -> PaddedSequence:
        return PaddedSequence(source.values + skip.values, source.lengths)


class Highway(Weighted):
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)`."""

    W: Tensor
    b: Tensor

    def forward(self, source: PaddedSequence, skip: PaddedSequence) -> PaddedSequence:
        gate = torch.sigmoid(F.linear(skip.values, self.W, self.b))
        start = skip.values.to(source.values.dtype)  # mixed precision makes them of two types
        mixed = torch.lerp(start, source.values, gate.to(start.dtype))
        return PaddedSequence(mixed, source.lengths)


class PoolLast(Weighted):
    """The output after the last step each direction read; 0 for a row of no steps."""

    def __init__(self, node: nodes.Pool, directions: tuple[str, ...]) -> None:
        super().__init__(node)
        self.directions = directions

    def forward(self, source: PaddedSequence) -> Tensor:
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

    def forward(self, source: PaddedSequence) -> Tensor:
        total = source.values.masked_fill(~source.lengths.mask[..., None], 0.0).sum(0)
        return total / source.lengths.of_rows.clamp(min=1)[:, None]


class PoolMax(Weighted):
    """The largest value of each element over the steps of a row; 0 for a row of no steps."""

    def forward(self, source: PaddedSequence) -> Tensor:
        lowest = torch.finfo(source.values.dtype).min
        largest = source.values.masked_fill(~source.lengths.mask[..., None], lowest).amax(0)
        return largest.masked_fill((source.lengths.of_rows == 0)[:, None], 0.0)


class PoolAttention(Weighted):
    """The mean of y_t weighted by `softmax_t(v · tanh(W y_t + b))` (Yang et al. 2016, equations 5
    to 7)."""

    W: Tensor
    b: Tensor
    v: Tensor

    def forward(self, source: PaddedSequence) -> Tensor:
        mask = source.lengths.mask
        scores = torch.tanh(F.linear(source.values, self.W, self.b)) @ self.v
        lowest = torch.finfo(scores.dtype).min
        weights = torch.softmax(scores.masked_fill(~mask, lowest), dim=0).masked_fill(~mask, 0.0)
        values = source.values.masked_fill(~mask[..., None], 0.0)
        return torch.einsum("tb,tbw->bw", weights, values)


POOLINGS: dict[nodes.PoolKind, type[PoolMean | PoolMax | PoolAttention]] = {
    "mean": PoolMean,
    "max": PoolMax,
    "attention": PoolAttention,
}
"""The kinds of pooling but for `last`, which has to know the directions of its source."""


def pool(node: nodes.Pool, plan: nodes.Plan) -> Weighted:
    """The module of a pooling."""
    if node.kind == "last":
        return PoolLast(node, nodes.directions_read(plan, node))
    return POOLINGS[node.kind](node)


class Dense(Weighted):
    """`activation(W v + b)`."""

    node: nodes.Dense
    W: Tensor
    b: Tensor

    def forward(self, source: Value) -> Value:
        activation = self.node.activation
        return on_each(lambda v: activated(activation, linear(v, self.W, self.b)), source)


def activated(activation: nodes.Activation, values: Tensor) -> Tensor:
    return values if activation == "none" else FUNCTIONS[activation](values)


class Join(Weighted):
    """Values side by side; a vector among sequences is repeated at every step."""

    def forward(self, *sources: Value) -> Value:
        first = next((source for source in sources if isinstance(source, PaddedSequence)), None)
        if first is None:
            return torch.cat([source for source in sources if isinstance(source, Tensor)], dim=-1)
        longest = first.values.shape[0]
        parts = [
            source.values if isinstance(source, PaddedSequence) else source.expand(longest, -1, -1)
            for source in sources
        ]
        return PaddedSequence(torch.cat(parts, dim=-1), first.lengths)


class Compare(Weighted):
    """Two vectors compared: see the node."""

    node: nodes.Compare

    def forward(self, one: Value, two: Value) -> Value:
        u, v = (each.values if isinstance(each, PaddedSequence) else each for each in (one, two))
        found = _COMPARED[self.node.kind](u, v)
        return on_each(lambda _: found, one)


def _cosine(u: Tensor, v: Tensor) -> Tensor:
    square, other = ((w * w).sum(dim=-1, keepdim=True).clamp(min=LEAST_SQUARE) for w in (u, v))
    # Two roots, since the product of two small squares is 0 in float32.
    return (u * v).sum(dim=-1, keepdim=True) / (square.sqrt() * other.sqrt())


_COMPARED: dict[nodes.CompareKind, Callable[[Tensor, Tensor], Tensor]] = {
    "difference": lambda u, v: (u - v).abs(),
    "cosine": _cosine,
    "manhattan": lambda u, v: torch.exp(-(u - v).abs().sum(dim=-1, keepdim=True)),
}


class Scores(Weighted):
    """`W v + b`; W is `tied`, the table of an embedding, if that is given."""

    W: Tensor
    b: Tensor

    def forward(self, source: PaddedSequence, tied: Tensor | None = None) -> PaddedSequence:
        weight = self.W if tied is None else tied
        return PaddedSequence(linear(source.values, weight, self.b), source.lengths)


def on_each(function: Callable[[Tensor], Tensor], source: Value) -> Value:
    """A function of vectors applied to each vector of a sequence, or to vectors alone."""
    if isinstance(source, PaddedSequence):
        return PaddedSequence(function(source.values), source.lengths)
    return function(source)
