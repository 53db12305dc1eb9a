"""Cells and settings of layers from a spec to a plan: what the language and the resolver make."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from rnnspec.cells import builtin_cell, builtin_names, builtin_text, compile_cell
from rnnspec.cells.initializers import (
    Constant,
    Glorot,
    Identity,
    Initializer,
    Normal,
    Orthogonal,
    Spectral,
    Uniform,
)
from rnnspec.errors import DataError
from rnnspec.plan import Plan, weights
from rnnspec.plan.nodes import Elapsed, FramesInput, Merge, Normalize, Pool, Recurrent, Residual
from rnnspec.source.yaml12 import load
from rnnspec.spec.cell import CellDefinition, source_of
from rnnspec.spec.init import Init, initializer_of
from rnnspec.to_torch import Model
from tests.models import frames_facts, layers_plan

INITS: list[tuple[Any, Initializer]] = [
    ({"uniform": 0.5}, Uniform(0.5)),
    ({"normal": 0.1}, Normal(0.1)),
    ({"constant": -1.0}, Constant(-1.0)),
    ("zeros", Constant(0.0)),
    ("ones", Constant(1.0)),
    ("glorot", Glorot()),
    ("orthogonal", Orthogonal(1.0)),
    ({"orthogonal": 1.4}, Orthogonal(1.4)),
    ("identity", Identity(1.0)),
    ({"identity": 0.5}, Identity(0.5)),
    ({"spectral": 0.9}, Spectral(0.9)),
]


def layers(plan: Plan) -> list[Recurrent]:
    return [node for node in plan.nodes if isinstance(node, Recurrent)]


def starts(plan: Plan) -> dict[str, object]:
    """How each weight of the first layer starts, by the name in the equations."""
    return {w.name.rpartition(".")[2]: w.initializer for w in weights(plan) if "layers.0" in w.name}


@pytest.mark.parametrize("name", builtin_names())
def test_the_file_of_a_built_in_cell_is_a_cell_of_the_spec(name: str) -> None:
    data = load(builtin_text(name), f"{name}.yaml").data
    assert data.pop("name") == name
    assert data.pop("paper")
    own = compile_cell(source_of(name, CellDefinition.model_validate(data)))
    built_in = builtin_cell(name)
    assert own.graph == built_in.graph
    assert own.states == built_in.states
    assert own.parameters == built_in.parameters
    assert own.starts == built_in.starts
    assert (own.fixed, own.inputs, own.own_sizes) == (
        built_in.fixed,
        built_in.inputs,
        built_in.own_sizes,
    )


@pytest.mark.parametrize(("written", "start"), INITS, ids=str)
def test_an_init_is_its_start_and_reads_back(written: object, start: Initializer) -> None:
    adapter: TypeAdapter[Init] = TypeAdapter(Init)
    init = adapter.validate_python(written)
    assert initializer_of(init) == start
    assert initializer_of(adapter.validate_python(adapter.dump_python(init, mode="json"))) == start


def test_a_layer_chooses_starts_by_role_but_not_those_the_cell_chose() -> None:
    init = {"input": "glorot", "recurrent": "orthogonal", "bias": "zeros"}
    found = starts(layers_plan({"cell": "gru", "units": 4, "init": init}))
    assert {name for name, start in found.items() if start == Glorot()} == {"W_r", "W_z", "W_n"}
    assert {n for n, s in found.items() if s == Orthogonal(1.0)} == {"U_r", "U_z", "U_n"}
    assert {n for n, s in found.items() if s == Constant(0.0)} == {"b_r", "b_z", "b_n", "c_n"}
    of_relu = starts(layers_plan({"cell": "rnn_relu", "units": 4, "init": {"input": "glorot"}}))
    assert of_relu == {"W": Glorot(), "U": Identity(1.0), "b": Constant(0.0)}


def test_the_forget_bias_goes_before_the_other_biases() -> None:
    settings = {"init": {"bias": "zeros"}, "forget_bias": 1.0}
    found = starts(layers_plan({"cell": "lstm", "units": 4, **settings}))
    assert found["b_f"] == Constant(1.0)
    assert found["b_i"] == found["b_g"] == found["b_o"] == Constant(0.0)
    assert found["W_i"] == found["U_f"] == Uniform(0.5)


@pytest.mark.parametrize(("written", "start"), INITS, ids=str)
def test_weights_start_as_chosen(written: object, start: Initializer) -> None:
    plan = layers_plan({"cell": "rnn", "units": 40, "init": {"recurrent": written}})
    model = Model(plan)
    model.start(frames_facts(), seed=0)
    matrix = dict(model.canonical())["layers.0.forward.U"].double()
    unit = torch.eye(40, dtype=torch.float64)
    match start:
        case Uniform(bound):
            assert 0.9 * bound < float(matrix.abs().max()) <= bound
            assert float(matrix.mean()) == pytest.approx(0, abs=0.05 * bound)
        case Normal(deviation):
            assert float(matrix.std()) == pytest.approx(deviation, rel=0.1)
        case Constant(value):
            assert bool((matrix == value).all())
        case Glorot():
            assert 0.9 * (6 / 80) ** 0.5 < float(matrix.abs().max()) <= (6 / 80) ** 0.5 + 1e-6
        case Orthogonal(gain):
            torch.testing.assert_close(matrix @ matrix.t(), gain**2 * unit, atol=1e-5, rtol=0)
        case Identity(gain):
            assert torch.equal(matrix, gain * unit)
        case Spectral(radius):
            largest = torch.linalg.eigvals(matrix).abs().max()
            assert float(largest) == pytest.approx(radius, rel=1e-4)


def test_parameters_that_are_not_trained_get_no_gradient() -> None:
    model = Model(layers_plan({"cell": "echo_state", "units": 8}))
    model.start(frames_facts(), seed=0)
    values = {"frames": (torch.randn(4, 5, 3), torch.tensor([5, 3, 1, 5]))}
    model(values)["label"].sum().backward()
    fixed = [p for p in model.parameters() if not p.requires_grad]
    assert {tuple(p.shape) for p in fixed} == {(8, 3), (8, 8), (8,)}
    assert all(p.grad is None for p in fixed)
    trained = {name for name, p in model.named_parameters() if p.grad is not None}
    assert trained == {"parts.answer.W", "parts.answer.b"}


def test_last_pooling_stands_before_the_merge_of_the_last_layer() -> None:
    layer = {"cell": "gru", "units": 4, "direction": "bidirectional", "merge": "sum"}
    plan = layers_plan({**layer, "norm": "layer", "dropout": 0.1})
    names = [node.name for node in plan.nodes]
    assert names[1:6] == ["layers.0", "pool", "layers.0.merge", "layers.0.norm", "layers.0.dropout"]
    pool, merge = plan.node("pool"), plan.node("layers.0.merge")
    assert isinstance(pool, Pool)
    assert isinstance(merge, Merge)
    assert (pool.inputs, merge.inputs, merge.width) == (8, 8, 4)
    mean = layers_plan({**layer, "norm": "layer"}, pooling="mean")
    assert [n.name for n in mean.nodes][1:4] == ["layers.0", "layers.0.merge", "layers.0.norm"]


def test_a_skip_goes_around_norm_and_dropout() -> None:
    layer = {"cell": "gru", "units": 3, "repeat": 2, "norm": "layer", "dropout": 0.1}
    plan = layers_plan({**layer, "skip": "residual"})
    skip = plan.node("layers.1.skip")
    assert isinstance(skip, Residual)
    assert (skip.source, skip.skip) == ("layers.1.dropout", "layers.0.skip")
    assert isinstance(plan.node("layers.0.norm"), Normalize)


def test_elapsed_time_is_taken_out_of_the_frames() -> None:
    cells = {"timed": {"states": ["h"], "inputs": ["dt"], "equations": "h = exp(-dt) * h + W @ x"}}
    plan = layers_plan(
        {"cell": "timed", "units": 4}, {"cell": "gru", "units": 4}, elapsed=1, cells=cells
    )
    frames, (timed, gru) = plan.inputs[0], layers(plan)
    assert isinstance(frames, FramesInput)
    assert (frames.width, frames.features, timed.inputs) == (3, 2, 2)
    assert plan.node(timed.elapsed) == Elapsed("input.frames.elapsed", "frames", 1)
    assert not gru.elapsed
    model = Model(plan)
    model.start(frames_facts(), seed=0)
    mean = dict(model.canonical())["input.frames.mean"]
    assert mean.tolist() == pytest.approx([0.0, 0.2])


def test_widths_of_the_data_that_do_not_fit_are_errors() -> None:
    cells = {"timed": {"states": ["h"], "inputs": ["dt"], "equations": "h = exp(-dt) * h + W @ x"}}
    timed = {"cell": "timed", "units": 4}
    with pytest.raises(DataError, match=r"elapsed is 3, but the frames .* have 3 elements"):
        layers_plan(timed, elapsed=3, cells=cells)
    with pytest.raises(DataError, match="takes the only element"):
        layers_plan(timed, elapsed=0, cells=cells, width=1)
    with pytest.raises(DataError, match=r"layers\[0\].skip: .* input is 3 wide and its output 4"):
        layers_plan({"cell": "gru", "units": 4, "skip": "residual"})


@pytest.mark.parametrize("name", ["training", "forward", "rows", "slots", "T_destination", "self"])
def test_any_name_can_be_that_of_a_parameter_or_a_state(name: str) -> None:
    parameter: dict[str, Any] = {"parameters": {name: {"shape": ["units"]}}}
    own = [
        {"states": ["h"], "equations": f"h = tanh(W @ x + {name})", **parameter},
        {"states": [name], "equations": f"{name} = tanh(W @ x + b)"},
    ]
    for cell in own:
        layer = {"cell": "own", "units": 4, "initial_state": "learned"}
        model = Model(layers_plan(layer, cells={"own": cell}))
        model.start(frames_facts(), seed=0)
        model({"frames": (torch.randn(2, 3, 3), torch.tensor([3, 2]))})["label"].sum().backward()
        assert {held.split(".")[-1] for held, _ in model.canonical()} >= {"W", name}
