"""Layers that read neighbouring steps, and grids: steps that have features with channels.

A grid is `[B, T, F, C]`: at each step F features in their order (the pixels of a column, the bands
of a spectrum) with C channels each. A sequence `[B, T, W]` has one feature of W channels. Frames of
a moving picture are `[B, T, rows, columns, C]`, a grid with two sides in place of one.

A stride s leaves ceil(T / s) steps of T, of each row by its own length, and ceil(F / s) features:
one for each place 0, s, 2 s, … that a row has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt
from typing import Literal

from rnnspec.cells.initializers import Constant, Uniform
from rnnspec.plan.nodes.node import (
    Initializers,
    Shape,
    Shapes,
    SourceNode,
    State,
    Weight,
    started,
    strided,
)

LocalPoolKind = Literal["max", "mean"]
EPSILON = 1e-5
"""Added to the variance of batch norm."""
Extent = tuple[int, ...]
"""A number for the steps or, of a grid, one for the steps and one for each side."""


@dataclass(frozen=True, slots=True)
class Conv(SourceNode):
    """Convolution over steps, or over steps and features (LeCun et al. 1989; dilated: Yu and
    Koltun 2016; in groups of channels: Krizhevsky et al. 2012; over frames: Tran et al. 2015, C3D;
    within each frame, with a size of one step: Donahue et al. 2015, LRCN):
    `out[k] = b + sum_j W[j] x[stride k + dilation j - left]`, along each axis of `size`.

    Beyond the steps of a row and beyond the features x is 0. `left` is half of what the filter
    spans, (size - 1) dilation, rounded down; if `causal`, all of it along the steps, so that no
    later step is read. `[B, T, inputs]` gives `[B, ceil(T / stride), filters]`, a grid
    `[B, T, F, inputs]` gives `[B, ceil(T / stride), ceil(F / stride), filters]`, and so do frames
    with both their sides. W is `[filters, inputs / groups, *size]`.
    """

    inputs: int
    filters: int
    size: Extent
    stride: Extent
    dilation: Extent
    groups: int = 1
    causal: bool = False
    initializers: Initializers = ()

    def weights(self) -> Iterator[Weight]:
        """By what is stated, else uniform within 1 / sqrt(numbers that one output reads), as torch
        initializes them."""
        of_group = self.inputs // self.groups
        uniform = Uniform(1 / sqrt(of_group * prod(self.size)))
        filters, stated = (self.filters, of_group, *self.size), self.initializers
        yield started(self, "W", filters, uniform, stated)
        yield started(self, "b", (self.filters,), uniform, stated)

    @property
    def spans(self) -> Extent:
        """Steps, and features, from the first to the last that one output reads, without one."""
        return tuple((size - 1) * by for size, by in zip(self.size, self.dilation, strict=True))

    @property
    def left(self) -> Extent:
        """Zeros before the first step and before the first feature."""
        halves = [span // 2 for span in self.spans]
        return (self.spans[0], *halves[1:]) if self.causal else tuple(halves)

    @property
    def right(self) -> Extent:
        """Zeros behind the last step and behind the last feature."""
        return tuple(span - left for span, left in zip(self.spans, self.left, strict=True))

    @property
    def within_frames(self) -> bool:
        """Whether each frame is convolved on its own."""
        return _within_frames(self.size, self.stride)

    def shape(self, shapes: Shapes) -> Shape:
        axes = _axes(self, shapes, self.size)
        assert axes[-1] == self.inputs, f"{self.name} takes {self.inputs} channels, not {axes[-1]}"
        whole = self.inputs % self.groups == self.filters % self.groups == 0
        assert whole, f"{self.name} cannot share its channels among {self.groups} groups"
        return (*_strided(axes, self.stride), self.filters)

    def carried(self) -> tuple[State, ...] | None:
        """The last inputs, of plain steps."""
        if self.stride[0] == 1 and not self.spans[0]:
            return ()
        if not self.causal or self.stride != (1,):
            return None
        return (State("left", (self.spans[0] * self.inputs,)),)


@dataclass(frozen=True, slots=True)
class LocalPool(SourceNode):
    """The largest or the mean value of each channel in a window of neighbouring steps, or of steps
    and features: `out[k]` of `x[stride k]` to `x[stride k + size - 1]`, as far as the row and the
    features go. Axes as for `Conv`."""

    kind: LocalPoolKind
    size: Extent
    stride: Extent

    @property
    def within_frames(self) -> bool:
        """Whether each frame is pooled on its own."""
        return _within_frames(self.size, self.stride)

    def shape(self, shapes: Shapes) -> Shape:
        axes = _axes(self, shapes, self.size)
        return (*_strided(axes, self.stride), axes[-1])

    def carried(self) -> tuple[State, ...] | None:
        return () if self.size[0] == self.stride[0] == 1 else None


@dataclass(frozen=True, slots=True)
class StackSteps(SourceNode):
    """`size` neighbouring steps side by side: `[B, T, inputs]` to
    `[B, ceil(T / stride), size * inputs]`, `out[k]` of `x[stride k]` to `x[stride k + size - 1]`,
    0 past the length of a row (frame stacking: Sak et al. 2015; pyramids: Chan et al. 2016)."""

    inputs: int
    size: int
    stride: int

    def shape(self, shapes: Shapes) -> Shape:
        axes = _axes(self, shapes, (self.size,))
        assert axes[-1] == self.inputs, f"{self.name} takes {self.inputs} numbers, not {axes[-1]}"
        return (*_strided(axes, (self.stride,)), self.size * self.inputs)


@dataclass(frozen=True, slots=True)
class BatchNorm(SourceNode):
    """`scale * (v - mean) / sqrt(variance + 1e-5) + shift` of each channel (Ioffe and Szegedy
    2015).

    While training, mean and variance (biased) are those of the batch, over all steps that belong to
    their rows and all features, and the weights `mean` and `variance` move towards them by a tenth
    (the variance unbiased). Answers take these weights.
    """

    pointwise = True
    keeps_directions = True
    decays = False

    width: int

    def weights(self) -> Iterator[Weight]:
        for name, start in (("scale", 1.0), ("shift", 0.0)):
            yield Weight(f"{self.name}.{name}", (self.width,), Constant(start))
        for name, start in (("mean", 0.0), ("variance", 1.0)):
            yield Weight(f"{self.name}.{name}", (self.width,), Constant(start), trained=False)

    def shape(self, shapes: Shapes) -> Shape:
        return shapes.each_vector(self, self.source, self.width, self.width)


@dataclass(frozen=True, slots=True)
class Grid(SourceNode):
    """A sequence `[B, T, features * channels]` as the grid `[B, T, features, channels]`: the
    channels of a feature stand side by side."""

    pointwise = True

    features: int
    channels: int

    def shape(self, shapes: Shapes) -> Shape:
        rows, steps, width = shapes[self.source]
        fits = width == self.features * self.channels
        assert fits, f"{self.name} cannot make a grid of {width} numbers"
        return (rows, steps, self.features, self.channels)


@dataclass(frozen=True, slots=True)
class Unflatten(SourceNode):
    """The features of a grid `[B, T, rows * columns, C]`, all pixels of a frame, as its rows and
    columns: `[B, T, rows, columns, C]`."""

    pointwise = True

    rows: int
    columns: int

    def shape(self, shapes: Shapes) -> Shape:
        rows, steps, features, channels = shapes[self.source]
        assert features == self.rows * self.columns, f"{self.name} cannot unflatten {features}"
        return (rows, steps, self.rows, self.columns, channels)


@dataclass(frozen=True, slots=True)
class Squeeze(SourceNode):
    """A grid `[B, T, F, C]` as a sequence: `flatten` gives `[B, T, F * C]`, `mean` and `max` over
    the features `[B, T, C]`. The features of a frame are its places, row by row."""

    pointwise = True

    kind: Literal["flatten", "mean", "max"]

    def shape(self, shapes: Shapes) -> Shape:
        rows, steps, *sides, channels = shapes[self.source]
        assert sides and isinstance(channels, int), f"{self.name} takes a grid"
        features = prod(side for side in sides if isinstance(side, int))
        return (rows, steps, features * channels if self.kind == "flatten" else channels)


@dataclass(frozen=True, slots=True)
class Places(SourceNode):
    """A grid `[B, T, F, C]` as the sequence `[B, T * F, C]` of its places: the features of the
    first step, then those of the second (Xu et al. 2015, Show, Attend and Tell, 3.1.1). The
    features of a frame are its places, row by row."""

    features: int

    def shape(self, shapes: Shapes) -> Shape:
        rows, steps, *sides, channels = shapes[self.source]
        features = prod(side for side in sides if isinstance(side, int))
        assert features == self.features, f"{self.name} takes {self.features} features"
        return (rows, f"{steps}*{features}", channels)


def _within_frames(size: Extent, stride: Extent) -> bool:
    return len(size) == 3 and size[0] == stride[0] == 1


def _axes(node: SourceNode, shapes: Shapes, size: Extent) -> Shape:
    """The axes of a sequence or, where `size` has more than one number, of a grid."""
    axes = shapes[node.source]
    assert len(axes) == 2 + len(size), f"{node.name} takes {len(size)} axes, not {axes}"
    return axes


def _strided(axes: Shape, stride: Extent) -> Shape:
    """The axes but for the last, after strides."""
    rows, steps, *features = axes[:-1]
    assert isinstance(steps, str), f"{steps} are no steps"
    fewer = [-(-each // by) for each, by in zip(features, stride[1:], strict=True)]  # type: ignore[operator]
    return (rows, strided(steps, stride[0]), *fewer)
