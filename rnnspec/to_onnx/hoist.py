"""What of a cell can be computed before the first step; sums rearranged so that more can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from rnnspec.cells import Graph
from rnnspec.cells.graph import Node


class Needs(IntEnum):
    """What a value of a cell's graph is made of, at most."""

    WEIGHTS = 0
    INPUT = 1
    STATE = 2


@dataclass(frozen=True, slots=True)
class Expressions:
    """A cell's graph, ready to be lowered. `nodes` are in order of computation."""

    nodes: tuple[Node, ...]
    needs: tuple[Needs, ...]
    next_states: dict[str, int]
    output: int

    def reached(self) -> list[int]:
        """Nodes that something leaving the step depends on, in order of computation."""
        return closure(self.nodes, [*self.next_states.values(), self.output])

    def readers(self) -> dict[int, list[int]]:
        """For each reached node, the reached nodes that read it, once for each reading."""
        found: dict[int, list[int]] = {index: [] for index in self.reached()}
        for index in found:
            for arg in self.nodes[index].args:
                found[arg].append(index)
        return found


def closure(nodes: Sequence[Node], ends: Iterable[int]) -> list[int]:
    """`ends` and everything they depend on, in order of computation."""
    found: set[int] = set()
    waiting = list(ends)
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting.extend(nodes[index].args)
    return sorted(found)


def expressions(graph: Graph) -> Expressions:
    """`graph` with each sum's terms that need no state added up first, apart from the others.

    `W @ x + U @ h + b` becomes `(W @ x + b) + U @ h`: the bracket is computed for all steps at
    once. Terms that need the input come before those that need weights only.
    """
    builder = _Builder(graph)
    for index in range(len(graph.nodes)):
        builder.copy(index)
    moved = builder.moved
    return Expressions(
        tuple(builder.nodes),
        tuple(builder.needs),
        {name: moved[index] for name, index in graph.next_states.items()},
        moved[graph.output],
    )


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        leaving = [*graph.next_states.values(), graph.output]
        self._readers = Counter([*(arg for node in graph.nodes for arg in node.args), *leaving])
        self._terms: dict[int, list[int]] = {}  # of sums whose only reader is another sum
        self.nodes: list[Node] = []
        self.needs: list[Needs] = []
        self.moved: dict[int, int] = {}

    def copy(self, index: int) -> None:
        """Carry over one node of the old graph; `moved` says where its value is now."""
        node = self._graph.nodes[index]
        if node.op != "add":
            args = tuple(self.moved[arg] for arg in node.args)
            self.moved[index] = self._add(node, args)
            return
        terms = [term for arg in node.args for term in self._terms_of(arg)]
        self._terms[index] = terms
        self.moved[index] = self._sum(terms, node)

    def _terms_of(self, index: int) -> list[int]:
        """The terms of a sum that nothing else reads; of any other value, itself."""
        if self._readers[index] == 1 and index in self._terms:
            return self._terms[index]
        return [self.moved[index]]

    def _sum(self, terms: list[int], like: Node) -> int:
        early = [term for term in terms if self.needs[term] != Needs.STATE]
        early.sort(key=lambda term: -self.needs[term])
        late = [term for term in terms if self.needs[term] == Needs.STATE]
        late.sort(key=lambda term: self.nodes[term].op != "matmul")
        parts = ([self._chain(early, like)] if early else []) + late
        return self._chain(parts, like)

    def _chain(self, terms: list[int], like: Node) -> int:
        total = terms[0]
        for term in terms[1:]:
            shape = self.nodes[total].shape or self.nodes[term].shape
            total = self._add(Node("add", (total, term), shape), (total, term))
        return total

    def _add(self, node: Node, args: tuple[int, ...]) -> int:
        own = {"input": Needs.INPUT, "state": Needs.STATE}.get(node.op, Needs.WEIGHTS)
        self.nodes.append(Node(node.op, args, node.shape, node.name, node.value))
        self.needs.append(max([own, *(self.needs[arg] for arg in args)]))
        return len(self.nodes) - 1
