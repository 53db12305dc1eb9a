"""What a layer can be besides its cell and direction, in ONNX: native operators, Scan and the
reference agree on each of them, whatever the batch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.nodes import Recurrent, VectorInput
from rnnspec.reference import answers
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.native import native_match
from tests import layers
from tests.models import frames_facts, layers_plan, random_frames, random_weights
from tests.onnx_models import Rows, opened
from tests.onnx_models import feeds as frames_feeds

LENGTHS = (7, 1, 4, 0, 9, 2)


def feeds(plan: Plan, rows: Rows, time: int, filler: float = 0.0) -> dict[str, NDArray[Any]]:
    """What the model of `plan` reads of the rows."""
    found = frames_feeds(rows, time, filler)
    if any(isinstance(node, VectorInput) for node in plan.inputs):
        found["start"] = np.stack([row["start"] for row in rows])
    return found


def check(plan: Plan, generic: bool, opset: int = 21) -> onnx.ModelProto:
    """The plan's model, after it has answered as the reference does: in batches of several sizes
    and extents of time, with rows of 0 steps, of 1 and of all, and with anything past their end."""
    weights, rows = random_weights(plan), random_frames(LENGTHS)
    model = to_onnx(plan, frames_facts(), weights, generic=generic, opset=opset)
    session = opened(model)
    expected = answers(plan, weights, rows)["label"]
    for time, filler in ((9, 0.0), (22, np.nan)):
        (together,) = session.run(["label.probabilities"], feeds(plan, rows, time, filler))
        np.testing.assert_allclose(together, expected, atol=1e-5)
    for row, wanted in zip(rows, expected, strict=True):
        one = feeds(plan, [row], len(row["frames"]))
        (alone,) = session.run(["label.probabilities"], one)
        np.testing.assert_allclose(alone, [wanted], atol=1e-5)
    empty = random_frames((0, 0))
    for time in (0, 3):
        (shares,) = session.run(["label.probabilities"], feeds(plan, empty, time, np.nan))
        np.testing.assert_allclose(shares, answers(plan, weights, empty)["label"], atol=1e-5)
    return model


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("name", layers.PLANS)
def test_each_setting_agrees_with_the_reference(name: str, generic: bool) -> None:
    plan = layers.plan(name)
    model = check(plan, generic)
    found = [node.op_type for node in model.graph.node]
    stack = [node for node in plan.nodes if isinstance(node, Recurrent)]
    native = [] if generic else [node for node in stack if native_match(node)]
    assert sum(found.count(kind) for kind in ("RNN", "LSTM", "GRU")) == len(native)
    scans = sum(len(node.directions) for node in stack if node not in native)
    assert found.count("Scan") >= scans, "a cell of several loops is several of them"


@pytest.mark.parametrize("name", ["everything at once", "elapsed", "merge mean mean", "sizes"])
def test_the_older_opset_too(name: str) -> None:
    for generic in (False, True):
        assert check(layers.plan(name), generic, opset=20).ir_version == 9


COMBINATIONS = list(
    itertools.product(
        ("concat", "sum", "mean", "mul"),
        ("none", "residual", "highway"),
        ("none", "layer"),
        ("zeros", "learned", {"column": "start"}),
    )
)


@pytest.mark.parametrize(("merge", "skip", "norm", "initial"), COMBINATIONS)
def test_settings_together(merge: str, skip: str, norm: str, initial: Any) -> None:
    """On the second of two layers, whose directions are as wide as the first one or half of it."""
    units = 8 if merge == "concat" else 4
    poolings = ("mean",) if skip != "none" and merge != "concat" else ("mean", "last")
    for pooling, cell, generic in itertools.product(poolings, ("lstm", "rnn"), (False, True)):
        second = {
            "cell": cell, "units": 4, "direction": "bidirectional", "merge": merge, "norm": norm,
            "skip": skip, "initial_state": initial,
        }  # fmt: skip
        first = {"cell": "gru", "units": units}
        check(layers_plan(first, second, pooling=pooling), generic)


@pytest.mark.parametrize("cell", ["rnn", "rnn_relu", "indrnn", "lstm", "lstm_peephole", "gru"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("initial", ["learned", {"column": "start"}])
def test_initial_states_of_native_operators(cell: str, direction: str, initial: Any) -> None:
    layer = {"cell": cell, "units": 4, "direction": direction, "initial_state": initial}
    for pooling in ("last", "max"):
        model = check(layers_plan(layer, pooling=pooling), generic=False)
        assert "Scan" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "mingru", "slstm"])
def test_initial_states_of_another_number_of_rows_are_refused(cell: str, generic: bool) -> None:
    """A single one is not taken for all rows."""
    layer = {"cell": cell, "units": 4, "initial_state": {"column": "start"}}
    for direction in ("forward", "bidirectional"):
        plan = layers_plan(layer | {"direction": direction})
        session = opened(to_onnx(plan, frames_facts(), random_weights(plan), generic=generic))
        given = feeds(plan, random_frames((2, 3)), 3)
        for rows in (0, 1, 3):
            wrong = given | {"start": np.zeros((rows, 4), np.float32)}
            with pytest.raises(Exception, match=r"shape|broadcast"):
                session.run(None, wrong)


@pytest.mark.parametrize("units", [1, 2])
def test_layer_norm_of_one_unit_and_of_two(units: int) -> None:
    """Of one unit older versions of onnxruntime refuse it; of two it is 1 and -1, nearly."""
    layer = {"cell": "gru", "units": units, "norm": "layer", "direction": "bidirectional"}
    for cell in ("gru", "lstm_layer_norm"):
        for pooling in ("last", "mean"):
            check(layers_plan(layer | {"cell": cell}, layer, pooling=pooling), generic=True)


def test_a_projection_is_folded_where_it_is_wide_and_starts_from_0() -> None:
    def operators(units: int, projection: int, initial: str) -> set[str]:
        layer = {
            "cell": "lstm_projected", "units": units, "sizes": {"projection": projection},
            "initial_state": initial, "direction": "bidirectional",
        }  # fmt: skip
        model = check(layers_plan(layer, layer, pooling="mean"), generic=False)
        return {node.op_type for node in model.graph.node} & {"LSTM", "Scan"}

    assert operators(6, 3, "zeros") == {"LSTM"}
    assert operators(6, 9, "zeros") == {"LSTM"}
    assert operators(6, 2, "zeros") == {"Scan"}
    assert operators(6, 3, "learned") == {"Scan"}


@pytest.mark.parametrize(("cell", "most"), [("rnn", 63), ("rnn_relu", 255), ("indrnn", 127)])
def test_an_rnn_of_many_units_is_a_scan(cell: str, most: int) -> None:
    """Where the operator takes longer than the same equations step by step; not in files that other
    runtimes read too."""
    found = []
    for units, portable in ((most, False), (most + 1, False), (most + 1, True)):
        plan = layers_plan({"cell": cell, "units": units})
        model = to_onnx(plan, frames_facts(), random_weights(plan), portable=portable)
        found.append({node.op_type for node in model.graph.node} & {"RNN", "Scan"})
    assert found == [{"RNN"}, {"Scan"}, {"RNN"}]
