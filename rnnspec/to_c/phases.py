"""In which order one step of a cell is computed: products, loops over elements, single numbers.

A sum of products is one range of a buffer of sums, which begins as its bias and to which each
product adds. The matrices of one operand whose ranges stand side by side are one matrix. What is
computed element by element of vectors of one width is one loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells.graph import Graph, Node
from rnnspec.cells.layout import is_shaped, layout
from rnnspec.cells.reassociate import closure, count_uses
from rnnspec.cells.sizes import extent
from rnnspec.reference.functions import OPERATIONS, applied, flat
from rnnspec.to_c.functions import OF_VECTORS

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sum:
    """The node `index` as `bias` `[width]` + the `products`, each of a matrix by its name and an
    operand, + the nodes `others`."""

    index: int
    width: int
    products: tuple[tuple[str, int], ...]
    bias: Array
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The product of one operand with the matrices of sums that stand side by side from `begin`."""

    operand: int
    matrices: tuple[str, ...]
    begin: int
    sums: tuple[int, ...]


Kind = Literal["product", "loop", "number", "vector"]


@dataclass(frozen=True, slots=True)
class Phase:
    """Products `run`, or nodes that are computed in one loop of `width`, or one number, or a
    function of a whole vector."""

    kind: Kind
    nodes: tuple[int, ...] = ()
    run: Run | None = None
    width: int = 0


@dataclass(slots=True)
class Phases:
    """The phases of a graph in order. `fixed` are the values that depend on weights only, `begins`
    where each sum stands among the sums, `phase_of` the phase that computes a node."""

    graph: Graph
    widths: Mapping[int, int]
    fixed: Mapping[int, Array]
    sums: Mapping[int, Sum]
    begins: Mapping[int, int]
    runs: tuple[Run, ...]
    phases: list[Phase] = field(default_factory=list)
    phase_of: dict[int, int] = field(default_factory=dict)

    def args(self, index: int) -> tuple[int, ...]:
        """The nodes whose values a node is computed of, beside products and fixed values."""
        found = self.sums[index].others if index in self.sums else self.graph.nodes[index].args
        return tuple(arg for arg in found if arg not in self.fixed)

    def is_range(self, index: int) -> bool:
        """Whether the value is nothing but a range of the sums."""
        return index in self.sums and not self.sums[index].others

    def readers(self, index: int) -> Iterator[int]:
        """The phases that read a node."""
        for number, phase in enumerate(self.phases):
            operand = phase.run is not None and phase.run.operand == index
            if operand or any(index in self.args(node) for node in phase.nodes):
                yield number


def phases_of(
    graph: Graph,
    sizes: Mapping[str, int],
    parameters: Mapping[str, NDArray[np.floating]],
    ones: Collection[str] = (),
) -> Phases:
    """The phases of one step. Inputs named in `ones` are 1."""
    fixed = _fixed(graph, parameters, ones, sizes)
    widths = {i: extent(n.shape, sizes) if n.shape else 0 for i, n in enumerate(graph.nodes)}
    ends = [*graph.next_states.values(), graph.output]
    live = [i for i in closure(graph.nodes, ends, fixed) if i not in fixed]
    sums, within = _sums(graph, live, fixed, widths)
    begins = _layout(sums)
    found = Phases(graph, widths, fixed, sums, begins, tuple(_runs(sums, begins)))
    leaves = {i for i in live if graph.nodes[i].op in ("input", "state")}
    _order(found, [i for i in live if i not in within and i not in leaves], leaves)
    return found


def _fixed(
    graph: Graph,
    parameters: Mapping[str, NDArray[np.floating]],
    ones: Collection[str],
    sizes: Mapping[str, int],
) -> dict[int, Array]:
    """The values, in float64, of what depends on weights and numbers alone."""
    found: dict[int, Array] = {}
    matrices: dict[int, Array] = {}
    for index, node in enumerate(graph.nodes):
        if node.op == "parameter":
            value = np.asarray(applied(parameters, node.name, sizes), np.float64)
            matrices[index] = value
            found[index] = value.reshape(-1) if value.ndim > 1 else value
        elif node.op == "constant":
            found[index] = np.asarray(node.value, np.float64)
        elif node.op == "size":
            found[index] = np.asarray(sizes[node.name], np.float64)
        elif node.op == "input" and node.name in ones:
            found[index] = np.ones(())
        elif not node.args or any(arg not in found for arg in node.args):
            continue
        elif node.op == "matmul":
            found[index] = np.asarray(matrices[node.args[0]] @ found[node.args[1]])
        elif is_shaped(node):
            args = [found[arg] for arg in node.args]
            found[index] = flat(node.op, layout(graph.nodes, index, sizes), *args)
        else:
            found[index] = np.asarray(OPERATIONS[node.op](*(found[arg] for arg in node.args)))
    return found


