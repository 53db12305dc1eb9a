"""Layers over neighbouring steps and grids: sequences `[T, B, W]`, grids `[T, B, F, C]`.

The operators take channels first; onnxruntime takes out the transpositions between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.plan.nodes import Conv, LocalPool, Places, StackSteps, shapes
from rnnspec.to_onnx.emitter import FLOAT, Attributes, Emitter
from rnnspec.to_onnx.lengths import counted
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence
from rnnspec.to_onnx.pool import LOWEST
from rnnspec.to_onnx.rows import Rows, State


def lower_conv(low: Lowering, node: Conv) -> PaddedSequence:
    """`out[k] = b + sum_j W[j] x[stride k + dilation j - left]`."""
    source = low.steps(node.source)
    weights = [low.canonical(f"{node.name}.{each}") for each in ("W", "b")]
    attributes: Attributes = {
        "kernel_shape": node.size,
        "strides": node.stride,
        "dilations": node.dilation,
        "pads": (*node.left, *node.right),
        "group": node.groups,
    }
    x = own_steps(low, source, len(node.size), 0.0, f"{node.name}.own")
    out = _with_channels_first(low, x, node.name, "Conv", weights, attributes, len(node.size))
    return PaddedSequence(out, source.lengths.strided(node.stride[0], out))


def lower_local_pool(low: Lowering, node: LocalPool) -> PaddedSequence:
    """The largest or the mean value of each window, as far as there are values."""
    source, axes, name = low.steps(node.source), len(node.size), node.name
    attributes: dict[str, Any] = {
        "kernel_shape": node.size,
        "strides": node.stride,
        "pads": (*(0 for _ in node.size), *(size - 1 for size in node.size)),
    }
    if node.kind == "max":
        x = own_steps(low, source, axes, LOWEST, f"{name}.own")
        largest = _with_channels_first(low, x, f"{name}.windows", "MaxPool", [], attributes, axes)
        lengths = source.lengths.strided(node.stride[0], largest)
        windows = PaddedSequence(largest, lengths)
        return PaddedSequence(own_steps(low, windows, axes, 0.0, name), lengths, clean=True)
    x = own_steps(low, source, axes, 0.0, f"{name}.own")
    attributes["count_include_pad"] = 1
    means = _with_channels_first(low, x, f"{name}.windows", "AveragePool", [], attributes, axes)
    lengths = source.lengths.strided(node.stride[0], means)
    time = low.emit.extent(means, 0, f"{name}.time")
    out = low.emit.op("Mul", [means, _shares(low, node, source, time)], name)
    return PaddedSequence(out, lengths)


def _shares(low: Lowering, node: LocalPool, source: PaddedSequence, time: str) -> str:
    """By what means over whole windows are multiplied: `[T, B, 1]`, of a grid `[T, B, F, 1]`."""
    emit, name = low.emit, f"{node.name}.share"
    numbers = counted(emit, time, f"{name}.numbers")
    starts = emit.op("Mul", [numbers, emit.integer(node.stride[0])], f"{name}.starts")
    column = emit.unsqueeze(starts, 1, f"{name}.column")
    left = emit.op("Sub", [source.lengths.name, column], f"{name}.left")
    there = emit.op("Clip", [left, emit.integer(1), emit.integer(node.size[0])], f"{name}.there")
    floats = emit.op("Cast", [there], f"{name}.count", to=FLOAT)
    share = emit.op("Div", [emit.number(float(node.size[0])), floats], f"{name}.flat")
    share = emit.unsqueeze(share, 2, name)
    if len(node.size) == 1:
        return share
    features = shapes(low.plan)[node.source][2]
    assert isinstance(features, int)
    places = np.arange(0, features, node.stride[1])
    of_features = node.size[1] / np.clip(features - places, 1, node.size[1])
    factors = emit.weight(f"{name}.of_features", of_features.astype(np.float32)[:, None])
    return emit.op("Mul", [emit.unsqueeze(share, 3, f"{name}.grid"), factors], f"{name}.each")


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
    turned = emit.transpose(source.name, [0, 2, 1, 3], f"{name}.turned")
    extents = [emit.integers(-1), source.lengths.batch(), emit.integers(channels)]
    shape = emit.concat(extents, 0, f"{name}.shape")
    out = emit.op("Reshape", [turned, shape], name)
    return PaddedSequence(out, source.lengths.times(node.features, out), clean=source.clean)


def own_steps(low: Lowering, source: PaddedSequence, axes: int, other: float, name: str) -> str:
    """The value with `other` past the length of each row; `axes` is 2 of a grid."""
    if source.clean and other == 0:
        return source.name
    mask = source.lengths.mask() if axes == 1 else source.lengths.grid_mask()
    return low.emit.op("Where", [mask, source.name, low.emit.number(other)], name)


def _with_channels_first(
    low: Lowering,
    value: str,
    name: str,
    kind: str,
    weights: Sequence[str],
    attributes: Attributes,
    axes: int,
) -> str:
    """An operator on `[B, C, T]` or `[B, C, T, F]`, of a value with channels last and steps
    first."""
    emit = low.emit
    to, back = ((1, 2, 0), (2, 0, 1)) if axes == 1 else ((1, 3, 0, 2), (2, 0, 3, 1))
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
