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
from rnnspec.to_onnx.rewrite import with_centred_products, with_interpolation, with_unit_steps
from tests.onnx_models import opened

WIDTH = 6
POINTS = np.array(
    [[-100, -20, -3, -1, -0.3, -1e-4], [0, 1e-4, 0.2, 1, 2.9, 3.1], [5, 20, 88, -88, 0.5, 100]],
    np.float32,
)


def test_the_tables_are_complete() -> None:
    assert set(LOWERED) == set(FUNCTIONS)
    source = "a = where(W @ x < b, 1 - b * 2 / 3, where(b <= 1, b, 2))\nh = -a ** 2 + h"
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
    session = opened(emit.model("function", "", "0"))
    (found,) = session.run(None, dict(zip(names, arguments, strict=True)))
    expected = REFERENCE[name](*(argument.astype(np.float64) for argument in arguments))
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("width", [1, 2, 65])
@pytest.mark.parametrize("offset", [0.0, -1.0, 100.0])
def test_layer_norm_of_values_far_from_0(width: int, offset: float) -> None:
    """The operator alone loses what is small beside the mean."""
    emit = Emitter()
    emit.reserve(["v", "result"])
    emit.input("v", FLOAT, ["rows", width], reserved=True)
    emit.output(
        LOWERED["layer_norm"](emit, ["v"], "value", width), "result", FLOAT, ["rows", width], ""
    )
    values = offset + np.random.default_rng(0).normal(0, 0.01, (50, width)).astype(np.float32)
    (found,) = opened(emit.model("norm", "", "0")).run(None, {"v": values})
    expected = REFERENCE["layer_norm"](values.astype(np.float64))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def _text(nodes: tuple[Node, ...], index: int) -> str:
    node = nodes[index]
    if node.op == "constant":
        return f"{node.value:g}"
    if node.op in ("input", "state", "parameter"):
        return node.name
    return f"{node.op}({', '.join(_text(nodes, arg) for arg in node.args)})"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("(1 - z) * tanh(n) + z * h", "add(tanh(n), mul(z, sub(h, tanh(n))))"),
        ("z * h + tanh(n) * (1 - z)", "add(tanh(n), mul(z, sub(h, tanh(n))))"),
        ("(1 - z) * h + tanh(n) * z", "add(h, mul(z, sub(tanh(n), h)))"),
        # n may be of any size, and the difference would lose the digits of h
        ("(1 - z) * n + z * h", "add(mul(sub(1, z), n), mul(z, h))"),
        ("(2 - z) * h + z * tanh(n)", "add(mul(sub(2, z), h), mul(z, tanh(n)))"),
        ("(1 - z) * h + p * tanh(n)", "add(mul(sub(1, z), h), mul(p, tanh(n)))"),
        # known before the loop, where the difference costs nothing
        ("(1 - p) * h + p * tanh(n)", "add(mul(sub(1, p), h), mul(p, tanh(n)))"),
    ],
)
def test_interpolation_is_found(value: str, expected: str) -> None:
    """z reads the state, p does not."""
    source = value.replace("tanh(n)", "tanh(W @ x)").replace("* n", "* (W @ x)")
    source = source.replace("z", "sigmoid(U @ h)").replace("p", "sigmoid(b)")
    graph = compile_cell(CellSource("cell", ("h",), f"h = {source}")).graph
    found = with_interpolation(graph)
    text = _text(found.nodes, found.output).replace("sigmoid(matmul(U, h))", "z")
    assert text.replace("sigmoid(b)", "p").replace("matmul(W, x)", "n") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("layer_norm(U @ h) + h", "add(centred_layer_norm(matmul(U.centred, h)), h)"),
        ("layer_norm(U @ h + b)", "layer_norm(add(matmul(U, h), b))"),
        ("layer_norm(U @ h) * (U @ h)", "mul(layer_norm(matmul(U, h)), matmul(U, h))"),
    ],
)
def test_means_of_products_are_taken_from_their_matrices(value: str, expected: str) -> None:
    graph = with_centred_products(compile_cell(CellSource("cell", ("h",), f"h = {value}")).graph)
    assert _text(graph.nodes, graph.output) == expected


def test_steps_of_one_are_not_multiplied_with() -> None:
    source = CellSource("cell", ("h",), "h = h * exp(-dt) + dt * (b / dt) * 1", inputs=("dt",))
    graph = with_unit_steps(compile_cell(source).graph, frozenset({"dt"}))
    assert _text(graph.nodes, graph.output) == "add(mul(h, exp(neg(1))), div(b, 1))"
    assert all(node.op != "input" for node in graph.nodes if node.name == "dt")
