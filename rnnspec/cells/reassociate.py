"""Reassociates a cell's sums, and orders its states by what they depend on.

What stands inside the loop over time costs at every step. So every sum first adds the terms whose
values are known for all steps before the loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import groupby

from rnnspec.cells.graph import Graph, Node, Shape

LEAVES = ("input", "state", "parameter")
"""Operations whose values are given, not computed."""


def state_groups(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Groups of states that need each other's earlier values, each group after the groups it reads.

    In `c = f * c + i * g`, `h = o * tanh(c)` with gates that read x alone, c comes first and h is a
    group of its own. Strongly connected components, in topological order.
    """
    reads = {state: _states_below(graph, index) for state, index in graph.next_states.items()}
    reach = {state: _reach(state, reads) for state in reads}
    groups: list[tuple[str, ...]] = []
    left = list(reads)
    while left:
        placed = {state for group in groups for state in group}
        for state in left:
            group = tuple(
                s for s in left if s == state or (s in reach[state] and state in reach[s])
            )
            if all(reads[s] <= placed | set(group) for s in group):
                break
        groups.append(group)
        left = [state for state in left if state not in group]
    return tuple(groups)


def _states_below(graph: Graph, index: int) -> set[str]:
    return {graph.nodes[i].name for i in closure(graph.nodes, [index]) if is_state(graph, i)}


def is_state(graph: Graph, index: int) -> bool:
    """Whether a node is a state before the step."""
    return graph.nodes[index].op == "state"


def _reach(state: str, reads: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(reads[state])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting.extend(reads[other])
    return found


def closure(nodes: Sequence[Node], ends: Iterable[int], known: Iterable[int] = ()) -> list[int]:
    """`ends` and all that they depend on, in order, without what is `known` already."""
    found: set[int] = set()
    seen = set(known)
    waiting = list(ends)
    while waiting:
        index = waiting.pop()
        if index not in seen:
            seen.add(index)
            found.add(index)
            waiting.extend(nodes[index].args)
    return sorted(found)


def levels(nodes: Sequence[Node], groups: Sequence[Sequence[str]]) -> list[int]:
    """For each node, the number of groups after which its values at all steps are known.

    0: it depends on the input and the weights alone; k: on states of the first k groups.
    """
    known_after = {state: k for k, group in enumerate(groups, 1) for state in group}
    found: list[int] = []
    for node in nodes:
        own = known_after[node.name] if node.op == "state" else 0
        found.append(max([own, *(found[arg] for arg in node.args)]))
    return found


class Builder:
    """The nodes of a graph under construction; equal nodes are shared."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes: list[Node] = []
        self._index: dict[tuple[str, tuple[int, ...], str, float], int] = {}
        for node in nodes:
            self.add(node, node.args)

    def add(self, node: Node, args: tuple[int, ...]) -> int:
        key = (node.op, args, node.name, node.value)
        if key not in self._index:
            self._index[key] = len(self.nodes)
            self.nodes.append(Node(node.op, args, node.shape, node.name, node.value))
        return self._index[key]

    def apply(self, op: str, *args: int) -> int:
        """The node of an element-wise operation on nodes of this builder."""
        shapes: list[Shape] = [self.nodes[arg].shape for arg in args]
        return self.add(Node(op, (), max(shapes, key=len)), args)

    def constant(self, value: float) -> int:
        return self.add(Node("constant", (), (), value=value), ())


def regroup_sums(graph: Graph, groups: Sequence[Sequence[str]]) -> Graph:
    """The same graph with the terms of every sum added in the order in which they are known.

    `W @ x + U @ h + b` becomes `U @ h + (W @ x + b)`, whose bracket is known for all steps at once.
    Among terms known at the same time products come first: a joined product adds the others.
    """
    level, partial_sums = levels(graph.nodes, groups), _partial_sums(graph)
    builder = Builder()
    add = partial(builder.apply, "add")
    placed: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        if index in partial_sums:
            continue
        if node.op == "add":
            terms = list(_terms(graph, index, partial_sums))
            terms.sort(key=lambda term: (level[term], graph.nodes[term].op != "matmul"))
            total: list[int] = []
            for _, same in groupby(terms, key=lambda term: level[term]):
                later = [placed[term] for term in same]
                total = [reduce(add, [later[0], *total, *later[1:]])]
            placed[index] = total[0]
        else:
            placed[index] = builder.add(node, tuple(placed[arg] for arg in node.args))
    states = {state: placed[index] for state, index in graph.next_states.items()}
    return without_dead(Graph(tuple(builder.nodes), states, placed[graph.output]))


def _partial_sums(graph: Graph) -> set[int]:
    """Sums that are read once, by another sum, which takes over their terms."""
    uses = count_uses(graph)
    args = (arg for node in graph.nodes if node.op == "add" for arg in node.args)
    return {arg for arg in args if graph.nodes[arg].op == "add" and uses[arg] == 1}


def _terms(graph: Graph, index: int, partial_sums: set[int]) -> Iterator[int]:
    """The terms of a sum, from left to right."""
    waiting = list(reversed(graph.nodes[index].args))
    while waiting:
        term = waiting.pop()
        if term in partial_sums:
            waiting.extend(reversed(graph.nodes[term].args))
        else:
            yield term


def count_uses(graph: Graph) -> Counter[int]:
    """How often each node is read, by nodes, next states and the output."""
    uses = Counter(arg for node in graph.nodes for arg in node.args)
    uses.update([*graph.next_states.values(), graph.output])
    return uses


def without_dead(graph: Graph) -> Graph:
    """The graph in an order of computation, without nodes that no state or output needs.

    Inputs, states and parameters stay. Arguments need not stand before their readers.
    """
    ends = [i for i, node in enumerate(graph.nodes) if node.op in LEAVES]
    order = _depth_first(graph.nodes, [*ends, *graph.next_states.values(), graph.output])
    moved = {old: new for new, old in enumerate(order)}
    nodes = tuple(
        Node(n.op, tuple(moved[arg] for arg in n.args), n.shape, n.name, n.value)
        for n in (graph.nodes[old] for old in order)
    )
    states = {state: moved[index] for state, index in graph.next_states.items()}
    return Graph(nodes, states, moved[graph.output])


def _depth_first(nodes: Sequence[Node], ends: Iterable[int]) -> list[int]:
    """`ends` and all that they depend on, arguments first."""
    order: dict[int, None] = {}
    waiting = [(end, False) for end in reversed(list(ends))]
    while waiting:
        index, expanded = waiting.pop()
        if index in order:
            continue
        if expanded:
            order[index] = None
        else:
            waiting.append((index, True))
            waiting.extend((arg, False) for arg in reversed(nodes[index].args))
    return list(order)
