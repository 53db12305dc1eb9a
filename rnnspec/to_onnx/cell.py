"""One direction of a layer from its cell's equations, phase by phase of the cell's schedule."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from rnnspec.cells.schedule import Delay, JoinedProduct, Loop, Scan, Whole, schedule
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.emitter import FLOAT
from rnnspec.to_onnx.functions import operation
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rewrite import rewritten, with_unit_steps
from rnnspec.to_onnx.scan_body import StepBody
from rnnspec.to_onnx.weights_only import WeightsOnly


class CellLowering:
    """`inputs` are the cell's, by name, `[T, B, width]`, and `before` its states before the first
    step, `[B, width]`; an elapsed time that is no input is 1. `finals` are the states that are
    asked for after each step."""

    def __init__(
        self,
        low: Lowering,
        node: Recurrent,
        prefix: str,
        inputs: Mapping[str, str],
        before: Mapping[str, str],
        finals: Collection[str] = (),
    ) -> None:
        cell = node.answering_cell
        absent = frozenset(cell.inputs) - inputs.keys()
        graph = with_unit_steps(cell.graph, absent) if absent else cell.graph
        self._plan = schedule(rewritten(graph))
        self._graph = self._plan.graph
        self._emit, self._prefix, self._x, self._before = low.emit, prefix, inputs["x"], before
        self._x_width, self._finals = node.inputs, finals
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
                case Scan() | Loop():
                    self._loop(phase)
        output = self._graph.output
        return self._along(output, self._weights.width(output))

    def before(self, state: str) -> str:
        """A state before the first step, `[B, width]`."""
        return self._before[state]

    def after_each(self, state: str) -> str:
        """A state of `finals` after each step, `[T, B, width]`; once all is emitted."""
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
            rows = emit.op("Shape", [self._x], f"{name}.rows", {"start": 0, "end": 2})
            shape = emit.op("Concat", [rows, emit.integers(width)], name, {"axis": 0})
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
        first = emit.op("Unsqueeze", [self._before[state], emit.integers(0)], f"{name}.first")
        bounds = map(emit.integers, (0, -1, 0))
        others = emit.op("Slice", [following, *bounds], f"{name}.others")
        return emit.op("Concat", [first, others], name, {"axis": 0})

    def _loop(self, phase: Loop | Scan) -> None:
        """Run states over time; each state and each export is then known for all steps."""
        states = phase.states if isinstance(phase, Loop) else (phase.state,)
        exports = (self._next(phase.state),) if isinstance(phase, Scan) else phase.exports
        if isinstance(phase, Loop):
            asked = (self._next(state) for state in states if state in self._finals)
            exports = tuple(dict.fromkeys([*exports, *asked]))
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
            {"body": body.graph(f"{title}.step"), "num_scan_inputs": len(step.sequences())},
        )
        self._values.update(zip(exports, found[len(states) :], strict=True))

    def _next(self, state: str) -> int:
        return self._graph.next_states[state]

    def _state_width(self, state: str) -> int:
        return self._weights.width(self._next(state))
