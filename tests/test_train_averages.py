"""Averages of the weights: what they are, and that they are evaluated and kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.spec import Train
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.train.averaging import LastEpochs, MovingAverage, averaged
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from tests.models import layers_plan
from tests.training import metrics_of, model_of, rows_data, settings_of, trained_in_pieces

Arrays = Mapping[str, Any]


class Noting(Silent):
    """Keeps the weights after every step."""

    def __init__(self) -> None:
        self.trainer: Trainer | None = None
        self.seen: list[Arrays] = []

    def batch(self, loss: float) -> None:
        assert self.trainer is not None
        self.seen.append(self.trainer.model.canonical_arrays())


def noted(folder: Path, settings: Train) -> tuple[list[Arrays], BuildFolder]:
    """The raw weights after each step of a training without validation rows, and its folder."""
    folder.mkdir()
    listener, build = Noting(), BuildFolder(folder)
    trainer = Trainer(model_of(), settings, build, rows_data(), None, listener)
    listener.trainer = trainer
    assert trainer.run(Interrupt())
    return listener.seen, build


@pytest.mark.parametrize("average", [{"ema": 0.7}, {"average_last": 2}])
def test_moments_of_batch_norm_are_averaged_too(tmp_path: Path, average: dict[str, Any]) -> None:
    norm = {"conv": 4, "norm": "batch"}
    listener, build = Noting(), BuildFolder(tmp_path)
    settings = settings_of(**average, epochs=3)
    model = model_of(layers_plan(norm, {"cell": "gru", "units": 4}))
    start = model.canonical_arrays()
    listener.trainer = Trainer(model, settings, build, rows_data(), None, listener)
    assert listener.trainer.run(Interrupt())
    listener.trainer.keep_last()
    kept: Arrays = read_arrays(build.last)[0]
    for name in ("layers.0.W", "layers.0.norm.mean", "layers.0.norm.variance"):
        values = [each[name] for each in listener.seen]
        if "average_last" in average:
            steps = len(values) // 3
            expected = (values[2 * steps - 1] + values[3 * steps - 1]) / 2
        else:
            expected = start[name]
            for step, value in enumerate(values, start=1):
                decay = min(0.7, (1 + step) / (10 + step))
                expected = decay * expected + (1 - decay) * value
        np.testing.assert_allclose(kept[name], expected, atol=1e-6)
        assert np.abs(kept[name] - values[-1]).max() > 1e-4  # not the last ones


def test_a_moving_average_by_hand(tmp_path: Path) -> None:
    seen, build = noted(tmp_path / "build", settings_of(ema=0.7, epochs=1))
    expected: Arrays = model_of().canonical_arrays()
    for step, weights in enumerate(seen, start=1):
        decay = min(0.7, (1 + step) / (10 + step))
        expected = {n: decay * v + (1 - decay) * weights[n] for n, v in expected.items()}
    kept: Arrays = read_arrays(build.weights)[0]
    for name, value in expected.items():
        np.testing.assert_allclose(kept[name], value, atol=1e-6)
    name = "answer.W"
    assert np.abs(kept[name] - seen[-1][name]).max() > 1e-3  # not the weights themselves


def test_the_mean_of_the_last_epochs_by_hand(tmp_path: Path) -> None:
    seen, build = noted(tmp_path / "build", settings_of(average_last=2, epochs=3))
    ends = [seen[9], seen[14]]  # of five steps an epoch
    kept: Arrays = read_arrays(build.weights)[0]
    for name in kept:
        np.testing.assert_allclose(kept[name], (ends[0][name] + ends[1][name]) / 2, atol=1e-6)


def test_fewer_epochs_than_asked_for_are_averaged_as_they_come() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    average = LastEpochs([weight], 3)
    for value, mean in ((2.0, 2.0), (4.0, 3.0), (6.0, 4.0), (8.0, 6.0)):
        weight.data.fill_(value)
        average.after_epoch()
        assert average.values()[0].item() == pytest.approx(mean)


def test_weights_are_back_after_they_were_averaged() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    average = MovingAverage([weight], 0.5)
    weight.data.add_(1.0)
    average.after_step(1000)
    with averaged(average):
        assert weight.tolist() == [1.5, 2.5]
    assert weight.tolist() == [2.0, 3.0]


@pytest.mark.parametrize("keys", [{"ema": 0.8}, {"average_last": 2}])
def test_metrics_are_those_of_the_average(keys: dict[str, float], tmp_path: Path) -> None:
    """Training itself is the same; what is measured on validation rows is not."""
    rows = rows_data(rows=20, seed=1)
    raw = trained_in_pieces(tmp_path / "raw", settings_of(), valid=rows)
    mean = trained_in_pieces(tmp_path / "mean", settings_of(**keys), valid=rows)
    for one, other in zip(metrics_of(raw), metrics_of(mean), strict=True):
        assert one["train.loss"] == other["train.loss"]
    assert metrics_of(raw)[-1]["valid.loss"] != metrics_of(mean)[-1]["valid.loss"]
    model = model_of()
    model.load_canonical(read_arrays(mean.weights)[0])
    trainer = Trainer(model, settings_of(), raw, rows_data(), rows, Silent())
    best = min(record["valid.loss"] for record in metrics_of(mean))
    assert trainer.validate()[0]["loss"] == pytest.approx(best, rel=1e-6)
