"""Recurrent layers by operators of the ONNX standard, where these compute the cell; else Scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells import Match, identify
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.emitter import Attributes
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence
from rnnspec.to_onnx.recurrent import initial_states

Array = NDArray[np.float32]
Parameters = Mapping[str, Array]
"""The parameters of one direction, by the names of the built-in cell."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Names, in the built-in cell, of the parameters behind one block of the operator's tensors.

    `recurrent_bias` is empty where the cell has one bias for both products; all are empty where
    the operator has a gate that it does not read.
    """

    W: str = ""
    R: str = ""
    bias: str = ""
    recurrent_bias: str = ""


def _itself(parameters: Parameters, name: str) -> Array:
    return parameters[name]


def _diagonal(parameters: Parameters, name: str) -> Array:
    return np.diag(parameters[name])


def _of_projected(parameters: Parameters, name: str) -> Array:
    """`U (P v)` is `(U P) v`: the operator keeps the state v before its projection."""
    folded = parameters[name].astype(np.float64) @ parameters["P"].astype(np.float64)
    return folded.astype(np.float32)


def _below(units: int) -> Callable[[Recurrent], bool]:
    """Whether a layer has fewer units.

    onnxruntime's RNN multiplies each row by itself: a Scan, which multiplies all rows at once,
    takes 0.3 to 0.6 of its time from 4 rows on, and for one row as long from 128 units on with
    tanh, 256 with relu (`benchmarks/scan_latency.py`). A file does not know how many rows it will
    answer together: from the limits below on, one row loses at most a third.
    """
    return lambda node: node.units < units


def _of_wide_projection(node: Recurrent) -> bool:
    """A folded matrix is as large as the units are many; with units four times the projection a
    Scan, which multiplies by both matrices, takes a quarter of the time."""
    return node.units <= 2 * node.output_width


@dataclass(frozen=True, slots=True)
class NativeOperator:
    """An operator, its gates and states in its own order.

    `title` is the operator and what makes it compute the cell, in words. `recurrence` makes the
    matrix R of a gate; `peepholes` are the vectors behind P; `projection` is the matrix that the
    outputs are multiplied with, if any. `fits` says whether the operator is faster than a Scan for
    a layer of this size in onnxruntime; `portable` files do not ask. Where weights are kept in 8
    bits, a Scan, which multiplies in 8 bits, is faster from `units_of_scan` on; None: never.
    `everywhere`: other runtimes know the operator with these attributes too (OpenVINO and the
    reference of ONNX know no `input_forget` and no P).
    """

    title: str
    gates: tuple[Gate, ...]
    attributes: Attributes = field(default_factory=dict)
    states: tuple[str, ...] = ("h",)
    activations: tuple[str, ...] = ()
    recurrence: Callable[[Parameters, str], Array] = _itself
    peepholes: tuple[str, ...] = ()
    projection: str = ""
    fits: Callable[[Recurrent], bool] = lambda node: True
    units_of_scan: int | None = None
    everywhere: bool = True

    @property
    def kind(self) -> str:
        """The type of the operator."""
        return self.title.partition(" ")[0]


_I, _O, _F, _G = (Gate(f"W_{gate}", f"U_{gate}", f"b_{gate}") for gate in "iofg")
_LSTM = ("h", "c")

NATIVE: Mapping[str, NativeOperator] = {
    "rnn": NativeOperator("RNN", (Gate("W", "U", "b"),), fits=_below(64)),
    "rnn_relu": NativeOperator(
        "RNN with Relu", (Gate("W", "U", "b"),), activations=("Relu",), fits=_below(256)
    ),
    "indrnn": NativeOperator(
        "RNN with Relu and a diagonal R",
        (Gate("W", "u_h", "b"),),
        activations=("Relu",),
        recurrence=_diagonal,
        fits=_below(128),
    ),
    "lstm": NativeOperator("LSTM", (_I, _O, _F, _G), states=_LSTM, units_of_scan=256),
    "lstm_peephole": NativeOperator(
        "LSTM with peepholes P",
        (_I, _O, _F, _G),
        states=_LSTM,
        peepholes=("p_i", "p_o", "p_f"),
        units_of_scan=256,
        everywhere=False,
    ),
    "lstm_coupled": NativeOperator(
        "LSTM with input_forget=1",
        (_I, _O, Gate(), _G),
        {"input_forget": 1},
        states=_LSTM,
        units_of_scan=256,
        everywhere=False,
    ),
    "lstm_projected": NativeOperator(
        "LSTM with R = U P",
        (_I, _O, _F, _G),
        states=_LSTM,
        recurrence=_of_projected,
        projection="P",
        fits=_of_wide_projection,
    ),
    "gru": NativeOperator(
        "GRU with linear_before_reset=1",
        (Gate("W_z", "U_z", "b_z"), Gate("W_r", "U_r", "b_r"), Gate("W_n", "U_n", "b_n", "c_n")),
        {"linear_before_reset": 1},
        units_of_scan=256,
    ),
    "gru_reset_before": NativeOperator(
        "GRU with linear_before_reset=0",
        tuple(Gate(f"W_{gate}", f"U_{gate}", f"b_{gate}") for gate in "zrn"),
        {"linear_before_reset": 0},
        units_of_scan=256,
    ),
}
"""Built-in cell to operator, as the definitions of RNN, LSTM and GRU in the ONNX standard say."""


def native_match(
    node: Recurrent, streamed: bool = False, narrow: bool = False, portable: bool = False
) -> Match | None:
    """The built-in cell whose operator computes this layer; None: no operator does. `streamed`
    layers begin with the states that the chunk before left, weights of `narrow` ones are to be kept
    in 8 bits, `portable` ones run in other runtimes too."""
    match = identify(node.answering_cell)
    if match is None or match.pattern not in NATIVE:
        return None
    operator = NATIVE[match.pattern]
    if not operator.everywhere if portable else not operator.fits(node):
        return None
    least = operator.units_of_scan
    if narrow and least is not None and node.units >= least:
        return None
    # The operator's own state is the one before the projection, which an initial state is not.
    projected = bool(operator.projection)
    return None if projected and (streamed or node.initial != "zeros") else match


def lower_native(low: Lowering, node: Recurrent, match: Match) -> PaddedSequence:
    """One layer, in all its directions, as one operator."""
    name, operator, demand = node.name, NATIVE[match.pattern], low.demands[node.name]
    lengths, ours = low.steps(node.source).lengths, match.states
    finals = [state for state in operator.states if ours[state] in demand.final_states]
    # Up to onnxruntime 1.23, RNN reads its last output outside of its memory where a row has no
    # step: wrong numbers, or the end of the process.
    clamped = operator.kind == "RNN" and (demand.last or bool(finals))
    initial = {state: initial_states(low, node, ours[state], lengths) for state in operator.states}
    steps, ends = _operator(low, node, match, initial, finals, clamped)
    last = ""
    if demand.last:
        last = lengths.where_present(ends["h"], f"{name}.last") if clamped else ends["h"]
    if demand.steps and not _takes_one_step(node, lengths):
        steps = _joined(low, node, steps, f"{name}.steps", node.output_width, axis=1)
    final_states = {
        ours[state]: _or_initial(
            low, node, lengths, ends[state], initial[state], node.state_width(ours[state])
        )
        for state in finals
    }
    return PaddedSequence(steps, lengths, last, clean=not clamped, final_states=final_states)


def _operator(
    low: Lowering,
    node: Recurrent,
    match: Match,
    initial: Mapping[str, str],
    finals: Sequence[str],
    clamped: bool,
) -> tuple[str, dict[str, str]]:
    """The output of all steps, "" if not read, and the states after the last one, by name.

    `clamped` lengths are at least 1. Of a layer of one step, in one direction, the output is that
    after the last step, `[1, B, width]`.
    """
    emit, name, operator = low.emit, node.name, NATIVE[match.pattern]
    source, demand = low.steps(node.source), low.demands[node.name]
    tensors = _packed(low, node, operator, match)
    inputs = [
        source.name,
        *(emit.weight(f"{name}.packed.{part}", tensors[part]) for part in "WRB"),
        source.lengths.int32_at_least_one() if clamped else source.lengths.int32(),
        *initial.values(),
        emit.weight(f"{name}.packed.P", tensors["P"]) if operator.peepholes else "",
    ]
    once = demand.steps and _takes_one_step(node, source.lengths)
    outputs = [
        f"{name}.by_direction" if demand.steps and not once else "",
        f"{name}.last_by_direction" if once or demand.last or "h" in finals else "",
        *([f"{name}.last_c_by_direction"] if "c" in finals else []),
    ]
    attributes = attributes_of(node, operator, node.direction)
    found = emit.ops(operator.kind, without_trailing(inputs), outputs, **attributes)
    steps, h, c = [*found, ""][:3]
    if operator.projection:
        matrix = emit.weight(f"{name}.projection.transposed", tensors["projection"])
        steps, h = (
            value and emit.op("MatMul", [value, matrix], f"{value}.projected")
            for value in (steps, h)
        )
    widths = {state: node.state_width(match.states[state]) for state in operator.states}
    ends = {
        state: _joined(low, node, value, f"{name}.final_{state}", widths[state], axis=0)
        for state, value in (("h", h), ("c", c))
        if value and (state in finals or demand.last)
    }
    return h if once else steps, ends


def _takes_one_step(node: Recurrent, lengths: Lengths) -> bool:
    """Whether its output is that after its last step."""
    return lengths.steps == 1 and len(node.directions) == 1


def _or_initial(
    low: Lowering, node: Recurrent, lengths: Lengths, final: str, before: str, width: int
) -> str:
    """A state `[B, D * width]` after the last step, in rows of no steps the initial one, 0 or
    `[D, B, width]`: there the operators give 0, or anything."""
    if lengths.steps:
        return final
    first = low.emit.number(0.0)
    if before:
        first = _joined(low, node, before, f"{final}.initial", width, axis=0)
    return lengths.or_before(final, first, f"{final}.or_initial")


def without_trailing(inputs: list[str]) -> list[str]:
    """Inputs up to the last one that is there."""
    while not inputs[-1]:
        inputs = inputs[:-1]
    return inputs


def attributes_of(node: Recurrent, operator: NativeOperator, direction: str) -> Attributes:
    """Those of the operator that reads in one direction, or in both."""
    found = {"hidden_size": node.units, "direction": direction, **operator.attributes}
    if operator.activations:
        found["activations"] = operator.activations * (2 if direction == "bidirectional" else 1)
    return found


def _joined(low: Lowering, node: Recurrent, value: str, name: str, width: int, axis: int) -> str:
    """The directions, each of `width` numbers, side by side in one vector; `axis`, just before the
    rows, is theirs."""
    emit, count = low.emit, len(node.directions)
    if count == 1:
        return emit.squeeze(value, axis, name)
    order = [0, 2, 1, 3] if axis else [1, 0, 2]
    turned = emit.transpose(value, order, f"{name}.turned")
    return emit.op("Reshape", [turned, emit.integers(*([0] * (axis + 1)), count * width)], name)


def _packed(
    low: Lowering, node: Recurrent, operator: NativeOperator, match: Match
) -> dict[str, Array]:
    """W `[D, gates * units, inputs]`, R `[D, gates * units, units]`, B `[D, 2 * gates * units]`, P
    `[D, peepholes * units]`, and the projection, `[units, size]` or `[D, units, size]`."""
    found: list[dict[str, Array]] = []
    for direction in node.directions:
        prefix = f"{node.name}.{direction}."
        named = {ours: low.weights[prefix + name] for ours, name in match.parameters.items()}
        found.append(packed_direction(node, operator, named))
    whole = {part: np.stack([each[part] for each in found]) for part in found[0]}
    if operator.projection and len(found) == 1:  # a matrix is packed once by onnxruntime
        whole["projection"] = whole["projection"][0]
    return whole


def packed_direction(
    node: Recurrent, operator: NativeOperator, parameters: Parameters
) -> dict[str, Array]:
    """W `[gates * units, inputs]`, R `[gates * units, units]`, B `[2 * gates * units]` and, if the
    operator has them, P `[peepholes * units]` and the projection, `[units, size]`."""
    gates, units = operator.gates, node.units

    def stacked(
        names: Sequence[str], make: Callable[[Parameters, str], Array], *shape: int
    ) -> Array:
        absent = np.zeros(shape, np.float32)
        return np.concatenate([make(parameters, name) if name else absent for name in names])

    biases = [gate.bias for gate in gates] + [gate.recurrent_bias for gate in gates]
    found = {
        "W": stacked([gate.W for gate in gates], _itself, units, node.inputs),
        "R": stacked([gate.R for gate in gates], operator.recurrence, units, units),
        "B": stacked(biases, _itself, units),
    }
    if operator.peepholes:
        found["P"] = stacked(operator.peepholes, _itself, units)
    if operator.projection:
        found["projection"] = parameters[operator.projection].T
    return found
