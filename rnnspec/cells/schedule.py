"""How a back end runs a cell's graph over a sequence: what once for all steps, what step by step.

A recurrence costs what stands inside the loop. So the states are taken group by group, each group
after those whose values it reads, and for each group first everything that is known by then is
computed for all steps at once. A state whose new value needs no older value of its own is only
looked up one step late; an element-wise linear recurrence is a scan; the rest is a loop. In a loop
the products of one operand are one product of joined matrices, known terms are added inside it, and
the activations that follow it are applied to its columns where they stand, equal ones side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from rnnspec.cells.affine import coefficients
from rnnspec.cells.graph import Graph, Node
from rnnspec.cells.reassociate import (
    LEAVES,
    Builder,
    closure,
    count_uses,
    is_state,
    levels,
    regroup_sums,
    state_groups,
    without_dead,
)

ACTIVATIONS = frozenset({"sigmoid", "tanh", "relu", "exp", "elu", "softsign", "hard_sigmoid"})
"""Functions whose derivative can be told from their value, which may overwrite the argument."""


@dataclass(frozen=True, slots=True)
class JoinedProduct:
    """Products of one `operand` that are computed as one.

    `matrices` are the parameters' names, rows joined in this order. For each of them `addends` has
    the node that is added (None: none), `activations` the function that is applied then ("": none),
    and `results` the node that then has its value.
    """

    operand: int
    matrices: tuple[str, ...]
    addends: tuple[int | None, ...]
    activations: tuple[str, ...]
    results: tuple[int, ...]


Entry = int | JoinedProduct
"""A node to compute, or several by a joined product."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Computed for all steps at once. A state's node: its values before each step."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """A state that is only looked up one step late: its next values are known."""

    state: str


@dataclass(frozen=True, slots=True)
class Scan:
    """`state = factor * state + addend`, of known nodes."""

    state: str
    factor: int
    addend: int


@dataclass(frozen=True, slots=True)
class Loop:
    """States that need a step after the other; `exports` are the nodes that are read outside."""

    states: tuple[str, ...]
    entries: tuple[Entry, ...]
    exports: tuple[int, ...]


Phase = Whole | Delay | Scan | Loop


@dataclass(frozen=True, slots=True)
class Schedule:
    """`graph` is the cell's, rearranged. Inputs and parameters are there from the start.

    The next values of two states are two nodes, and no leaves.
    """

    graph: Graph
    phases: tuple[Phase, ...]

    def products(self) -> tuple[JoinedProduct, ...]:
        phases = (phase for phase in self.phases if isinstance(phase, Whole | Loop))
        return tuple(e for p in phases for e in p.entries if isinstance(e, JoinedProduct))

    def parts(self, product: JoinedProduct) -> tuple[tuple[int, ...], ...]:
        """A product's results, divided as the products of loops take them in side by side."""
        addends = [other.addends for other in self.products()]
        beside = {pair for columns in addends for pair in pairwise(columns)}
        found: list[tuple[int, ...]] = []
        for result in product.results:
            if found and (found[-1][-1], result) in beside:
                found[-1] = (*found[-1], result)
            else:
                found.append((result,))
        return tuple(found)


def schedule(graph: Graph) -> Schedule:
    """The schedule of a cell's graph. A matrix applied to two operands is in both products."""
    groups = state_groups(graph)
    graph = regroup_sums(_own_next_values(graph), groups)
    return _Scheduler(*_with_scans(graph, groups), groups).schedule()


def _own_next_values(graph: Graph) -> Graph:
    """The graph with a node of its own for each state's next value, none of them a leaf."""
    builder = Builder(graph.nodes)
    states: dict[str, int] = {}
    for state, index in graph.next_states.items():
        if graph.nodes[index].op in LEAVES:
            index = builder.apply("copy", index)
        while index in states.values():
            index = builder.apply("copy", index)
        states[state] = index
    return Graph(tuple(builder.nodes), states, graph.output)


