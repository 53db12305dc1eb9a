"""Layers over neighbouring steps and grids: sequences `[T, B, W]`, grids `[T, B, F, C]`.

The operators take channels first; onnxruntime takes out the transpositions between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.plan.nodes import Conv, LocalPool, Places, Shape, StackSteps, shapes
from rnnspec.to_onnx.emitter import FLOAT, Attributes, Emitter
from rnnspec.to_onnx.frames import are_frames, folded, sides_of, unfolded
from rnnspec.to_onnx.lengths import counted
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence
from rnnspec.to_onnx.pool import LOWEST
from rnnspec.to_onnx.rows import Rows, State
from rnnspec.to_onnx.windows import Filter, answered, windows

ORDERS: dict[int, tuple[Sequence[int], Sequence[int]]] = {
    1: ((1, 2, 0), (2, 0, 1)),
    2: ((1, 3, 0, 2), (2, 0, 3, 1)),
    3: ((1, 4, 0, 2, 3), (2, 0, 3, 4, 1)),
}
"""By the number of axes, those of `[T, B, …, C]` as `[B, C, T, …]`, and back."""
OF_FRAMES: tuple[Sequence[int], Sequence[int]] = ((0, 3, 1, 2), (0, 2, 3, 1))
"""The axes of frames `[N, rows, columns, C]` as `[N, C, rows, columns]`, and back."""


def lower_conv(low: Lowering, node: Conv) -> PaddedSequence:
    """`out[k] = b + sum_j W[j] x[stride k + dilation j - left]`."""
    name, axes = node.name, _axes_of(node)
    attributes: Attributes = {
        "kernel_shape": node.size[-axes:],
        "strides": node.stride[-axes:],
        "dilations": node.dilation[-axes:],
        "pads": (*node.left[-axes:], *node.right[-axes:]),
        "group": node.groups,
    }
    if node.within_frames:
        matrix = low.emit.weight(f"{name}.W.of_frame", low.weights[f"{name}.W"].squeeze(2))
    else:
        matrix = low.canonical(f"{name}.W")
    weights = [matrix, low.canonical(f"{name}.b")]
    found = _windows(low, node, _at_steps(node), "Conv", weights, attributes)
    return _folded(low, node, found.value)


def lower_local_pool(low: Lowering, node: LocalPool) -> PaddedSequence:
    """The largest or the mean value of each window, as far as there are values."""
    axes, name = _axes_of(node), _at_steps(node)
    attributes: dict[str, Any] = {
        "kernel_shape": node.size[-axes:],
        "strides": node.stride[-axes:],
        "pads": (*(0 for _ in range(axes)), *(size - 1 for size in node.size[-axes:])),
    }
    if node.kind == "max" and node.within_frames:
        return _windows(low, node, name, "MaxPool", [], attributes).value
    if node.kind == "max":
        found = _windows(low, node, f"{name}.windows", "MaxPool", [], attributes, LOWEST).value
        largest = own_steps(low, found, axes, 0.0, name)
        return _folded(low, node, PaddedSequence(largest, found.lengths, clean=True))
    attributes["count_include_pad"] = 1
    means = _windows(low, node, f"{name}.windows", "AveragePool", [], attributes)
    shares = _shares(low, node, means)
    out = low.emit.op("Mul", [means.value.name, shares], name)
    return _folded(low, node, PaddedSequence(out, means.value.lengths))


def _axes_of(node: Conv | LocalPool) -> int:
    """Over how many axes the operator goes: of frames that are read each on its own, over two."""
    return 2 if node.within_frames else len(node.size)


def _at_steps(node: Conv | LocalPool) -> str:
    """What the value is called; over several frames, before it is folded."""
    over_frames = len(node.size) == 3 and not node.within_frames
    return f"{node.name}.steps" if over_frames else node.name


def _folded(low: Lowering, node: Conv | LocalPool, found: PaddedSequence) -> PaddedSequence:
    """Frames that stand steps first, as the rows of one batch."""
    if _at_steps(node) == node.name:
        return found
    return PaddedSequence(folded(low, node.name, found.name), found.lengths, clean=found.clean)


@dataclass(frozen=True, slots=True)
class _Windows:
    """An operator's `value` over windows of steps, of which the rows have `steps`, int64 `[B]`."""

    value: PaddedSequence
    steps: str


