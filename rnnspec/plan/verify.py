"""Invariants of a plan, checked after every resolution: what the back ends may rely on."""

from __future__ import annotations

from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Elapsed,
    Embed,
    FramesInput,
    Highway,
    Merge,
    Node,
    Normalize,
    NumericOutput,
    Plan,
    Pool,
    Recurrent,
    Residual,
    TokensInput,
    VectorInput,
    sources,
)

Shape = tuple[str | int, ...]
"""`("B", "T", 64)`: a sequence of vectors; `("B", 64)`: one vector a row."""


def shapes(plan: Plan) -> dict[str, Shape]:
    """The shape of every node's value. Raises AssertionError where a node does not fit."""
    found: dict[str, Shape] = {}
    for node in plan.nodes:
        assert node.name not in found, f"two nodes are called {node.name}"
        for source in sources(node):
            assert source in found, f"{node.name} reads {source}, which does not come before it"
        found[node.name] = _shape(plan, node, found)
    return found


def verify(plan: Plan) -> Plan:
    """`plan` itself, after checking that names, order, shapes and outputs are consistent."""
    shapes(plan)
    assert plan.inputs and plan.outputs, "a plan has inputs and outputs"
    read = {source for node in plan.nodes for source in sources(node)}
    idle = [node.name for node in plan.nodes if node.name not in read and node not in plan.outputs]
    assert not idle, f"nothing reads {', '.join(idle)}"
    return plan


def _shape(plan: Plan, node: Node, found: dict[str, Shape]) -> Shape:
    match node:
        case TokensInput():
            return ("B", "T")
        case FramesInput():
            return ("B", "T", node.features)
        case VectorInput():
            return ("B", node.width)
        case Elapsed():
            return _elapsed(plan, node)
        case Embed():
            return _expect(node, found, ("B", "T"), ("B", "T", node.width))
        case Dropout():
            return found[node.source]
        case Recurrent():
            _check_layer(plan, node)
            _check_given(node, found)
            return _expect(node, found, ("B", "T", node.inputs), ("B", "T", node.width))
        case Merge():
            return _each_vector(node, found, node.inputs, node.width)
        case Normalize():
            return _each_vector(node, found, node.width, node.width)
        case Residual() | Highway():
            return _skip(node, found)
        case Pool():
            return _pooled(plan, node, found)
        case Dense():
            return _expect(node, found, ("B", node.inputs), ("B", node.units))
        case ClassOutput():
            return _expect(node, found, ("B", node.classes), ("B", node.classes))
        case NumericOutput():
            return _expect(node, found, ("B", node.width), ("B", node.width))


def _expect(node: Node, found: dict[str, Shape], takes: Shape, gives: Shape) -> Shape:
    source = next(sources(node))
    assert found[source] == takes, f"{node.name} takes {takes}, {source} gives {found[source]}"
    return gives


def _each_vector(node: Node, found: dict[str, Shape], takes: int, gives: int) -> Shape:
    """Of nodes that take vectors alone or in a sequence."""
    source = next(sources(node))
    *rows, width = found[source]
    assert rows and width == takes, f"{node.name} takes width {takes}, {source} gives {width}"
    return (*rows, gives)


def _elapsed(plan: Plan, node: Elapsed) -> Shape:
    taken = {n.column: n.elapsed for n in plan.inputs if isinstance(n, FramesInput)}
    assert taken.get(node.column) == node.index, f"{node.name} is not taken out of {node.column}"
    return ("B", "T")


def _check_layer(plan: Plan, node: Recurrent) -> None:
    """Its cell has all its sizes, and reads the elapsed time that comes with it."""
    cell, named = node.cell, [name for name, _ in node.sizes]
    assert sorted(named) == sorted(cell.own_sizes), f"{node.name} gives the sizes {named}"
    unknown = {name for name, _ in node.starts} - cell.parameters.keys()
    assert not unknown, f"{node.name} starts {unknown}, which {cell.name} does not have"
    if node.elapsed:
        assert cell.inputs, f"{node.name} has an elapsed time, which {cell.name} does not read"
        source = plan.node(node.elapsed)
        assert isinstance(source, Elapsed), f"{node.name} takes {node.elapsed} for elapsed time"


def _check_given(node: Recurrent, found: dict[str, Shape]) -> None:
    assert bool(node.given) == (node.initial == "given"), f"{node.name} is given {node.given!r}"
    if node.given:
        for state, source in zip(node.cell.states, node.given, strict=True):
            takes = ("B", node.state_width(state))
            gives = found[source] if source else takes
            assert gives == takes, f"{node.name} takes {takes} for {state}, {source} gives {gives}"


def _skip(node: Residual | Highway, found: dict[str, Shape]) -> Shape:
    one, other = found[node.source], found[node.skip]
    assert one == other, f"{node.name} adds {node.skip} {other} to {node.source} {one}"
    assert len(one) == 3, f"{node.name} takes sequences, {node.source} gives {one}"
    return _expect(node, found, (*one[:2], node.width), one) if isinstance(node, Highway) else one


def _pooled(plan: Plan, node: Pool, found: dict[str, Shape]) -> Shape:
    if node.kind == "last":
        source = plan.node(node.source)
        while not isinstance(source, Merge | Recurrent) and (before := next(sources(source), "")):
            source = plan.node(before)
        assert not isinstance(source, Merge), f"{node.name} cannot tell directions in {source.name}"
    return _expect(node, found, ("B", "T", node.inputs), ("B", node.inputs))
