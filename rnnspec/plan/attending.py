"""Layers that attend to the steps of another encoder, and how two vectors meet."""

from __future__ import annotations

from typing import Literal, assert_never

from rnnspec.errors import DataError
from rnnspec.plan.nodes import Attend, AttentionKind, Combine, Compare, Node
from rnnspec.plan.stateless import Read, joined
from rnnspec.spec.attending import (
    AdditiveScore,
    AttendLayer,
    DotScore,
    GeneralScore,
    MultiHeadScore,
    PoolingScore,
)

Comparison = Literal["difference", "product", "cosine", "manhattan"]
"""How two vectors of one width meet, other than side by side."""


def met(kind: Comparison, name: str, one: Read, two: Read, nodes: list[Node]) -> Read:
    """Two vectors of one width compared, at each step where they have steps."""
    match kind:
        case "product":
            nodes.append(Combine(name, (one.name, two.name), "mul"))
        case "difference" | "cosine" | "manhattan":
            nodes.append(Compare(name, (one.name, two.name), kind))
        case _:
            assert_never(kind)
    return Read(name, one.width if kind in ("difference", "product") else 1)


def attending(
    layer: AttendLayer, name: str, at: str, query: Read, memory: Read, nodes: list[Node]
) -> Read:
    """What a layer gives that attends from `query` to `memory`; its nodes are added. `at` is its
    place in the spec. Where the layer `pools`, `memory` is the one vector of the other encoder.
    Raises DataError where it does not fit the widths of the data."""
    context = memory
    if not layer.pools:
        context = Read(f"{name}.context", memory.width)
        nodes.append(_attention(layer, context.name, at, query, memory))
    parts: list[Read] = []
    for kind in layer.combine:
        if kind == "concat":
            parts += [query, context]
        elif kind == "context":
            parts.append(context)
        else:
            if query.width != context.width:
                raise DataError(f"{at}.combine: {kind} needs one width, {_widths(query, memory)}")
            parts.append(met(kind, f"{name}.{kind}", query, context, nodes))
    return joined(name, parts, nodes)


def _widths(query: Read, memory: Read) -> str:
    return f"and a step has {query.width} numbers, what it attends to {memory.width}"


def _attention(layer: AttendLayer, name: str, at: str, query: Read, memory: Read) -> Attend:
    kind: AttentionKind
    units, heads = 0, 1
    match layer.score:
        case DotScore():
            kind = "dot"
            if query.width != memory.width:
                raise DataError(f"{at}.score: dot needs one width, {_widths(query, memory)}")
        case GeneralScore():
            kind = "general"
        case AdditiveScore():
            kind, units = "additive", layer.score.units or query.width
        case MultiHeadScore():
            kind, units, heads = "multi_head", layer.score.units or query.width, layer.score.heads
            if units % heads:
                raise DataError(
                    f"{at}.score.multi_head: {units} units cannot be shared by {heads} heads"
                )
        case PoolingScore():
            raise AssertionError("there is nothing to attend to")
        case _:
            assert_never(layer.score)
    widths = query.width, memory.width
    return Attend(name, query.name, memory.name, kind, *widths, units=units, heads=heads)
