"""Recurrent layers from the equations of their cell, by the schedule of the cell: what can be
computed for all steps at once, the rest as a Scan.

Nothing is masked inside a loop. Steps past a row's length compute on; in order of reading they
come after all of the row's own steps, so that they reach none of them, and their values are
replaced afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import assert_never

import numpy as np

from rnnspec.cells.schedule import Chunks, Delay, JoinedProduct, Loop, Scan, Whole, schedule
from rnnspec.plan.nodes import FinalState, Recurrent
from rnnspec.to_onnx.emitter import FLOAT
from rnnspec.to_onnx.functions import operation
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.rewrite import rewritten, with_unit_steps
from rnnspec.to_onnx.scan_body import StepBody, is_sum
from rnnspec.to_onnx.structural import structural
from rnnspec.to_onnx.weights_only import WeightsOnly


def lower_scan(low: Lowering, node: Recurrent) -> PaddedSequence:
    """One layer, each of its directions on its own."""
    assert low.padded, "Scan refuses an empty time axis"
    cells = [_direction(low, node, direction) for direction in node.directions]
    found = of_directions(low, node, [cell.outputs() for cell in cells])
    return replace(found, final_states=_final_states(low, node, cells))


def of_directions(low: Lowering, node: Recurrent, outputs: list[str]) -> PaddedSequence:
    """What is read of a layer from the `outputs` `[T, B, width]` of its directions, each in the
    order in which it reads the steps; without final states."""
    name, demand, lengths = node.name, low.demands[node.name], low.steps(node.source).lengths
    steps = last = ""
    if demand.last:
        last = lengths.at_end(joined(low, f"{name}.as_read", outputs), f"{name}.last")
    if demand.steps:
        in_time = [
            lengths.reversed(output, f"{output}.in_time") if direction == "reverse" else output
            for direction, output in zip(node.directions, outputs, strict=True)
        ]
        steps = lengths.cleaned(joined(low, f"{name}.in_time", in_time), f"{name}.steps")
    return PaddedSequence(steps, lengths, last, clean=True)


def _final_states(low: Lowering, node: Recurrent, cells: list[CellLowering]) -> dict[str, str]:
    """Each state read after the last step; in rows of no steps the initial one."""
    lengths, found = low.steps(node.source).lengths, {}
    for state in sorted(low.demands[node.name].final_states):
        name = f"{node.name}.final_{state}"
        read = joined(low, f"{name}.as_read", [cell.after_each(state) for cell in cells])
        before = joined(low, f"{name}.initial", [cell.before(state) for cell in cells])
        last = lengths.last_step(read, f"{name}.or_anything")
        found[state] = lengths.or_before(last, before, name)
    return found


def joined(low: Lowering, name: str, parts: list[str]) -> str:
    """The directions side by side."""
    return parts[0] if len(parts) == 1 else low.emit.concat(parts, -1, name)


def _direction(low: Lowering, node: Recurrent, direction: str) -> CellLowering:
    """One direction, whose values `[T, B, width]` are in the order in which it reads the steps."""
    prefix, source = f"{node.name}.{direction}", low.steps(node.source)
    lengths = source.lengths
    inputs = {"x": source.name}
    if node.elapsed:
        inputs["dt"] = low.steps(node.elapsed).name
    if direction == "reverse":
        inputs = {
            name: lengths.reversed(value, f"{prefix}.{name}.as_read")
            for name, value in inputs.items()
        }
    states = node.cell.states
    before = {state: initial_state(low, node, direction, state, lengths) for state in states}
    return CellLowering(low, node, prefix, inputs, before, low.demands[node.name].final_states)


def lower_final_state(low: Lowering, node: FinalState) -> Vector:
    """A state of a layer after the last step that each direction read."""
    return Vector(low.steps(node.source).final_states[node.state])


def initial_state(
    low: Lowering, node: Recurrent, direction: str, state: str, lengths: Lengths
) -> str:
    """One state of one direction, `[B, width]`, before the first step of the row or chunk."""
    if low.chunks and low.chunks.has(kept := f"{node.name}.{state}"):
        return _after_chunk(low, node, state, kept)
    return _first_state(low, node, direction, state, lengths)


def _after_chunk(low: Lowering, node: Recurrent, state: str, kept: str) -> str:
    """A state as the chunk before left it; in a row that begins its first value."""
    chunks, emit = low.chunks, low.emit
    assert chunks is not None
    before = chunks.before(kept)
    if node.initial == "zeros":
        return before
    lengths = low.steps(node.source).lengths
    first = _first_state(low, node, "forward", state, lengths)
    return emit.op("Where", [chunks.begun(), before, first], f"{kept}.or_first")


def _first_state(
    low: Lowering, node: Recurrent, direction: str, state: str, lengths: Lengths
) -> str:
    """One state of one direction, `[B, width]`, before the first step of a row."""
    if source := _given(node, state):
        return low.vector(source)
    width = node.state_width(state)
    if node.initial != "learned":
        return lengths.zeros(width)
    emit, name = low.emit, f"{node.name}.{direction}.initial.{state}"
    extents = [lengths.batch(), emit.integers(width)]
    shape = emit.concat(extents, 0, f"{name}.shape")
    return emit.op("Expand", [low.canonical(name), shape], f"{name}.rows")


def initial_states(low: Lowering, node: Recurrent, state: str, lengths: Lengths) -> str:
    """One state of all directions, `[D, B, width]`; "" if it is 0."""
    emit, name, count = low.emit, f"{node.name}.initial.{state}", len(node.directions)
    if low.chunks and low.chunks.has(kept := f"{node.name}.{state}"):
        return emit.unsqueeze(_after_chunk(low, node, state, kept), 0, f"{name}.kept")
    if source := _given(node, state):
        given = emit.unsqueeze(low.vector(source), 0, f"{name}.given")
        # Expand would take a single row for all rows of the batch.
        return given if count == 1 else emit.concat([given] * count, 0, name)
    if node.initial != "learned":
        return ""
    names = [f"{node.name}.{direction}.initial.{state}" for direction in node.directions]
    start = emit.weight(name, np.stack([low.weights[each][np.newaxis] for each in names]))
    extents = [emit.integers(count), lengths.batch(), emit.integers(node.state_width(state))]
    shape = emit.concat(extents, 0, f"{name}.shape")
    return emit.op("Expand", [start, shape], f"{name}.rows")


def _given(node: Recurrent, state: str) -> str:
    """The node that gives the state; "" if none does."""
    return dict(zip(node.cell.states, node.given, strict=False)).get(state, "")


class CellLowering:
    """One direction of a layer, phase by phase of the schedule of its cell.

    `inputs` are the cell's, by name, `[T, B, width]`, `before` its states before the first step,
    `[B, width]`. An elapsed time that is no input is 1. `final_states` are those that are read
    after each step.
    """

    def __init__(
        self,
        low: Lowering,
        node: Recurrent,
        prefix: str,
        inputs: Mapping[str, str],
        before: Mapping[str, str],
        final_states: Collection[str] = (),
    ) -> None:
        cell = node.answering_cell
        absent = frozenset(cell.inputs) - inputs.keys()
        graph = with_unit_steps(cell.graph, absent) if absent else cell.graph
        self._plan = schedule(rewritten(graph), matrices_in_steps=True)
        self._graph = self._plan.graph
        self._low = low
        self._emit, self._prefix, self._x, self._before = low.emit, prefix, inputs["x"], before
        self._x_width, self._final_states = node.inputs, final_states
        self._dimension = low.steps(node.source).lengths.dimension
        self._weights = WeightsOnly(low.emit, prefix, self._graph, low.weights, node.extents)
        self._flat: dict[int, str] = {}
        self._shapes: dict[int, str] = {}
        self._values: dict[int, str] = {
            index: inputs[each.name]
            for index, each in enumerate(self._graph.nodes)
            if each.op == "input"
        }

    def outputs(self) -> str:
        """Emit everything; the outputs `[T, B, width]`."""
        for phase in self._plan.phases:
            match phase:
                case Whole():
                    self._whole(phase)
                case Delay():
                    pass  # the next values are known, and `_state` looks them up
                case Scan() if is_sum(self._graph, phase) and not self._low.step:
                    self._sum(phase)
                case Scan() | Loop():
                    self._loop(phase)
                case Chunks():
                    raise AssertionError("matrices are computed in steps")
                case _:
                    assert_never(phase)
        output = self._graph.output
        return self._along(output, self._weights.width(output))

    def before(self, state: str) -> str:
        """A state before the first step, `[B, width]`."""
        return self._before[state]

    def after_each(self, state: str) -> str:
        """A state of `final_states` after each step, `[T, B, width]`; once all is emitted."""
        return self._along(self._next(state), self._state_width(state))

    def _whole(self, phase: Whole) -> None:
        for entry in phase.entries:
            if isinstance(entry, JoinedProduct):
                self._products(entry)
            elif not self._weights.holds(entry):
                node = self._graph.nodes[entry]
                if node.op == "state":
                    self._values[entry] = self._state(node.name)
                    continue
                arguments = [self._value(arg) for arg in node.args]
                name, width = f"{self._prefix}.{node.op}_{entry}", self._weights.width(entry)
                if self._weights.is_shaped(entry):
                    found = self._weights.arguments(node.args, arguments, 2)
                    dims = self._weights.layout(entry)
                    self._values[entry] = structural(self._emit, node.op, dims, found, name)
                    continue
                self._values[entry] = operation(self._emit, node.op, arguments, name, width)

    def _products(self, product: JoinedProduct) -> None:
        for matrix, addend, result in zip(
            product.matrices, product.addends, product.results, strict=True
        ):
            if self._weights.holds(result):
                continue
            name, inputs = f"{self._prefix}.{matrix}", [self._weights.matrix(matrix)]
            if addend is None:
                inputs.insert(0, self._value(product.operand))
                self._values[result] = self._emit.op("MatMul", inputs, f"{name}.product")
                continue
            inputs = [self._rows(product.operand), *inputs, self._value(addend)]
            value = self._emit.op("Gemm", inputs, f"{name}.rows")
            shape = self._shape(self._weights.width(result))
            self._values[result] = self._emit.op("Reshape", [value, shape], f"{name}.affine")

    def _rows(self, index: int) -> str:
        """A value of all steps as `[T * B, width]`, for operators that want a matrix."""
        if index not in self._flat:
            shape = self._emit.integers(-1, self._weights.width(index))
            name = f"{self._prefix}.rows_{index}"
            self._flat[index] = self._emit.op("Reshape", [self._value(index), shape], name)
        return self._flat[index]

    def _shape(self, width: int) -> str:
        """`[T, B, width]`."""
        if width not in self._shapes:
            emit, name = self._emit, f"{self._prefix}.shape.{width}"
            rows = emit.op("Shape", [self._x], f"{name}.rows", start=0, end=2)
            shape = emit.concat([rows, emit.integers(width)], 0, name)
            self._shapes[width] = shape
        return self._shapes[width]

    def _value(self, index: int) -> str:
        """`[T, B, width]`, or `[width]` or `[]` if it needs weights only."""
        return self._weights.value(index) if self._weights.holds(index) else self._values[index]

    def _along(self, index: int, width: int) -> str:
        """A value for all steps of all rows, `[T, B, width]`."""
        if not self._weights.holds(index):
            return self._values[index]
        if index not in self._values:
            value, name = self._weights.value(index), f"{self._prefix}.over_time_{index}"
            self._values[index] = self._emit.op("Expand", [value, self._shape(width)], name)
        return self._values[index]

    def _state(self, state: str) -> str:
        """The values of a state before each step, from its next values, which are known."""
        emit, name = self._emit, f"{self._prefix}.{state}.before_each"
        following = self._along(self._next(state), self._state_width(state))
        first = emit.unsqueeze(self._before[state], 0, f"{name}.first")
        others = emit.slice(following, 0, -1, 0, f"{name}.others")
        return emit.concat([first, others], 0, name)

    def _sum(self, phase: Scan) -> None:
        """A state to which a known value is added at each step, without a loop."""
        emit, name = self._emit, f"{self._prefix}.{phase.state}"
        first = emit.unsqueeze(self._before[phase.state], 0, f"{name}.first")
        added, width = self._value(phase.addend), self._state_width(phase.state)
        if self._weights.holds(phase.addend) or self._weights.width(phase.addend) < width:
            added = emit.op("Expand", [added, self._shape(width)], f"{name}.added")
        terms = emit.concat([first, added], 0, f"{name}.terms")
        sums = emit.op("CumSum", [terms, emit.integer(0)], f"{name}.sums")
        # int64's own largest number: the end of the axis, whatever it is
        following = emit.slice(sums, 1, int(np.iinfo(np.int64).max), 0, f"{name}.after_each")
        self._values[self._next(phase.state)] = following

    def _loop(self, phase: Loop | Scan) -> None:
        """Run states over time; each state and each export is then known for all steps."""
        states = phase.states if isinstance(phase, Loop) else (phase.state,)
        exports = (self._next(phase.state),) if isinstance(phase, Scan) else phase.exports
        if isinstance(phase, Loop):
            finals = (self._next(state) for state in states if state in self._final_states)
            exports = tuple(dict.fromkeys([*exports, *finals]))
            phase = replace(phase, exports=exports)
        body = self._emit.body()
        widths = [self._state_width(state) for state in states]
        inside = {
            state: body.input(f"{self._prefix}.{state}.before", FLOAT, [self._dimension, width])
            for state, width in zip(states, widths, strict=True)
        }
        step = StepBody(
            body,
            self._prefix,
            self._graph,
            self._weights,
            self._values,
            inside,
            {},
            self._dimension,
        )
        leaving = step.loop(phase) if isinstance(phase, Loop) else step.linear(phase)
        if not step.sequences():  # one that reads no input still takes one step for each of x
            step.scanned(self._x, self._x_width)
        for value, width in zip(
            leaving, [*widths, *map(self._weights.width, exports)], strict=True
        ):
            body.result(value, FLOAT, [self._dimension, width])
        title = f"{self._prefix}.{','.join(states)}"
        names = [f"{self._prefix}.{state}.final" for state in states]
        names += [f"{self._prefix}.over_time_{index}" for index in exports]
        found = self._emit.ops(
            "Scan",
            [*(self._before[state] for state in states), *step.sequences()],
            names,
            body=body.graph(f"{title}.step"),
            num_scan_inputs=len(step.sequences()),
        )
        self._values.update(zip(exports, found[len(states) :], strict=True))

    def _next(self, state: str) -> int:
        return self._graph.next_states[state]

    def _state_width(self, state: str) -> int:
        return self._weights.width(self._next(state))
