"""How much a plan multiplies: multiply-adds of its matrices, without element-wise products.

A matrix is multiplied once for each value that it makes: for each step of a sequence, each token
of an answer, each place of a grid, or once a row. Attention multiplies each query with all that it
looks at, and weighs that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan import Plan, nodes
from rnnspec.plan.nodes import Node, Shape
from rnnspec.plan.nodes.node import FromData


@dataclass(frozen=True, slots=True)
class Extents:
    """Padded sizes of a batch: rows, steps read and tokens or steps answered; `own` are the steps
    of each axis where there are several, and what is inside steps (`inside`)."""

    rows: int
    steps: int
    answered: int
    own: Mapping[str, int] = field(default_factory=dict)


def multiply_adds(plan: Plan, extents: Extents) -> dict[str, int]:
    """Of one forward pass over a batch, by node; nodes without matrices are left out."""
    shapes = nodes.shapes(plan)
    found = {}
    for node in plan.every_node():
        if isinstance(node, nodes.Decoder):
            continue
        count = _places(node, shapes, extents) * _matrix(node)
        if isinstance(node, nodes.Attend):
            count = _attended(node, shapes, extents)
        if count:
            found[node.name] = count
    return found


def _matrix(node: Node) -> int:
    """Multiply-adds for one value: numbers of all matrices and kernels."""
    if isinstance(node, nodes.Embed | nodes.CalendarEmbed):
        return 0
    weights = (w for w in node.weights() if not isinstance(w.initializer, FromData))
    return sum(prod(weight.shape) for weight in weights if len(weight.shape) > 1)


def _attended(node: nodes.Attend, shapes: Mapping[str, Shape], extents: Extents) -> int:
    """The matrix of the queries for each of them, those of the memory for each step of it, the
    products of both and the weighted sums."""
    steps = extents.rows * _extent(shapes[node.memory][1], extents)
    queries = _extent(shapes[node.source][1], extents)
    looked_at = steps * queries
    count = looked_at * (node.query_width + node.memory_width)
    for weight in node.weights():
        of_query = weight.name.endswith(".W_q")
        places = extents.rows * queries if of_query else steps
        count += places * prod(weight.shape) if len(weight.shape) > 1 else 0
    return count


def _places(node: Node, shapes: Mapping[str, Shape], extents: Extents) -> int:
    """How many values a node makes in a batch."""
    axes = shapes[node.name][:-1]
    return prod(_extent(f"{axes[0]}C" if axis == "C" else axis, extents) for axis in axes)


def _extent(axis: str | int, extents: Extents) -> int:
    if isinstance(axis, int):
        return axis
    name, _, by = axis.partition("/")
    name, _, times = name.partition("*")
    known = {"B": extents.rows, "T": extents.steps, "U": extents.answered, **extents.own}
    count = known.get(name, 1)
    return -(-count // int(by or 1)) * int(times or 1)


def inside(node: Node, values: NDArray[Any], lengths: NDArray[np.int64]) -> dict[str, int]:
    """The sizes of what the steps of an input hold: characters of words, or sequences.

    W steps of all rows are not padded, and WC is the longest of what they hold; where that is
    sequences again, WW and WWC are theirs, and so on.
    """
    match node:
        case nodes.CharactersInput():
            return {"W": int((lengths > 0).sum()), "WC": values.shape[2]}
        case nodes.NestedInput():
            found = {}
            for level in range(1, node.levels + 1):
                first = values.reshape(*values.shape[: level + 1], -1)[..., 0]
                there = first > level - 1 - node.levels
                steps = np.arange(values.shape[1]) < lengths[:, None]
                counted = (
                    steps if level == 1 else there & steps.reshape(*steps.shape, *[1] * (level - 1))
                )
                found["W" * level] = max(1, int(counted.sum()))
                found["W" * level + "C"] = max(1, values.shape[level + 1])
            return found
    return {}
