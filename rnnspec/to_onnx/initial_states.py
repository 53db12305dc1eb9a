"""The states of a layer before the first step: 0, learned, or given with the row."""

from __future__ import annotations

import numpy as np

from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import Lowering


def of_direction(
    low: Lowering, node: Recurrent, direction: str, state: str, lengths: Lengths
) -> str:
    """One state of one direction, `[B, width]`."""
    if source := _given(node, state):
        return low.vector(source)
    width = node.state_width(state)
    if node.initial != "learned":
        return lengths.zeros(width)
    emit, name = low.emit, f"{node.name}.{direction}.initial.{state}"
    extents = [lengths.batch(), emit.integers(width)]
    shape = emit.op("Concat", extents, f"{name}.shape", {"axis": 0})
    return emit.op("Expand", [low.canonical(name), shape], f"{name}.rows")


def by_direction(low: Lowering, node: Recurrent, state: str, lengths: Lengths) -> str:
    """One state of all directions, `[D, B, width]`; "" if it is 0."""
    emit, name, count = low.emit, f"{node.name}.initial.{state}", len(node.directions)
    if source := _given(node, state):
        given = emit.op("Unsqueeze", [low.vector(source), emit.integers(0)], f"{name}.given")
        # Expand would take a single row for all rows of the batch.
        return given if count == 1 else emit.op("Concat", [given] * count, name, {"axis": 0})
    if node.initial != "learned":
        return ""
    names = [f"{node.name}.{direction}.initial.{state}" for direction in node.directions]
    start = emit.weight(name, np.stack([low.weights[each][np.newaxis] for each in names]))
    extents = [emit.integers(count), lengths.batch(), emit.integers(node.state_width(state))]
    shape = emit.op("Concat", extents, f"{name}.shape", {"axis": 0})
    return emit.op("Expand", [start, shape], f"{name}.rows")


def _given(node: Recurrent, state: str) -> str:
    """The node that gives the state; "" if none does."""
    return dict(zip(node.cell.states, node.given, strict=False)).get(state, "")
