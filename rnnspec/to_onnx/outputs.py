"""Outputs of classes, labels and numbers, of a row or of each of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rnnspec.plan.names import labels_of, output_names
from rnnspec.plan.nodes import ClassOutput, FramesOutput, LabelsOutput, NumericOutput, StatesOutput
from rnnspec.spec.distributions import Parameter
from rnnspec.to_onnx.distributions import Units, answer_of, doc_of, parameters_of
from rnnspec.to_onnx.emitter import DOUBLE, FLOAT, INT64, STRING, Extent
from rnnspec.to_onnx.functions import precise_sigmoid
from rnnspec.to_onnx.intervals import Laws, tell_beside
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Value, Vector, like
from rnnspec.to_onnx.numbers import UNITS, centre_and_scale, scaled_type

NOTHING = ""
"""Stands past the length of a row, and where a label is off."""
NO_NUMBER = -1
"""Stands past the length of a row in the place of a label's number."""


def lower_class(low: Lowering, node: ClassOutput) -> Value:
    """The label of the largest probability, `[B]` or `[B, T]`, with ids its number, and the
    probabilities."""
    emit, source, labels = low.emit, low.values[node.source], labels_of(low.facts, node.column)
    name, probs_name = output_names(low.plan, node, low.ids)
    logits = _by_row(_in_order(low, node, source), f"{node.name}.scores", 1)
    probs = emit.op("Softmax", [logits], f"{node.name}.shares", axis=-1)
    # Counted from the end, the axis of a batch without any step would be kept.
    axis = len(_extents(source))
    largest = emit.op("ArgMax", [probs], f"{node.name}.largest", axis=axis, keepdims=0)
    label = largest
    if not low.ids:
        texts = emit.strings(f"{node.name}.labels", labels)
        label = emit.op("Gather", [texts, largest], f"{node.name}.label")
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = valid_steps(low, source, f"{node.name}.own")
        nothing = nothing_told(low, f"{node.name}.nothing")
        label = emit.op("Where", [valid, label, nothing], f"{node.name}.label_or_nothing")
        probs = _or_zero(low, valid, probs, f"{node.name}.shares_or_zero")
    extents, what = _extents(source), "number" if low.ids else "label"
    past = _past(source, str(NO_NUMBER) if low.ids else "empty")
    doc = f"the {what} of the largest probability{past}"
    emit.output(label, name, INT64 if low.ids else STRING, extents, doc)
    doc = f"probability of each label, in the order {listed(labels)}{_past(source, '0')}"
    emit.output(probs, probs_name, FLOAT, [*extents, node.classes], doc)
    return like(source, probs)


def lower_labels(low: Lowering, node: LabelsOutput) -> Value:
    """Each label that is on, `[B, labels]` or `[B, T, labels]`, with ids 1 in its place, and the
    probabilities."""
    emit, source, labels = low.emit, low.values[node.source], labels_of(low.facts, node.column)
    name, probs_name = output_names(low.plan, node, low.ids)
    logits = _by_row(source, f"{node.name}.scores", 1)
    probs = precise_sigmoid(emit, logits, f"{node.name}.shares")
    above = emit.number(node.threshold)
    if node.thresholds:
        above = emit.constant(np.array(node.thresholds, np.float32), f"{node.name}.thresholds")
    on = emit.op("Greater", [probs, above], f"{node.name}.on")
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = valid_steps(low, source, f"{node.name}.own")
        probs = _or_zero(low, valid, probs, f"{node.name}.shares_or_zero")
        column = emit.unsqueeze(valid, 2, f"{node.name}.own_column")
        on = emit.op("And", [on, column], f"{node.name}.on_and_own")
    extents = [*_extents(source), node.labels]
    if low.ids:
        told = emit.op("Cast", [on], f"{node.name}.told", to=INT64)
        emit.output(told, name, INT64, extents, "1 in the place of each label that is on, else 0")
    else:
        texts = emit.strings(f"{node.name}.labels", labels)
        nothing = emit.strings(f"{node.name}.nothing", [NOTHING])
        told = emit.op("Where", [on, texts, nothing], f"{node.name}.told")
        doc = "each label in its place if it is on, empty if not"
        emit.output(told, name, STRING, extents, doc)
    doc = f"probability of each label, in the order {listed(labels)}{_past(source, '0')}"
    emit.output(probs, probs_name, FLOAT, extents, doc)
    return like(source, probs)


