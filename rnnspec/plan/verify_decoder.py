"""Invariants of a decoder's body."""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.plan.nodes import (
    Attend,
    CopiesInput,
    CopyMix,
    Decoder,
    Delayed,
    Embed,
    Node,
    Plan,
    Previous,
    PreviousNumber,
    Recurrent,
    Scores,
    sources,
)

Shape = tuple[str | int, ...]


def body_shapes(plan: Plan, decoder: Decoder, outer: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes of the nodes of a decoder's body. Raises AssertionError where one does not fit."""
    from rnnspec.plan.verify import shape_of

    found: dict[str, Shape] = {}
    first = decoder.body[0]
    assert isinstance(first, Previous | PreviousNumber), f"{decoder.name} reads nothing before"
    for node in decoder.body:
        assert node.name not in found and node.name not in outer, f"two are called {node.name}"
        known = {**outer, **found}
        for source in sources(node):
            inside = any(source == each.name for each in decoder.body)
            assert inside or source in decoder.reads, f"{node.name} reads {source}, {decoder.reads}"
            late = isinstance(node, Delayed)
            assert late or source in known, f"{node.name} reads {source}, which comes later"
        if isinstance(node, Recurrent):
            assert node.direction == "forward", f"{node.name} cannot run {node.direction}"
        own = _own(plan, node, known)
        found[node.name] = own if own is not None else shape_of(plan, node, known)
    for node in decoder.body:
        if isinstance(node, Delayed):
            _check_delayed(node, found)
    axes = found[decoder.scores]
    assert len(axes) == 3 and axes[:2] == ("B", "U"), f"{decoder.scores} gives {axes}"
    return found


def _own(plan: Plan, node: Node, found: Mapping[str, Shape]) -> Shape | None:
    """The shape of a node that only bodies have."""
    match node:
        case Previous():
            return ("B", "U")
        case PreviousNumber():
            assert found[node.source] == ("B", "T", 1), f"{node.source} is no series"
            return ("B", "U", 1)
        case Delayed():
            return ("B", "U", node.width)
        case Attend():
            query, memory = found[node.source], found[node.memory]
            fits = query == ("B", "U", node.query_width) and memory == ("B", "T", node.memory_width)
            assert fits, f"{node.name} asks with {query} in {memory}"
            return ("B", "U", node.memory_width)
        case Scores():
            takes = ("B", "U", node.inputs)
            assert found[node.source] == takes, f"{node.name} takes {takes}"
            if node.tied:
                table = plan.node(node.tied)
                fits = isinstance(table, Embed) and (table.size, table.width) == (
                    node.size,
                    node.inputs,
                )
                assert fits, f"{node.name} cannot take the table of {node.tied}"
            return ("B", "U", node.size)
        case CopyMix():
            attend = plan.node(node.attend)
            assert isinstance(attend, Attend), f"{node.name} copies by {node.attend}"
            assert found[node.source] == ("B", "U", node.size), f"{node.name} mixes {node.source}"
            tokens = plan.node(node.tokens)
            fits = isinstance(tokens, CopiesInput) and tokens.size == node.size
            assert fits, f"{node.name} cannot copy from {node.tokens}"
            return ("B", "U", f"{node.size} + T")
    return None


def _check_delayed(node: Delayed, found: Mapping[str, Shape]) -> None:
    takes = ("B", "U", node.width)
    assert found[node.source] == takes, f"{node.name} delays {found[node.source]}, not {takes}"
