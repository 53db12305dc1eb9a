"""What part each parameter and each product of a cell plays in its recurrence."""

from __future__ import annotations

from typing import Literal

from rnnspec.cells.functions import FUNCTIONS
from rnnspec.cells.graph import Cell

Role = Literal["input", "recurrent", "bias"]


def parameter_roles(cell: Cell) -> dict[str, Role]:
    """Matrices that are applied to `x` are "input", all others "recurrent"; vectors and single
    numbers "bias"."""
    nodes = cell.graph.nodes
    applied = {
        nodes[node.args[0]].name
        for node in nodes
        if node.op == "matmul" and nodes[node.args[1]].op == "input"
    }
    return {
        name: "bias" if len(shape) < 2 else "input" if name in applied else "recurrent"
        for name, shape in cell.parameters.items()
    }


def recurrent_operands(cell: Cell) -> dict[int, str]:
    """Operands of products that are a state's previous value, or that value under a function or
    times something else: node to state."""
    entering: dict[int, str] = {}
    for index, node in enumerate(cell.graph.nodes):
        alone = node.op == "neg" or (node.op in FUNCTIONS and len(node.args) == 1)
        if node.op == "state":
            entering[index] = node.name
        elif alone or node.op == "mul":
            states = [entering[arg] for arg in node.args if arg in entering]
            if states:
                entering[index] = states[0]
    operands = cell.graph.products_by_operand()
    return {index: state for index, state in entering.items() if index in operands}
