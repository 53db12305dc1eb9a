"""Rewrites of a cell's graph: recurrent dropout, zoneout, and rows that repeat their last step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rnnspec.cells.functions import FUNCTIONS
from rnnspec.cells.graph import Cell, Graph, Node, Shape
from rnnspec.cells.reassociate import Builder

RECURRENT_MASK = "recurrent_dropout."
"""Prefix of the input that holds the recurrent dropout mask of a state."""
ZONEOUT_MASK = "zoneout."
"""Prefix of the input that holds the zoneout mask of a state."""
CONTINUES = "padding.continues"
"""The input that says, for each row and step, whether the row has more steps after this one."""


# ---------------------------------------------------------------- recurrent dropout


def recurrent_operands(cell: Cell) -> dict[int, str]:
    """Operands of products that are a state's previous value, alone, under a function or times
    another value: node to state."""
    entering: dict[int, str] = {}
    for index, node in enumerate(cell.graph.nodes):
        unary = node.op == "neg" or (node.op in FUNCTIONS and len(node.args) == 1)
        if node.op == "state":
            entering[index] = node.name
        elif unary or node.op == "mul":
            states = [entering[arg] for arg in node.args if arg in entering]
            if states:
                entering[index] = states[0]
    operands = cell.graph.products_by_operand()
    return {index: state for index, state in entering.items() if index in operands}


def with_recurrent_masks(cell: Cell) -> Cell:
    """The cell that reads recurrent dropout masks as inputs `recurrent_dropout.STATE`, `[width]`.

    A state is multiplied by its mask where its previous value enters the products of the
    recurrence (`recurrent_operands`). The state itself, and what it adds element by element, are
    not masked. A row has the same mask at all its steps and for all matrices (Gal and Ghahramani
    2016, arXiv 1512.05287).
    """
    entering = recurrent_operands(cell)
    builder = Builder()
    places: list[int] = []
    masked: dict[int, int] = {}
    for index, node in enumerate(cell.graph.nodes):
        args = [places[arg] for arg in node.args]
        if node.op == "matmul" and node.args[1] in entering:
            args[1] = masked[node.args[1]]
        places.append(builder.add(node, tuple(args)))
        if index in entering:
            mask = Node("input", (), node.shape, RECURRENT_MASK + entering[index])
            masked[index] = builder.apply("mul", builder.add(mask, ()), places[index])
    next_states = {state: places[index] for state, index in cell.graph.next_states.items()}
    graph = Graph(tuple(builder.nodes), next_states, places[cell.graph.output])
    names = tuple(RECURRENT_MASK + state for state in dict.fromkeys(entering.values()))
    return replace(cell, graph=graph, inputs=(*cell.inputs, *names))


# ---------------------------------------------------------------- zoneout


def with_zoneout(cell: Cell, rate: float) -> Cell:
    """The cell that computes the expectation of zoneout at `rate`, as answers do."""
    head = None if cell.head is None else with_zoneout(cell.head, rate)
    expected = _zoned_out(cell, lambda state, shape: Node("constant", (), (), value=rate))
    return replace(expected, head=head)


def with_zoneout_masks(cell: Cell) -> Cell:
    """The cell that reads zoneout masks as inputs `zoneout.STATE`, `[width]`, as training does."""
    changed = _zoned_out(
        replace(cell, head=None),
        lambda state, shape: Node("input", (), shape, ZONEOUT_MASK + state),
    )
    return replace(changed, inputs=(*cell.inputs, *(ZONEOUT_MASK + state for state in cell.states)))


def _zoned_out(cell: Cell, mask_of: Callable[[str, Shape], Node]) -> Cell:
    """`next = m * old + (1 - m) * new` for every state (Krueger et al. 2016, arXiv 1606.01305).

    `m` is drawn from 0 and 1 in training, and its probability in an answer. Equations that read
    the new value of another state read it before zoneout, as in the paper's LSTM.
    """
    builder = Builder(cell.graph.nodes)
    next_states: dict[str, int] = {}
    one = builder.constant(1.0)
    for state, new in cell.graph.next_states.items():
        shape = cell.states[state]
        old = builder.add(Node("state", (), shape, state), ())
        mask_node = mask_of(state, shape)
        mask = builder.add(mask_node, ())
        kept = builder.add(Node("mul", (), shape), (mask, old))
        other = builder.add(Node("sub", (), mask_node.shape), (one, mask))
        taken = builder.add(Node("mul", (), shape), (other, new))
        next_states[state] = builder.add(Node("add", (), shape), (kept, taken))
    output = next_states.get(cell.output, cell.graph.output)
    graph = Graph(tuple(builder.nodes), next_states, output, cell.graph.names)
    return replace(cell, graph=graph)


# ---------------------------------------------------------------- padding


def with_repeated_end(graph: Graph) -> Graph:
    """The graph in which a state keeps its value from before the step where a row has ended.

    A loop over a padded batch also computes steps past the end of a row. If these read the input of
    the last real step and the state before it again, they give that step's values again, as finite
    as on the real step. Bounded cells (`rnnspec.cells.bounds`) do not need it.
    """
    nodes = list(graph.nodes)
    leaves = {node.name: index for index, node in enumerate(nodes) if node.op == "state"}
    flag = len(nodes)
    nodes.append(Node("input", (), (), CONTINUES))
    next_states: dict[str, int] = {}
    for state, result in graph.next_states.items():
        shape = nodes[leaves[state]].shape
        next_states[state] = len(nodes)
        nodes.append(Node("where", (flag, result, leaves[state]), shape))
    return replace(graph, nodes=tuple(nodes), next_states=next_states)
