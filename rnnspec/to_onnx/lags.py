"""What a series was some steps before: see `rnnspec.plan.nodes.lags`."""

from __future__ import annotations

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.nodes import shapes
from rnnspec.plan.nodes.lags import places_of
from rnnspec.to_onnx.lengths import Lengths, counted
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Value, Vector


def lower_lags(low: Lowering, node: nodes.Lags) -> PaddedSequence:
    """The values some steps before each step, `[T, B, L]`."""
    emit, name, past = low.emit, node.name, low.steps(node.source)
    found = []
    for lag in node.lags:
        pads = [past.name, emit.integers(lag, 0, 0, 0, 0, 0), "", emit.integers(0, 1, 2)]
        later = emit.op("Pad", pads, f"{name}.later.{lag}")
        found.append(emit.slice(later, 0, -lag, 0, f"{name}.{lag}"))
    return PaddedSequence(emit.concat(found, 2, name), past.lengths)


def lower_lags_ahead(low: Lowering, node: nodes.LagsAhead) -> Value:
    """The lagged values at the steps ahead, `[H, B, L]`, or `[B, width]` if it is flat.

    A 0 is put before the first step, so that place n of a row of n steps is its last value.
    """
    emit, name, past, places = low.emit, node.name, low.steps(node.source), places_of(node)
    values = emit.squeeze(past.name, 2, f"{name}.past")
    pads = [values, emit.integers(1, 0, 0, 0), "", emit.integers(0, 1)]
    values = emit.op("Pad", pads, f"{name}.from_0")
    back = emit.constant(np.array([1 - each.back for each in places])[:, None], f"{name}.back")
    at = emit.op("Add", [past.lengths.name, back], f"{name}.at")
    at = emit.op("Max", [at, emit.integer(0)], f"{name}.places")
    found = emit.op("GatherElements", [values, at], f"{name}.found", axis=0)
    if node.ahead:
        found = _or_known(low, node, found)
    if node.flat:
        return Vector(emit.transpose(found, [1, 0], name))
    batch = past.lengths.batch()
    extents = [emit.integers(node.horizon, len(node.lags)), batch]
    shape = emit.concat(extents, 0, f"{name}.shape")
    steps = emit.op("Reshape", [found, shape], f"{name}.steps")
    ahead = emit.transpose(steps, [0, 2, 1], name)
    own = emit.op("Expand", [emit.integer(node.horizon), batch], f"{name}.lengths")
    return PaddedSequence(ahead, Lengths(emit, name, own, ahead, padded=False), clean=True)


def _or_known(low: Lowering, node: nodes.LagsAhead, found: str) -> str:
    """`[H * L, B]`: the numbers that are known beforehand in the places of those found."""
    emit, name = low.emit, node.name
    later = [each.later for each in places_of(node)]
    steps = emit.constant(np.array([each or 0 for each in later]), f"{name}.later")
    flat = emit.squeeze(low.steps(node.ahead).name, 2, f"{name}.ahead")
    known = emit.op("Gather", [flat, steps], f"{name}.known", axis=0)
    is_later = np.array([each is not None for each in later])[:, None]
    return emit.op(
        "Where", [emit.constant(is_later, f"{name}.is_later"), known, found], f"{name}.or"
    )


def lower_latest(low: Lowering, node: nodes.Latest) -> PaddedSequence:
    """The last steps of each row, `[T', B, W]`, T' the smaller of T and their number."""
    emit, name, source = low.emit, node.name, low.steps(node.source)
    width = shapes(low.plan)[node.name][-1]
    assert isinstance(width, int)
    most = emit.integer(node.steps)
    time = emit.op("Min", [emit.extent(source.name, 0, f"{name}.time"), most], f"{name}.kept")
    more = emit.op("Sub", [source.lengths.name, most], f"{name}.more")
    first = emit.op("Max", [more, emit.integer(0)], f"{name}.first")
    steps = emit.unsqueeze(counted(emit, time, f"{name}.steps"), 1, f"{name}.column")
    places = emit.op("Add", [steps, first], f"{name}.places")
    each = emit.unsqueeze(places, 2, f"{name}.each")
    extents = [time, source.lengths.batch(), emit.integers(width)]
    shape = emit.concat(extents, 0, f"{name}.shape")
    wide = emit.op("Expand", [each, shape], f"{name}.wide")
    out = emit.op("GatherElements", [source.name, wide], name, axis=0)
    return PaddedSequence(out, source.lengths.latest(node.steps, out))
