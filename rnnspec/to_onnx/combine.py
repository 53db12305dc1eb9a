"""What stands between layers: merged directions, layer norm, skip connections, values joined."""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.plan.nodes import (
    FinalState,
    Highway,
    Join,
    Merge,
    MergeKind,
    Normalize,
    Residual,
)
from rnnspec.to_onnx.functions import centred, normalized
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Value, Vector, like

MERGES: Mapping[MergeKind, str] = {"sum": "Add", "mean": "Mean", "mul": "Mul"}
"""One operator for each way to merge two directions."""


def lower_merge(low: Lowering, node: Merge) -> Value:
    """The two halves of each vector as one."""
    emit, source = low.emit, low.values[node.source]
    names = [f"{node.name}.forward", f"{node.name}.reverse"]
    halves = emit.ops(
        "Split", [source.name, emit.integers(node.width, node.width)], names, {"axis": -1}
    )
    value = emit.op(MERGES[node.kind], halves, node.name)
    return like(source, value, clean=_clean(source))


def lower_normalize(low: Lowering, node: Normalize) -> Value:
    """`scale * (v - mean(v)) / sqrt(var(v) + 1e-5) + shift`; 0 past a length becomes `shift`."""
    emit, name, source = low.emit, node.name, low.values[node.source]
    others = [low.canonical(f"{name}.{part}") for part in ("scale", "shift")]
    value = normalized(emit, centred(emit, source.name, name), others, name, node.width)
    return like(source, value)


def lower_residual(low: Lowering, node: Residual) -> Value:
    """`source + skip`."""
    source, skip = low.values[node.source], low.values[node.skip]
    value = low.emit.op("Add", [source.name, skip.name], node.name)
    return like(source, value, clean=_clean(source) and _clean(skip))


def lower_highway(low: Lowering, node: Highway) -> Value:
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)`."""
    emit, name = low.emit, node.name
    source, skip = low.values[node.source], low.values[node.skip]
    matrix = emit.weight(f"{name}.W.transposed", low.weights[f"{name}.W"].T)
    product = emit.op("MatMul", [skip.name, matrix], f"{name}.product")
    affine = emit.op("Add", [product, low.canonical(f"{name}.b")], f"{name}.affine")
    gate = emit.op("Sigmoid", [affine], f"{name}.gate")
    closed = emit.op("Sub", [emit.number(1.0), gate], f"{name}.closed")
    taken = emit.op("Mul", [gate, source.name], f"{name}.taken")
    carried = emit.op("Mul", [closed, skip.name], f"{name}.carried")
    value = emit.op("Add", [taken, carried], name)
    return like(source, value, clean=_clean(source) and _clean(skip))


def lower_join(low: Lowering, node: Join) -> Value:
    """The sources side by side; a vector among sequences at every step."""
    emit, name = low.emit, node.name
    found = [low.values[source] for source in node.reads]
    sequence = next((value for value in found if isinstance(value, PaddedSequence)), None)
    if sequence is None:
        joined = emit.op("Concat", [value.name for value in found], name, {"axis": -1})
        return Vector(joined)
    time = emit.op("Shape", [sequence.name], f"{name}.time", {"start": 0, "end": 1})
    extents = emit.op("Concat", [time, emit.integers(1, 1)], f"{name}.extents", {"axis": 0})
    parts = []
    for value in found:
        part = value.name
        if isinstance(value, Vector):
            part = emit.op("Expand", [part, extents], f"{part}.at_each_step")
        parts.append(part)
    clean = all(_clean(value) for value in found)
    return like(sequence, emit.op("Concat", parts, name, {"axis": -1}), clean)


def lower_final_state(low: Lowering, node: FinalState) -> Vector:
    """A state of a layer after the last step that each direction read."""
    return Vector(low.steps(node.source).finals[node.state])


def _clean(value: Value) -> bool:
    return isinstance(value, PaddedSequence) and value.clean
