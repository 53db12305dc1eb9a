"""Matrices of states that remember linearly, which fewer bits would let grow."""

from __future__ import annotations

from rnnspec.cells.graph import Graph
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Recurrent

_LINEAR = frozenset({"add", "sub", "mul", "neg", "copy"})


def linear_memories(plan: Plan) -> frozenset[str]:
    """The names of the weights M of equations `m = M @ m + …`, by no function of the sum.

    Nothing bounds such a state but M, whose powers it is made of: that of `lmu` for a window of 784
    steps has eigenvalues of sizes up to 0.986, and in 8 bits up to 1.003.
    """
    return frozenset(
        f"{node.name}.{direction}.{name}"
        for node in plan.every_node()
        if isinstance(node, Recurrent)
        for direction in node.directions
        for name in _matrices(node.cell.graph)
    )


def _matrices(graph: Graph) -> set[str]:
    nodes, found = graph.nodes, set[str]()
    for state, index in graph.next_states.items():
        waiting, seen = [index], set[int]()
        while waiting:
            index = waiting.pop()
            node = nodes[index]
            if index in seen:
                continue
            seen.add(index)
            if node.op in _LINEAR:
                waiting += node.args
            elif node.op == "matmul":
                matrix, value = (nodes[arg] for arg in node.args)
                if matrix.op == "parameter" and value.op == "state" and value.name == state:
                    found.add(matrix.name)
    return found
