"""Gradients through time: what is measured, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnspec.data import Dataset
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.train.feed import RowFeed
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from rnnspec.train.statistics import OVERFLOW, LayerSums, measure, probe, warnings
from rnnspec.train.step import TrainStep, gradients
from tests.models import frames_facts, frames_plan, layers_plan
from tests.training import metrics_of, model_of, rows_data, settings_of, trained_in_pieces

SETTINGS = settings_of(clip_norm=None)
DATA = rows_data(rows=60, longest=30)


def measured(model: Model, data: Dataset = DATA) -> dict[str, float]:
    train_step = TrainStep(model, SETTINGS)
    micro_batch = probe(RowFeed(data, SETTINGS), 0, 0)
    return measure(
        model, lambda: gradients(train_step.objective, micro_batch, train_step.precision)
    )


def rnn_with(factor: float) -> Model:
    """An RNN whose state is multiplied by about `factor` at each step."""
    model = Model(frames_plan("rnn"))
    model.start(frames_facts(), 0)
    for name, value in model.canonical():
        if name == "layers.0.forward.U":
            value.copy_(factor * torch.eye(5))
        elif name == "layers.0.forward.W":
            value.mul_(1e-6)  # far from where tanh is flat
        elif name == "layers.0.forward.b":
            value.zero_()
    return model


def test_flow_is_the_power_of_the_recurrent_weight() -> None:
    """Over T steps a linear recurrence multiplies the gradient by factor^(T - 1)."""
    data = rows_data(longest=20, shortest=20)
    for factor in (0.5, 0.9, 1.3):
        found = measured(rnn_with(factor), data)["flow.layers.0.forward"]
        assert found == pytest.approx(factor**19, rel=0.02)


def test_each_direction_is_measured_along_its_own_reading() -> None:
    model = Model(frames_plan("rnn", "bidirectional", depth=2))
    model.start(frames_facts(), 0)
    for name, value in model.canonical():
        if ".U" in name:
            value.copy_(torch.eye(5) * (0.3 if "forward" in name else 0.8))
        elif ".W" in name and name.startswith("layers"):
            value.mul_(1e-3)
    found = measured(model, rows_data(longest=20, shortest=20))
    assert found["flow.layers.1.forward"] < 1e-6  # 0.3 to the 19th is 1e-10
    assert 1e-3 < found["flow.layers.1.reverse"] < 1  # 0.8 to the 19th is 0.014


def test_sizes_of_outputs_and_gradients() -> None:
    model = model_of()
    train_step = TrainStep(model, SETTINGS)
    feed = RowFeed(DATA, SETTINGS)
    found = measured(model)
    micro_batch = probe(feed, 0, 0)
    gradients(train_step.objective, micro_batch, train_step.precision)
    (layer,) = (p for n, p in model.parts.items() if n == "layers/0")
    squares = [p.grad.square().sum() for p in layer.parameters() if p.grad is not None]
    assert found["grad.layers.0.forward"] == pytest.approx(float(sum(squares)) ** 0.5, rel=1e-5)
    assert 0 < found["rms.layers.0.forward"] < 1
    assert found["saturated.layers.0.forward"] == 0


@pytest.mark.parametrize(("batch", "most"), [(8, 8), (500, 8), ({"tokens": 70}, 2)])
def test_no_more_rows_are_measured_than_fit_a_batch(batch: object, most: int) -> None:
    """Of 60 rows, the longest has 30 steps or just below."""
    feed = RowFeed(DATA, settings_of(batch=batch))
    micro_batch = probe(feed, 0, 0)
    assert micro_batch.rows == most
    expected = np.sort(DATA.lengths(np.arange(DATA.rows)))[-most:]
    assert sorted(micro_batch.batch.inputs["frames"][1].tolist()) == expected.tolist()


def test_measuring_leaves_gradients_and_random_numbers_alone() -> None:
    model = model_of()
    train_step = TrainStep(model, SETTINGS)
    train_step.step([RowFeed(DATA, SETTINGS).micro_batch(np.arange(8))])
    before = [weight.grad for weight in train_step.trained]
    state = torch.get_rng_state()
    measured(model)
    assert all(a is b for a, b in zip(before, [w.grad for w in train_step.trained], strict=True))
    assert torch.equal(state, torch.get_rng_state())


def way_out(sign: str, layer: str) -> str:
    return f"the way out of {sign} of {layer}"


@pytest.mark.parametrize(
    ("flow", "word"),
    [
        (1e-9, "vanishing"),
        (0.0, "vanishing"),
        (1e9, "exploding"),
        (OVERFLOW, "exploding"),
        (0.1, ""),
    ],
)
def test_a_warning_names_the_layer_and_the_way_out(flow: float, word: str) -> None:
    found = dict(warnings({"flow.layers.1.forward": flow, "valid.loss": 1.0}, way_out))
    assert list(found) == ([word] if word else [])
    assert not list(warnings({"flow.layers.1.forward": flow}, way_out, settled=False))
    for sentence in found.values():
        assert "in layers.1.forward: " in sentence
        assert sentence.endswith(f"; the way out of {word} of layers.1")
        assert "0e+00" not in sentence


def test_every_sign_is_told_and_large_gradients_from_the_first_epoch_on() -> None:
    found = {"flow.layers.0.forward": 1e-9, "flow.layers.1.forward": 1e9, "grad.norm": 1e6}
    assert [word for word, _ in warnings(found, way_out)] == ["large", "vanishing", "exploding"]
    ((word, sentence),) = warnings(found, way_out, settled=False)
    assert (
        word == "large" and "1e+06" in sentence and sentence.endswith("; the way out of large of ")
    )
    assert not list(warnings({"grad.norm": 50.0}, way_out))


class Told(Silent):
    """Keeps what is said of epochs, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        self.said.append(f"epoch {record['epoch']}")

    def warning(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(("epochs", "after"), [(3, 2), (1, 1)])
def test_what_vanishes_is_told_once_after_its_epoch(
    epochs: int, after: int, tmp_path: Path
) -> None:
    """Not after the first of several epochs, whose few steps say nothing yet; and not again by a
    run that goes on."""
    data, settings = rows_data(longest=60, shortest=60), settings_of(epochs=epochs)
    told: list[str] = []
    for _ in range(2):
        listener, build = Told(), BuildFolder(tmp_path)
        model = rnn_with(0.2)
        trainer = Trainer(model, settings, build, data, None, listener)
        if build.checkpoint.exists():
            trainer.resume()
        stop = Interrupt()
        trainer.run(stop)
        told += listener.said
        settings = settings_of(epochs=epochs + 1)
    places = [place for place, said in enumerate(told) if "vanish" in said]
    assert len(places) == 1, told
    assert told[places[0] - 1] == f"epoch {after}"


def test_gradients_that_overflow_are_told_as_numbers_of_json() -> None:
    found = measured(rnn_with(1e12), rows_data(longest=20, shortest=20))
    assert all(map(math.isfinite, found.values()))
    seen = LayerSums(first=math.inf, last=1.0, steps=20)
    assert seen.flow == OVERFLOW
    assert list(warnings({"flow.layers.0.forward": OVERFLOW}, way_out))


def test_statistics_of_every_epoch_are_in_the_metrics(tmp_path: Path) -> None:
    build = trained_in_pieces(tmp_path / "build", settings_of(), train=DATA)
    for record in metrics_of(build):
        assert record["grad.norm"] > 0
        assert 0 <= record["grad.clipped"] <= 1
        assert record["flow.layers.0.forward"] > 0
        assert record["grad.layers.0.forward"] > 0


def test_measuring_leaves_the_moments_of_batch_norm() -> None:
    model = model_of(layers_plan({"conv": 4, "norm": "batch"}, {"cell": "gru", "units": 4}))
    before = model.canonical_arrays()
    assert measured(model)
    for name, value in model.canonical_arrays().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
