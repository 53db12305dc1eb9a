"""Labels of the steps of series, of the past and ahead: as texts, looked up in the graph, or as
ids."""

from __future__ import annotations

from rnnspec.plan import TextFacts
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.nodes import AheadFlat, CategoriesFuture, CategoriesInput
from rnnspec.to_onnx.axis import on_time_axis, time_major
from rnnspec.to_onnx.emitter import INT64, STRING, Extent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.tokens import ids_by_text, looked_up, refuse_negative


def lower_categories(low: Lowering, node: CategoriesInput) -> PaddedSequence:
    """The id of the label of each step, `[T, B]`."""
    numbers = _numbers(low, node, low.time_extent(node), "a label a step", "; past the length any")
    return on_time_axis(low, node, time_major(low, numbers, f"{node.name}.numbers"))


def lower_categories_future(low: Lowering, node: CategoriesFuture) -> PaddedSequence:
    """The ids of the labels ahead, `[H, B]`."""
    emit, name = low.emit, node.name
    numbers = _numbers(
        low, node, node.horizon, f"a label of each of the {node.horizon} steps ahead"
    )
    ahead = time_major(low, numbers, f"{name}.numbers", other=True)
    rows = emit.extent(numbers, 0, f"{name}.batch")
    lengths = emit.op("Expand", [emit.integer(node.horizon), rows], f"{name}.lengths")
    return PaddedSequence(ahead, Lengths(emit, name, lengths, ahead, padded=False), clean=True)


def _numbers(
    low: Lowering,
    node: CategoriesInput | CategoriesFuture,
    steps: Extent,
    words: str,
    past: str = "",
) -> str:
    """Ids `[B, steps]`, from texts or as they come in."""
    emit, name, shape = low.emit, node.name, list[Extent]([BATCH, steps])
    if low.ids:
        doc = f"{words}, as its number, from 0 to {node.size - 1}; {UNKNOWN_ID} is any other{past}"
        given = emit.input(f"{node.key}.ids", INT64, shape, doc, reserved=True)
        return refuse_negative(low, given, node.size, name)
    known = low.facts.inputs[node.column]
    assert isinstance(known, TextFacts), f"{node.column} has no labels"
    doc = f"{words}; one that training never showed, or none, is read as the unknown{past}"
    labels = emit.input(node.key, STRING, shape, doc, reserved=True)
    table = ids_by_text(known.vocabulary, fold_case=False)
    return looked_up(low, labels, table, UNKNOWN_ID, f"{name}.looked_up")


def lower_ahead_flat(low: Lowering, node: AheadFlat) -> Vector:
    """`[H, B, W]` to `[B, H * W]`."""
    emit, name = low.emit, node.name
    rows = emit.transpose(low.steps(node.source).name, [1, 0, 2], f"{name}.rows")
    wide = emit.integers(0, node.steps * node.width)
    return Vector(emit.op("Reshape", [rows, wide], name))