def _windows(
    low: Lowering,
    node: Conv | LocalPool,
    name: str,
    kind: str,
    weights: Sequence[str],
    attributes: Attributes,
    other: float = 0.0,
) -> _Windows:
    """An operator over windows of the source, with `other` past the length of each row; its value
    is called `name`. Where it goes over several frames, they stand steps first."""
    source, axes = low.steps(node.source), len(node.size)
    if node.within_frames:
        order, x = OF_FRAMES, source.name
    else:
        order = ORDERS[axes]
        if axes == 3:
            steps = unfolded(low, source, sides_of(low, node.source), f"{node.name}.frames")
            source = PaddedSequence(steps, source.lengths, clean=source.clean)
        if low.chunks is not None and node.source in low.chunks.stream.lags:
            return _of_chunk(low, node, source, name, kind, weights, attributes, other)
        x = own_steps(low, source, axes, other, f"{node.name}.own")
    out = _with_channels_first(low, x, name, kind, weights, attributes, order)
    value = PaddedSequence(out, source.lengths.strided(node.stride[0], out))
    return _Windows(value, source.lengths.name)


def _of_chunk(
    low: Lowering,
    node: Conv | LocalPool,
    source: PaddedSequence,
    name: str,
    kind: str,
    weights: Sequence[str],
    attributes: Attributes,
    other: float,
) -> _Windows:
    """As `_windows`, of what a chunk of a stream completes."""
    left, right = (node.left[0], node.right[0]) if isinstance(node, Conv) else (0, node.size[0] - 1)
    reads = Filter(left, right, node.stride[0], other)
    width = sides_of(low, node.source)
    found = windows(low, node.name, source.name, source.lengths, reads, width)
    pads = list(attributes["pads"])  # type: ignore[arg-type]
    pads[0] = pads[len(pads) // 2] = 0
    own = {**attributes, "pads": pads}
    out = _with_channels_first(low, found.value, name, kind, weights, own, ORDERS[len(node.size)])
    return _Windows(answered(low, node.name, source.lengths, reads, found.count, out), found.there)


def _shares(low: Lowering, node: LocalPool, means: _Windows) -> str:
    """By what `means` over whole windows are multiplied: `[T, B, 1]`, of a grid `[T, B, F, 1]`."""
    sides = shapes(low.plan)[node.source][2:-1]
    if node.within_frames:
        return _shares_of_sides(low, node, sides, f"{node.name}.share")
    emit, name = low.emit, f"{node.name}.share"
    time = emit.extent(means.value.name, 0, f"{node.name}.time")
    numbers = counted(emit, time, f"{name}.numbers")
    starts = emit.op("Mul", [numbers, emit.integer(node.stride[0])], f"{name}.starts")
    column = emit.unsqueeze(starts, 1, f"{name}.column")
    left = emit.op("Sub", [means.steps, column], f"{name}.left")
    there = emit.op("Clip", [left, emit.integer(1), emit.integer(node.size[0])], f"{name}.there")
    floats = emit.op("Cast", [there], f"{name}.count", to=FLOAT)
    share = emit.op("Div", [emit.number(float(node.size[0])), floats], f"{name}.flat")
    share = emit.unsqueeze(share, 2, name)
    if not sides:
        return share
    factors = _shares_of_sides(low, node, sides, f"{name}.of_features")
    share = emit.unsqueeze(share, 3, f"{name}.grid")
    if len(sides) == 2:
        share = emit.unsqueeze(share, 4, f"{name}.frames")
    return emit.op("Mul", [share, factors], f"{name}.each")


def _shares_of_sides(low: Lowering, node: LocalPool, sides: Shape, name: str) -> str:
    """As `_shares`, of the sides of a grid: `[F, 1]` or `[rows, columns, 1]`."""
    factors = np.ones(1)
    for side, size, stride in zip(sides, node.size[1:], node.stride[1:], strict=True):
        assert isinstance(side, int)
        of_side = size / np.clip(side - np.arange(0, side, stride), 1, size)
        factors = np.multiply.outer(factors, of_side)
    return low.emit.weight(name, factors[0, ..., None].astype(np.float32))


def lower_stack_steps(low: Lowering, node: StackSteps) -> PaddedSequence:
    """`size` neighbouring steps side by side, 0 behind the last.

    Pad has pads for all axes: of one axis alone, onnxruntime 1.31 takes the wrong one behind a
    transposition out of a convolution.
    """
    emit, name, source = low.emit, node.name, low.steps(node.source)
    x = own_steps(low, source, 1, 0.0, f"{name}.own")
    padded = emit.op("Pad", [x, emit.integers(0, 0, 0, node.size - 1, 0, 0)], f"{name}.padded")
    time = emit.extent(x, 0, f"{name}.time")
    parts = []
    for place in range(node.size):
        end = emit.op("Add", [time, emit.integers(place)], f"{name}.end.{place}")
        bounds = [emit.integers(place), end, emit.integers(0), emit.integers(node.stride)]
        parts.append(emit.op("Slice", [padded, *bounds], f"{name}.step.{place}"))
    out = emit.concat(parts, -1, name)
    return PaddedSequence(out, source.lengths.strided(node.stride, out))


def lower_places(low: Lowering, node: Places) -> PaddedSequence:
    """`[T, B, F, C]` as `[T * F, B, C]`."""
    emit, name, source = low.emit, node.name, low.steps(node.source)
    channels = shapes(low.plan)[node.name][-1]
    assert isinstance(channels, int)
    value = source.name
    if are_frames(low, node.source):
        value = unfolded(low, source, (node.features, channels), f"{name}.features")
    turned = emit.transpose(value, [0, 2, 1, 3], f"{name}.turned")
    extents = [emit.integers(-1), source.lengths.batch(), emit.integers(channels)]
    shape = emit.concat(extents, 0, f"{name}.shape")
    out = emit.op("Reshape", [turned, shape], name)
    return PaddedSequence(out, source.lengths.times(node.features, out), clean=source.clean)


def own_steps(low: Lowering, source: PaddedSequence, axes: int, other: float, name: str) -> str:
    """The value with `other` past the length of each row; `axes` is 2 of a grid, 3 of frames."""
    if source.clean and other == 0:
        return source.name
    mask = source.lengths.mask() if axes == 1 else source.lengths.grid_mask()
    if axes == 3:
        mask = source.lengths.frame_mask()
    return low.emit.op("Where", [mask, source.name, low.emit.number(other)], name)


def _with_channels_first(
    low: Lowering,
    value: str,
    name: str,
    kind: str,
    weights: Sequence[str],
    attributes: Attributes,
    order: tuple[Sequence[int], Sequence[int]],
) -> str:
    """An operator on a value with channels first, of one with channels last."""
    emit, (to, back) = low.emit, order
    turned = emit.transpose(value, to, f"{name}.channels_first")
    out = emit.op(kind, [turned, *weights], f"{name}.{kind.lower()}", **attributes)
    return emit.transpose(out, back, name)


# ------------------------------------------------------------------- in the body of a decoder


@dataclass(frozen=True, slots=True)
class DecoderConv:
    """A causal convolution in a decoder: its state is the inputs of the steps before, side by side,
    the earliest first."""

    low: Lowering
    node: Conv
    rows: Rows

    @property
    def states(self) -> list[State]:
        """`[R, span * inputs]`, nothing for a filter of one step."""
        width = self.node.spans[0] * self.node.inputs
        name = self.node.name
        return [State(name, self.rows.zeros(name, width), (width,))] if width else []

    def step(self, emit: Emitter, value: str, before: Sequence[str]) -> tuple[str, list[str]]:
        """One step of `value` `[R, inputs]`: the output `[R, filters]` and the next state."""
        node, name = self.node, self.node.name
        matrix = emit.weight(f"{name}.W.taps", _taps(self.low, node))
        window, after = value, []
        if before:
            window = emit.concat([*before, value], 1, f"{name}.window")
            end = (node.spans[0] + 1) * node.inputs
            after = [emit.slice(window, node.inputs, end, 1, f"{name}.after")]
            if node.dilation[0] > 1:
                window = self._read(emit, window)
        bias = self.low.canonical(f"{name}.b")
        return emit.op("Gemm", [window, matrix, bias], name), after

    def _read(self, emit: Emitter, window: str) -> str:
        """The inputs that a dilated filter reads, of all those in its span."""
        node, parts = self.node, []
        for tap in range(node.size[0]):
            start = tap * node.dilation[0] * node.inputs
            name = f"{node.name}.tap.{tap}"
            parts.append(emit.slice(window, start, start + node.inputs, 1, name))
        return emit.concat(parts, 1, f"{node.name}.taps")


def _taps(low: Lowering, node: Conv) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """W as one matrix `[size * inputs, filters]`, 0 between groups."""
    weight = low.weights[f"{node.name}.W"]
    of_group, filters = node.inputs // node.groups, node.filters // node.groups
    taps = np.zeros((node.size[0], node.inputs, node.filters), np.float32)
    for group in range(node.groups):
        read = slice(group * of_group, (group + 1) * of_group)
        made = slice(group * filters, (group + 1) * filters)
        taps[:, read, made] = weight[made].transpose(2, 1, 0)
    return taps.reshape(-1, node.filters)