def _sums(
    graph: Graph, live: Sequence[int], fixed: Mapping[int, Array], widths: Mapping[int, int]
) -> tuple[dict[int, Sum], set[int]]:
    """The sums with products, and the nodes that are parts of one."""
    nodes, uses = graph.nodes, count_uses(graph)
    parts = {
        arg
        for index in live
        for arg in (nodes[index].args if nodes[index].op == "add" else ())
        if nodes[arg].op in ("add", "matmul") and uses[arg] == 1 and arg not in fixed
    }
    found: dict[int, Sum] = {}
    within: set[int] = set()
    for index in live:
        if index in parts or nodes[index].op not in ("add", "matmul"):
            continue
        terms = list(_terms(nodes, index, parts))
        products = [t for t in terms if nodes[t].op == "matmul" and (t == index or t in parts)]
        if not products:
            continue
        bias = np.zeros(widths[index])
        for term in terms:
            bias = bias + fixed.get(term, 0.0)
        others = tuple(t for t in terms if t not in fixed and t not in products)
        pairs = tuple((nodes[nodes[t].args[0]].name, nodes[t].args[1]) for t in products)
        found[index] = Sum(index, widths[index], pairs, bias, others)
        within |= set(_inside(nodes, index, parts))
    return found, within


def _terms(nodes: Sequence[Node], index: int, parts: Collection[int]) -> Iterator[int]:
    """The terms of a sum, from left to right, with the sums in it flattened."""
    waiting = [index]
    while waiting:
        term = waiting.pop()
        if nodes[term].op == "add" and (term == index or term in parts):
            waiting.extend(reversed(nodes[term].args))
        else:
            yield term


def _inside(nodes: Sequence[Node], index: int, parts: Collection[int]) -> Iterator[int]:
    """The sums and products that a sum is made of."""
    waiting = list(nodes[index].args) if nodes[index].op == "add" else []
    while waiting:
        term = waiting.pop()
        if term in parts:
            yield term
            if nodes[term].op == "add":
                waiting.extend(nodes[term].args)


def _layout(sums: Mapping[int, Sum]) -> dict[int, int]:
    """Where each sum begins: those of the same operands stand side by side."""

    def operands(one: Sum) -> tuple[int, int]:
        found = [operand for _, operand in one.products]
        return min(found), max(found)

    begins, at = {}, 0
    for one in sorted(sums.values(), key=operands):
        begins[one.index] = at
        at += one.width
    return begins


def _runs(sums: Mapping[int, Sum], begins: Mapping[int, int]) -> Iterator[Run]:
    """The products of each operand, joined as far as their sums stand side by side."""
    order = sorted(sums, key=begins.__getitem__)
    operands = dict.fromkeys(o for index in order for _, o in sums[index].products)
    for operand in operands:
        left = [(i, m) for i in order for m, o in sums[i].products if o == operand]
        while left:
            taken = [left[0]]
            for index, matrix in left[1:]:
                last = taken[-1][0]
                if begins[index] == begins[last] + sums[last].width:
                    taken.append((index, matrix))
            left = [one for one in left if one not in taken]
            indices, matrices = zip(*taken, strict=True)
            yield Run(operand, matrices, begins[indices[0]], indices)


def _order(found: Phases, nodes: list[int], known: set[int]) -> None:
    """Adds the phases, each as soon as what it reads is known; products come first."""
    runs, left = list(found.runs), list(nodes)
    while left or runs:
        phase = _next(found, runs, left, known)
        if phase.run is not None:
            runs.remove(phase.run)
        for index in phase.nodes:
            found.phase_of[index] = len(found.phases)
        found.phases.append(phase)
        known.update(phase.nodes)
        waiting = {index for run in runs for index in run.sums}
        ranges = {i for i in left if found.is_range(i) and i not in waiting}
        for index in ranges:
            found.phase_of[index] = len(found.phases) - 1
        known |= ranges
        left = [index for index in left if index not in known]


def _next(found: Phases, runs: Sequence[Run], left: Sequence[int], known: set[int]) -> Phase:
    waiting = {index for run in runs for index in run.sums}
    for run in runs:
        if run.operand in known:
            return Phase("product", run=run)

    def ready(index: int, also: Collection[int] = ()) -> bool:
        return index not in waiting and all(a in known or a in also for a in found.args(index))

    first = next(index for index in left if ready(index))
    op, width = found.graph.nodes[first].op, found.widths[first]
    if (op in OF_VECTORS and width) or is_shaped(found.graph.nodes[first]):
        return Phase("vector", (first,), width=width)
    if not width:
        return Phase("number", (first,))
    taken: list[int] = []
    for index in left:
        node = found.graph.nodes[index]
        vector = node.op in OF_VECTORS or is_shaped(node)
        if found.widths[index] == width and not vector and ready(index, taken):
            taken.append(index)
    return Phase("loop", tuple(taken), width=width)
