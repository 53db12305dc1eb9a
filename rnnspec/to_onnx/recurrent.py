"""Recurrent layers: a native operator where the equations are a built-in cell's, else Scan."""

from __future__ import annotations

from rnnspec.cells import Match, identify
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.lowering import Demand, Lowering, PaddedSequence
from rnnspec.to_onnx.native import NATIVE, lower_native
from rnnspec.to_onnx.scan import lower_scan


def is_native(node: Recurrent) -> bool:
    """Whether an ONNX operator computes this layer."""
    return _match(node) is not None


def needs_a_step(node: Recurrent, asked: Demand) -> bool:
    """Whether the layer, where native operators are used, cannot take an empty time axis."""
    match = _match(node)
    if match is None:
        return True
    operator = NATIVE[match.pattern]
    # RNN's last output is mended by a step; a product of many matrices refuses to be of none.
    projected = bool(operator.projection) and len(node.directions) > 1
    ends = asked.last or bool(asked.finals)
    return (ends and operator.kind == "RNN") or (asked.steps and projected)


def lower_recurrent(low: Lowering, node: Recurrent) -> PaddedSequence:
    """One layer, in all its directions: `[T, B, inputs]` to `[T, B, width]`."""
    match = None if low.generic else _match(node)
    return lower_scan(low, node) if match is None else lower_native(low, node, match)


def _match(node: Recurrent) -> Match | None:
    """The built-in cell whose operator computes this layer."""
    match = identify(node.answering_cell)
    if match is None or match.pattern not in NATIVE or not NATIVE[match.pattern].fits(node):
        return None
    # The operator's own state is the one before the projection, which an initial state is not.
    projected = bool(NATIVE[match.pattern].projection)
    return None if projected and node.initial != "zeros" else match
