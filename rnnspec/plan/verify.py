"""Invariants of a plan, checked after every resolution: what the back ends may rely on."""

from __future__ import annotations

from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Embed,
    FramesInput,
    Node,
    NumericOutput,
    Plan,
    Pool,
    Recurrent,
    TokensInput,
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
        found[node.name] = _shape(node, found)
    return found


def verify(plan: Plan) -> Plan:
    """`plan` itself, after checking that names, order, shapes and outputs are consistent."""
    shapes(plan)
    assert plan.inputs and plan.outputs, "a plan has inputs and outputs"
    read = {source for node in plan.nodes for source in sources(node)}
    idle = [node.name for node in plan.nodes if node.name not in read and node not in plan.outputs]
    assert not idle, f"nothing reads {', '.join(idle)}"
    return plan


def _shape(node: Node, found: dict[str, Shape]) -> Shape:
    match node:
        case TokensInput():
            return ("B", "T")
        case FramesInput():
            return ("B", "T", node.width)
        case Embed():
            return _expect(node, found, ("B", "T"), ("B", "T", node.width))
        case Dropout():
            return found[node.source]
        case Recurrent():
            return _expect(node, found, ("B", "T", node.inputs), ("B", "T", node.width))
        case Pool():
            return _expect(node, found, ("B", "T", node.inputs), ("B", node.inputs))
        case Dense():
            return _expect(node, found, ("B", node.inputs), ("B", node.units))
        case ClassOutput():
            return _expect(node, found, ("B", node.classes), ("B", node.classes))
        case NumericOutput():
            return _expect(node, found, ("B", node.width), ("B", node.width))


def _expect(node: Node, found: dict[str, Shape], takes: Shape, gives: Shape) -> Shape:
    (source,) = sources(node)
    assert found[source] == takes, f"{node.name} takes {takes}, {source} gives {found[source]}"
    return gives
