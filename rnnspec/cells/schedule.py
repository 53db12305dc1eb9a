"""The schedule of a cell's graph over a sequence: what runs once for all steps, what step by step.

The loop over time is the cost of a recurrence, so as little as possible stands inside it:

1. States are scheduled group by group, each group after the groups whose values it reads.
2. Before a group, everything that is known by then is computed for all steps at once.
3. A state whose next value needs no older value of its own is only read one step late (`Delay`).
4. A linear recurrence of a matrix that is read by products alone is computed in `Chunks`.
5. An element-wise linear recurrence is a `Scan`.
6. All other groups are a `Loop`. In it the products of one operand are one product of joined
   matrices. Known terms are added inside it, and the activations that follow are applied to its
   columns in place, equal ones side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import assert_never

from rnnspec.cells.affine import coefficients
from rnnspec.cells.chunks import with_recurrence
from rnnspec.cells.graph import Graph, Node
from rnnspec.cells.heads import rank
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
"""Functions whose derivative follows from their value, so that it may overwrite the argument."""


@dataclass(frozen=True, slots=True)
class JoinedProduct:
    """Products of one `operand` that are computed as one.

    `matrices` are the names of the parameters, whose rows are joined in this order. For each matrix
    `addends` has the node that is added (None: none), `activations` the function applied after that
    ("": none), and `results` the node that has the value.
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
    """Computed for all steps at once. The node of a state has its values before each step."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """A state whose next values are known: it is read one step late."""

    state: str


@dataclass(frozen=True, slots=True)
class Scan:
    """`state = factor * state + addend`; factor and addend are known nodes."""

    state: str
    factor: int
    addend: int


@dataclass(frozen=True, slots=True)
class Loop:
    """States computed step by step; `exports` are the nodes that are read outside the loop."""

    states: tuple[str, ...]
    entries: tuple[Entry, ...]
    exports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chunks:
    """A `RECURRENCE` (`rnnspec.cells.chunks`) of this `kind`. `operands` are the nodes of its
    decay, w, c, z and k, `reads` pairs of a product of the matrix before each step and the vector
    that it is a product with."""

    state: str
    kind: str
    operands: tuple[int, ...]
    reads: tuple[tuple[int, int], ...]


Phase = Whole | Delay | Scan | Chunks | Loop


@dataclass(frozen=True, slots=True)
class Schedule:
    """The phases of a cell, over its rearranged `graph`.

    Inputs and parameters are known at the start. The next value of each state is a node of its
    own, and no leaf.
    """

    graph: Graph
    phases: tuple[Phase, ...]

    def products(self) -> tuple[JoinedProduct, ...]:
        phases = (phase for phase in self.phases if isinstance(phase, Whole | Loop))
        return tuple(e for p in phases for e in p.entries if isinstance(e, JoinedProduct))

    def is_delta(self, phase: Chunks) -> bool:
        """Whether what a matrix adds depends on what it answers."""
        node = self.graph.nodes[phase.operands[2]]
        return (node.op, node.value) != ("constant", 0.0)

    def parts(self, product: JoinedProduct) -> tuple[tuple[int, ...], ...]:
        """A product's results, in runs that the products of loops read side by side."""
        addends = [other.addends for other in self.products()]
        beside = {pair for columns in addends for pair in pairwise(columns)}
        found: list[tuple[int, ...]] = []
        for result in product.results:
            if found and (found[-1][-1], result) in beside:
                found[-1] = (*found[-1], result)
            else:
                found.append((result,))
        return tuple(found)


def schedule(graph: Graph, matrices_in_steps: bool = False) -> Schedule:
    """The schedule of a cell's graph. A matrix applied to two operands is in both products.

    With `matrices_in_steps` no state that is a matrix is a scan, which would need as much memory as
    all its values take.
    """
    groups = state_groups(graph)
    graph = regroup_sums(_own_next_values(graph), groups)
    chunks: set[str] = set()
    if not matrices_in_steps:
        graph, chunks = _with_chunks(graph, groups)
    graph, scans = _with_scans(graph, groups, 1 if matrices_in_steps else 2, chunks)
    return _Scheduler(graph, scans, chunks, groups).schedule()


def _own_next_values(graph: Graph) -> Graph:
    """The graph in which each state's next value is a node of its own, and no leaf."""
    builder = Builder(graph.nodes)
    states: dict[str, int] = {}
    for state, index in graph.next_states.items():
        if graph.nodes[index].op in LEAVES:
            index = builder.apply("copy", index)
        while index in states.values():
            index = builder.apply("copy", index)
        states[state] = index
    return Graph(tuple(builder.nodes), states, graph.output)


def _with_chunks(graph: Graph, groups: Sequence[tuple[str, ...]]) -> tuple[Graph, set[str]]:
    """The graph with a `RECURRENCE` for each matrix of that kind, and these states."""
    found: set[str] = set()
    for number, group in enumerate(groups, 1):
        matrix = rank(graph.nodes[graph.next_states[group[0]]].shape) == 2
        level = levels(graph.nodes, groups)
        if len(group) == 1 and matrix and level[graph.next_states[group[0]]] == number:
            changed = with_recurrence(graph, group[0], level, number)
            if changed is not None:
                graph = without_dead(changed)
                found.add(group[0])
    return graph, found


