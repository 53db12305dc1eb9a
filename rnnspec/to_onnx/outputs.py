"""Outputs: from the last vector to the answers by name."""

from __future__ import annotations

from rnnspec.plan import ClassFacts
from rnnspec.plan.nodes import ClassOutput, NumericOutput
from rnnspec.to_onnx.emitter import FLOAT, STRING, Extent
from rnnspec.to_onnx.values import BATCH, Lowering, Vector


def lower_class(low: Lowering, node: ClassOutput) -> Vector:
    """`<column>` `[B]`, the label of the largest probability, and `<column>.probabilities`."""
    emit = low.emit
    known = low.facts.outputs[node.column]
    assert isinstance(known, ClassFacts), f"{node.column} has no labels"
    shares = emit.op("Softmax", [low.vector(node.source)], f"{node.name}.shares", {"axis": -1})
    largest = emit.op("ArgMax", [shares], f"{node.name}.largest", {"axis": -1, "keepdims": 0})
    labels = emit.strings(f"{node.name}.labels", known.labels)
    label = emit.op("Gather", [labels, largest], f"{node.name}.label")
    emit.output(label, node.column, STRING, [BATCH], "the label of the largest probability")
    doc = f"probability of each label, in the order {_listed(known.labels)}"
    emit.output(shares, f"{node.column}.probabilities", FLOAT, [BATCH, node.classes], doc)
    return Vector(shares)


def lower_numeric(low: Lowering, node: NumericOutput) -> Vector:
    """`<column>` `[B]` or `[B, width]` in the units of the data."""
    emit, value = low.emit, low.vector(node.source)
    if node.scaled:
        deviation = low.canonical(f"{node.name}.deviation")
        mean = low.canonical(f"{node.name}.mean")
        wide = emit.op("Mul", [value, deviation], f"{node.name}.wide")
        value = emit.op("Add", [wide, mean], f"{node.name}.moved")
    elif not node.single:  # the source keeps its own name
        value = emit.op("Identity", [value], f"{node.name}.value")
    if node.single:
        value = emit.op("Squeeze", [value, emit.integers(1)], f"{node.name}.single")
    shape: list[Extent] = [BATCH] if node.single else [BATCH, node.width]
    emit.output(value, node.column, FLOAT, shape, "in the units of the data")
    return Vector(value)


def interface(node: ClassOutput | NumericOutput) -> tuple[str, ...]:
    """Names of the model's outputs that stand for `node`."""
    if isinstance(node, ClassOutput):
        return (node.column, f"{node.column}.probabilities")
    return (node.column,)


def _listed(labels: tuple[str, ...], most: int = 20) -> str:
    """The first labels, in words."""
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"