def lower_numeric(low: Lowering, node: NumericOutput) -> Value:
    """`[B]`, `[B, width]` or `[B, T, width]` in the units of the data."""
    if node.distribution != "point":
        return _lower_distributed(low, node)
    emit, source = low.emit, low.values[node.source]
    value, kind = _by_row(source, f"{node.name}.by_row", 1), scaled_type(node)
    if found := centre_and_scale(low, node):
        value = emit.cast(value, FLOAT, kind, f"{node.name}.double")
        wide = emit.op("Mul", [value, found[1]], f"{node.name}.wide")
        value = emit.op("Add", [wide, found[0]], f"{node.name}.moved")
    elif not node.single and isinstance(source, Vector):  # the source keeps its own name
        value = emit.op("Identity", [value], f"{node.name}.value")
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = valid_steps(low, source, f"{node.name}.own")
        value = _or_zero(low, valid, value, f"{node.name}.or_zero", kind)
    if node.single:
        value = emit.squeeze(value, -1, f"{node.name}.single")
    extents = [*_extents(source), *([] if node.single else [node.width])]
    (name,) = output_names(low.plan, node, low.ids)
    emit.output(value, name, kind, extents, f"in the units of the data{_past(source, '0')}")
    return like(source, value)


def _lower_distributed(low: Lowering, node: NumericOutput) -> Value:
    """The point answers, and the parameters of their distribution."""
    emit, source, law, name = low.emit, low.values[node.source], node.law, node.name
    rows = _extents(source)
    raw, joint = _by_row(source, f"{name}.by_row", 1), law.width > 1 or _is_vector_of_one(node)
    found, units, answer = distributed(low, node, raw, len(rows), joint, node.single)
    titles, kind = output_names(low.plan, node, low.ids), DOUBLE if node.double else FLOAT
    extents, past = rows if node.single else [*rows, node.width], _past(source, "0")

    def told(value: str, title: str, kind: int, wide: list[Extent], doc: str) -> str:
        if isinstance(source, PaddedSequence) and not source.lengths.steps:
            value = _own_steps(low, source, value, len(wide), f"{name}.{title}", kind)
        value = emit.op("Identity", [value], f"{name}.{title}.told")
        emit.output(value, title, kind, wide, f"{doc}{past}")
        return value

    value = told(answer, titles[0], kind, extents, UNITS)
    each = [*rows, node.laws] if node.laws > 1 else rows
    shaped = parts_shaped(low, node, found, each, joint, node.single)
    for (part, values, wide), title in zip(shaped, titles[1:], strict=False):
        told(values, title, kind, wide, doc_of(law, part))
    lone = not node.single and node.width == 1
    laws = Laws(found, units, each, extents, joint, lone)
    tell_beside(low, node, laws, titles[1 + len(law.parts) :], told)
    return like(source, value)


def distributed(
    low: Lowering,
    node: NumericOutput | FramesOutput,
    raw: str,
    rows: int,
    joint: bool,
    single: bool = False,
) -> tuple[dict[str, str], Units, str]:
    """The parameters by name of raw numbers `[…, raw]` with `rows` axes before the last, as
    `parameters_of` has them, their units, and the point answers `[…, width]`, of `single` ones
    `[…]`."""
    emit, law, name = low.emit, node.law, node.name
    if node.laws > 1:
        shape = emit.integers(*[0] * rows, node.laws, law.size)
        raw = emit.op("Reshape", [raw, shape], f"{name}.laws")
    axes = rows + (node.laws > 1)
    units = _units_of(low, node)
    found = parameters_of(law, raw, units, axes, joint)
    answer = answer_of(law, found, units, axes, joint)
    if single or node.laws > 1:
        answer = emit.squeeze(answer, -1, f"{name}.single")
    return found, units, answer