def _with_scans(
    graph: Graph, groups: Iterable[tuple[str, ...]], most: int, without: Collection[str]
) -> tuple[Graph, set[str]]:
    """The graph with `scan(factor, addend)` for each linear recurrence, and the states of these.

    The states `without`, and those of more than `most` sizes, are left out.
    """
    builder = Builder(graph.nodes)
    level = levels(graph.nodes, tuple(groups))
    leaves = {node.name: i for i, node in enumerate(graph.nodes) if node.op == "state"}
    scans: dict[int, Node] = {}
    found: set[str] = set()
    for group in groups:
        leaf, result = leaves[group[0]], graph.next_states[group[0]]
        small = rank(graph.nodes[leaf].shape) <= most and group[0] not in without
        if len(group) == 1 and level[result] == level[leaf] and small:
            pair = coefficients(builder, level, leaf, result)
            if pair is not None:
                # The leaf as an argument keeps the node on its level.
                scans[result] = Node("scan", (*pair, leaf), graph.nodes[result].shape)
                found.add(group[0])
    nodes = tuple(scans.get(i, node) for i, node in enumerate(builder.nodes))
    return without_dead(replace(graph, nodes=nodes)), found


class _Scheduler:
    """Schedules the groups of states in order; `known` are the nodes that are computed so far."""

    def __init__(
        self, graph: Graph, scans: set[str], chunks: set[str], groups: tuple[tuple[str, ...], ...]
    ) -> None:
        self.graph, self.scans, self.chunks, self.groups = graph, scans, chunks, groups
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
            elif group[0] in self.chunks:
                self._chunks(group[0], self.graph.nodes[result])
            elif group[0] in self.scans:
                factor, addend, _ = self.graph.nodes[result].args
                self._whole([factor, addend])
                self.phases.append(Scan(group[0], factor, addend))
                self.known.add(result)
            else:
                self._loop(group, number)
        self._whole([self.graph.output])
        return Schedule(self.graph, self._exported())

    def _chunks(self, state: str, recurrence: Node) -> None:
        """A matrix, and the products of it before each step."""
        *operands, leaf = recurrence.args
        reads = tuple(
            (index, node.args[1])
            for index, node in enumerate(self.graph.nodes)
            if node.op == "apply" and node.args[0] == leaf
        )
        self._whole([*operands, *(vector for _, vector in reads)])
        self.phases.append(Chunks(state, recurrence.name, tuple(operands), reads))
        self.known |= {index for index, _ in reads}

    def _whole(self, ends: Iterable[int]) -> None:
        """Compute `ends` and what they need, with all products of an operand together."""
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
        computed = (i for i in nodes if self.graph.nodes[i].op not in LEAVES)
        inside = {i for i in computed if self.level[i] == number}
        outside = {arg for i in inside for arg in self.graph.nodes[i].args} - inside
        self._whole(i for i in outside if self.level[i] < number)
        leaves = {i for i in outside if self.level[i] == number}
        entries = _in_order(self.graph, self._joined(inside, in_loop=True), self.known | leaves)
        self.known |= inside
        self.phases.append(Loop(group, entries, ()))

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
        """Columns of the same activation stand side by side, otherwise in the order found."""
        functions = [function for _, _, function, _ in found]
        found = sorted(found, key=lambda one: functions.index(one[2]))
        products, addends, activations, results = zip(*found, strict=True)
        names = tuple(self.graph.nodes[self.graph.nodes[i].args[0]].name for i in products)
        return JoinedProduct(operand, names, addends, activations, results)

    def _addend(self, product: int, inside: set[int] | None) -> tuple[int | None, int]:
        """The known term that is added to a product, and the sum; else None and the product.

        The product must be read once, by the sum. `inside` are the nodes of a loop. Outside a loop
        (None) only parameters are added, which are equal at all steps and rows: other terms may
        depend on the product.
        """
        if self.uses[product] == 1:
            for reader in self.readers[product]:
                node = self.graph.nodes[reader]
                if node.op == "add" and (inside is None or reader in inside):
                    (other,) = (arg for arg in node.args if arg != product)
                    fixed = self.graph.nodes[other].op == "parameter"
                    if other in self.known and (inside is not None or fixed):
                        return other, reader
        return None, product

    def _activation(self, index: int, nodes: set[int]) -> tuple[str, int]:
        """The activation that alone reads a value, and its node; else "" and the value."""
        if self.uses[index] == 1:
            for reader in self.readers[index]:
                if self.graph.nodes[reader].op in ACTIVATIONS and reader in nodes:
                    return self.graph.nodes[reader].op, reader
        return "", index

    def _exported(self) -> tuple[Phase, ...]:
        """The phases, with the `exports` of loops: what a later phase or the output reads."""
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
    """The entries in an order in which each has its operands known."""
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
    """The nodes that a phase reads from others."""
    match phase:
        case Delay():
            return {graph.next_states[phase.state]}
        case Scan():
            return {phase.factor, phase.addend}
        case Chunks():
            return {*phase.operands, *(vector for _, vector in phase.reads)}
        case Whole() | Loop():
            inside = _computed(phase.entries)
            needs = set().union(*(_needs(graph, entry) for entry in phase.entries))
            before = (graph.nodes[index].name for index in inside if is_state(graph, index))
            return (needs - inside) | {graph.next_states[state] for state in before}
        case _:
            assert_never(phase)


def _sorted_as_read(phases: list[Phase]) -> Iterable[Phase]:
    """Sort columns computed for all steps in the order in which a loop's product adds them."""
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
