"""Recurrent dropout (Gal and Ghahramani 2016, arXiv 1512.05287) as a change of a cell's graph.

While training, a state is multiplied by a mask where its previous value enters the products of the
recurrence, alone or times a gate; the mask of a row is the same at all its steps and for all
matrices. The state itself, and what it adds element by element, are not masked.
"""

from __future__ import annotations

from dataclasses import replace

from rnnspec.cells.graph import Cell, Graph, Node
from rnnspec.cells.roles import recurrent_operands

MASK = "recurrent_dropout."
"""Begins the name of the input that holds the mask of a state."""


def with_recurrent_masks(cell: Cell) -> Cell:
    """The cell that reads masks as further inputs `recurrent_dropout.STATE`, `[width]`."""
    entering = recurrent_operands(cell)
    nodes: list[Node] = []
    places: list[int] = []
    masked: dict[int, int] = {}
    for node in cell.graph.nodes:
        args = [places[arg] for arg in node.args]
        if node.op == "matmul" and node.args[1] in entering:
            args[1] = masked[node.args[1]]
        nodes.append(replace(node, args=tuple(args)))
        places.append(len(nodes) - 1)
        index = len(places) - 1
        if index in entering:
            name = MASK + entering[index]
            mask = Node("input", (), node.shape, name)
            if mask not in nodes:
                nodes.append(mask)
            nodes.append(Node("mul", (nodes.index(mask), places[index]), node.shape))
            masked[index] = len(nodes) - 1
    following = {state: places[index] for state, index in cell.graph.next_states.items()}
    graph = Graph(tuple(nodes), following, places[cell.graph.output])
    names = tuple(MASK + state for state in dict.fromkeys(entering.values()))
    return replace(cell, graph=graph, inputs=(*cell.inputs, *names))
