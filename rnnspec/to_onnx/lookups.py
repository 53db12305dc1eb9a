"""What a cell computes of its input alone, where that is the learned vector of a token: a table.

A decoder's first layer mostly reads nothing but the vector of the token before. `W x + b` is then
one of as many vectors as there are tokens, and is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells.graph import Graph
from rnnspec.cells.reassociate import closure
from rnnspec.reference.functions import FUNCTIONS, PRIMITIVES
from rnnspec.to_onnx.rewrite import ORIGINALS
from rnnspec.to_onnx.weights_only import WeightsOnly

Array = NDArray[np.float64]
MOST_NUMBERS = 2**18
"""In the tables of a layer: they make the file larger and save time for few tokens only."""


def tables(
    graph: Graph, weights: WeightsOnly, vectors: NDArray[np.float32]
) -> Mapping[int, NDArray[np.float32]]:
    """For each node that a later one or the outside reads, and that depends on the input but on no
    state, its values `[V, width]` for the input `vectors` `[V, inputs]`. None if they are many."""
    stateful, read = graph.depends_on_state(), _of_input(graph)
    ends = {*graph.next_states.values(), graph.output}
    for index, node in enumerate(graph.nodes):
        ends |= set(node.args) if stateful[index] else set()
    found = [
        index
        for index in sorted(ends)
        if read[index] and not stateful[index] and graph.nodes[index].op != "input"
    ]
    if len(vectors) * sum(map(weights.width, found)) > MOST_NUMBERS:
        return {}
    values: dict[int, Array] = {}
    for index in closure(graph.nodes, found):
        values[index] = _value(graph, index, weights, values, vectors)
    return {index: _rows(values[index], len(vectors)).astype(np.float32) for index in found}


def _of_input(graph: Graph) -> list[bool]:
    """For each node, whether its value depends on the input."""
    found: list[bool] = []
    for node in graph.nodes:
        found.append(node.op == "input" or any(found[arg] for arg in node.args))
    return found


def _value(
    graph: Graph,
    index: int,
    weights: WeightsOnly,
    values: Mapping[int, Array],
    vectors: NDArray[np.float32],
) -> Array:
    node = graph.nodes[index]
    arguments = [values[arg] for arg in node.args]
    match node.op:
        case "input":
            return vectors.astype(np.float64)
        case "parameter":
            return weights.parameter(node.name).astype(np.float64)
        case "constant":
            return np.asarray(node.value, np.float64)
        case "copy":
            return arguments[0]
        case "matmul":
            return np.asarray(arguments[1] @ arguments[0].T)
        case op:
            function = PRIMITIVES.get(op) or FUNCTIONS[ORIGINALS.get(op, op)]
            return np.asarray(function(*arguments))


def _rows(value: Array, count: int) -> Array:
    return value if value.ndim == 2 else np.broadcast_to(value, (count, *value.shape))
