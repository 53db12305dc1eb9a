"""Layers that work on each vector, and poolings over the steps so far."""

from __future__ import annotations

import numpy as np

from rnnspec.plan.nodes import (
    Activate,
    Combine,
    Dense,
    Dropout,
    Embed,
    Highway,
    Join,
    Normalize,
    Ordinal,
    Pool,
    Residual,
    Scores,
)
from rnnspec.plan.nodes.ordinal import cuts_of
from rnnspec.to_c.expressions import activated
from rnnspec.to_c.lowering import Lowering, Value
from rnnspec.to_c.products import rounded, scales
from rnnspec.to_c.text import comment, loop, table


def lower_embed(low: Lowering, node: Embed) -> Value:
    """A row of the table."""
    rows = np.asarray(low.weights[f"{node.name}.table"], np.float32)
    if node.frozen:
        rows = np.concatenate([rows, np.asarray(low.weights[f"{node.name}.vectors"], np.float32)])
    source, out = low.value(node.source), low.buffer(node)
    name = low.names.new(f"{node.name}.table")
    low.tables += comment(f"{node.name}: {node.size} vectors of {node.width}")
    at = f"{name}[{source.name} * {node.width} + j]"
    if low.int8:
        scale = scales(rows)
        low.tables.append(table("int8_t", name, rounded(rows, scale)))
        of_rows = low.table("float", f"{node.name}.scale", scale)
        low.counts.weights += rows.size
        at = f"(float){at} * {of_rows}[{source.name}]"
    else:
        low.tables.append(table("float", name, rows))
        low.counts.weights += 4 * rows.size
    return low.put(out, loop(node.width, [f"{out.name}[j] = {at};"]))


def lower_dropout(low: Lowering, node: Dropout) -> Value:
    """Nothing: it is for training."""
    return low.value(node.source)


def lower_dense(low: Lowering, node: Dense) -> Value:
    source, out = low.value(node.source), low.buffer(node)
    matrix = np.asarray(low.weights[f"{node.name}.W"], np.float32)
    found = low.product(node, "W", matrix)
    bias = low.table("float", f"{node.name}.b", low.weight(node, "b"))
    lines = [*loop(node.units, [f"{out.name}[j] = {bias}[j];"]), found.add(out.name, source.name)]
    return low.put(out, [*lines, *_activated(low, node.activation, out)])


def lower_scores(low: Lowering, node: Scores) -> Value:
    """With the table of an embedding in blocks for products, beside its rows."""
    source, out = low.value(node.source), low.buffer(node)
    of = f"{node.tied}.table" if node.tied else f"{node.name}.W"
    found = low.product(node, "W", np.asarray(low.weights[of], np.float32))
    bias = low.table("float", f"{node.name}.b", low.weight(node, "b"))
    lines = loop(node.size, [f"{out.name}[j] = {bias}[j];"])
    return low.put(out, [*lines, found.add(out.name, source.name)])


def _activated(low: Lowering, activation: str, out: Value) -> list[str]:
    if activation == "none":
        return []
    low.counts.functions += 0 if out.of_row else out.size
    return loop(out.size, [f"{out.name}[j] = {activated(activation, f'{out.name}[j]')};"])


def lower_activate(low: Lowering, node: Activate) -> Value:
    source, out = low.value(node.source), low.buffer(node)
    low.counts.functions += out.size if node.activation != "none" else 0
    value = activated(node.activation, f"{source.name}[j]")
    return low.put(out, loop(out.size, [f"{out.name}[j] = {value};"]))


def lower_normalize(low: Lowering, node: Normalize) -> Value:
    """Over the last extent; of a grid, of each of its places."""
    source, out = low.value(node.source), low.buffer(node)
    scale = low.table("float", f"{node.name}.scale", low.weight(node, "scale"))
    shift = low.table("float", f"{node.name}.shift", low.weight(node, "shift"))
    vectors, width = out.size // node.width, node.width
    at = f" + i * {width}" if vectors > 1 else ""
    place = f"[i * {width} + j]" if vectors > 1 else "[j]"
    value = f"{scale}[j] * {out.name}{place} + {shift}[j]"
    one = [
        f"rs_layer_norm({out.name}{at}, {source.name}{at}, {width});",
        *loop(width, [f"{out.name}{place} = {value};"]),
    ]
    return low.put(out, loop(vectors, one, "i") if vectors > 1 else one)


def lower_ordinal(low: Lowering, node: Ordinal) -> Value:
    """Logarithms of the probabilities of classes in their order."""
    source, out = low.value(node.source), low.buffer(node)
    gaps = low.weight(node, "gaps").tolist() if node.classes > 2 else []
    parts = zip(("upper", "lower", "between"), cuts_of(gaps), strict=True)
    upper, lower, between = (
        low.table("float", f"{node.name}.{part}", np.array(values, np.float32))
        for part, values in parts
    )
    low.counts.functions += 0 if out.of_row else 2 * out.size
    of = f"{source.name}[0]"
    above = activated("softplus", f"({of} - {upper}[j])")
    below = activated("softplus", f"({lower}[j] - {of})")
    return low.put(out, loop(out.size, [f"{out.name}[j] = {between}[j] - {above} - {below};"]))


