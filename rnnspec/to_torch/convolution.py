"""Layers over neighbouring steps and grids: one class a node type.

Values stand steps first, channels last: sequences `[T, B, W]`, grids `[T, B, F, C]`, frames
`[T, B, rows, columns, C]`. The kernels take them as they lie, through views with the channels in
front; frames that are read each on its own are the rows of one batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.nodes.convolution import EPSILON
from rnnspec.to_torch.functions import FUNCTIONS
from rnnspec.to_torch.layers import on_each
from rnnspec.to_torch.sequences import Lengths, PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted

MOMENTUM = 0.1


class Conv(Weighted):
    """`out[k] = b + sum_j W[j] x[stride k + dilation j - left]`."""

    node: nodes.Conv
    W: Tensor
    b: Tensor

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        if self.node.within_frames:
            return in_each_frame(self._within, source)
        return self._convolved(own_steps(source).values, source.lengths)

    def carry(self, source: PaddedSequence, left: Tensor) -> tuple[PaddedSequence, Tensor]:
        """As `forward`, after the inputs `left` `[B, span * inputs]`; also returns the last
        ones. Those of a row that ends before step T are arbitrary."""
        (span,), inputs = self.node.spans, self.node.inputs
        before = left.unflatten(1, (span, inputs)).transpose(0, 1)
        steps = torch.cat([before, own_steps(source).values])
        after = steps[len(steps) - span :].transpose(0, 1).flatten(1)
        return self._convolved(steps, source.lengths, begun=True), after

    def first(self, rows: int) -> Tensor:
        """The inputs before the first step, 0."""
        return self.W.new_zeros((rows, self.node.spans[0] * self.node.inputs))

    def _convolved(self, steps: Tensor, lengths: Lengths, begun: bool = False) -> PaddedSequence:
        node = self.node
        x, left = channels_first(steps), (0 if begun else node.left[0], *node.left[1:])
        if left == node.right:
            padding = left
        else:
            x, padding = _padded(x, left, node.right), (0,) * len(left)
        kernel = CONVOLUTIONS[len(node.size)]
        out = kernel(x, self.W, self.b, node.stride, padding, node.dilation, node.groups)
        return PaddedSequence(channels_last(out), lengths.strided(node.stride[0]))

    def _within(self, frames: Tensor) -> Tensor:
        """Of `[N, inputs, rows, columns]`."""
        node, W = self.node, self.W.squeeze(2)
        left, right = node.left[1:], node.right[1:]
        stride, dilation = node.stride[1:], node.dilation[1:]
        if left == right:
            return F.conv2d(frames, W, self.b, stride, left, dilation, node.groups)
        frames = _padded(frames, left, right)
        return F.conv2d(frames, W, self.b, stride, 0, dilation, node.groups)


CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
"""The kernel by the number of axes."""


class LocalPool(Weighted):
    """The largest or the mean value of each window, as far as there are values."""

    node: nodes.LocalPool

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        node = self.node
        if node.within_frames:
            return in_each_frame(self._within, source)
        lowest = torch.finfo(source.values.dtype).min if node.kind == "max" else 0.0
        x = channels_first(own_steps(source, lowest).values)
        x = _padded(x, (0,) * len(node.size), tuple(size - 1 for size in node.size), lowest)
        lengths = source.lengths.strided(node.stride[0])
        found = channels_last(POOLS[node.kind, len(node.size)](x, node.size, node.stride))
        if node.kind == "max":
            return own_steps(PaddedSequence(found, lengths))
        return PaddedSequence(found * self._shares(source, found.shape), lengths)

    def _shares(self, source: PaddedSequence, shape: torch.Size) -> Tensor:
        """By what means over whole windows are multiplied, so that they are those of the values
        that there are."""
        node, values = self.node, source.values
        starts = torch.arange(shape[0], device=values.device)[:, None] * node.stride[0]
        there = (source.lengths.of_rows - starts).clamp(1, node.size[0])
        shares = (node.size[0] / there.to(values.dtype))[..., None]
        for axis in range(1, len(node.size)):
            of_side = self._shares_of(axis, values.shape[1 + axis], values)
            shares = shares[..., None] * of_side[:, None]
        return shares

    def _shares_of(self, axis: int, places: int, like: Tensor) -> Tensor:
        """As `_shares`, along a side of so many places."""
        size, stride = self.node.size[axis], self.node.stride[axis]
        starts = torch.arange(0, places, stride, device=like.device)
        return size / (places - starts).clamp(1, size).to(like.dtype)

    def _within(self, frames: Tensor) -> Tensor:
        """Of `[N, C, rows, columns]`."""
        node, size, stride = self.node, self.node.size[1:], self.node.stride[1:]
        lowest = torch.finfo(frames.dtype).min if node.kind == "max" else 0.0
        x = _padded(frames, (0, 0), tuple(each - 1 for each in size), lowest)
        found = POOLS[node.kind, 2](x, size, stride)
        if node.kind == "max":
            return found
        high, wide = (self._shares_of(axis, frames.shape[1 + axis], frames) for axis in (1, 2))
        return found * (high[:, None] * wide)


POOLS: dict[tuple[nodes.LocalPoolKind, int], Callable[..., Tensor]] = {
    ("max", 1): F.max_pool1d,
    ("max", 2): F.max_pool2d,
    ("mean", 1): F.avg_pool1d,
    ("mean", 2): F.avg_pool2d,
    ("max", 3): F.max_pool3d,
    ("mean", 3): F.avg_pool3d,
}
"""The kernel of each kind of pooling, by the number of axes."""


class StackSteps(Weighted):
    """`size` neighbouring steps side by side, 0 behind the last."""

    node: nodes.StackSteps

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        size, stride = self.node.size, self.node.stride
        lengths, steps = source.lengths.strided(stride), own_steps(source).values
        behind = (lengths.longest - 1) * stride + size - len(steps)
        steps = F.pad(steps, (0, 0, 0, 0, 0, max(0, behind)))
        windows = steps.unfold(0, size, stride).transpose(2, 3)
        return PaddedSequence(windows.flatten(2), lengths)


class BatchNorm(Weighted):
    """`scale * (v - mean) / sqrt(variance + 1e-5) + shift`."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def forward(self, source: Value) -> Value:
        if not self.training:
            return on_each(lambda v: self._normalized(v, self.mean, self.variance), source)
        values = source.values if isinstance(source, PaddedSequence) else source
        own = values.reshape(-1, values.shape[-1])
        if isinstance(source, PaddedSequence) and not source.lengths.full:
            own = values.flatten(0, 1).index_select(0, source.lengths.places)
            own = own.reshape(-1, values.shape[-1])
        if not len(own):
            return source
        variance, mean = torch.var_mean(own, 0, correction=0)
        self._follow(mean.detach(), variance.detach(), len(own))
        return on_each(lambda v: self._normalized(v, mean, variance), source)

    def _normalized(self, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        factor = self.scale * torch.rsqrt(variance + EPSILON)
        return torch.addcmul(self.shift - mean * factor, values, factor)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the weights towards the moments of a batch of `count` vectors."""
        self.mean.lerp_(mean.to(self.mean.dtype), MOMENTUM)
        if count > 1:
            unbiased = variance.to(self.variance.dtype) * (count / (count - 1))
            self.variance.lerp_(unbiased, MOMENTUM)


def followed_moments(model: torch.nn.Module) -> list[Tensor]:
    """The weights `mean` and `variance` of all batch norms, which training moves without
    gradients."""
    norms = (each for each in model.modules() if isinstance(each, BatchNorm))
    return [moment for norm in norms for moment in (norm.mean, norm.variance)]


class Grid(Weighted):
    """`[T, B, features * channels]` as `[T, B, features, channels]`."""

    node: nodes.Grid

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        shape = (self.node.features, self.node.channels)
        return PaddedSequence(source.values.unflatten(-1, shape), source.lengths)


class Unflatten(Weighted):
    """`[T, B, rows * columns, C]` as `[T, B, rows, columns, C]`."""

    node: nodes.Unflatten

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        shape = (self.node.rows, self.node.columns)
        return PaddedSequence(source.values.unflatten(2, shape), source.lengths)


class Squeeze(Weighted):
    """`[T, B, F, C]` as `[T, B, F * C]`, or its mean or largest value over F."""

    node: nodes.Squeeze

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        return PaddedSequence(SQUEEZED[self.node.kind](with_features(source)), source.lengths)


SQUEEZED: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten": lambda v: v.flatten(2),
    "mean": lambda v: v.mean(2),
    "max": lambda v: v.amax(2),
}


class Places(Weighted):
    """`[T, B, F, C]` as `[T * F, B, C]`."""

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        values = with_features(source)
        places = values.transpose(1, 2).flatten(0, 1)
        return PaddedSequence(places, source.lengths.times(values.shape[2]))


class Activate(Weighted):
    """A function of each number."""

    node: nodes.Activate

    def forward(self, source: Value) -> Value:
        return on_each(FUNCTIONS[self.node.activation], source)


class Combine(Weighted):
    """The sum, the product or the mean of several values."""

    node: nodes.Combine

    def forward(self, *sources: Value) -> Value:
        kind = self.node.kind
        found, *others = (s.values if isinstance(s, PaddedSequence) else s for s in sources)
        for other in others:
            found = found * other if kind == "mul" else found + other
        if kind == "mean":
            found = found / len(sources)
        return on_each(lambda _: found, sources[0])


def own_steps(source: PaddedSequence, other: float = 0.0) -> PaddedSequence:
    """The sequence with `other` past the length of each row."""
    if source.lengths.full:
        return source
    past = ~source.lengths.mask
    past = past.view(*past.shape, *(1 for _ in source.values.shape[2:]))
    return PaddedSequence(source.values.masked_fill(past, other), source.lengths)


def channels_first(values: Tensor) -> Tensor:
    """`[B, W, T]` of `[T, B, W]`, `[B, C, T, F]` of `[T, B, F, C]`, and so with more sides."""
    return values.movedim((1, -1), (0, 1))


def channels_last(values: Tensor) -> Tensor:
    """The inverse of `channels_first`."""
    return values.movedim((0, 1), (1, -1))


def with_features(source: PaddedSequence) -> Tensor:
    """The value of a grid as `[T, B, F, C]`: the features of a frame are its places."""
    return source.values.flatten(2, -2)


def in_each_frame(function: Callable[[Tensor], Tensor], source: PaddedSequence) -> PaddedSequence:
    """A function of `[N, C, rows, columns]` on all frames of a batch at once."""
    values = source.values
    found = function(values.flatten(0, 1).movedim(-1, 1)).movedim(1, -1)
    return PaddedSequence(found.unflatten(0, values.shape[:2]), source.lengths)


def _padded(values: Tensor, left: nodes.Extent, right: nodes.Extent, by: float = 0.0) -> Tensor:
    """`[B, C, T, …]` with so many numbers before and behind each axis."""
    pads = [each for pair in zip(left, right, strict=True) for each in reversed(pair)]
    return F.pad(values, pads[::-1], value=by) if any(pads) else values