def _with_scans(graph: Graph, groups: Iterable[tuple[str, ...]]) -> tuple[Graph, set[str]]:
    """`scan(factor, addend)` in the place of each linear recurrence, and the states of these."""
    builder = Builder(graph.nodes)
    level = levels(graph.nodes, tuple(groups))
    leaves = {node.name: i for i, node in enumerate(graph.nodes) if node.op == "state"}
    scans: dict[int, Node] = {}
    found: set[str] = set()
    for group in groups:
        leaf, result = leaves[group[0]], graph.next_states[group[0]]
        if len(group) == 1 and level[result] == level[leaf]:
            pair = coefficients(builder, level, leaf, result)
            if pair is not None:
                # The leaf as an argument keeps the node on its level.
                scans[result] = Node("scan", (*pair, leaf), graph.nodes[result].shape)
                found.add(group[0])
    nodes = tuple(scans.get(i, node) for i, node in enumerate(builder.nodes))
    return without_dead(replace(graph, nodes=nodes)), found


class _Scheduler:
    """Goes through the groups of states, keeping account of the nodes that are computed."""

    def __init__(self, graph: Graph, scans: set[str], groups: tuple[tuple[str, ...], ...]) -> None:
        self.graph, self.scans, self.groups = graph, scans, groups
        self.level = levels(graph.nodes, groups)
        self.uses = count_uses(graph)
        self.readers = _readers(graph)
        self.known = {i for i, n in enumerate(graph.nodes) if n.op in ("input", "parameter")}
        self.phases: list[Phase] = []

    def schedule(self) -> Schedule:
        for number, group in enumerate(self.groups, 1):
            result = self.graph.next_states[group[0]]
            if self.level[result] < number:
                self._whole([result])
                self.phases.append(Delay(group[0]))
            elif group[0] in self.scans:
                factor, addend, _ = self.graph.nodes[result].args
                self._whole([factor, addend])
                self.phases.append(Scan(group[0], factor, addend))
                self.known.add(result)
            else:
                self._loop(group, number)
        self._whole([self.graph.output])
        return Schedule(self.graph, self._exported())

    def _whole(self, ends: Iterable[int]) -> None:
        """Compute `ends` and what they need; all products of an operand together."""
        nodes = set(closure(self.graph.nodes, ends, self.known))
        for operand in {self.graph.nodes[i].args[1] for i in nodes if self._is_product(i)}:
            products = {i for i in self.readers[operand] if self._is_product(i, operand)}
            nodes |= products | {self._addend(i, None)[1] for i in products}
        nodes -= self.known
        if nodes:
            entries = _in_order(self.graph, self._joined(nodes, in_loop=False), self.known)
            self.known |= nodes
            self.phases.append(Whole(entries))

    def _loop(self, group: tuple[str, ...], number: int) -> None:
        ends = [self.graph.next_states[state] for state in group]
        nodes = closure(self.graph.nodes, ends, self.known)
        inside = {i for i in nodes if self.level[i] == number and not self._is_leaf(i)}
        outside = {arg for i in inside for arg in self.graph.nodes[i].args} - inside
        self._whole(i for i in outside if self.level[i] < number)
        leaves = {i for i in outside if self.level[i] == number}
        entries = _in_order(self.graph, self._joined(inside, in_loop=True), self.known | leaves)
        self.known |= inside
        self.phases.append(Loop(group, entries, ()))

    def _is_leaf(self, index: int) -> bool:
        return self.graph.nodes[index].op in LEAVES

    def _is_parameter(self, index: int) -> bool:
        return self.graph.nodes[index].op == "parameter"

    def _is_product(self, index: int, operand: int | None = None) -> bool:
        node = self.graph.nodes[index]
        return node.op == "matmul" and operand in (None, node.args[1])

    def _joined(self, nodes: set[int], in_loop: bool) -> list[Entry]:
        """`nodes` in order, their products joined."""
        operands: dict[int, list[tuple[int, int | None, str, int]]] = {}
        covered: set[int] = set()
        for index in sorted(nodes):
            node = self.graph.nodes[index]
            if node.op == "matmul":
                addend, total = self._addend(index, nodes if in_loop else None)
                function, result = self._activation(total, nodes) if in_loop else ("", total)
                operands.setdefault(node.args[1], []).append((index, addend, function, result))
                covered.update((index, total, result))
        entries: list[Entry] = [
            self._product(operand, found) for operand, found in operands.items()
        ]
        return entries + [index for index in sorted(nodes) if index not in covered]

    def _product(
        self, operand: int, found: list[tuple[int, int | None, str, int]]
    ) -> JoinedProduct:
        """Columns of the same activation side by side; columns added to others in their order."""
        functions = [function for _, _, function, _ in found]
        found = sorted(found, key=lambda one: functions.index(one[2]))
        products, addends, activations, results = zip(*found, strict=True)
        names = tuple(self.graph.nodes[self.graph.nodes[i].args[0]].name for i in products)
        return JoinedProduct(operand, names, addends, activations, results)

    def _addend(self, product: int, inside: set[int] | None) -> tuple[int | None, int]:
        """What is added to a product that is read once, by a sum with a known term; and the sum.

        `inside`: the loop's nodes. Outside a loop (None) only parameters are added, which are one
        vector or number for all steps and rows: an input or a state is not, and other terms may
        themselves wait for the product.
        """
        if self.uses[product] == 1:
            for reader in self.readers[product]:
                node = self.graph.nodes[reader]
                if node.op == "add" and (inside is None or reader in inside):
                    (other,) = (arg for arg in node.args if arg != product)
                    if other in self.known and (inside is not None or self._is_parameter(other)):
                        return other, reader
        return None, product

    def _activation(self, index: int, nodes: set[int]) -> tuple[str, int]:
        """The activation that alone reads a value, and its node; else "" and the value itself."""
        if self.uses[index] == 1:
            for reader in self.readers[index]:
                if self.graph.nodes[reader].op in ACTIVATIONS and reader in nodes:
                    return self.graph.nodes[reader].op, reader
        return "", index

    def _exported(self) -> tuple[Phase, ...]:
        """The phases, each loop with what of it is read outside: later, or as the output."""
        read: set[int] = {self.graph.output}
        done: list[Phase] = []
        for phase in reversed(self.phases):
            if isinstance(phase, Loop):
                inside = _computed(phase.entries)
                phase = replace(phase, exports=tuple(sorted(inside & read)))
            read |= _read(self.graph, phase)
            done.append(phase)
        return tuple(_sorted_as_read(done[::-1]))


