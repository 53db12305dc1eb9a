"""Outputs of classes, labels and numbers, of a row or of each of its steps."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.plan.names import labels_of, output_names
from rnnspec.plan.nodes import ClassOutput, LabelsOutput, NumericOutput
from rnnspec.to_onnx.emitter import FLOAT, STRING, Extent
from rnnspec.to_onnx.functions import precise_sigmoid
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Value, Vector, like
from rnnspec.to_onnx.numbers import centre_and_scale, scaled_type

NOTHING = ""
"""Stands past the length of a row, and where a label is off."""


def lower_class(low: Lowering, node: ClassOutput) -> Value:
    """The label of the largest probability, `[B]` or `[B, T]`, and the probabilities."""
    emit, source, labels = low.emit, low.values[node.source], labels_of(low.facts, node.column)
    name, probs_name = output_names(low.plan, node, low.ids)
    logits = _by_row(source, f"{node.name}.scores", 1)
    probs = emit.op("Softmax", [logits], f"{node.name}.shares", axis=-1)
    # Counted from the end, the axis of a batch without any step would be kept.
    axis = len(_extents(source))
    largest = emit.op("ArgMax", [probs], f"{node.name}.largest", axis=axis, keepdims=0)
    texts = emit.strings(f"{node.name}.labels", labels)
    label = emit.op("Gather", [texts, largest], f"{node.name}.label")
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = _valid_steps(low, source, f"{node.name}.own")
        nothing = emit.strings(f"{node.name}.nothing", [NOTHING])
        label = emit.op("Where", [valid, label, nothing], f"{node.name}.label_or_nothing")
        probs = _or_zero(low, valid, probs, f"{node.name}.shares_or_zero")
    extents = _extents(source)
    doc = f"the label of the largest probability{_past(source, 'empty')}"
    emit.output(label, name, STRING, extents, doc)
    doc = f"probability of each label, in the order {listed(labels)}{_past(source, '0')}"
    emit.output(probs, probs_name, FLOAT, [*extents, node.classes], doc)
    return like(source, probs)


def lower_labels(low: Lowering, node: LabelsOutput) -> Value:
    """Each label that is on, `[B, labels]` or `[B, T, labels]`, and the probabilities."""
    emit, source, labels = low.emit, low.values[node.source], labels_of(low.facts, node.column)
    name, probs_name = output_names(low.plan, node, low.ids)
    logits = _by_row(source, f"{node.name}.scores", 1)
    probs = precise_sigmoid(emit, logits, f"{node.name}.shares")
    on = emit.op("Greater", [probs, emit.number(node.threshold)], f"{node.name}.on")
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = _valid_steps(low, source, f"{node.name}.own")
        probs = _or_zero(low, valid, probs, f"{node.name}.shares_or_zero")
        column = emit.unsqueeze(valid, 2, f"{node.name}.own_column")
        on = emit.op("And", [on, column], f"{node.name}.on_and_own")
    texts = emit.strings(f"{node.name}.labels", labels)
    nothing = emit.strings(f"{node.name}.nothing", [NOTHING])
    answered = emit.op("Where", [on, texts, nothing], f"{node.name}.told")
    extents = [*_extents(source), node.labels]
    emit.output(
        answered, name, STRING, extents, "each label in its place if it is on, empty if not"
    )
    doc = f"probability of each label, in the order {listed(labels)}{_past(source, '0')}"
    emit.output(probs, probs_name, FLOAT, extents, doc)
    return like(source, probs)


def lower_numeric(low: Lowering, node: NumericOutput) -> Value:
    """`[B]`, `[B, width]` or `[B, T, width]` in the units of the data."""
    emit, source = low.emit, low.values[node.source]
    value, kind = _by_row(source, f"{node.name}.by_row", 1), scaled_type(node)
    if found := centre_and_scale(low, node):
        value = emit.cast(value, FLOAT, kind, f"{node.name}.double")
        wide = emit.op("Mul", [value, found[1]], f"{node.name}.wide")
        value = emit.op("Add", [wide, found[0]], f"{node.name}.moved")
    elif not node.single and isinstance(source, Vector):  # the source keeps its own name
        value = emit.op("Identity", [value], f"{node.name}.value")
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = _valid_steps(low, source, f"{node.name}.own")
        value = _or_zero(low, valid, value, f"{node.name}.or_zero", kind)
    if node.single:
        value = emit.squeeze(value, -1, f"{node.name}.single")
    extents = [*_extents(source), *([] if node.single else [node.width])]
    (name,) = output_names(low.plan, node, low.ids)
    emit.output(value, name, kind, extents, f"in the units of the data{_past(source, '0')}")
    return like(source, value)


def _by_row(source: Value, name: str, width: int) -> str:
    """`[B, …]`, of a sequence `[B, T, …]` with as many steps as came in."""
    if isinstance(source, PaddedSequence):
        return source.lengths.by_row(source.name, name, width)
    return source.name


def _valid_steps(low: Lowering, source: PaddedSequence, name: str) -> str:
    """Bool `[B, T]`: whether a step is below the row's length."""
    flat = low.emit.squeeze(source.lengths.mask(), 2, f"{name}.flat")
    return source.lengths.by_row(flat, name)


def _or_zero(low: Lowering, valid: str, value: str, name: str, kind: int = FLOAT) -> str:
    """`[B, T, W]`: `value`, of an element type, at the `valid` steps `[B, T]`, 0 at the others."""
    column = low.emit.unsqueeze(valid, 2, f"{name}.own")
    return low.emit.op("Where", [column, value, low.emit.number(0.0, kind)], name)


def _extents(source: Value) -> list[Extent]:
    return [BATCH, source.lengths.time_dimension] if isinstance(source, PaddedSequence) else [BATCH]


def _past(source: Value, what: str) -> str:
    return f"; {what} past the length" if isinstance(source, PaddedSequence) else ""


def listed(labels: Sequence[str], most: int = 20) -> str:
    """The first labels, in words."""
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"
