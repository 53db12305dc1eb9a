"""The time axis that sequences share, of the model or of one of its encoders: its lengths, and how
each comes onto it.

A batch of no rows makes the native recurrent operators abort the whole process. Each input
therefore passes one Reshape whose shape has both a copied batch dimension and a `-1`: for no rows
the missing extent cannot be worked out and onnxruntime raises an exception. It moves no data.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.plan.names import first_sequences, lengths_names, splits_text
from rnnspec.plan.nodes import Decoder, Input
from rnnspec.to_onnx.emitter import INT64
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, time_dimension


def time_major(
    low: Lowering, value: str, name: str, widths: Sequence[int] = (), other: bool = False
) -> str:
    """`[T, B, …]` of `[B, T, …]`, whose further dimensions are `widths`. `other` says that T is an
    axis of its own."""
    emit, order = low.emit, [1, 0, *range(2, 2 + len(widths))]
    if low.step and not other:  # moves nothing, and refuses no rows as below
        return emit.op("Reshape", [value, emit.integers(1, -1, *widths)], name)
    turned = emit.transpose(value, order, f"{name}.time_major")
    return emit.op("Reshape", [turned, emit.integers(-1, 0, *widths)], name)


def nonempty_rows(low: Lowering, value: str, name: str, kind: int) -> str:
    """`[B, W]` of `[B, W]`, or `[B, 1]` of `[B]`, of an element type.

    A batch of no rows is refused, and one of another number of rows than other inputs have.
    """
    emit = low.emit
    rows = emit.op("Reshape", [value, emit.integers(0, -1)], name)
    if not _gathers_rows(low):
        return rows
    if not low.rows:
        low.rows.append(emit.slice(rows, 0, 1, 1, f"{name}.first"))
        if kind != INT64:
            low.rows[0] = emit.op("Cast", [low.rows[0]], f"{name}.whole", to=INT64)
        return rows
    return _same_rows(low, rows, name, kind)


def _gathers_rows(low: Lowering) -> bool:
    """Whether rows are gathered or compared somewhere, where a wrong number of them would go
    unnoticed."""
    several = len(first_sequences(low.plan)) > 1
    return several or any(isinstance(node, Decoder) for node in low.plan.nodes)


def _same_rows(low: Lowering, value: str, name: str, kind: int) -> str:
    """`value` `[B, W]`, refused where the first input has another number of rows.

    Concat checks the extents; onnxruntime leaves out a Reshape between extents of one name.
    """
    emit, other = low.emit, low.rows[0]
    if kind != INT64:
        other = emit.op("Cast", [other], f"{name}.others", to=kind)
    both = emit.concat([value, other], 1, f"{name}.beside_others")
    return emit.slice(both, 0, -1, 1, f"{name}.as_many")


def lengths_of_rows(low: Lowering, lengths: str, name: str) -> str:
    """`lengths` `[B]`, refused where the first input has another number of rows; later inputs are
    held against them."""
    if not _gathers_rows(low):
        return lengths
    emit, axis = low.emit, low.emit.integers(1)
    column = emit.op("Unsqueeze", [lengths, axis], f"{name}.column")
    if low.rows:  # of a vector that came in before
        column = _same_rows(low, column, name, INT64)
        lengths = emit.op("Squeeze", [column, axis], f"{name}.own")
    low.rows[:] = [column]
    return lengths


def on_time_axis(low: Lowering, node: Input, value: str, lengths: str = "") -> PaddedSequence:
    """`value` `[T, B, …]` of an input as a sequence.

    `lengths` are given where the model computes them, else they are an input. A text may have
    another extent of time than what comes in padded beside it; other lengths are refused.
    """
    emit, first = low.emit, first_sequences(low.plan)[node.axis]
    time = time_dimension(node.axis)
    if time not in low.axes:
        assert first.column == node.column, f"{node.name} is not the first sequence of its axis"
        if low.step:
            low.axes[time] = Lengths(emit, node.name, "", value, False, steps=1)
            return PaddedSequence(value, low.axes[time])
        row_lengths = lengths or _lengths_input(low, node.axis)
        row_lengths = lengths_of_rows(low, row_lengths, f"{node.name}.lengths")
        low.axes[time] = Lengths(emit, node.name, row_lengths, value, low.padded, time=time)
    else:
        if lengths or splits_text(first, low.ids):
            value = _same_steps(low, node, value)
        if lengths:
            value = _checked_lengths(low, node, value, lengths)
    return padded_where_empty(low, low.axes[time], value, node.name)


def padded_where_empty(low: Lowering, axis: Lengths, value: str, name: str) -> PaddedSequence:
    """`value` `[T, B, …]`, with a further step where no row has any and the graph needs one."""
    if low.padded:
        pads = [value, axis.padding(), "", low.emit.integers(0)]
        value = low.emit.op("Pad", pads, f"{name}.padded")
    return PaddedSequence(value, axis)


def _lengths_input(low: Lowering, axis: str) -> str:
    doc = "number of steps of each row, from 0 to the extent of the time axis"
    name = lengths_names(low.plan, low.ids)[axis]
    return low.emit.input(name, INT64, [BATCH], doc, reserved=True)


def _same_steps(low: Lowering, node: Input, value: str) -> str:
    """As many steps as the first sequence has: padded past every length, or cut."""
    emit, name = low.emit, f"{node.name}.as_long"
    own = emit.extent(value, 0, f"{name}.own")
    missing = emit.op("Sub", [low.axes[time_dimension(node.axis)].time(), own], f"{name}.missing")
    pads = emit.concat([emit.integers(0), missing], 0, f"{name}.pads")
    return emit.op("Pad", [value, pads, "", emit.integers(0)], name)


def _checked_lengths(low: Lowering, node: Input, ids: str, lengths: str) -> str:
    """Token ids `[T, B]`. Where a row has another length than in the first sequence, onnxruntime
    raises an exception, of an index out of bounds."""
    emit, name = low.emit, f"{node.name}.lengths"
    equal = emit.op("Equal", [lengths, low.axes[time_dimension(node.axis)].name], f"{name}.equal")
    unequal = emit.op("Not", [equal], f"{name}.unequal")
    flags = emit.op("Cast", [unequal], f"{name}.flags", to=INT64)
    nothing = emit.op("Gather", [emit.integers(0), flags], f"{name}.checked")
    return emit.op("Add", [ids, nothing], f"{name}.numbers")