def lower_residual(low: Lowering, node: Residual) -> Value:
    source, skip, out = low.value(node.source), low.value(node.skip), low.buffer(node)
    value = f"{source.name}[j] + {skip.name}[j]"
    return low.put(out, loop(out.size, [f"{out.name}[j] = {value};"]))


def lower_highway(low: Lowering, node: Highway) -> Value:
    """`g source + (1 - g) skip`, the gates in place of the value first."""
    source, skip, out = low.value(node.source), low.value(node.skip), low.buffer(node)
    found = low.product(node, "W", np.asarray(low.weights[f"{node.name}.W"], np.float32))
    bias = low.table("float", f"{node.name}.b", low.weight(node, "b"))
    low.counts.functions += node.width
    body = [
        f"const float gate = rs_sigmoid({out.name}[j]);",
        f"{out.name}[j] = gate * {source.name}[j] + (1.0f - gate) * {skip.name}[j];",
    ]
    lines = [
        *loop(node.width, [f"{out.name}[j] = {bias}[j];"]),
        found.add(out.name, skip.name),
        *loop(node.width, body),
    ]
    return low.put(out, lines)


def lower_join(low: Lowering, node: Join) -> Value:
    """Side by side; of grids, the channels of each place."""
    parts, out = [low.value(name) for name in node.reads], low.buffer(node)
    places, at, lines = out.size // out.extents[-1], 0, list[str]()
    for part in parts:
        width = part.extents[-1]
        if places > 1:
            into = f"{out.name}[i * {out.extents[-1]} + {at} + j]"
            one = loop(width, [f"{into} = {part.name}[i * {width} + j];"])
            lines += loop(places, one, "i")
        else:
            lines += loop(width, [f"{out.name}[{at} + j] = {part.name}[j];"])
        at += width
    return low.put(out, lines)


def lower_combine(low: Lowering, node: Combine) -> Value:
    names, out = [low.value(name).name for name in node.reads], low.buffer(node)
    value = (" * " if node.kind == "mul" else " + ").join(f"{name}[j]" for name in names)
    if node.kind == "mean":
        value = f"({value}) / {float(len(names))}f"
    return low.put(out, loop(out.size, [f"{out.name}[j] = {value};"]))


def lower_pool(low: Lowering, node: Pool) -> Value:
    """Over the steps so far, the newest one included."""
    source = low.value(node.source)
    if node.kind == "last":
        return source
    states, out = low.states(node), low.buffer(node)
    match node.kind:
        case "mean":
            total, count = states["sum"], states["count"]
            body = [
                f"{total}[j] += (double){source.name}[j];",
                f"{out.name}[j] = (float)({total}[j] / (double){count});",
            ]
            return low.put(out, [f"{count}++;", *loop(node.inputs, body)])
        case "max":
            largest, count = states["largest"], states["count"]
            newer = f"{count} == 0 || {source.name}[j] > {largest}[j]"
            body = [
                f"{largest}[j] = {newer} ? {source.name}[j] : {largest}[j];",
                f"{out.name}[j] = {largest}[j];",
            ]
            return low.put(out, [*loop(node.inputs, body), f"{count} = 1;"])
        case "attention":
            return low.put(out, _attention(low, node, source, out, dict(states)))


def _attention(
    low: Lowering, node: Pool, source: Value, out: Value, states: dict[str, str]
) -> list[str]:
    """A running softmax: all weights are held against the largest score so far."""
    most, weight, total = states["most"], states["weight"], states["sum"]
    hidden, score = low.names.new(f"{node.name}.hidden"), low.names.new(f"{node.name}.score")
    before, now = low.names.new(f"{node.name}.before"), low.names.new(f"{node.name}.now")
    found = low.product(node, "W", np.asarray(low.weights[f"{node.name}.W"], np.float32))
    bias = low.table("float", f"{node.name}.b", low.weight(node, "b"))
    v = low.table("float", f"{node.name}.v", low.weight(node, "v"))
    low.begin.append(f"{most}[0] = -3.0e38f;")
    low.counts.functions += node.units
    low.counts.multiply_adds += node.units
    body = [
        f"{total}[j] = {before} * {total}[j] + {now} * {source.name}[j];",
        f"{out.name}[j] = {total}[j] / {weight}[0];",
    ]
    return [
        f"float {hidden}[{node.units}], {score} = 0.0f;",
        *loop(node.units, [f"{hidden}[j] = {bias}[j];"]),
        found.add(hidden, source.name),
        *loop(node.units, [f"{score} += {v}[j] * rs_tanh({hidden}[j]);"]),
        f"const float {before} = {score} > {most}[0] ? rs_exp({most}[0] - {score}) : 1.0f;",
        f"const float {now} = {score} > {most}[0] ? 1.0f : rs_exp({score} - {most}[0]);",
        f"{most}[0] = {score} > {most}[0] ? {score} : {most}[0];",
        f"{weight}[0] = {before} * {weight}[0] + {now};",
        *loop(node.inputs, body),
    ]
