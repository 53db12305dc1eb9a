"""Functions of equations in ONNX: the table is complete and each gives what its formula says."""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.cells import FUNCTIONS, CellSource, compile_cell
from rnnspec.cells.graph import Node
from rnnspec.reference.functions import FUNCTIONS as REFERENCE
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import FUNCTIONS as LOWERED
from rnnspec.to_onnx.functions import PRIMITIVES
from rnnspec.to_onnx.hoist import expressions
from tests.onnx_models import opened

WIDTH = 6
POINTS = np.array(
    [[-100, -20, -3, -1, -0.3, -1e-4], [0, 1e-4, 0.2, 1, 2.9, 3.1], [5, 20, 88, -88, 0.5, 100]],
    np.float32,
)


def test_the_tables_are_complete() -> None:
    assert set(LOWERED) == set(FUNCTIONS)
    source = "a = W @ x + 1 - b * 2 / 3\nh = -a ** 2 + h"
    nodes = compile_cell(CellSource("all", ("h",), source)).graph.nodes
    leaves = {"input", "state", "parameter", "constant", "matmul"}
    assert {node.op for node in nodes} - leaves == set(PRIMITIVES)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_its_formula(name: str) -> None:
    emit = Emitter()
    names = ["first", "second"][: FUNCTIONS[name].arity]
    emit.reserve([*names, "result"])
    for each in names:
        emit.input(each, FLOAT, ["rows", WIDTH], reserved=True)
    value = LOWERED[name](emit, names, "value", WIDTH)
    emit.output(value, "result", FLOAT, ["rows", WIDTH], "")
    arguments = [POINTS, POINTS[::-1].copy()][: len(names)]
    if name in ("log", "sqrt"):
        arguments = [np.abs(POINTS) + np.float32(1e-3)]
    if name == "exp":
        arguments = [np.minimum(POINTS, 80)]
    session = opened(emit.model("function", 21, "", "0"))
    (found,) = session.run(None, dict(zip(names, arguments, strict=True)))
    expected = REFERENCE[name](*(argument.astype(np.float64) for argument in arguments))
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=3e-6)


def _text(nodes: tuple[Node, ...], index: int) -> str:
    node = nodes[index]
    if node.op in ("input", "state", "parameter"):
        return node.name
    return f"{node.op}({', '.join(_text(nodes, arg) for arg in node.args)})"


@pytest.mark.parametrize(
    ("equations", "expected"),
    [
        (
            "h = W @ x + U @ h + b",
            "add(add(matmul(W, x), b), matmul(U, h))",
        ),
        ("h = b + h + W @ x", "add(add(matmul(W, x), b), h)"),
        ("h = h + U @ h + b", "add(add(b, matmul(U, h)), h)"),
        ("h = tanh(h + b) + b", "add(b, tanh(add(b, h)))"),
        (
            "s = W @ x + h\nh = s * (s + b)",
            "mul(add(matmul(W, x), h), add(b, add(matmul(W, x), h)))",
        ),
        ("h = h - (W @ x + b)", "sub(h, add(matmul(W, x), b))"),
        ("h = h + (h + (h + b))", "add(add(add(b, h), h), h)"),
    ],
)
def test_sums_are_rearranged(equations: str, expected: str) -> None:
    cell = expressions(compile_cell(CellSource("cell", ("h",), equations)).graph)
    assert _text(cell.nodes, cell.output) == expected
