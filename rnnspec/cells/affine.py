"""Finds element-wise linear recurrences in the equations: `h_t = a_t * h_{t-1} + b_t`.

Where neither `a` nor `b` depends on h, both are known for all steps at once, and a scan replaces
the loop (Blelloch 1990, Prefix Sums and Their Applications, section 1.4). minGRU
and minLSTM are such cells (Feng et al. 2024, Were RNNs All We Needed?).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.cells.graph import Node
from rnnspec.cells.reassociate import Builder, closure


@dataclass(frozen=True, slots=True)
class _Affine:
    """`factor * state + addend`; None stands for 0."""

    factor: int | None
    addend: int | None


def coefficients(
    builder: Builder, level: Sequence[int], leaf: int, result: int
) -> tuple[int, int] | None:
    """Nodes `(a, b)` with `result == a * leaf + b`, added to the builder; None if not affine.

    `leaf` is a state, `result` its next value. a and b depend on nodes of lower levels only.
    """
    found: dict[int, _Affine | None] = {}
    for index in closure(builder.nodes, [result]):
        if level[index] < level[leaf]:
            found[index] = _Affine(None, index)
        elif index == leaf:
            found[index] = _Affine(builder.constant(1.0), None)
        else:
            node = builder.nodes[index]
            found[index] = _combined(builder, node, [found[arg] for arg in node.args])
    whole = found[result]
    if whole is None:
        return None
    zero = builder.constant(0.0)
    return (
        zero if whole.factor is None else whole.factor,
        zero if whole.addend is None else whole.addend,
    )


def _combined(builder: Builder, node: Node, args: list[_Affine | None]) -> _Affine | None:
    """The affine form of a node from the forms of its arguments; None for any other operation."""
    known = [arg for arg in args if arg is not None]
    if len(known) < len(args):
        return None
    match node.op:
        case "copy":
            return known[0]
        case "neg":
            return _mapped(builder, "neg", known[0])
        case "add" | "sub":
            one, other = known
            if node.op == "sub":
                other = _mapped(builder, "neg", other)
            return _Affine(
                _sum(builder, one.factor, other.factor), _sum(builder, one.addend, other.addend)
            )
        case "mul" if known[0].factor is None:
            return _mapped(builder, "mul", known[1], known[0].addend)
        case "mul" | "div" if known[1].factor is None:
            return _mapped(builder, node.op, known[0], known[1].addend)
        case "where" if known[0].factor is None:
            return _Affine(
                _chosen(builder, known[0].addend, known[1].factor, known[2].factor),
                _chosen(builder, known[0].addend, known[1].addend, known[2].addend),
            )
        case _:
            return None


def _mapped(builder: Builder, op: str, value: _Affine, by: int | None = None) -> _Affine:
    """The operation on factor and addend: `(a * h + b) * v == (a * v) * h + b * v`."""
    more = () if by is None else (by,)
    parts = [
        None if part is None else _product(builder, op, part, more)
        for part in (value.factor, value.addend)
    ]
    return _Affine(*parts)


def _product(builder: Builder, op: str, part: int, more: tuple[int, ...]) -> int:
    if op == "mul" and builder.nodes[part] == builder.nodes[builder.constant(1.0)]:
        return more[0]
    return builder.apply(op, part, *more)


def _sum(builder: Builder, one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return builder.apply("add", one, other)


def _chosen(builder: Builder, flag: int | None, one: int | None, other: int | None) -> int | None:
    if flag is None or (one is None and other is None):
        return None
    zero = builder.constant(0.0)
    return builder.apply(
        "where", flag, zero if one is None else one, zero if other is None else other
    )