def _readers(graph: Graph) -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {index: [] for index in range(len(graph.nodes))}
    for index, node in enumerate(graph.nodes):
        for arg in dict.fromkeys(node.args):
            found[arg].append(index)
    return found


def _in_order(graph: Graph, entries: Iterable[Entry], known: set[int]) -> tuple[Entry, ...]:
    """Each entry as soon as what it needs is known."""
    ready, left = set(known), list(entries)
    ordered: list[Entry] = []
    while left:
        entry = next(e for e in left if _needs(graph, e) <= ready)
        left.remove(entry)
        ordered.append(entry)
        ready.update(_computed([entry]))
    return tuple(ordered)


def _needs(graph: Graph, entry: Entry) -> set[int]:
    if isinstance(entry, JoinedProduct):
        return {entry.operand, *(addend for addend in entry.addends if addend is not None)}
    return set(graph.nodes[entry].args)


def _computed(entries: Iterable[Entry]) -> set[int]:
    return {i for e in entries for i in (e.results if isinstance(e, JoinedProduct) else (e,))}


def _read(graph: Graph, phase: Phase) -> set[int]:
    """What a phase reads of others."""
    match phase:
        case Delay():
            return {graph.next_states[phase.state]}
        case Scan():
            return {phase.factor, phase.addend}
        case Whole() | Loop():
            inside = _computed(phase.entries)
            needs = set().union(*(_needs(graph, entry) for entry in phase.entries))
            before = (graph.nodes[index].name for index in inside if is_state(graph, index))
            return (needs - inside) | {graph.next_states[state] for state in before}


def _sorted_as_read(phases: list[Phase]) -> Iterable[Phase]:
    """Columns computed for all steps in the order in which a loop's product takes them in."""
    loops = [entry for phase in phases if isinstance(phase, Loop) for entry in phase.entries]
    products = [entry for entry in loops if isinstance(entry, JoinedProduct)]
    added = [addend for product in products for addend in product.addends]
    for phase in phases:
        if isinstance(phase, Whole):
            entries = tuple(
                _sorted(e, added) if isinstance(e, JoinedProduct) else e for e in phase.entries
            )
            phase = Whole(entries)
        yield phase


def _sorted(product: JoinedProduct, added: list[int | None]) -> JoinedProduct:
    def place(column: int) -> int:
        result = product.results[column]
        return added.index(result) if result in added else len(added)

    order = sorted(range(len(product.results)), key=place)
    return JoinedProduct(
        product.operand,
        tuple(product.matrices[i] for i in order),
        tuple(product.addends[i] for i in order),
        tuple(product.activations[i] for i in order),
        tuple(product.results[i] for i in order),
    )
