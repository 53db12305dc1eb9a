"""Recurrent layers: by which of three lowerings each is computed."""

from __future__ import annotations

from rnnspec.cells.library import identify
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.lowering import Demand, Lowering, PaddedSequence
from rnnspec.to_onnx.masked import keeps_cell_state, lower_masked
from rnnspec.to_onnx.native import NATIVE, lower_native, native_match
from rnnspec.to_onnx.recurrent import lower_scan

IN_8_BITS = ("lstm", "lstm_peephole", "lstm_coupled")
UNITS_IN_8_BITS = 128
"""From how many units on an LSTM in 8 bits is faster (`benchmarks/small_files.py`)."""


def lower_recurrent(low: Lowering, node: Recurrent) -> PaddedSequence:
    """One layer, in all its directions: `[T, B, inputs]` to `[T, B, width]`.

    By the operator that computes its cell; without lengths where the file is portable, or where the
    operator has a form in 8 bits; else, or if none does, from its equations.
    """
    streamed, demand = low.chunks is not None, low.demands[node.name]
    step = low.step and node.source in low.streaming().stream.lags  # not of what is in a step
    whole = low.narrow and has_form_in_8_bits(node, demand, step)
    narrow = low.narrow and not whole
    match = None if low.generic else native_match(node, streamed, narrow, low.portable)
    if match is None:
        return lower_scan(low, node)
    if (low.portable or whole) and not step:
        return lower_masked(low, node, match)
    return lower_native(low, node, match)


def has_form_in_8_bits(node: Recurrent, demand: Demand, step: bool = False) -> bool:
    """Whether onnxruntime has an operator for the whole layer whose products are of 8 bits, which
    is faster than a Scan with such products (`rnnspec.to_onnx.small`).

    It reads no lengths: a cell state after a row's own last step it does not give, but in files of
    single steps, where each row has one.
    """
    match = identify(node.answering_cell)
    if match is None or match.pattern not in IN_8_BITS or node.units < UNITS_IN_8_BITS:
        return False
    return step or not keeps_cell_state(node, match, demand.final_states)


def needs_time_step(
    node: Recurrent,
    demand: Demand,
    streamed: bool = False,
    narrow: bool = False,
    portable: bool = False,
) -> bool:
    """Whether the layer, where native operators are used, cannot take an empty time axis."""
    whole = narrow and has_form_in_8_bits(node, demand)
    match = native_match(node, streamed, narrow and not whole, portable)
    if match is None or portable or whole:
        return True
    operator = NATIVE[match.pattern]
    # The workaround for RNN's last output needs a step, a product of stacked matrices too.
    projected = bool(operator.projection) and len(node.directions) > 1
    ends = demand.last or bool(demand.final_states)
    return (ends and operator.kind == "RNN") or (demand.steps and projected)
