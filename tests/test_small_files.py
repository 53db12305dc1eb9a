"""Files in fewer bits: near the whole file, a part of its size, refused where they lose much."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from rnnspec.errors import ExportError
from rnnspec.evaluate.score import evaluate_build
from rnnspec.export import export_onnx
from rnnspec.export.probes import probes
from rnnspec.export.quantize import Quantized
from rnnspec.plan import Facts, Plan
from rnnspec.plan.nodes.recurrent import Direction
from rnnspec.run.session import Session
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.own_steps import nodes_of
from rnnspec.to_onnx.small import Bits, Least, in_few_bits, quantized
from rnnspec.to_torch import Model
from rnnspec.train.build import build
from tests import ctc, decoders, kinds, layers, tiny
from tests.models import frames_facts, frames_plan, layers_plan, random_weights
from tests.onnx_models import initializers

ALL_MULTIPLIED, ALL_STORED = Least(2, 2, 2), Least(2, 10**9, 10**9)
WAYS: dict[str, tuple[Bits, Least, float]] = {
    "multiplied in int8": ("int8", ALL_MULTIPLIED, 0.02),
    "stored in int8": ("int8", ALL_STORED, 0.01),
    "stored in float16": ("float16", ALL_STORED, 1e-3),
}
"""Each way with the largest difference of two probabilities that it may make, of small models."""


def _cells() -> dict[str, tuple[Plan, Facts]]:
    found = {
        cell: (frames_plan(cell, "bidirectional", 2, units=8), frames_facts())
        for cell in ("lstm", "lstm_peephole", "lstm_coupled", "lstm_projected", "gru", "rnn", "mgu")
    }
    cells = {"own": layers.OWN_CELLS["one_number"]}
    found["own cell"] = (layers_plan({"cell": "own", "units": 8}, cells=cells), frames_facts())
    return found


PLANS: dict[str, tuple[Plan, Facts]] = {
    **_cells(),
    **{name: ctc.plan_and_facts(name) for name in ("greedy words", "sound", "transducer of words")},
}


def _weights(plan: Plan) -> dict[str, NDArray[np.float32]]:
    return {name: 0.4 * value for name, value in random_weights(plan).items()}


def _sessions(plan: Plan, facts: Facts, bits: Bits, least: Least) -> tuple[Session, Session]:
    whole = to_onnx(plan, facts, _weights(plan))
    before = whole.SerializeToString(deterministic=True)
    small = in_few_bits(whole, plan, bits, least=least)
    assert whole.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(small.model, full_check=False)
    assert (small.multiplied != ()) == (least is ALL_MULTIPLIED)
    return Session(before), Session(small.model.SerializeToString())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PLANS)
def test_a_small_file_answers_nearly_as_the_whole_one(name: str, way: str) -> None:
    """Rows of all lengths, none too, with anything past their ends."""
    plan, facts = PLANS[name]
    bits, least, most = WAYS[way]
    one, other = _sessions(plan, facts, bits, least)
    assert one.inputs == other.inputs and one.outputs == other.outputs
    shares = 0
    for probe in probes(plan, facts, seeds=1):
        expected, found = one.run(probe.feeds), other.run(probe.feeds)
        for output in filter(lambda each: each.endswith(".probabilities"), expected):
            assert np.abs(expected[output] - found[output]).max(initial=0) < most
            shares += expected[output].size
        assert all(np.isfinite(v).all() for k, v in found.items() if k.endswith(".scores"))
    assert shares or name not in _cells()


@pytest.mark.parametrize("way", WAYS)
def test_a_linear_memory_keeps_its_matrix(way: str) -> None:
    """Of 784 steps: in 8 bits it would grow at each, and answers be off by 0.2."""
    bits, least, _ = WAYS[way]
    layer = {"cell": "lmu", "units": 16, "sizes": {"order": 64, "window": 784}}
    data = kinds.spec_data("N:1", ["plain_frames"], [kinds.output("class")], [layer])
    plan, facts = kinds.plan_of(data)
    model = Model(plan)
    model.start(facts, seed=1)
    whole = to_onnx(plan, facts, model.canonical_arrays(), ids=True)
    small = in_few_bits(whole, plan, bits, ids=True, least=least)
    kept = initializers(small.model)
    assert "layers.0.forward.A.transposed" in kept
    assert small.multiplied or small.stored
    asked = kinds.feeds(plan, kinds.random_rows(plan, (784, 300)))
    expected, found = (
        Session(each.SerializeToString(), threads=1).run(asked)["class.probabilities"]
        for each in (whole, small.model)
    )
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("name", list(decoders.ATTENTIONS)[:3])
@pytest.mark.parametrize("way", WAYS)
def test_decoders_write_the_same_texts(name: str, way: str) -> None:
    """Most rows: tokens of random weights are near each other."""
    spec = decoders.decoded(("words",), attention=decoders.ATTENTIONS[name])
    plan, facts = kinds.plan_of(spec)
    one, other = _sessions(plan, facts, *WAYS[way][:2])
    (column,) = (node.column for node in plan.outputs)
    rows = same = 0
    for probe in probes(plan, facts, seeds=1):
        expected, found = (each.run(probe.feeds)[column] for each in (one, other))
        rows += len(expected)
        same += sum(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert same > 0.6 * rows


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "mgu"])
@pytest.mark.parametrize(("bits", "most"), [("int8", 0.3), ("float16", 0.52)])
def test_a_small_file_is_small(cell: str, bits: Bits, most: float) -> None:
    plan = frames_plan(cell, units=256, width=64)
    whole = to_onnx(plan, frames_facts(64), _weights(plan), narrow=bits == "int8")
    small = in_few_bits(whole, plan, bits)
    assert small.model.ByteSize() < most * whole.ByteSize()


def test_layers_are_lowered_to_what_is_fastest_in_8_bits() -> None:
    """As `benchmarks/small_files.py` measures."""

    def operators(cell: str, units: int) -> set[str]:
        plan = frames_plan(cell, units=units)
        model = to_onnx(plan, frames_facts(), _weights(plan), narrow=True)
        small = in_few_bits(model, plan, "int8")
        kinds_of = {node.op_type for node in nodes_of(small.model.graph)}
        return kinds_of & {"LSTM", "GRU", "RNN", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}

    assert operators("lstm", 64) == {"LSTM"}
    assert operators("lstm", 128) == {"DynamicQuantizeLSTM"}
    assert operators("lstm_peephole", 128) == {"DynamicQuantizeLSTM"}
    assert operators("lstm_coupled", 128) == {"DynamicQuantizeLSTM"}
    assert operators("rnn", 32) == {"RNN"}
    assert operators("rnn", 128) == set()  # a Scan, whose products are of float32
    assert operators("rnn", 256) == {"DynamicQuantizeMatMul"}
    assert operators("gru", 128) == {"GRU"}
    assert operators("gru", 256) == {"DynamicQuantizeMatMul"}


@pytest.mark.parametrize(
    ("cell", "direction"),
    [
        ("lstm", "forward"),
        ("lstm", "bidirectional"),
        ("lstm_peephole", "bidirectional"),
        ("lstm_coupled", "forward"),
    ],
)
def test_a_whole_layer_in_8_bits_knows_where_rows_end(cell: str, direction: Direction) -> None:
    """Its operator is told no lengths: rows of all lengths, the same at each call."""
    plan, facts = frames_plan(cell, direction, units=128), frames_facts()
    weights = {name: 0.2 * value for name, value in random_weights(plan).items()}
    whole = Session(to_onnx(plan, facts, weights).SerializeToString())
    made = in_few_bits(to_onnx(plan, facts, weights, narrow=True), plan, "int8")
    values = {each.name: each for each in made.model.graph.initializer}
    layers_of = [n for n in made.model.graph.node if n.op_type == "DynamicQuantizeLSTM"]
    assert len(layers_of) == (2 if direction == "bidirectional" else 1)
    for node in layers_of:  # in onnxruntime 1.17 to 1.23 fewer numbers for 0 are refused
        scale, *zeros = (list(values[node.input[place]].dims) for place in (10, 9, 11))
        assert scale == [1] and zeros == [[1, 4 * 128]] * 2
    small = Session(made.model.SerializeToString())
    for probe in probes(plan, facts, seeds=1):
        expected, found, again = (each.run(probe.feeds) for each in (whole, small, small))
        difference = expected["label.probabilities"] - found["label.probabilities"]
        assert np.abs(difference).max(initial=0) < 0.05
        np.testing.assert_array_equal(found["label.probabilities"], again["label.probabilities"])


@pytest.mark.parametrize("cell", ["mgu", "gru"])
def test_numbers_past_a_length_do_not_change_the_scale(cell: str) -> None:
    plan, facts = frames_plan(cell, units=8), frames_facts()
    _, session = _sessions(plan, facts, "int8", ALL_MULTIPLIED)
    frames = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    found = []
    for filler in (0, 1e6, np.nan):
        frames[1, 2:] = filler
        feeds = {"frames": frames, "frames.lengths": np.array([5, 2])}
        found.append(session.run(feeds)["label.probabilities"])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_numbers_that_are_multiplied_have_seven_bits() -> None:
    """Two products of 63 and 255 fit into 16 bits, in which some processors add them."""
    plan = frames_plan("mgu", units=8)
    model = to_onnx(plan, frames_facts(), _weights(plan))
    for least, most in ((ALL_MULTIPLIED, 63), (ALL_STORED, 127)):
        small = in_few_bits(model, plan, "int8", least=least)
        numbers = [
            np.abs(numpy_helper.to_array(tensor).astype(int)).max()
            for tensor in initializers(small.model).values()
            if tensor.name.endswith(".int8")
        ]
        assert numbers and set(numbers) == {most}
    assert 2 * 63 * 255 < 2**15 <= 2 * 65 * 255


def test_matrices_of_steps_have_one_scale_others_one_for_each_column() -> None:
    """As `benchmarks/step_in_8_bits.py` measures."""
    plan = frames_plan("mgu", units=8)
    small = in_few_bits(
        to_onnx(plan, frames_facts(), _weights(plan)), plan, "int8", least=ALL_MULTIPLIED
    )
    scales = {
        tensor.name: list(tensor.dims)
        for tensor in initializers(small.model).values()
        if tensor.name.endswith(".scale") and tensor.name.startswith("layers.0.")
    }
    assert {name.split(".")[3][0] for name in scales} == {"W", "U"}
    for name, dims in scales.items():
        assert dims == ([1] if name.split(".")[3].startswith("U_") else [8])


def test_quantized_numbers_are_within_half_a_scale() -> None:
    value = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    value[:, 2] = 0
    numbers, scale = quantized(value, (-2,), 127)
    assert scale.shape == (1, 5)
    assert (np.abs(numbers * scale - value) <= 0.5001 * scale).all()
    assert not numbers[:, 2].any()


def test_constants_that_are_no_weights_stay_as_they_are() -> None:
    """The spectrum of sound is not learned, and 8 bits are too few for it."""
    plan, facts = ctc.plan_and_facts("sound")
    model = to_onnx(plan, facts, _weights(plan))
    small = in_few_bits(model, plan, "int8", least=ALL_STORED)
    kept = initializers(small.model)
    own = [tensor for tensor in model.graph.initializer if tensor.name.startswith("input.")]
    assert own and all(kept[tensor.name] == tensor for tensor in own)


# ---------------------------------------------------------------- of a build


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    folder = tmp_path_factory.mktemp("small")
    tiny.write_data(folder)
    found = {}
    for name in ("tags", "two", "text", "quantiles"):
        wider = json.dumps(tiny.SPECS[name]).replace('"units": 6', '"units": 16')
        wider = wider.replace('"embed": 4', '"embed": 64')
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps({**json.loads(wider), "name": name}))
        found[name] = read_build(build(load_spec(path), folder / "builds", Silent()).folder)
    return found


def _exported(trained: Trained, target: Path, **options: Any) -> Quantized:
    found: list[Quantized] = []
    export_onnx(trained, target, see=found.append, **options)
    (quantized,) = found
    return quantized


@pytest.mark.parametrize("name", ["tags", "two", "text", "quantiles"])
def test_metrics_of_files_are_those_of_the_module(
    builds: dict[str, Trained], tmp_path: Path, name: str
) -> None:
    """Before: those that `rnnspec evaluate` gives. After: near them."""
    found = _exported(builds[name], tmp_path / "model.onnx", bits="int8")
    expected: Mapping[str, float] = evaluate_build(builds[name]).metrics
    before = {metric: each.before for metric, each in found.metrics.items()}
    assert before == pytest.approx({metric: expected[metric] for metric in before}, rel=1e-4)
    assert before and found.rows >= 24
    assert all(abs(each.lost) < 10 for each in found.metrics.values())
    told = json.loads(Session(tmp_path / "model.onnx").metadata["rnnspec.quantized"])
    assert told["weights"] == "int8" and told["rows"] == found.rows
    metric, lost = next(iter(found.metrics.items()))
    assert told["metrics"][metric]["int8"] == lost.after
    assert any(metric in line and "validation rows" in line for line in found.lines())


def test_streams_ids_and_half_go_together(builds: dict[str, Trained], tmp_path: Path) -> None:
    stream, whole = tmp_path / "stream.onnx", tmp_path / "whole.onnx"
    options: dict[str, Any] = {"ids": True, "stream": True}
    found = _exported(builds["tags"], stream, bits="float16", **options)
    export_onnx(builds["tags"], whole, **options)
    assert Session(stream).inputs == Session(whole).inputs
    assert found.alike > 0.9 * found.probes > 0
    assert found.bits == "float16" and found.multiplied == 0


def test_a_file_that_loses_more_is_not_written(
    builds: dict[str, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model.onnx"
    _exported(builds["tags"], target, bits="int8", max_loss="5 %")
    written = target.read_bytes()
    monkeypatch.setattr("rnnspec.to_onnx.small._STORED_MOST", 0.4)  # all of them are 0
    with pytest.raises(ExportError, match=r"--max-loss 5 %: on 24 .* lost\); nothing was written"):
        export_onnx(builds["tags"], target, bits="int8", max_loss="5 %")
    assert target.read_bytes() == written


def test_without_validation_rows_nothing_is_measured(
    builds: dict[str, Trained], tmp_path: Path
) -> None:
    trained = builds["tags"]
    data = trained.spec.data.model_copy(update={"valid": None})
    trained = replace(trained, spec=trained.spec.model_copy(update={"data": data}))
    found = _exported(trained, tmp_path / "model.onnx", bits="int8")
    assert not found.metrics and not found.rows
    assert any("names no validation rows" in line for line in found.lines())
    with pytest.raises(ExportError, match="--max-loss 1 % needs validation rows"):
        export_onnx(trained, tmp_path / "other.onnx", bits="int8", max_loss="1 %")
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize("text", ["0.5", "half", "-1 %", "1e3 %", "%"])
def test_a_loss_is_a_percentage(builds: dict[str, Trained], tmp_path: Path, text: str) -> None:
    with pytest.raises(ExportError, match="expected how much worse"):
        export_onnx(builds["tags"], tmp_path / "model.onnx", bits="int8", max_loss=text)
