"""Layers over neighbouring steps of one row: see `rnnspec.plan.nodes.convolution`.

A sequence is `[T, W]`, a grid `[T, F, C]`, frames are `[T, rows, columns, C]`. Each sum is written
out place by place.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from rnnspec.plan.nodes import (
    BatchNorm,
    Combine,
    CombineKind,
    Conv,
    Extent,
    Grid,
    LocalPool,
    Places,
    Plan,
    Squeeze,
    StackSteps,
    Unflatten,
)
from rnnspec.plan.nodes.convolution import EPSILON
from rnnspec.reference.functions import Array, Arrays


def conv(plan: Plan, node: Conv, weights: Arrays, values: Arrays) -> Array:
    """`out[k] = b + sum_j W[j] x[stride k + dilation j - left]`."""
    x, matrix, bias = values[node.source], weights[f"{node.name}.W"], weights[f"{node.name}.b"]
    out = np.tile(bias, (*_places(x, node.stride), 1))
    of_group, filters = node.inputs // node.groups, node.filters // node.groups
    for k in np.ndindex(out.shape[:-1]):
        for j in np.ndindex(node.size):
            steps = zip(node.stride, k, node.dilation, j, node.left, strict=True)
            at = tuple(s * a + d * b - left for s, a, d, b, left in steps)
            if not all(0 <= i < n for i, n in zip(at, x.shape, strict=False)):
                continue
            for group in range(node.groups):
                ours = slice(group * filters, (group + 1) * filters)
                read = x[at][group * of_group : (group + 1) * of_group]
                out[k][ours] += matrix[(ours, slice(None), *j)] @ read
    return out


def local_pool(plan: Plan, node: LocalPool, weights: Arrays, values: Arrays) -> Array:
    """The largest or the mean value of each window, as far as there are values."""
    x = values[node.source]
    out = np.zeros((*_places(x, node.stride), x.shape[-1]))
    reduce = np.max if node.kind == "max" else np.mean
    for k in np.ndindex(out.shape[:-1]):
        window = tuple(
            slice(a * s, a * s + n) for a, s, n in zip(k, node.stride, node.size, strict=True)
        )
        out[k] = reduce(x[window].reshape(-1, x.shape[-1]), axis=0)
    return out


def stack_steps(plan: Plan, node: StackSteps, weights: Arrays, values: Arrays) -> Array:
    """`size` steps side by side, 0 behind the last."""
    x = values[node.source]
    (count,) = _places(x, (node.stride,))
    behind = np.concatenate([x, np.zeros((node.size, node.inputs))])
    starts = range(0, count * node.stride, node.stride)
    stacked = [behind[start : start + node.size].reshape(-1) for start in starts]
    return np.reshape(stacked, (count, node.size * node.inputs))


def batch_norm(plan: Plan, node: BatchNorm, weights: Arrays, values: Arrays) -> Array:
    """`scale * (v - mean) / sqrt(variance + 1e-5) + shift`."""
    scale, shift, mean, variance = (
        weights[f"{node.name}.{each}"] for each in ("scale", "shift", "mean", "variance")
    )
    return np.asarray(scale * (values[node.source] - mean) / np.sqrt(variance + EPSILON) + shift)


def grid(plan: Plan, node: Grid, weights: Arrays, values: Arrays) -> Array:
    steps = values[node.source]
    return steps.reshape(len(steps), node.features, node.channels)


def unflatten(plan: Plan, node: Unflatten, weights: Arrays, values: Arrays) -> Array:
    frames = values[node.source]
    return frames.reshape(len(frames), node.rows, node.columns, frames.shape[-1])


def squeeze(plan: Plan, node: Squeeze, weights: Arrays, values: Arrays) -> Array:
    x = values[node.source]
    x = x.reshape(len(x), prod(x.shape[1:-1]), x.shape[-1])
    match node.kind:
        case "flatten":
            return x.reshape(len(x), x.shape[1] * x.shape[2])
        case "mean":
            return np.asarray(x.mean(axis=1))
        case "max":
            return np.asarray(x.max(axis=1))


def places(plan: Plan, node: Places, weights: Arrays, values: Arrays) -> Array:
    x = values[node.source]
    return x.reshape(len(x) * node.features, x.shape[-1])


_COMBINED: dict[CombineKind, Callable[..., Array]] = {
    "sum": np.sum,
    "mul": np.prod,
    "mean": np.mean,
}


def combine(plan: Plan, node: Combine, weights: Arrays, values: Arrays) -> Array:
    parts = np.broadcast_arrays(*(values[name] for name in node.reads))
    return np.asarray(_COMBINED[node.kind](parts, axis=0))


def _places(x: Array, stride: Extent) -> tuple[int, ...]:
    """The number of outputs along each axis: ceil(places / stride)."""
    return tuple(-(-n // by) for n, by in zip(x.shape, stride, strict=False))
