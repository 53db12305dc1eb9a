"""A loop's body as instructions: one step forward and, by its adjoint, one step backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from rnnspec.cells.graph import Graph
from rnnspec.cells.reassociate import count_uses
from rnnspec.cells.schedule import JoinedProduct, Loop
from rnnspec.cells.sizes import extent
from rnnspec.to_torch import instructions as do
from rnnspec.to_torch.adjoint import Adjoint, Differentiator
from rnnspec.to_torch.functions import OPERATIONS
from rnnspec.to_torch.instructions import Body, Columns, Instruction, Run, Value, runs
from rnnspec.to_torch.structural import operation_of


@dataclass(frozen=True)
class Backward:
    """A loop's adjoint, the loop's own values that it needs, and those from outside."""

    adjoint: Adjoint
    kept: frozenset[Value]
    outside: tuple[Value, ...]


class LoopCode:
    """A loop as instructions. `sizes`: the number of each size name; `rows`: of each matrix.

    `own` are the values of the loop: those it computes, and its states before each step. `reads`
    are the nodes from outside that its steps read, apart from the addends of products.
    """

    def __init__(
        self, graph: Graph, loop: Loop, sizes: Mapping[str, int], rows: Mapping[str, int]
    ) -> None:
        self.graph, self.loop, self.sizes = graph, loop, sizes
        self.widths = [extent(node.shape, sizes) for node in graph.nodes]
        self.products = [e for e in loop.entries if isinstance(e, JoinedProduct)]
        self.states = {state: graph.next_states[state] for state in loop.states}
        self.leaves = {n.name: i for i, n in enumerate(graph.nodes) if n.op == "state"}
        values = count(len(graph.nodes))
        self.matrices = {number: next(values) for number in range(len(self.products))}
        self.joined = {number: next(values) for number in range(len(self.products))}
        self.columns: dict[Value, Columns] = {}
        self.runs: dict[int, list[tuple[Run, Value]]] = {}
        for number, product in enumerate(self.products):
            found = runs(number, product, rows)
            self.columns[self.joined[number]] = Columns(number, 0, found[-1].columns.stop)
            self.runs[number] = [(run, next(values)) for run in found]
            for run, value in self.runs[number]:
                self.columns[value] = run.columns
                self.columns.update(run.results)
        self.body = Body(self._forward())
        own = self.body.writes | set(self.columns) | {self.leaves[state] for state in self.states}
        self.own = frozenset(own)
        self.reads = sorted(self.body.reads - own - set(self.matrices.values()))
        self._values = values
        self._backward: dict[frozenset[int], Backward] = {}

    def backward(self, wanted: frozenset[int]) -> Backward:
        """The backward pass to the values `wanted` among those the loop `reads`; made once."""
        if wanted not in self._backward:
            adjoint = Differentiator(
                self.graph,
                self.loop,
                self.sizes,
                self.widths,
                self.runs,
                self.matrices,
                self._values.__next__,
            ).adjoint(wanted)
            read = adjoint.reads | {product.operand for product in self.products}
            self._backward[wanted] = Backward(
                adjoint, read & self.own, tuple(sorted(adjoint.reads & set(self.reads)))
            )
        return self._backward[wanted]

    def _forward(self) -> tuple[Instruction, ...]:
        uses = count_uses(self.graph)
        inside = {entry for entry in self.loop.entries if isinstance(entry, int)}
        fused_in: set[int] = set()
        found: list[Instruction] = []
        numbers = iter(range(len(self.products)))
        for entry in reversed(self.loop.entries):
            if isinstance(entry, JoinedProduct):
                continue
            fused = self._with_product(entry, inside, uses)
            if fused is not None:
                fused_in.add(fused[0])
        for entry in self.loop.entries:
            if isinstance(entry, JoinedProduct):
                found += self._joined(next(numbers), entry)
            elif entry not in fused_in:
                fused = self._with_product(entry, inside, uses)
                found.append(fused[1] if fused else self._operation(entry))
        return tuple(found)

    def _joined(self, number: int, product: JoinedProduct) -> list[Instruction]:
        """The product, added to the addends its tensor holds, then the activations in place."""
        args = (product.operand, self.matrices[number])
        added = Instruction(do.accumulate_matmul, args, self.joined[number])
        activations = [
            Instruction(do.into(OPERATIONS[run.activation], 1), (value,), value)
            for run, value in self.runs[number]
            if run.activation
        ]
        return [added, *activations]

    def _operation(self, index: int) -> Instruction:
        node = self.graph.nodes[index]
        function = operation_of(self.graph, index, self.sizes)
        return Instruction(do.into(function, len(node.args)), node.args, index)

    def _with_product(
        self, index: int, inside: set[int], uses: Mapping[int, int]
    ) -> tuple[int, Instruction] | None:
        """A sum or difference with a product that has no other reader, as one instruction, and the
        product's index."""
        node = self.graph.nodes[index]
        if node.op not in ("add", "sub"):
            return None
        for one, other in (node.args, node.args[::-1])[: 2 if node.op == "add" else 1]:
            factors = self.graph.nodes[other]
            fits = self.graph.nodes[one].shape == factors.shape == node.shape
            if factors.op == "mul" and other in inside and uses[other] == 1 and fits:
                function = do.add_product if node.op == "add" else do.subtract_product
                return other, Instruction(function, (one, *factors.args), index)
        return None
