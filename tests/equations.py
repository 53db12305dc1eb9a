"""Random cells, as equations a person could write, and a cell run by torch's autograd alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from hypothesis import strategies as st
from torch import Tensor

from rnnspec.cells import FUNCTIONS, Cell, CellSource, compile_cell
from rnnspec.to_torch.functions import OPERATIONS

UNARY = sorted(f.name for f in FUNCTIONS.values() if f.arity == 1 and f.name not in ("log", "sqrt"))
BINARY = ("+", "-", "*")


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """Cells of one to three states, some of them linear recurrences, all values of moderate
    size."""
    states = ["h", "c", "m"][: draw(st.integers(1, 3))]
    lines: list[str] = []
    known: list[str] = []
    for number in range(draw(st.integers(0, 3))):
        lines.append(f"t{number} = {draw(vectors([*states, *known]))}")
        known.append(f"t{number}")
    for state in states:
        free = vectors([])
        if draw(st.booleans()):
            lines.append(f"{state} = sigmoid({draw(free)}) * {state} + {draw(free)}")
        else:
            lines.append(f"{state} = tanh({draw(vectors([*states, *known]))})")
    text = "\n".join(lines)
    unused = [name for name in known if len(re.findall(rf"\b{name}\b", text)) == 1]
    if unused:
        text += "".join(f" + {name}" for name in unused)
    output = draw(st.sampled_from([*states, *known]))
    return compile_cell(CellSource("random", states, text, output))


def vectors(names: list[str]) -> st.SearchStrategy[str]:
    """Expressions that are vectors of the cell's width, over these names, x and parameters."""
    leaf = st.sampled_from([*names, "(W_1 @ x)", "(W_2 @ x)", "b_1", "b_2"])
    return st.recursive(leaf, _larger, max_leaves=5)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(UNARY), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(BINARY), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["max", "min"]), inner, inner),
        st.builds("({} / (1.5 + sigmoid({})))".format, inner, inner),
        st.builds("sqrt(2 + tanh({}))".format, inner),
        st.builds("log(2 + tanh({}))".format, inner),
        st.builds("tanh({}) ** {}".format, inner, st.sampled_from([0, 2, 3])),
        st.builds("({} * {})".format, st.sampled_from(["0.5", "-1.5", "2"]), inner),
        st.builds("(1 - {})".format, inner),
        st.builds("(U_{} @ {})".format, st.sampled_from([1, 2]), inner),
    )


def run_by_autograd(
    cell: Cell,
    parameters: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    states: Mapping[str, Tensor],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Node by node and step by step, `[T, B, output]` and the states after the last step."""
    length, rows = inputs["x"].shape[:2]
    outputs = []
    current = dict(states)
    for t in range(length):
        values: list[Tensor] = []
        for node in cell.graph.nodes:
            args = [values[arg] for arg in node.args]
            match node.op:
                case "input":
                    value = inputs[node.name][t]
                case "state":
                    value = current[node.name]
                case "parameter":
                    value = parameters[node.name]
                case "constant":
                    value = inputs["x"].new_tensor(node.value)
                case "matmul":
                    value = args[1] @ args[0].t()
                case op:
                    value = OPERATIONS[op](*args)
            values.append(value)
        current = {s: values[i].expand(rows, -1) for s, i in cell.graph.next_states.items()}
        outputs.append(values[cell.graph.output].expand(rows, -1))
    return torch.stack(outputs), current
