"""Convolutions whose last step read is the newest one, and grids."""

from __future__ import annotations

from math import prod

import numpy as np

from rnnspec.plan.nodes import BatchNorm, Conv, Grid, LocalPool, Squeeze, Unflatten
from rnnspec.plan.nodes.convolution import EPSILON
from rnnspec.to_c.lowering import Lowering, Value
from rnnspec.to_c.products import Matrix, blocked, rounded, scales
from rnnspec.to_c.text import comment, indented, loop, table


def lower_conv(low: Lowering, node: Conv) -> Value:
    """A function that reads the step and, of the window that it keeps, the steps before."""
    source, name = low.value(node.source), low.names.new(node.name)
    out = low.buffer(node)
    call = _tables(low, node, name)
    bias = low.table("float", f"{node.name}.b", low.weight(node, "b"))
    of_filter = f"j % {node.filters}" if len(out.extents) > 1 else "j"
    body = [
        *loop(out.size, [f"y[j] = {bias}[{of_filter}];"]),
        *_taps(node, source, out, call),
        *_moved(node.spans[0], source.size),
    ]
    title = f"{node.name}: convolution of {node.size}, {node.inputs} to {node.filters} channels"
    kept = f"float window[{node.spans[0] * source.size}], " if node.spans[0] else ""
    head = f"static void {name}({kept}const float *x, float *y)"
    low.functions.append("\n".join([*comment(title), head, "{", *indented(body), "}"]))
    window = [low.states(node)["inputs"]] if kept else []
    return low.put(out, [f"{name}({', '.join([*window, source.name, out.name])});"])


def _taps(node: Conv, source: Value, out: Value, call: str) -> list[str]:
    """The product of each tap: step t of the filter, place k0, … of it along the sides, for each
    place to0, … of the result."""
    sides, out_sides = source.extents[:-1], out.extents[:-1]
    at = _flat([f"at{axis}" for axis in range(len(sides))], sides)
    to = _flat([f"to{axis}" for axis in range(len(sides))], out_sides)
    body = [
        f"const float *from = step + ({at}) * {node.inputs} + g * {node.inputs // node.groups};",
        f"float *into = y + ({to}) * {node.filters} + g * {node.filters // node.groups};",
        call,
    ]
    body = loop(node.groups, body, "g")
    for axis in reversed(range(len(sides))):
        stride, by, left = (each[axis + 1] for each in (node.stride, node.dilation, node.left))
        bound = [
            f"const int at{axis} = to{axis} * {stride} + k{axis} * {by} - {left};",
            f"if (at{axis} < 0 || at{axis} >= {sides[axis]})",
            "    continue;",
        ]
        body = loop(out_sides[axis], [*bound, *body], f"to{axis}")
        body = loop(node.size[axis + 1], body, f"k{axis}")
    step = "const float *step = x;"
    if node.spans[0]:
        kept = f"window + t * {node.dilation[0] * source.size}"
        step = f"const float *step = t == {node.size[0] - 1} ? x : {kept};"
    return loop(node.size[0], [step, *body], "t")


def _moved(left: int, width: int) -> list[str]:
    """The window, with the newest step in place of the oldest."""
    if not left:
        return []
    older = (left - 1) * width
    moved = loop(older, [f"window[j] = window[j + {width}];"]) if older else []
    return [*moved, *loop(width, [f"window[j + {older}] = x[j];"])]


def _flat(indices: list[str], sides: tuple[int, ...]) -> str:
    """The place of indices in the sides, row by row."""
    found = "0"
    for index, side in zip(indices, sides, strict=True):
        found = index if found == "0" else f"({found}) * {side} + {index}"
    return found


