"""Labels that come in: one for a row, or those that are on at each step."""

from __future__ import annotations

from rnnspec.plan import ClassFacts, TextFacts
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.nodes import CategoryInput, KeysInput
from rnnspec.to_onnx.axis import on_time_axis, some_rows, time_major
from rnnspec.to_onnx.emitter import FLOAT, INT64, STRING, Extent
from rnnspec.to_onnx.lowering import BATCH, TIME, Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.tokens import look_up, numbered, refused_below_zero


def lower_category(low: Lowering, node: CategoryInput) -> Vector:
    """The number of each row's label, `[B]`."""
    emit, name = low.emit, node.name
    if low.ids:
        doc = f"numbers of the labels, from 0 to {node.size - 1}; {UNKNOWN_ID} is any other label"
        given = emit.input(f"{node.column}.ids", INT64, [BATCH], doc, reserved=True)
        given = refused_below_zero(low, given, node.size, name)
    else:
        known = low.facts.inputs[node.column]
        assert isinstance(known, TextFacts), f"{node.column} has no labels"
        doc = "a label a row; one that training never showed, or none, is read as the unknown"
        label = emit.input(node.column, STRING, [BATCH], doc, reserved=True)
        table = look_up(known.vocabulary, fold_case=False)
        given = numbered(low, label, table, UNKNOWN_ID, f"{name}.looked_up")
    column = some_rows(low, given, f"{name}.rows", INT64)
    return Vector(emit.op("Squeeze", [column, emit.integers(1)], f"{name}.number"))


def lower_keys(low: Lowering, node: KeysInput) -> PaddedSequence:
    """1 for each label that is on at a step and 0 for the others: `[T, B, size]`."""
    emit, name, shape = low.emit, node.name, list[Extent]([BATCH, TIME])
    if low.ids:
        doc = "1 for each label that is on at a step, 0 for the others"
        on = emit.input(node.column, FLOAT, [*shape, node.size], doc, reserved=True)
        return on_time_axis(low, node, time_major(low, on, f"{name}.steps", [node.size]))
    known = low.facts.inputs[node.column]
    assert isinstance(known, ClassFacts), f"{node.column} has no labels"
    doc = "the labels that are on at each step, padded with empty texts"
    labels = emit.input(node.column, STRING, [*shape, "keys"], doc, reserved=True)
    # What is no label of training is set beyond the last one, and cut off.
    table = dict(zip(known.labels, range(node.size), strict=True))
    numbers = numbered(low, labels, table, node.size, f"{name}.looked_up")
    extents = emit.op("Shape", [labels], f"{name}.extents")
    extent = emit.op("Slice", [extents, emit.integers(0), emit.integers(2)], f"{name}.extent")
    wide = [extent, emit.integers(node.size + 1)]
    wide_shape = emit.op("Concat", wide, f"{name}.wide_shape", {"axis": 0})
    pieces = [
        emit.op("Expand", [emit.number(0.0), wide_shape], f"{name}.off"),
        numbers,
        emit.op("Expand", [emit.number(1.0), extents], f"{name}.ones"),
    ]
    flags = emit.op("ScatterElements", pieces, f"{name}.flags", {"axis": 2})
    bounds = map(emit.integers, (0, node.size, 2))
    on = emit.op("Slice", [flags, *bounds], f"{name}.on")
    return on_time_axis(low, node, time_major(low, on, f"{name}.steps", [node.size]))
