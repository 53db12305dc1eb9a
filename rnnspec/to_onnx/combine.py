"""What stands between layers: merged directions, layer norm, skip connections."""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.plan.nodes import Highway, Merge, MergeKind, Normalize, Residual
from rnnspec.to_onnx.functions import centred, normalized
from rnnspec.to_onnx.values import Lowering, Steps, Value, Vector

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
    return _like(source, value, clean=isinstance(source, Steps) and source.clean)


def lower_normalize(low: Lowering, node: Normalize) -> Value:
    """`scale * (v - mean(v)) / sqrt(var(v) + 1e-5) + shift`; 0 past a length becomes `shift`."""
    emit, name, source = low.emit, node.name, low.values[node.source]
    others = [low.canonical(f"{name}.{part}") for part in ("scale", "shift")]
    value = normalized(emit, centred(emit, source.name, name), others, name, node.width)
    return _like(source, value)


def lower_residual(low: Lowering, node: Residual) -> Steps:
    """`source + skip`."""
    source, skip = low.steps(node.source), low.steps(node.skip)
    value = low.emit.op("Add", [source.name, skip.name], node.name)
    return Steps(value, source.lengths, clean=source.clean and skip.clean)


def lower_highway(low: Lowering, node: Highway) -> Steps:
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)`."""
    emit, name = low.emit, node.name
    source, skip = low.steps(node.source), low.steps(node.skip)
    matrix = emit.weight(f"{name}.W.transposed", low.weights[f"{name}.W"].T)
    product = emit.op("MatMul", [skip.name, matrix], f"{name}.product")
    affine = emit.op("Add", [product, low.canonical(f"{name}.b")], f"{name}.affine")
    gate = emit.op("Sigmoid", [affine], f"{name}.gate")
    closed = emit.op("Sub", [emit.number(1.0), gate], f"{name}.closed")
    taken = emit.op("Mul", [gate, source.name], f"{name}.taken")
    carried = emit.op("Mul", [closed, skip.name], f"{name}.carried")
    value = emit.op("Add", [taken, carried], name)
    return Steps(value, source.lengths, clean=source.clean and skip.clean)


def _like(source: Value, name: str, clean: bool = False) -> Value:
    """`name` as a sequence where `source` is one, as a vector where it is one."""
    if isinstance(source, Steps):
        return Steps(name, source.lengths, clean=clean)
    return Vector(name)
