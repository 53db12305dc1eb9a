"""Recurrent layers by native operators that are told no lengths, for files that run everywhere.

Runtimes but onnxruntime ignore `sequence_lens`, or refuse it. Each direction is an operator of its
own, which reads forward: in the order of reading a row's own steps come first, so that nothing past
its length reaches them. Outputs past the length are replaced; a state after the last step is the
output there.

An LSTM's cell state is no output of each step. Where it is read, the layer gets a further input, 1
past the length and 0 elsewhere, that closes the input gate and opens the forget gate: 1 * c + 0 * g
is c, to the last bit, in onnxruntime 1.17 to 1.31 and in OpenVINO.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnspec.cells import Match
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence
from rnnspec.to_onnx.native import NATIVE, attributes_of, packed_direction, without_trailing
from rnnspec.to_onnx.recurrent import initial_state, joined, of_directions

FROZEN = np.array([-(2.0**14), 0.0, 2.0**14, 0.0], np.float32)
"""What the gates i, o, f and c get past a row's length. float16 holds it, and no sum of weights
comes near."""


def lower_masked(low: Lowering, node: Recurrent, match: Match) -> PaddedSequence:
    """One layer, each of its directions on its own."""
    name, demand, lengths = node.name, low.demands[node.name], low.steps(node.source).lengths
    assert low.padded, "the operators abort the process on an empty time axis"
    parts = [_Direction(low, node, match, direction) for direction in node.directions]
    found = of_directions(low, node, [part.outputs for part in parts])
    finals = {}
    for state in sorted(demand.final_states):
        title = f"{name}.final_{state}"
        after = joined(low, f"{title}.or_anything", [part.final(state, lengths) for part in parts])
        before = joined(low, f"{title}.initial", [part.before[state] for part in parts])
        finals[state] = lengths.or_before(after, before, title)
    return replace(found, final_states=finals)


def keeps_cell_state(node: Recurrent, match: Match, states: frozenset[str]) -> bool:
    """Whether one of `states`, by the names of the layer's cell, is no output of each step."""
    return any(match.states[each] in states for each in NATIVE[match.pattern].states[1:])


class _Direction:
    """One direction: `outputs` `[T, B, width]` are in the order in which it reads the steps,
    `before` its states before the first one, `[B, width]`."""

    def __init__(self, low: Lowering, node: Recurrent, match: Match, direction: str) -> None:
        emit, prefix, operator = low.emit, f"{node.name}.{direction}", NATIVE[match.pattern]
        source = low.steps(node.source)
        demand, ours = low.demands[node.name], match.states
        self._low, self._prefix, self._output_state = low, prefix, ours[operator.states[0]]
        frozen = keeps_cell_state(node, match, demand.final_states)
        x = _with_flags(low, node, source) if frozen else source.name
        if direction == "reverse":
            x = source.lengths.reversed(x, f"{prefix}.as_read")
        self.before = {
            state: initial_state(low, node, direction, state, source.lengths)
            for state in node.cell.states
        }
        named = {own: low.weights[f"{prefix}.{name}"] for own, name in match.parameters.items()}
        tensors = packed_direction(node, operator, named)
        if frozen:
            tensors["W"] = np.hstack([tensors["W"], np.repeat(FROZEN, node.units)[:, np.newaxis]])
        weights = [emit.weight(f"{prefix}.packed.{p}", tensors[p][np.newaxis]) for p in "WRB"]
        zeros = node.initial == "zeros" and not node.given and low.chunks is None
        first = [] if zeros else [self._first(ours[state]) for state in operator.states]
        names = [f"{prefix}.by_direction", "", f"{prefix}.last_c"][: 3 if frozen else 1]
        inputs = without_trailing([x, *weights, "", *first])
        attributes = attributes_of(node, operator, "forward")
        found = emit.ops(operator.kind, inputs, names, **attributes)
        steps = emit.squeeze(found[0], 1, f"{prefix}.outputs")
        if operator.projection:
            matrix = emit.weight(f"{prefix}.projection.transposed", tensors["projection"])
            steps = emit.op("MatMul", [steps, matrix], f"{prefix}.outputs.projected")
        self.outputs, self._cell = steps, found[2] if frozen else ""

    def _first(self, state: str) -> str:
        """A state before the first step, as the operator takes it."""
        return self._low.emit.unsqueeze(self.before[state], 0, f"{self._prefix}.{state}.first")

    def final(self, state: str, lengths: Lengths) -> str:
        """A state after the row's last step, `[B, width]`; of a row without steps anything."""
        if state == self._output_state:
            return lengths.last_step(self.outputs, f"{self._prefix}.final_{state}")
        return self._low.emit.squeeze(self._cell, 0, f"{self._prefix}.final_{state}")


def _with_flags(low: Lowering, node: Recurrent, source: PaddedSequence) -> str:
    """The source, 0 past the length of each row, and beside it 1 there and 0 elsewhere."""
    emit, lengths, name = low.emit, source.lengths, f"{node.name}.flagged"

    def make(title: str) -> str:
        own = source.name if source.clean else lengths.cleaned(source.name, f"{title}.own")
        zero, one = emit.number(0.0), emit.number(1.0)
        flags = emit.op("Where", [lengths.mask(), zero, one], f"{title}.flags")
        return emit.concat([own, flags], -1, title)

    return lengths.emitted(name, make)
