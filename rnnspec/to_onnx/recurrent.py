"""Recurrent layers: a native operator where the equations are a built-in cell's, else Scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells import Match, identify
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.emitter import FLOAT, Attributes
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.scan import lower_scan
from rnnspec.to_onnx.values import BATCH, Lowering, Steps


@dataclass(frozen=True, slots=True)
class Gate:
    """Names, in the built-in cell, of the parameters behind one block of the operator's tensors.

    `recurrent_bias` is empty where the cell has one bias for both products.
    """

    W: str
    R: str
    bias: str
    recurrent_bias: str = ""


@dataclass(frozen=True, slots=True)
class NativeOperator:
    """An operator and its gates, in the operator's order."""

    kind: str
    gates: tuple[Gate, ...]
    attributes: Attributes = field(default_factory=dict)


NATIVE: Mapping[str, NativeOperator] = {
    "rnn": NativeOperator("RNN", (Gate("W", "U", "b"),)),
    "lstm": NativeOperator("LSTM", tuple(Gate(f"W_{g}", f"U_{g}", f"b_{g}") for g in "iofg")),
    "gru": NativeOperator(
        "GRU",
        (Gate("W_z", "U_z", "b_z"), Gate("W_r", "U_r", "b_r"), Gate("W_n", "U_n", "b_n", "c_n")),
        {"linear_before_reset": 1},
    ),
    "gru_reset_before": NativeOperator(
        "GRU",
        tuple(Gate(f"W_{g}", f"U_{g}", f"b_{g}") for g in "zrn"),
        {"linear_before_reset": 0},
    ),
}
"""Built-in cell to operator, as the definitions of RNN, LSTM and GRU in the ONNX standard say."""


def is_native(node: Recurrent) -> bool:
    """Whether an ONNX operator computes this layer's cell."""
    match = identify(node.cell)
    return match is not None and match.pattern in NATIVE


def lower_recurrent(low: Lowering, node: Recurrent) -> Steps:
    """One layer, in all its directions: `[T, B, inputs]` to `[T, B, width]`."""
    match = None if low.generic else identify(node.cell)
    if match is None or match.pattern not in NATIVE:
        return lower_scan(low, node)
    return _native(low, node, match)


def _native(low: Lowering, node: Recurrent, match: Match) -> Steps:
    emit, name, operator = low.emit, node.name, NATIVE[match.pattern]
    source, asked = low.steps(node.source), low.demands[node.name]
    packed = _packed(low, node, operator, match)
    tensors = [emit.weight(f"{name}.packed.{part}", value) for part, value in packed.items()]
    mended = asked.last and operator.kind == "RNN"
    steps, last = emit.ops(
        operator.kind,
        [source.name, *tensors, source.lengths.int32()],
        [
            f"{name}.by_direction" if asked.steps or mended else "",
            f"{name}.last_by_direction" if asked.last and not mended else "",
        ],
        {"hidden_size": node.units, "direction": node.direction, **operator.attributes},
    )
    if mended:
        last = _last_of_steps(low, node, steps, source.lengths)
    elif asked.last:
        last = _joined(low, node, last, f"{name}.last", axis=0)
    if asked.steps:
        steps = _joined(low, node, steps, f"{name}.steps", axis=1)
    return Steps(steps if asked.steps else "", source.lengths, last, clean=True)


def _last_of_steps(low: Lowering, node: Recurrent, steps: str, lengths: Lengths) -> str:
    """The last output `[B, D * units]` of RNN by its outputs `[T, D, B, units]` of all steps.

    Up to onnxruntime 1.23, RNN's own last output reads outside of its memory where a row has no
    step: wrong numbers, or the end of the process.
    """
    emit, name = low.emit, f"{node.name}.last"
    rows, batch = lengths.rows(), lengths.batch()
    some, none = emit.body(), emit.body()
    flat = some.op("Reshape", [steps, some.integers(0, -1, node.units)], f"{name}.flat")
    found = []
    for direction in node.directions:
        if direction == "forward":  # step -1 is past the length of a row without steps, and so 0
            end = some.op("Sub", [lengths.name, some.integer(1)], f"{name}.end")
            column = some.op("Unsqueeze", [end, some.integers(1)], f"{name}.end_column")
            at = some.op("Concat", [column, rows], f"{name}.at", {"axis": 1})
            found.append(some.op("GatherND", [flat, at], f"{name}.forward"))
            continue
        start = some.op("Gather", [flat, some.integer(0)], f"{name}.reverse", {"axis": 0})
        if found:  # the rows of this direction follow those of the other one
            ends = some.integers(np.iinfo(np.int64).max)
            start = some.op("Slice", [start, batch, ends, some.integers(0)], f"{name}.second")
        found.append(start)
    last = found[0] if len(found) == 1 else some.op("Concat", found, f"{name}.some", {"axis": -1})
    some.result(last, FLOAT, [BATCH, node.width])
    shape = none.op("Concat", [batch, none.integers(node.width)], f"{name}.shape", {"axis": 0})
    zeros = none.op("Expand", [none.number(0.0), shape], f"{name}.none")
    none.result(zeros, FLOAT, [BATCH, node.width])
    any_step = emit.op("Greater", [lengths.time(), emit.integers(0)], f"{name}.any_step")
    branches = {"then_branch": some.graph(f"{name}.steps"), "else_branch": none.graph(f"{name}.no")}
    return emit.op("If", [any_step], name, branches)


def _joined(low: Lowering, node: Recurrent, value: str, name: str, axis: int) -> str:
    """Directions, which stand on `axis` just before the rows, moved into the width."""
    emit = low.emit
    if len(node.directions) == 1:
        return emit.op("Squeeze", [value, emit.integers(axis)], name)
    order = [0, 2, 1, 3] if axis else [1, 0, 2]
    turned = emit.op("Transpose", [value], f"{name}.turned", {"perm": order})
    return emit.op("Reshape", [turned, emit.integers(*([0] * (axis + 1)), node.width)], name)


def _packed(
    low: Lowering, node: Recurrent, operator: NativeOperator, match: Match
) -> dict[str, NDArray[np.float32]]:
    """W `[D, gates * units, inputs]`, R `[D, gates * units, units]`, B `[D, 2 * gates * units]`."""

    def stacked(direction: str, names: Sequence[str]) -> NDArray[np.float32]:
        prefix = f"{node.name}.{direction}."
        absent = np.zeros(node.units, np.float32)
        return np.concatenate(
            [low.weights[prefix + match.parameters[name]] if name else absent for name in names]
        )

    def each(names: Sequence[str]) -> NDArray[np.float32]:
        return np.stack([stacked(direction, names) for direction in node.directions])

    gates = operator.gates
    biases = each([gate.bias for gate in gates]), each([gate.recurrent_bias for gate in gates])
    return {
        "W": each([gate.W for gate in gates]),
        "R": each([gate.R for gate in gates]),
        "B": np.concatenate(biases, axis=1),
    }
