"""Interval bounds of a cell's values, and whether its states can diverge.

Interval arithmetic over the graph (Moore 1966). A loop over a padded batch also computes steps
past the end of a row, whose input is arbitrary but finite. In a bounded cell these steps stay
finite, and a gradient of 0 that reaches them stays 0. In other cells (exponentials, a division,
relu with a full matrix) they may become inf or NaN, and 0 * inf would reach real steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rnnspec.cells.graph import Graph, Node

_INPUT = 1e6
_WEIGHT = 1e3
_WIDTH = 1e5
_STATE = 1e12
"""Larger than anything in practice, and small enough that a few products of them are finite."""

_LARGEST = 1e36
"""Below the largest float32, 3.4e38."""


@dataclass(frozen=True, slots=True)
class Range:
    """`low <= value <= high`; in it at most `growth` times the largest state."""

    low: float
    high: float
    growth: float = 0.0

    @property
    def size(self) -> float:
        return max(abs(self.low), abs(self.high))


_ANY = Range(-math.inf, math.inf, math.inf)

_FUNCTIONS: dict[str, Callable[[Range], Range]] = {
    "sigmoid": lambda v: Range(0, 1),
    "hard_sigmoid": lambda v: Range(0, 1),
    "softmax": lambda v: Range(0, 1),
    "tanh": lambda v: Range(-1, 1),
    "softsign": lambda v: Range(-1, 1),
    "layer_norm": lambda v: Range(-math.sqrt(_WIDTH), math.sqrt(_WIDTH)),
    "relu": lambda v: Range(max(v.low, 0), max(v.high, 0), v.growth),
    "softplus": lambda v: Range(0, max(v.high, 0) + 1, v.growth),
    "elu": lambda v: Range(max(v.low, -1), max(v.high, 0), v.growth),
    "silu": lambda v: Range(-1, max(v.high, 0), v.growth),
    "gelu": lambda v: Range(-1, max(v.high, 0), v.growth),
    "abs": lambda v: Range(0, v.size, v.growth),
    "neg": lambda v: Range(-v.high, -v.low, v.growth),
    **dict.fromkeys(
        ("copy", "transpose", "rows", "columns", "tile", "slice", "every"), lambda v: v
    ),
    "sin": lambda v: Range(-1, 1),
    "cos": lambda v: Range(-1, 1),
    "floor": lambda v: Range(v.low - 1, v.high, v.growth),
    "exp": lambda v: Range(0, math.exp(v.high)) if v.high < 80 else _ANY,
}
"""Functions of one argument with known bounds; others may have any value."""


def is_bounded(graph: Graph) -> bool:
    """Whether every value of every step is finite, however long a row is.

    True where each state grows by at most a bounded amount per step, and no other value overflows.
    """
    found = ranges(graph.nodes)
    largest = max(value.size for value in found)
    return largest < _LARGEST and all(found[i].growth <= 1 for i in graph.next_states.values())


def ranges(nodes: Sequence[Node]) -> list[Range]:
    """The range of each node."""
    found: list[Range] = []
    for node in nodes:
        found.append(_range(node, [found[arg] for arg in node.args]))
    return found


def _range(node: Node, args: list[Range]) -> Range:
    match node.op:
        case "input":
            return Range(-_INPUT, _INPUT)
        case "parameter":
            return Range(-_WEIGHT, _WEIGHT)
        case "state":
            return Range(-_STATE, _STATE, 1.0)
        case "size":
            return Range(1, _WIDTH)
        case "constant":
            return Range(node.value, node.value)
        case "matmul":
            size = _WEIGHT * _WIDTH * args[1].size
            return Range(-size, size, math.inf if args[1].growth else 0.0)
        case "add":
            return _sum(args[0], args[1])
        case "sub":
            return _sum(args[0], _FUNCTIONS["neg"](args[1]))
        case "mul":
            return _product(args[0], args[1])
        case "max" | "min":
            pick = max if node.op == "max" else min
            low, high = pick(args[0].low, args[1].low), pick(args[0].high, args[1].high)
            return Range(low, high, max(args[0].growth, args[1].growth))
        case "where":
            low, high = min(args[1].low, args[2].low), max(args[1].high, args[2].high)
            return Range(low, high, max(args[1].growth, args[2].growth))
        case "select":
            low, high = min(args[1].low, args[2].low), max(args[1].high, args[2].high)
            return Range(low, high, max(args[1].growth, args[2].growth))
        case "less" | "at_most":
            return Range(0, 1)
        case "outer":
            return _product(args[0], args[1])
        case "concat":
            low, high = min(args[0].low, args[1].low), max(args[0].high, args[1].high)
            return Range(low, high, max(args[0].growth, args[1].growth))
        case "apply" | "compose":
            return _times_width(_product(args[0], args[1]))
        case "sum":
            return _times_width(args[0])
        case op:
            return _FUNCTIONS[op](args[0]) if op in _FUNCTIONS else _ANY


def _times_width(one: Range) -> Range:
    """A sum of as many terms as a vector may be wide; their growth together is not known."""
    size = _WIDTH * one.size
    return _ANY if math.isinf(size) else Range(-size, size, math.inf if one.growth else 0.0)


def _sum(one: Range, other: Range) -> Range:
    return Range(one.low + other.low, one.high + other.high, one.growth + other.growth)


def _product(one: Range, other: Range) -> Range:
    if math.inf in (one.size, other.size):
        return _ANY
    ends = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
    if one.growth and other.growth:
        return _ANY
    return Range(min(ends), max(ends), one.growth * other.size + other.growth * one.size)
