"""Functions of equations in ONNX: the table is complete and each gives what its formula says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from rnnspec.cells import FUNCTIONS, CellSource, compile_cell
from rnnspec.cells.graph import Node
from rnnspec.reference.functions import FUNCTIONS as REFERENCE
from rnnspec.reference.functions import Array
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import FUNCTIONS as LOWERED
from rnnspec.to_onnx.functions import PRIMITIVES, operation
from rnnspec.to_onnx.rewrite import (
    ORIGINALS,
    SMALL_SIGMOID,
    with_centred_products,
    with_interpolation,
    with_negated_sums,
    with_scaled_norms,
    with_unit_steps,
)
from tests.models import frames_facts, frames_plan, random_weights
from tests.onnx_models import opened

WIDTH = 6
SIZES = np.geomspace(1e-6, 100, 300)
POINTS = np.concatenate([[0, -0.5, 1, -20, -3, -88], SIZES, -SIZES]).astype(np.float32)
POINTS = np.random.default_rng(0).permutation(POINTS).reshape(-1, WIDTH)
ABSOLUTE = {"sigmoid": 1.2e-7, "gelu": 2e-6, "layer_norm": 3e-6}
"""What is lost of small values: by onnxruntime's Sigmoid, which is taken where no small value is
divided; by 1 + erf(v), in torch as well; by the difference to the mean."""


def test_the_tables_are_complete() -> None:
    assert set(LOWERED) == set(FUNCTIONS)
    source = "a = where(W @ x < b, 1 - b * 2 / 3, where(b <= 1, b, 2))\nh = -a ** 2 + h"
    nodes = compile_cell(CellSource("all", ("h",), source)).graph.nodes
    leaves = {"input", "state", "parameter", "constant", "matmul"}
    assert {node.op for node in nodes} - leaves == set(PRIMITIVES)


@pytest.mark.parametrize("name", [*FUNCTIONS, SMALL_SIGMOID])
def test_each_function_is_its_formula(name: str) -> None:
    """As precise, in proportion to its value, as an argument that is off by a few roundings."""
    formula = REFERENCE[ORIGINALS.get(name, name)]
    names = ["first", "second"][: 1 if name in ORIGINALS else FUNCTIONS[name].arity]
    emit = Emitter()
    emit.reserve([*names, "result"])
    for each in names:
        emit.input(each, FLOAT, ["rows", WIDTH], reserved=True)
    value = operation(emit, name, names, "value", WIDTH)
    emit.output(value, "result", FLOAT, ["rows", WIDTH], "")
    arguments = [POINTS, POINTS[::-1].copy()][: len(names)]
    if name in ("log", "sqrt"):
        arguments = [np.abs(POINTS) + np.float32(1e-6)]
    if name == "exp":
        arguments = [np.minimum(POINTS, 80)]
    session = opened(emit.model("function", "", "0"))
    (found,) = session.run(None, dict(zip(names, arguments, strict=True)))
    at = [argument.astype(np.float64) for argument in arguments]
    expected = formula(*at)
    above, below = (formula(*(v * factor for v in at)) for factor in (1 + 1e-6, 1 - 1e-6))
    felt = np.abs(above - below) / 2e-6  # |v f'(v)|
    bound = 5e-7 * (np.abs(expected) + felt) + ABSOLUTE.get(name, 1e-37)
    assert (np.abs(found - expected) <= bound).all()


DIVIDED: Mapping[str, Callable[[Array], Array]] = {
    "silu": lambda v: v / (1 + np.exp(-v)),
    "elu": lambda v: np.where(v > 0, v, np.expm1(np.minimum(v, 0))),
    "softplus": lambda v: np.log1p(np.exp(v)),
    SMALL_SIGMOID: lambda v: 1 / (1 + np.exp(-v)),
}


@pytest.mark.parametrize("name", DIVIDED)
@pytest.mark.parametrize("around", [-15.0, -1e-5])
def test_small_values_under_a_divisor(name: str, around: float) -> None:
    """As the keys of a delta rule, which are divided by their own length."""
    emit = Emitter()
    emit.reserve(["v", "result"])
    emit.input("v", FLOAT, ["rows", WIDTH], reserved=True)
    value = operation(emit, name, ["v"], "value", WIDTH)
    square = emit.reduce(
        "ReduceSum", emit.op("Mul", [value, value], "squares"), -1, "sum", keep=True
    )
    unit = emit.op("Div", [value, emit.op("Sqrt", [square], "length")], "unit")
    emit.output(unit, "result", FLOAT, ["rows", WIDTH], "")
    values = around * np.random.default_rng(0).uniform(0.7, 1.3, (50, WIDTH)).astype(np.float32)
    (found,) = opened(emit.model("unit", "", "0")).run(None, {"v": values})
    expected = DIVIDED[name](values.astype(np.float64))
    expected /= np.sqrt((expected**2).sum(-1, keepdims=True))
    np.testing.assert_allclose(found, expected, rtol=2e-6)


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


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("b_n * layer_norm(h + x_) + U @ h",
         "add(scaled_layer_norm(add(h, x_), b_n), matmul(U, h))"),
        ("layer_norm(h) * b_n + b_m", "scaled_layer_norm(h, b_n, b_m)"),
        ("b_m + exp(b_n) * layer_norm(U @ h)",
         "scaled_centred_layer_norm(matmul(U.centred, h), exp(b_n), b_m)"),
        # numbers are no vectors as wide as the norm, and of what two read there is one
        ("2 * layer_norm(h) + b_n", "add(mul(2, layer_norm(h)), b_n)"),
        ("b_n * layer_norm(h) + layer_norm(h)", "add(mul(b_n, layer_norm(h)), layer_norm(h))"),
        ("b_n * layer_norm(b_m) + h", "add(mul(b_n, layer_norm(b_m)), h)"),
    ],
)  # fmt: skip
def test_norms_are_scaled_and_shifted_in_one_operation(value: str, expected: str) -> None:
    source = value.replace("x_", "W @ x")
    graph = compile_cell(CellSource("cell", ("h",), f"h = {source}")).graph
    found = with_scaled_norms(with_centred_products(graph))
    assert _text(found.nodes, found.output).replace("matmul(W, x)", "x_") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("tanh(-(W @ x + U @ h + b))",
         "tanh(add(add(matmul(W.negated, x), matmul(U.negated, h)), b.negated))"),
        ("tanh(-(U @ h)) * b", "mul(tanh(matmul(U.negated, h)), b)"),
        ("-softplus(h) + b", "sub(b, softplus(h))"),
        # U is read as it is too; h itself would have to be turned at each step
        ("-(U @ h) * tanh(U @ h)", "mul(neg(matmul(U, h)), tanh(matmul(U, h)))"),
        ("exp(-(U @ h + h))", "exp(neg(add(matmul(U, h), h)))"),
        # known before the loop
        ("exp(-(W @ x)) * h", "mul(exp(neg(matmul(W, x))), h)"),
    ],
)  # fmt: skip
def test_signs_are_turned_in_the_weights(value: str, expected: str) -> None:
    graph = compile_cell(CellSource("cell", ("h",), f"h = {value}")).graph
    found = with_negated_sums(graph)
    assert _text(found.nodes, found.output) == expected


def test_a_running_sum_takes_no_loop() -> None:
    """Its first value is a state before the step, which a chunk brings along."""
    plan = frames_plan("phased_lstm", "forward", 1)
    operators = [n.op_type for n in to_onnx(plan, frames_facts(), random_weights(plan)).graph.node]
    assert operators.count("Scan") == operators.count("CumSum") == 1


def test_steps_of_one_are_not_multiplied_with() -> None:
    source = CellSource("cell", ("h",), "h = h * exp(-dt) + dt * (b / dt) * 1", inputs=("dt",))
    graph = with_unit_steps(compile_cell(source).graph, frozenset({"dt"}))
    assert _text(graph.nodes, graph.output) == "add(mul(h, exp(neg(1))), div(b, 1))"
    assert all(node.op != "input" for node in graph.nodes if node.name == "dt")
