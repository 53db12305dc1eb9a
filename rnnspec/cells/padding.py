"""A cell over padded rows: past its end a row repeats its last step, as a change of the graph.

A loop over a padded batch also computes steps past the end of a row. If these read the last real
step's input and the state before it again, they give that step's values again: whatever the cell
computes there, it is as finite as on the real step. Cells whose values are finite on any input
(`rnnspec.cells.bounds`) do not need it.
"""

from __future__ import annotations

from dataclasses import replace

from rnnspec.cells.graph import Graph, Node

CONTINUES = "padding.continues"
"""The input that says, for each row and step, whether to go on from the state after the step."""


def with_repeated_end(graph: Graph) -> Graph:
    """The graph in which a state stays as it was before the step where the row does not go on."""
    nodes = list(graph.nodes)
    leaves = {node.name: index for index, node in enumerate(nodes) if node.op == "state"}
    flag = len(nodes)
    nodes.append(Node("input", (), (), CONTINUES))
    following: dict[str, int] = {}
    for state, result in graph.next_states.items():
        shape = nodes[leaves[state]].shape
        following[state] = len(nodes)
        nodes.append(Node("where", (flag, result, leaves[state]), shape))
    return replace(graph, nodes=tuple(nodes), next_states=following)
