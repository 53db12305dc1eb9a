"""One step of a loop as the body of a Scan: a Gemm for each product, and no value split.

Joined products would be computed faster, but an operator of a body costs about a microsecond, and
splitting a joined result takes several. onnxruntime runs a Gemm, what is added to it and the
activation that follows as one operator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from rnnspec.cells.graph import Graph
from rnnspec.cells.reassociate import closure, count_uses
from rnnspec.cells.schedule import Loop, Scan
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import operation
from rnnspec.to_onnx.lowering import BATCH
from rnnspec.to_onnx.structural import structural
from rnnspec.to_onnx.weights_only import WeightsOnly


def is_sum(graph: Graph, scan: Scan) -> bool:
    """Whether `state = state + addend`."""
    factor = graph.nodes[scan.factor]
    return (factor.op, factor.value) == ("constant", 1.0)


class StepBody:
    """The body of one loop.

    `outside` are the values known for all steps, `[T, B, width]`, `states` the body's names of the
    states before the step, `here` the values `[B, width]` that the body has already. `dimension`
    is the name of B.
    """

    def __init__(
        self,
        emit: Emitter,
        prefix: str,
        graph: Graph,
        weights: WeightsOnly,
        outside: Mapping[int, str],
        states: Mapping[str, str],
        here: Mapping[int, str] = MappingProxyType({}),
        dimension: str = BATCH,
    ) -> None:
        self._emit, self._prefix, self._graph, self._nodes = emit, prefix, graph, graph.nodes
        self._weights, self._outside, self._states = weights, outside, states
        self._dimension = dimension
        self._uses = count_uses(graph)
        self._values: dict[int, str] = dict(here)
        self._scanned: dict[str, str] = {}

    def loop(self, loop: Loop) -> list[str]:
        """Emit a step; the values of the next states, then of the exports."""
        ends = [*(self._graph.next_states[state] for state in loop.states), *loop.exports]
        self._compute(ends)
        leaving: list[str] = []
        for index in ends:
            leaving.append(self._leaving(self._values[index], leaving))
        return leaving

    def whole(self) -> tuple[dict[str, str], str]:
        """Emit a whole step of the cell; the values of the next states, by name, and the output:
        `[B, width]`, or `[width]` or `[]` if it needs weights only."""
        following = self._graph.next_states
        self._compute([*following.values(), self._graph.output])
        return {s: self._value(i) for s, i in following.items()}, self._value(self._graph.output)

    def linear(self, scan: Scan) -> list[str]:
        """Emit a step of `state = factor * state + addend`; the next state, twice."""
        emit, name = self._emit, f"{self._prefix}.{scan.state}"
        kept = self._states[scan.state]
        if not is_sum(self._graph, scan):
            kept = emit.op("Mul", [self._value(scan.factor), kept], f"{name}.kept")
        terms = [kept, self._value(scan.addend)]
        following = emit.op("Add", terms, f"{name}.after")
        return [following, self._leaving(following, [following])]

    def sequences(self) -> list[str]:
        """The scan inputs, in the order in which the body takes them."""
        return list(self._scanned)

    def scanned(self, sequence: str, width: int) -> str:
        """The body's name of one step of `sequence` `[T, B, width]`: `[B, width]`."""
        if sequence not in self._scanned:
            name = f"{sequence}.at_step"
            self._scanned[sequence] = self._emit.input(name, FLOAT, [self._dimension, width])
        return self._scanned[sequence]

    def _compute(self, ends: Collection[int]) -> None:
        inside = self._inside(ends)
        terms = set(self._terms_in(inside))
        for index in inside:
            if index not in terms:
                self._values[index] = self._computed(index, terms)

    def _inside(self, ends: Collection[int]) -> Collection[int]:
        """The nodes to compute here, in order."""
        known = {
            index
            for index, node in enumerate(self._nodes)
            if node.op == "state"
            or index in self._outside
            or index in self._values
            or self._weights.holds(index)
        }
        return dict.fromkeys(closure(self._nodes, ends, known)).keys()

    def _terms_in(self, inside: Collection[int]) -> Iterator[int]:
        """Products and sums that a single sum reads: they are computed as parts of it."""
        for index in inside:
            if self._nodes[index].op == "add":
                for arg in self._nodes[index].args:
                    sums_up = self._nodes[arg].op in ("add", "matmul")
                    if sums_up and arg in inside and self._uses[arg] == 1:
                        yield arg

    def _computed(self, index: int, terms: Collection[int]) -> str:
        node = self._nodes[index]
        if node.op in ("add", "matmul"):
            return self._sum(index, terms)
        arguments = [self._value(arg) for arg in node.args]
        name = f"{self._prefix}.{node.op}_{index}"
        if self._weights.is_shaped(index):
            found = self._weights.arguments(node.args, arguments, 1)
            return structural(self._emit, node.op, self._weights.layout(index), found, name)
        return operation(self._emit, node.op, arguments, name, self._weights.width(index))

    def _sum(self, index: int, terms: Collection[int]) -> str:
        """A sum: first what is no product, then each product as the Gemm that adds to the rest."""
        total, products = "", []
        for term in self._flat(index, terms):
            if self._nodes[term].op == "matmul" and (term == index or term in terms):
                products.append(term)
                continue
            name, value = f"{self._prefix}.sum_{index}", self._value(term)
            total = self._emit.op("Add", [total, value], name) if total else value
        for product in products:
            matrix, operand = self._nodes[product].args
            inputs = [self._value(operand), self._weights.matrix(self._nodes[matrix].name)]
            name = f"{self._prefix}.{self._nodes[matrix].name}.product"
            if total:
                total = self._emit.op("Gemm", [*inputs, total], f"{name}.added")
            else:
                total = self._emit.op("MatMul", inputs, name)
        return total

    def _flat(self, index: int, terms: Collection[int]) -> Iterator[int]:
        """The terms of a sum, with the sums in it flattened."""
        waiting = [index]
        while waiting:
            term = waiting.pop()
            if self._nodes[term].op == "add" and (term == index or term in terms):
                waiting.extend(reversed(self._nodes[term].args))
            else:
                yield term

    def _value(self, index: int) -> str:
        """A value `[B, width]`, or `[width]` or `[]` if it needs weights only."""
        node = self._nodes[index]
        if index not in self._values:
            if node.op == "state" and node.name in self._states:
                self._values[index] = self._states[node.name]
            elif self._weights.holds(index):
                self._values[index] = self._weights.value(index)
            else:
                width = self._weights.width(index)
                self._values[index] = self.scanned(self._outside[index], width)
        return self._values[index]

    def _leaving(self, value: str, taken: Collection[str]) -> str:
        """The value, under another name if it leaves the body already."""
        return self._emit.op("Identity", [value], f"{value}.again") if value in taken else value
