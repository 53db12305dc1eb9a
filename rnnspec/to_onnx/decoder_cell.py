"""A recurrent layer of a decoder: one step of its cell's equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnspec.cells.reassociate import regroup_sums, state_groups
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rewrite import rewritten, with_unit_steps
from rnnspec.to_onnx.rows import Rows, State
from rnnspec.to_onnx.scan_body import StepBody
from rnnspec.to_onnx.weights_only import WeightsOnly, token_tables


class DecoderCell:
    """One layer, which reads forward and takes a step of time for each step of the answer."""

    def __init__(self, low: Lowering, node: Recurrent, rows: Rows) -> None:
        assert node.direction == "forward" and not node.elapsed, f"{node.name} cannot be stepped"
        cell = node.answering_cell
        absent = frozenset(cell.inputs) - {"x"}
        graph = with_unit_steps(cell.graph, absent) if absent else cell.graph
        graph = rewritten(graph)
        self._graph = regroup_sums(graph, state_groups(graph))
        self._low, self._node = low, node
        self._prefix = f"{node.name}.forward"
        self.states = [self._state(state, rows) for state in cell.states]

    def step_of_tokens(
        self, emit: Emitter, rows: Rows, tokens: str, table: str, before: Sequence[str]
    ) -> tuple[str, list[str]] | None:
        """As `step`, of the rows `tokens`, int64 `[R]`, of the weight `table`; None where computing
        is better than looking up."""
        weights = self._weights()
        found = token_tables(self._graph, weights, self._low.weights[table])
        if not found:
            return None
        here: dict[int, str] = {}
        for index, values in found.items():
            name = f"{self._prefix}.of_token_{index}"
            inputs = [emit.weight(f"{name}.table", values), tokens]
            here[index] = emit.op("Gather", inputs, name)
        return self._stepped(emit, rows, weights, here, before)

    def step(
        self, emit: Emitter, rows: Rows, x: str, before: Sequence[str]
    ) -> tuple[str, list[str]]:
        """The output `[R, width]` and the next states, of `x` `[R, inputs]`."""
        nodes = self._graph.nodes
        here = {index: x for index, node in enumerate(nodes) if node.op == "input"}
        return self._stepped(emit, rows, self._weights(), here, before)

    def _weights(self) -> WeightsOnly:
        low, node = self._low, self._node
        return WeightsOnly(low.emit, self._prefix, self._graph, low.weights, node.extents)

    def _stepped(
        self,
        emit: Emitter,
        rows: Rows,
        weights: WeightsOnly,
        here: Mapping[int, str],
        before: Sequence[str],
    ) -> tuple[str, list[str]]:
        node, graph = self._node, self._graph
        states = dict(zip(node.cell.states, before, strict=True))
        found, output = StepBody(emit, self._prefix, graph, weights, {}, states, here).whole()
        following: list[str] = []
        for state in node.cell.states:
            value, index = found[state], graph.next_states[state]
            if weights.holds(index) or not graph.nodes[index].shape:
                value = self._spread(emit, value, states[state], f"{self._prefix}.{state}.spread")
            following.append(value)
        if weights.holds(graph.output) or not graph.nodes[graph.output].shape:
            zeros = rows.zeros(node.name, node.output_width)
            output = emit.op("Add", [zeros, output], f"{self._prefix}.spread")
        return output, following

    def _spread(self, emit: Emitter, value: str, like: str, name: str) -> str:
        """A value of weights only, for each row."""
        shape = emit.op("Shape", [like], f"{name}.shape")
        return emit.op("Expand", [value, shape], name)

    def _state(self, state: str, rows: Rows) -> State:
        """A state before the first step, `[R, width]`."""
        low, node, width = self._low, self._node, self._node.state_width(state)
        name = f"{self._prefix}.{state}"
        given = dict(zip(node.cell.states, node.given, strict=False)).get(state, "")
        if given:
            initial = rows.repeated(low.vector(given))
        elif node.initial == "learned":
            learned = low.canonical(f"{self._prefix}.initial.{state}")
            initial = rows.filled(learned, f"{name}.learned", width)
        else:
            initial = rows.zeros(name, width)
        return State(name, initial, (width,))
