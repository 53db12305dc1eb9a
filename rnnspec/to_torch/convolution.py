"""Layers over neighbouring steps and grids: one class a node type.

Values are sequences `[T, B, W]`, grids `[T, B, F, C]` and frames `[T, B, rows, columns, C]`. In
memory the steps of a row follow one another, channels last: the kernels take and give them so,
through views with the channels in front, and nothing is copied between layers. Frames that are read
each on its own are the rows of one batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.nodes.convolution import EPSILON, Extent
from rnnspec.to_torch.functions import FUNCTIONS
from rnnspec.to_torch.layers import on_each
from rnnspec.to_torch.packed_layout import spread, taken
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
        left, right = (0 if begun else node.left[0], *node.left[1:]), node.right
        x, padding = channels_first(steps), left
        if left != right:
            x, padding = _padded(x, left, right), (0,) * len(left)
        weights = self.W if self.W.dim() > 3 else self.W[..., None]
        settings = on_axes(node.stride, 1), on_axes(padding, 0), on_axes(node.dilation, 1)
        kernel = F.conv3d if len(node.size) == 3 else F.conv2d
        out = kernel(x, weights, self.b, *settings, node.groups)
        return PaddedSequence(channels_last(out, steps), lengths.strided(node.stride[0]))

    def _within(self, frames: Tensor) -> Tensor:
        """Of `[N, inputs, rows, columns]`."""
        node, W = self.node, self.W.squeeze(2)
        left, right = node.left[1:], node.right[1:]
        stride, dilation = node.stride[1:], node.dilation[1:]
        if left == right:
            return F.conv2d(frames, W, self.b, stride, left, dilation, node.groups)
        frames = _padded(frames, left, right)
        return F.conv2d(frames, W, self.b, stride, 0, dilation, node.groups)


class LocalPool(Weighted):
    """The largest or the mean value of each window, as far as there are values."""

    node: nodes.LocalPool

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        node = self.node
        if node.within_frames:
            return in_each_frame(self._within, source)
        lengths, sizes = source.lengths.strided(node.stride[0]), (node.size, node.stride)
        if node.kind == "max":
            own = own_steps(source, torch.finfo(source.values.dtype).min).values
            found = channels_last(_largest(channels_first(own), *sizes), own)
            return own_steps(PaddedSequence(found, lengths))
        own = own_steps(source).values
        found = channels_last(_means(channels_first(own), *sizes), own)
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
        size, stride = self.node.size[1:], self.node.stride[1:]
        if self.node.kind == "max":
            return _largest(frames, size, stride)
        high, wide = (self._shares_of(axis, frames.shape[1 + axis], frames) for axis in (1, 2))
        return _means(frames, size, stride) * (high[:, None] * wide)


def _largest(values: Tensor, size: Extent, stride: Extent) -> Tensor:
    """The largest of each window of `[B, C, T, …]`. The kernel cuts the last one where the values
    end; of windows that overlap there may be more."""
    more = tuple(max(0, a - b) for a, b in zip(size, stride, strict=True))
    x = _padded(values, (0,) * len(size), more, torch.finfo(values.dtype).min)
    kernel = F.max_pool3d if len(size) == 3 else F.max_pool2d
    return kernel(x, on_axes(size, 1), on_axes(stride, 1), ceil_mode=True)


def _means(values: Tensor, size: Extent, stride: Extent) -> Tensor:
    """The mean of each window, whole windows, of which the values that there are not are 0."""
    x = _padded(values, (0,) * len(size), tuple(each - 1 for each in size))
    kernel = F.avg_pool3d if len(size) == 3 else F.avg_pool2d
    return kernel(x, on_axes(size, 1), on_axes(stride, 1))


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
    """`scale * (v - mean) / sqrt(variance + 1e-5) + shift`; while training by the moments of the
    batch, unless its weights are frozen."""

    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def forward(self, source: Value) -> Value:
        if not self.training or not self.scale.requires_grad:
            return on_each(self._by_weights, source)
        if not isinstance(source, PaddedSequence):
            return self._by_moments(source) if len(source) else source
        values, lengths = source.values.transpose(0, 1), source.lengths
        kept = None if lengths.full else lengths.of_each_row
        if not (values.numel() if kept is None else len(kept.places)):
            return source
        if kept is None:
            return PaddedSequence(self._by_moments(values).transpose(0, 1), lengths)
        own = taken(values.reshape(kept.every, -1), kept)
        own = self._by_moments(own.unflatten(1, (-1, values.shape[-1]))).flatten(1)
        found = spread(own, kept).view(values.shape)
        return PaddedSequence(found.transpose(0, 1), lengths)

    def _by_weights(self, values: Tensor) -> Tensor:
        factor = self.scale * torch.rsqrt(self.variance + EPSILON)
        return torch.addcmul(self.shift - self.mean * factor, values, factor)

    def _by_moments(self, values: Tensor) -> Tensor:
        """`[..., channels]` by the moments over all of them, which the weights follow. One vector
        alone has no unbiased variance to follow."""
        # As [1, C, 1, N], channels last, the kernel is fastest. So it is as [1, C, N, 1], but there
        # torch 2.13 reads a gradient in another order as if it were in this one.
        x = values.reshape(1, 1, -1, values.shape[-1]).permute(0, 3, 1, 2)
        # A copy is followed of one alone: torch's way back refuses what was written over since.
        variance = self.variance.clone() if x.shape[3] == 1 else self.variance
        weights = self.scale, self.shift, self.mean, variance
        found = torch.batch_norm(x, *weights, True, MOMENTUM, EPSILON, True)
        return found.permute(0, 2, 3, 1).reshape(values.shape)


def followed_moments(model: torch.nn.Module) -> list[Tensor]:
    """The weights `mean` and `variance` of all batch norms that are not frozen, which training
    moves without gradients."""
    norms = (each for each in model.modules() if isinstance(each, BatchNorm))
    moved = (norm for norm in norms if norm.scale.requires_grad)
    return [moment for norm in moved for moment in (norm.mean, norm.variance)]


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
    """`[B, W, T, 1]` of `[T, B, W]`, `[B, C, T, F]` of `[T, B, F, C]`, and so with more sides;
    channels last in memory."""
    grid = values[:, :, None] if values.dim() == 3 else values
    return grid.movedim((1, -1), (0, 1)).contiguous(memory_format=LAST[grid.dim()])


def channels_last(values: Tensor, like: Tensor) -> Tensor:
    """The inverse of `channels_first`, with as many axes as `like`."""
    grid = values.contiguous(memory_format=LAST[values.dim()]).movedim((0, 1), (1, -1))
    return grid[:, :, 0] if like.dim() == 3 else grid


LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""How a kernel's values lie in memory, by the number of axes."""


def on_axes(extent: Extent, other: int) -> Extent:
    """Of the steps and each side; `other` for the one feature of a sequence."""
    return (*extent, other) if len(extent) == 1 else extent


def with_features(source: PaddedSequence) -> Tensor:
    """The value of a grid as `[T, B, F, C]`: the features of a frame are its places."""
    return source.values.flatten(2, -2)


def in_each_frame(function: Callable[[Tensor], Tensor], source: PaddedSequence) -> PaddedSequence:
    """A function of `[N, C, rows, columns]` on all frames of a batch at once."""
    values = source.values
    found = function(values.flatten(0, 1).movedim(-1, 1)).movedim(1, -1)
    return PaddedSequence(found.unflatten(0, values.shape[:2]), source.lengths)


def _padded(values: Tensor, left: Extent, right: Extent, by: float = 0.0) -> Tensor:
    """`[B, C, T, …]` with so many numbers before and behind each axis."""
    pairs = zip(on_axes(left, 0), on_axes(right, 0), strict=True)
    pads = [each for pair in pairs for each in reversed(pair)]
    return F.pad(values, pads[::-1], value=by) if any(pads) else values