def _tables(low: Lowering, node: Conv, name: str) -> str:
    """The matrices of all taps and groups, one after the other, and the statement that adds the
    product with that of tap t, k0, … and group g."""
    groups, filters = node.groups, node.filters // node.groups
    of_group = node.inputs // groups
    matrix: Matrix = np.asarray(low.weights[f"{node.name}.W"], np.float32)
    scale = scales(matrix)
    whole = rounded(matrix, scale) if low.int8 else matrix
    by_tap = np.moveaxis(whole.reshape(*whole.shape[:2], -1), 2, 0)
    parts = [blocked(part) for of_tap in by_tap for part in np.split(of_tap, groups)]
    values = np.concatenate(parts)
    low.tables += comment(f"{node.name}.W: of each tap {groups} of {filters} rows of {of_group}")
    low.tables.append(table("int8_t" if low.int8 else "float", f"{name}_W", values))
    low.counts.weights += values.size * (1 if low.int8 else 4)
    low.counts.multiply_adds += values.size * prod(low.extents(node)[:-1])
    index = _flat(["t", *(f"k{axis}" for axis in range(len(node.size) - 1))], node.size)
    place = f"{name}_W + (({index}) * {groups} + g) * {of_group * filters}"
    if not low.int8:
        return f"rs_add_product(into, {place}, from, {of_group}, {filters});"
    low.tables.append(table("float", f"{name}_W_scale", scale))
    return (
        f"rs_add_product_int8(into, {place}, from, {of_group}, {filters},"
        f" {name}_W_scale + g * {filters});"
    )


def lower_local_pool(low: Lowering, node: LocalPool) -> Value:
    """Within a step: windows along the sides."""
    source, out = low.value(node.source), low.buffer(node)
    sides, channels = source.extents[:-1], source.extents[-1]
    out_sides = out.extents[:-1]
    name, axes = low.names.new(f"{node.name}.pool"), range(len(sides))
    at = _flat([f"at{axis}" for axis in axes], sides)
    to = _flat([f"to{axis}" for axis in axes], out_sides)
    value = f"x[({at}) * {channels} + j]"
    inner = ["found = found > v ? found : v;" if node.kind == "max" else "found += v;"]
    inner = [f"const float v = {value};", *inner, "count++;"]
    for axis in reversed(axes):
        bound = [
            f"const int at{axis} = to{axis} * {node.stride[axis + 1]} + k{axis};",
            f"if (at{axis} >= {sides[axis]})",
            "    continue;",
        ]
        inner = loop(node.size[axis + 1], [*bound, *inner], f"k{axis}")
    start = "-INFINITY" if node.kind == "max" else "0.0f"
    result = "found" if node.kind == "max" else "found / (float)count"
    body = [f"float found = {start};", "int count = 0;", *inner]
    body += ["(void)count;", f"y[({to}) * {channels} + j] = {result};"]
    body = loop(channels, body)
    for axis in reversed(axes):
        body = loop(out_sides[axis], body, f"to{axis}")
    head = f"static void {name}(const float *x, float *y)"
    title = comment(f"{node.name}: the {node.kind} of windows of {node.size[1:]}")
    low.functions.append("\n".join([*title, head, "{", *indented(body), "}"]))
    return low.put(out, [f"{name}({source.name}, {out.name});"])


def lower_batch_norm(low: Lowering, node: BatchNorm) -> Value:
    source, out = low.value(node.source), low.buffer(node)
    scale, shift, mean, variance = (
        low.weight(node, each) for each in ("scale", "shift", "mean", "variance")
    )
    factor = low.table("float", f"{node.name}.factor", scale / np.sqrt(variance + EPSILON))
    centre = low.table("float", f"{node.name}.mean", mean)
    moved = low.table("float", f"{node.name}.shift", shift)
    at = "j" if len(source.extents) == 1 else f"j % {node.width}"
    value = f"({source.name}[j] - {centre}[{at}]) * {factor}[{at}] + {moved}[{at}]"
    return low.put(out, loop(out.size, [f"{out.name}[j] = {value};"]))


def lower_reshaped(low: Lowering, node: Grid | Unflatten) -> Value:
    source = low.value(node.source)
    return Value(source.name, low.extents(node), source.of_row)


def lower_squeeze(low: Lowering, node: Squeeze) -> Value:
    source = low.value(node.source)
    if node.kind == "flatten":
        return Value(source.name, (source.size,), source.of_row)
    out, channels = low.buffer(node), source.extents[-1]
    count = source.size // channels
    value = f"{source.name}[i * {channels} + j]"
    larger = f"found = {value} > found ? {value} : found;"
    inner = larger if node.kind == "max" else f"found += {value};"
    result = "found" if node.kind == "max" else f"found / {float(count)}f"
    start = "-INFINITY" if node.kind == "max" else "0.0f"
    body = [f"float found = {start};", *loop(count, [inner], "i"), f"{out.name}[j] = {result};"]
    return low.put(out, loop(channels, body))
