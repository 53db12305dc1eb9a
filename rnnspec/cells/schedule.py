"""How a back end runs a cell's graph over a sequence: what once for all steps, what step by step.

A recurrence costs what stands inside the loop. Values that depend on no state are computed over the
whole sequence at once (hoisted); products of one operand become one product of joined matrices; and
a hoisted term that is added to a product is added inside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from rnnspec.cells.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class JoinedProduct:
    """Products of one `operand` that are computed as one.

    `matrices` are the parameters' names, rows joined in this order; `addends` are the hoisted nodes
    added to each product (None where there is none); `results` are the nodes that then have their
    values: the sum where there is an addend, the product itself where there is none.
    """

    operand: int
    matrices: tuple[str, ...]
    addends: tuple[int | None, ...]
    results: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """`graph` is the cell's, sums regrouped; both lists of work are in order of computation.

    An entry is a node to compute or a joined product; every parameter, input and state is there
    from the start.
    """

    graph: Graph
    hoisted: tuple[int | JoinedProduct, ...]
    stepwise: tuple[int | JoinedProduct, ...]


def schedule(graph: Graph) -> Schedule:
    """The schedule of a cell's graph. A matrix applied to two operands is in both products."""
    graph = regroup_sums(graph)
    late = graph.depends_on_state()
    uses = _uses(graph)
    products: dict[int, JoinedProduct] = {}  # by operand
    covered: set[int] = set()
    for operand, nodes in graph.products_by_operand().items():
        sums = [_sum_with_hoisted(graph, node, late, uses) for node in nodes]
        product = JoinedProduct(
            operand,
            tuple(graph.nodes[graph.nodes[node].args[0]].name for node in nodes),
            tuple(found[1] if found else None for found in sums),
            tuple(found[0] if found else node for node, found in zip(nodes, sums, strict=True)),
        )
        products[operand] = product
        covered.update(nodes, product.results)
    hoisted: list[int | JoinedProduct] = []
    stepwise: list[int | JoinedProduct] = []
    for index, node in enumerate(graph.nodes):
        work = stepwise if late[index] else hoisted
        if index not in covered and node.op not in ("input", "state", "parameter"):
            work.append(index)
    return _in_order(graph, late, hoisted, stepwise, products)


def _in_order(
    graph: Graph,
    late: tuple[bool, ...],
    hoisted: list[int | JoinedProduct],
    stepwise: list[int | JoinedProduct],
    products: dict[int, JoinedProduct],
) -> Schedule:
    """Products put in as soon as their operand is there, everything else as soon as its args are.

    Addends are hoisted, so a stepwise product waits for its operand alone.
    """
    ready = {i for i, n in enumerate(graph.nodes) if n.op in ("input", "state", "parameter")}
    ordered: list[tuple[int | JoinedProduct, ...]] = []
    for work, is_late in ((hoisted, False), (stepwise, True)):
        left = list(work) + [p for operand, p in products.items() if late[operand] == is_late]
        done: list[int | JoinedProduct] = []
        while left:
            entry = next(e for e in left if _needs(graph, e) <= ready)
            left.remove(entry)
            done.append(entry)
            ready.update(entry.results if isinstance(entry, JoinedProduct) else (entry,))
        ordered.append(tuple(done))
    return Schedule(graph, ordered[0], ordered[1])


def _needs(graph: Graph, entry: int | JoinedProduct) -> set[int]:
    if isinstance(entry, JoinedProduct):
        return {entry.operand, *(addend for addend in entry.addends if addend is not None)}
    return set(graph.nodes[entry].args)


def _sum_with_hoisted(
    graph: Graph, product: int, late: tuple[bool, ...], uses: Counter[int]
) -> tuple[int, int] | None:
    """`(sum, addend)` if the product is used once, in a sum with a hoisted vector.

    A hoisted product takes parameters only: other terms may themselves wait for it.
    """
    if uses[product] != 1:
        return None
    for index, node in enumerate(graph.nodes):
        if node.op == "add" and product in node.args and node.shape:
            (other,) = (arg for arg in node.args if arg != product)
            if graph.nodes[other].op == "parameter" or (late[product] and not late[other]):
                return index, other
    return None


def _uses(graph: Graph) -> Counter[int]:
    uses = Counter(arg for node in graph.nodes for arg in node.args)
    uses.update([*graph.next_states.values(), graph.output])
    return uses


def regroup_sums(graph: Graph) -> Graph:
    """The same graph with every sum ordered so that its state-free terms are added first.

    `W @ x + U @ h + b` becomes `U @ h + (W @ x + b)`, whose bracket can be hoisted.
    """
    late, uses = graph.depends_on_state(), _uses(graph)
    builder = _Builder()
    placed: list[int] = []
    for index, node in enumerate(graph.nodes):
        if node.op == "add":
            placed.append(_regrouped(graph, index, late, uses, placed, builder))
        else:
            args = tuple(placed[arg] for arg in node.args)
            placed.append(builder.add(node, args))
    states = {state: placed[index] for state, index in graph.next_states.items()}
    return _without_dead(Graph(tuple(builder.nodes), states, placed[graph.output]))


def _regrouped(
    graph: Graph,
    index: int,
    late: tuple[bool, ...],
    uses: Counter[int],
    placed: list[int],
    builder: _Builder,
) -> int:
    terms = sorted(
        _terms(graph, index, uses, top=True), key=lambda term: graph.nodes[term].op != "matmul"
    )
    early = [placed[term] for term in terms if not late[term]]
    later = [placed[term] for term in terms if late[term]]
    if early and later:  # next to a product, where the joined product takes it in
        later.insert(1, reduce(builder.sum, early))
    return reduce(builder.sum, later or early)


def _terms(graph: Graph, index: int, uses: Counter[int], top: bool = False) -> Iterable[int]:
    """Terms of a sum; a partial sum that is used elsewhere too is one term."""
    node = graph.nodes[index]
    if node.op == "add" and (top or uses[index] == 1):
        for arg in node.args:
            yield from _terms(graph, arg, uses)
    else:
        yield index


class _Builder:
    """New nodes, equal ones shared."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._index: dict[tuple[str, tuple[int, ...], str, float], int] = {}

    def add(self, node: Node, args: tuple[int, ...]) -> int:
        key = (node.op, args, node.name, node.value)
        if key not in self._index:
            self._index[key] = len(self.nodes)
            self.nodes.append(Node(node.op, args, node.shape, node.name, node.value))
        return self._index[key]

    def sum(self, one: int, other: int) -> int:
        shape = self.nodes[one].shape or self.nodes[other].shape
        return self.add(Node("add", (), shape), (one, other))


def _without_dead(graph: Graph) -> Graph:
    """The graph without nodes that no state or output needs; inputs, states, parameters stay."""
    alive = {*graph.next_states.values(), graph.output}
    for index in reversed(range(len(graph.nodes))):
        node = graph.nodes[index]
        if index in alive or node.op in ("input", "state", "parameter"):
            alive.update((index, *node.args))
    moved = {old: new for new, old in enumerate(sorted(alive))}
    nodes = tuple(
        Node(n.op, tuple(moved[arg] for arg in n.args), n.shape, n.name, n.value)
        for n in (graph.nodes[old] for old in sorted(alive))
    )
    states = {state: moved[index] for state, index in graph.next_states.items()}
    return Graph(nodes, states, moved[graph.output])
