"""Layers in ONNX: native operators, Scan and the reference agree; padding changes nothing."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from rnnspec.cells import CellSource, ParameterSource, builtin_names, compile_cell
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Dense, Direction, Pool, PoolKind, Recurrent, verify
from rnnspec.reference import answers
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.native import NATIVE
from tests.models import frames_facts, frames_plan, random_frames, random_weights
from tests.onnx_models import feeds, opened

LENGTHS = (7, 1, 4, 0, 9, 2)
DIRECTIONS: tuple[Direction, ...] = ("forward", "reverse", "bidirectional")
POOLS: tuple[PoolKind, ...] = ("last", "mean", "max", "attention")

OWN = {
    "native under other names": CellSource(
        "own",
        ("memory", "y"),
        """
        keep = sigmoid(A @ x + b_keep + B @ y)
        take = sigmoid(C @ x + D @ y + b_take)
        new = tanh(E @ x + F @ y + b_new)
        show = sigmoid(G @ x + H @ y + b_show)
        memory = take * new + keep * memory
        y = show * tanh(memory)
        """,
        output="y",
    ),
    "nothing of it is recurrent but the mean": CellSource(
        "own", ("h",), "z = sigmoid(W_z @ x + b_z)\nh = (1 - z) * h + z * (W_n @ x)"
    ),
    "x is never read": CellSource("own", ("h",), "h = tanh(U @ h + b) + 0.5"),
    "a state that is only weights": CellSource(
        "own", ("h", "c"), "h = tanh(W @ x + c)\nc = exp(p_c) - 0.5"
    ),
    "a state that is only the input": CellSource(
        "own", ("h", "last"), "n = tanh(W @ x)\nh = 0.5 * h + n * last\nlast = n"
    ),
    "two states of one value": CellSource(
        "own", ("h", "c"), "n = tanh(W @ x + U @ h + 0.1 * c)\nh = n\nc = n"
    ),
    "states change places": CellSource(
        "own", ("h", "c"), "old = h + 0\nh = tanh(W @ x + c)\nc = old"
    ),
    "the output is no state": CellSource(
        "own", ("h",), "h = tanh(W @ x + U @ h)\ny = V @ h * 2", output="y"
    ),
    "the output knows no state": CellSource(
        "own", ("h",), "h = tanh(W @ x + U @ h)\ny = relu(W @ x)", output="y"
    ),
    "norms in every place": CellSource(
        "own",
        ("h",),
        "z = softmax(layer_norm(W @ x) + layer_norm(U @ h))\n"
        "n = layer_norm(V @ x) * g_n + b_n\nh = (1 - z) * h + z * tanh(n)",
    ),
    "products of products, one matrix twice": CellSource(
        "own", ("h",), "a = U @ (V @ h)\nh = tanh(U @ a - W @ x + U @ h + (W @ x) * b)"
    ),
    "addends of all kinds": CellSource(
        "own",
        ("h",),
        "a = sigmoid(W_a @ x + U_a @ h + b_a)\nc = sigmoid(U_c @ h + b_c)\n"
        "d = tanh(U_d @ h + 0.25)\ne = tanh(b_e + W_e @ x + U_e @ h + p_e * p_e)\n"
        "h = a * c * h + d * e",
    ),
    "one number for all": CellSource(
        "own", ("h",), "k = sqrt(2) / 3\nh = tanh(W @ x) * k + (h ** 2 - h) * 0.3 + 1"
    ),
}


def test_the_table_of_native_operators_names_built_in_cells() -> None:
    assert {"rnn", "lstm", "gru", "gru_reset_before"} <= set(NATIVE) <= set(builtin_names())


def pools_of(cell: str, turn: int = 0) -> tuple[PoolKind, ...]:
    """All behind what is an operator, which has lengths of its own; behind a Scan one after the
    other, since a pooling does not know the cell."""
    number = builtin_names().index(cell) + turn
    return POOLS if cell in NATIVE else (POOLS[number % len(POOLS)],)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("cell", builtin_names())
def test_native_and_generic_agree_with_the_reference(
    cell: str, direction: Direction, depth: int
) -> None:
    for pool in pools_of(cell, depth):
        plan = frames_plan(cell, direction, depth, pool=pool)
        weights, rows = random_weights(plan), random_frames(LENGTHS)
        expected = answers(plan, weights, rows)["label"]
        for generic in (False, True) if cell in NATIVE else (False,):
            model = to_onnx(plan, frames_facts(), weights, generic=generic)
            operators = {node.op_type for node in model.graph.node}
            assert ("Scan" in operators) == (generic or cell not in NATIVE)
            labels, shares = opened(model).run(None, feeds(rows, max(LENGTHS)))
            close = 3e-5 if cell == "mlstm" else 1e-5  # a quotient by what may be small
            np.testing.assert_allclose(shares, expected, atol=close, err_msg=f"{pool} {generic=}")
            assert labels.tolist() == ["abcd"[i] for i in expected.argmax(axis=1)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", OWN)
def test_cells_of_ones_own(name: str, direction: Direction) -> None:
    cell = compile_cell(OWN[name])
    native = name == "native under other names"
    for pool, generic in itertools.product(POOLS, (False, True) if native else (False,)):
        plan = frames_plan(cell, direction, 2, pool=pool)
        weights, rows = random_weights(plan), random_frames(LENGTHS)
        model = to_onnx(plan, frames_facts(), weights, generic=generic)
        operators = {node.op_type for node in model.graph.node}
        assert ("LSTM" in operators) == (native and not generic)
        shares = opened(model).run(None, feeds(rows, max(LENGTHS)))[1]
        expected = answers(plan, weights, rows)["label"]
        np.testing.assert_allclose(shares, expected, atol=1e-5, err_msg=f"{pool} {generic=}")


def test_states_and_outputs_of_other_widths() -> None:
    source = CellSource(
        "own",
        {"h": "units", "m": "wide", "k": "narrow"},
        "m = tanh(A @ x + B @ h + C @ m)\nk = p_k\ny = D @ m\nh = 0.5 * h + E @ y + F @ k",
        output="y",
        sizes=("wide", "narrow"),
        parameters={"D": ParameterSource(shape=("narrow", "wide"))},
    )
    layer = Recurrent(
        "layers.0", "input.frames", compile_cell(source), 3, 5, "bidirectional",
        sizes=(("wide", 7), ("narrow", 2)),
    )  # fmt: skip
    first, *_, last = frames_plan().nodes
    for pool in POOLS:
        units = 4 if pool == "attention" else 0
        middle = Pool("pool", "layers.0", pool, 4, units), Dense("answer", "pool", 4, 4, "none")
        plan = verify(Plan("widths", "N:1", (first, layer, *middle, last)))
        weights, rows = random_weights(plan), random_frames(LENGTHS)
        session = opened(to_onnx(plan, frames_facts(), weights))
        shares = session.run(None, feeds(rows, max(LENGTHS)))[1]
        np.testing.assert_allclose(shares, answers(plan, weights, rows)["label"], atol=1e-5)


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cell", builtin_names())
def test_padding_and_batch_mates_change_nothing(
    cell: str, direction: Direction, generic: bool
) -> None:
    if generic and cell not in NATIVE:
        return  # the same graph again
    for pool in pools_of(cell):
        plan = frames_plan(cell, direction, 2, pool=pool)
        session = opened(to_onnx(plan, frames_facts(), random_weights(plan), generic=generic))
        rows = random_frames(LENGTHS)
        alone = [session.run(None, feeds([r], len(r["frames"])))[1][0] for r in rows]
        for time, filler in ((9, 0.0), (10, 1e4), (31, np.nan), (12, -np.inf)):
            together = session.run(None, feeds(rows, time, filler))[1]
            np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0, err_msg=f"{pool}")


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("pool", POOLS)
def test_rows_without_a_step(pool: PoolKind, generic: bool) -> None:
    """A batch of nothing else, with and without padding, is answered from a pooled 0."""
    plan = frames_plan("lstm", "bidirectional", 2, pool=pool)
    weights = random_weights(plan)
    session = opened(to_onnx(plan, frames_facts(), weights, generic=generic))
    scores = np.exp(weights["answer.b"].astype(np.float64))
    for time in (0, 1, 4):
        shares = session.run(None, feeds(random_frames((0, 0)), time, np.nan))[1]
        np.testing.assert_allclose(shares, [scores / scores.sum()] * 2, atol=1e-6)


def test_only_what_is_read_of_a_layer_is_emitted() -> None:
    plan = frames_plan("gru", "forward", 2, pool="last")
    model = to_onnx(plan, frames_facts(), random_weights(plan))
    below, above = (node for node in model.graph.node if node.op_type == "GRU")
    assert [bool(name) for name in below.output] == [True, False]
    assert [bool(name) for name in above.output] == [False, True]
    assert "Less" not in {node.op_type for node in model.graph.node}, "no mask is needed"


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_last_output_of_rnn_is_asked_of_rows_with_a_step_only(direction: Direction) -> None:
    """Up to onnxruntime 1.23 it reads outside of its memory for rows without one."""
    plan = frames_plan("rnn", direction, 2)
    model = to_onnx(plan, frames_facts(), random_weights(plan))
    below, above = (node for node in model.graph.node if node.op_type == "RNN")
    assert len(list(filter(None, below.output))) == len(list(filter(None, above.output))) == 1
    assert above.output[1], "the last output alone"
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(above.input[4], onnx.TensorProto.INT32, ["batch"])
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for lengths, given in (((2, 0, 1), [2, 1, 1]), ((0, 0), [1, 1])):
        for time in (max(lengths), 4):
            assert session.run(None, feeds(random_frames(lengths), time))[-1].tolist() == given


@pytest.mark.parametrize("opset", [20, 21])
@pytest.mark.parametrize("generic", [False, True])
def test_both_opsets_give_the_same(opset: int, generic: bool) -> None:
    plan = frames_plan("lstm", "bidirectional", 2, pool="attention")
    weights, rows = random_weights(plan), random_frames(LENGTHS)
    model = to_onnx(plan, frames_facts(), weights, generic=generic, opset=opset)
    assert model.ir_version == {20: 9, 21: 10}[opset]
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": opset}
    shares = opened(model).run(None, feeds(rows, max(LENGTHS)))[1]
    np.testing.assert_allclose(shares, answers(plan, weights, rows)["label"], atol=1e-5)


def test_initializers_have_the_names_of_the_weights_they_hold() -> None:
    plan = frames_plan("lstm", "forward", 1, pool="mean")
    weights = random_weights(plan)
    model = to_onnx(plan, frames_facts(), weights)
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for name in ("input.frames.mean", "input.frames.deviation", "answer.W", "answer.b"):
        np.testing.assert_array_equal(found[name], weights[name])
    packed = np.concatenate([weights[f"layers.0.forward.W_{gate}"] for gate in "iofg"])
    np.testing.assert_array_equal(found["layers.0.packed.W"], packed[np.newaxis])


def test_bodies_hold_their_own_weights() -> None:
    """What a body reads of the graph around it costs time at each step."""
    plan = frames_plan("gru", "bidirectional", 2)
    model = to_onnx(plan, frames_facts(), random_weights(plan), generic=True)
    scans = [node for node in model.graph.node if node.op_type == "Scan"]
    assert len(scans) == 4
    for node in scans:
        (body,) = (a.g for a in node.attribute if a.name == "body")
        made = {name for inner in body.node for name in inner.output}
        read = {name for inner in body.node for name in inner.input}
        own = {each.name for each in body.initializer}
        assert own and read == own | made & read | {each.name for each in body.input}
        operators = [inner.op_type for inner in body.node]
        assert operators.count("Gemm") == 3, "a product and what is added to it are one operator"
        assert len(operators) == 12, operators
