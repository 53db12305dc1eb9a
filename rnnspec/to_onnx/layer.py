"""Recurrent layers: by which of three lowerings each is computed."""

from __future__ import annotations

from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.lowering import Demand, Lowering, PaddedSequence
from rnnspec.to_onnx.masked import lower_masked
from rnnspec.to_onnx.native import NATIVE, lower_native, native_match
from rnnspec.to_onnx.recurrent import lower_scan


def lower_recurrent(low: Lowering, node: Recurrent) -> PaddedSequence:
    """One layer, in all its directions: `[T, B, inputs]` to `[T, B, width]`.

    By the operator that computes its cell; without lengths where the file is portable; else, or if
    none does, from its equations.
    """
    streamed, narrow = low.chunks is not None, low.narrow
    match = None if low.generic else native_match(node, streamed, narrow, low.portable)
    if match is None:
        return lower_scan(low, node)
    if low.portable and not low.step:
        return lower_masked(low, node, match)
    return lower_native(low, node, match)


def needs_time_step(
    node: Recurrent,
    demand: Demand,
    streamed: bool = False,
    narrow: bool = False,
    portable: bool = False,
) -> bool:
    """Whether the layer, where native operators are used, cannot take an empty time axis."""
    match = native_match(node, streamed, narrow, portable)
    if match is None or portable:
        return True
    operator = NATIVE[match.pattern]
    # The workaround for RNN's last output needs a step, a product of stacked matrices too.
    projected = bool(operator.projection) and len(node.directions) > 1
    ends = demand.last or bool(demand.final_states)
    return (ends and operator.kind == "RNN") or (demand.steps and projected)
