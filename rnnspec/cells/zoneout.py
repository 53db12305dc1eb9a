"""Zoneout (Krueger et al. 2016, arXiv 1606.01305) as a change of a cell's graph.

While training each element of a state keeps its old value with probability `rate`:
`next = m * old + (1 - m) * new`, with `m` drawn from 0 and 1. An answer takes the expectation,
`rate` in the place of `m`. Equations that read the new value of another state read it as computed,
before zoneout, as in the paper's equations of the LSTM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rnnspec.cells.graph import Cell, Graph, Node

MASK = "zoneout."
"""Begins the name of the input that holds the mask of a state."""


def with_zoneout(cell: Cell, rate: float) -> Cell:
    """The cell that computes the expectation of zoneout at `rate`."""
    return _changed(cell, lambda state, shape: Node("constant", (), (), value=rate))


def with_zoneout_masks(cell: Cell) -> Cell:
    """The cell that reads the mask of each state as a further input `zoneout.STATE`, `[width]`."""
    changed = _changed(cell, lambda state, shape: Node("input", (), shape, MASK + state))
    return replace(changed, inputs=(*cell.inputs, *(MASK + state for state in cell.states)))


def _changed(cell: Cell, mask_of: Callable[[str, tuple[str, ...]], Node]) -> Cell:
    """`m * old + (1 - m) * new` in the place of every state's next value."""
    nodes = list(cell.graph.nodes)

    def add(node: Node) -> int:
        if node in nodes:
            return nodes.index(node)
        nodes.append(node)
        return len(nodes) - 1

    following: dict[str, int] = {}
    one = add(Node("constant", (), (), value=1.0))
    for state, new in cell.graph.next_states.items():
        shape = cell.states[state]
        old = add(Node("state", (), shape, state))
        mask_node = mask_of(state, shape)
        mask = add(mask_node)
        kept = add(Node("mul", (mask, old), shape))
        other = add(Node("sub", (one, mask), mask_node.shape))
        taken = add(Node("mul", (other, new), shape))
        following[state] = add(Node("add", (kept, taken), shape))
    output = cell.graph.output
    if cell.output in following:
        output = following[cell.output]
    return replace(cell, graph=Graph(tuple(nodes), following, output))