def parts_shaped(
    low: Lowering,
    node: NumericOutput | FramesOutput,
    found: Mapping[str, str],
    each: Sequence[Extent],
    joint: bool,
    single: bool = False,
) -> Iterator[tuple[Parameter, str, list[Extent]]]:
    """The parts of a distribution beside the answer, with their extents; `each` are those of a
    law."""
    emit, law, wide = low.emit, node.law, list(each)
    for part in law.parts:
        values = found[part.name]
        if part.axes == "one":
            flat, title = single or node.laws > 1, f"{node.name}.{part.name}.flat"
            values = emit.squeeze(values, -1, title) if flat else values
            wide = [*each] if flat else [*each, 1]
        elif joint and part.axes == "values":
            wide = [*each, law.components, law.width]
        else:
            wide = [*each, law.count(part)]
        yield part, values, wide


def _is_vector_of_one(node: NumericOutput) -> bool:
    """Whether a law of one number is that of a vector, whose means then have an axis of its own."""
    return node.distribution == "mixture" and not node.single


def _own_steps(
    low: Lowering, source: PaddedSequence, value: str, rank: int, name: str, kind: int
) -> str:
    """`value` `[B, T, …]` of `rank` axes, 0 past the length of each row."""
    valid = valid_steps(low, source, f"{name}.own")
    for axis in range(2, rank):
        valid = low.emit.unsqueeze(valid, axis, f"{name}.own_{axis}")
    return low.emit.op("Where", [valid, value, low.emit.number(0.0, kind)], f"{name}.or_zero")


def _units_of(low: Lowering, node: NumericOutput | FramesOutput) -> Units:
    """How the numbers were scaled: of several laws `[laws, 1]`, else `[width]`."""
    found, kind = centre_and_scale(low, node), scaled_type(node)
    if found is None:
        return Units(low.emit, node.name)
    to = DOUBLE if node.double else FLOAT
    if node.laws > 1:
        found_of = [low.emit.unsqueeze(each, -1, f"{node.name}.of_law") for each in found]
        return Units(low.emit, node.name, found_of[0], found_of[1], kind, to)
    return Units(low.emit, node.name, *found, kind, to)


def lower_states(low: Lowering, node: StatesOutput) -> Value:
    """`[B, width]` or `[B, T, width]`, as it is."""
    emit, source = low.emit, low.values[node.source]
    value = _by_row(_in_order(low, node, source), f"{node.name}.by_row", 1)
    if isinstance(source, PaddedSequence) and not source.lengths.steps:
        valid = valid_steps(low, source, f"{node.name}.own")
        value = _or_zero(low, valid, value, f"{node.name}.or_zero")
    else:  # the source keeps its own name
        value = emit.op("Identity", [value], f"{node.name}.value")
    (name,) = output_names(low.plan, node, low.ids)
    doc = f"states of the model{_past(source, '0')}"
    emit.output(value, name, FLOAT, [*_extents(source), node.width], doc)
    return like(source, value)


def nothing_told(low: Lowering, name: str) -> str:
    """What stands in the place of a label, or of its number, past the length of a row."""
    return low.emit.integer(NO_NUMBER) if low.ids else low.emit.strings(name, [NOTHING])


def _in_order(low: Lowering, node: ClassOutput | StatesOutput, source: Value) -> Value:
    """`[T, B, W]` of rows that were read from their ends, in the order of the rows."""
    if not node.reverse:
        return source
    assert isinstance(source, PaddedSequence), f"{node.name} has no steps"
    found = source.lengths.reversed(source.name, f"{node.name}.in_order")
    return PaddedSequence(found, source.lengths)


def _by_row(source: Value, name: str, width: int) -> str:
    """`[B, …]`, of a sequence `[B, T, …]` with as many steps as came in."""
    if isinstance(source, PaddedSequence):
        return source.lengths.by_row(source.name, name, width)
    return source.name


def valid_steps(low: Lowering, source: PaddedSequence, name: str) -> str:
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
