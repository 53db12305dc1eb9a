"""Types of numbers: chosen by trial, kept in the checkpoint, and what float64 is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnnspec.data import Batch
from rnnspec.errors import BuildError
from rnnspec.objective.objective import Objective
from rnnspec.plan import Plan
from rnnspec.spec import Train
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, PrecisionName, device_of, tried
from rnnspec.train.checkpoint import precision_of
from rnnspec.train.feed import RowFeed
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from rnnspec.train.step import TrainStep
from tests import layers
from tests.kinds import batched, random_rows, strong_weights
from tests.models import frames_plan
from tests.targets import random_targets
from tests.training import (
    StopAfter,
    mixed_model,
    model_of,
    rows_data,
    settings_of,
    trained_in_pieces,
)

CPU = torch.device("cpu")


class Clock:
    """Stands still but for the steps that are taken, whatever else the machine does."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("rnnspec.to_torch.devices.time", clock)
    return clock


def taking(clock: Clock, plain: float, mixed: float, calls: list[str]) -> object:
    def step(precision: Precision) -> None:
        calls.append(precision.name)
        clock.now += plain if precision.name == "float32" else mixed

    return step


@pytest.mark.parametrize(
    ("wanted", "plain", "mixed", "chosen"),
    [
        ("auto", 0.02, 0.002, "bfloat16"),
        ("auto", 0.02, 0.02, "float32"),
        ("bfloat16", 0.02, 0.002, "bfloat16"),
        ("bfloat16", 0.002, 0.02, "float32"),
        ("float16", 0.02, 0.002, "float16"),
    ],
)
def test_mixed_precision_is_taken_where_it_is_faster(
    clock: Clock, wanted: str, plain: float, mixed: float, chosen: str
) -> None:
    calls: list[str] = []
    found, why = tried(wanted, CPU, taking(clock, plain, mixed, calls))  # type: ignore[arg-type]
    assert found == chosen
    assert ("times as long" in why) == (chosen == "float32")
    assert set(calls) == {"float32", "float16" if wanted == "float16" else "bfloat16"}


def test_a_precision_that_does_not_work_is_not_used() -> None:
    def step(precision: Precision) -> None:
        if precision.name == "bfloat16":
            raise RuntimeError("mkldnn does not do this\nand more")

    found, why = tried("auto", CPU, step)
    assert found == "float32"
    assert why == ("training in float32, for bfloat16 does not work here: mkldnn does not do this")


@pytest.mark.parametrize(("wanted", "chosen"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_where_every_run_is_the_same_no_time_decides(
    clock: Clock, wanted: str, chosen: str
) -> None:
    for plain, mixed in ((0.002, 0.02), (0.02, 0.002)):
        step = taking(clock, plain, mixed, [])
        assert tried(wanted, CPU, step, timed=False) == (chosen, "")  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", ["float32", "float64"])
def test_full_precision_needs_no_trial(wanted: str) -> None:
    def step(precision: Precision) -> None:
        pytest.fail("nothing to try")

    assert tried(wanted, CPU, step) == (wanted, "")


def test_a_fallback_is_said_and_a_trial_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights as in float32 from the start, random numbers included."""

    def slow(wanted: str, device: object, step: object, timed: bool) -> tuple[str, str]:
        assert callable(step)
        step(Precision())
        return "float32", "too slow"

    expected = trained_in_pieces(tmp_path / "plain", settings_of())
    monkeypatch.setattr("rnnspec.train.trials.tried", slow)
    listener = StopAfter(0, Interrupt())
    build = BuildFolder(tmp_path / "tried")
    build.path.mkdir()
    settings = settings_of(precision="bfloat16")
    valid = rows_data(rows=20, seed=1)
    trainer = Trainer(model_of(), settings, build, rows_data(), valid, listener)
    assert trainer.run(Interrupt())
    assert listener.warnings == ["too slow"]
    for name, value in read_arrays(expected.weights)[0].items():
        np.testing.assert_array_equal(read_arrays(build.weights)[0][name], value)


def test_the_precision_of_a_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is slow today must not change the numbers of a run that was begun."""
    monkeypatch.setattr("rnnspec.train.trials.tried", lambda *_: ("bfloat16", ""))
    build = BuildFolder(tmp_path)
    interrupt = Interrupt()
    settings = settings_of(precision="auto")
    listener = StopAfter(2, interrupt)
    assert not Trainer(mixed_model(), settings, build, rows_data(), None, listener).run(interrupt)
    assert precision_of(build.checkpoint) == "bfloat16"
    monkeypatch.setattr("rnnspec.train.trials.tried", lambda *_: pytest.fail("tried again"))
    again = Trainer(mixed_model(), settings, build, rows_data(), None, listener)
    assert again.train_step.precision.name == "bfloat16"


@pytest.mark.parametrize(
    "plan",
    [frames_plan("lstm_coupled"), *(frames_plan("gru", pool=p) for p in ("mean", "attention"))],
    ids=["lstm_coupled", "mean", "attention"],
)
def test_bfloat16_gives_about_the_same_gradient(plan: Plan) -> None:
    data, gradients = rows_data(), []
    for precision in ("float32", "bfloat16"):
        settings = settings_of(clip_norm=None)
        train_step = TrainStep(model_of(plan), settings, Precision(CPU, precision))
        micro_batch = RowFeed(data, settings).micro_batch(np.arange(16))
        train_step.step([micro_batch])
        found = [weight.grad for weight in train_step.trained]
        gradients.append(torch.cat([g.flatten() for g in found if g is not None]))
    plain, mixed = gradients
    assert not torch.equal(plain, mixed)
    assert float((plain - mixed).norm() / plain.norm()) < 0.05


def test_float16_scales_its_loss_and_trains() -> None:
    """With a cell whose products a CPU has in float16; that of its LSTM it has not."""
    data, settings = rows_data(), settings_of()
    train_step = TrainStep(model_of(frames_plan("mingru")), settings, Precision(CPU, "float16"))
    assert train_step.scaler.is_enabled()
    feed = RowFeed(data, settings)
    losses = [train_step.step([feed.micro_batch(np.arange(40))]).loss for _ in range(60)]
    assert losses[-1] < 0.8 * losses[0]


def test_float64_agrees_with_a_numeric_gradient() -> None:
    """What it is for: the gradient of a whole batch against differences of the loss."""
    data, settings = rows_data(), settings_of(clip_norm=None)
    train_step = TrainStep(model_of(), settings, Precision(CPU, "float64"))
    micro_batch = RowFeed(data, settings).micro_batch(np.arange(8))

    def loss() -> float:
        return float(
            train_step.objective(micro_batch.batch, train_step.precision).losses["label"].detach()
        )

    weights = train_step.trained[0]
    losses = train_step.objective(micro_batch.batch, train_step.precision).losses
    (gradient,) = torch.autograd.grad(losses["label"], weights)
    assert gradient.dtype == torch.float64
    for place in [(0, 0), (7, 1), (19, 2)]:
        with torch.no_grad():
            weights[place] += 1e-5
            above = loss()
            weights[place] -= 2e-5
            below = loss()
            weights[place] += 1e-5
        assert float(gradient[place]) == pytest.approx((above - below) / 2e-5, rel=1e-6, abs=1e-9)


def test_weights_of_a_float64_training_are_kept_in_float32(tmp_path: Path) -> None:
    build = trained_in_pieces(tmp_path / "build", settings_of(precision="float64"))
    assert {str(value.dtype) for value in read_arrays(build.weights)[0].values()} == {"float32"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert device_of(settings_of()) == CPU
    with pytest.raises(BuildError, match=r"train\.device is gpu, and torch finds none"):
        device_of(settings_of(device="gpu"))


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["skip highway forward", "skip over the input"])
def test_what_mixed_precision_leaves_of_two_types_is_mixed_all_the_same(
    name: str, kind: PrecisionName
) -> None:
    """A gate and a stack in half precision, and an input in float32."""
    plan = layers.plan(name)
    inputs = batched(plan, random_rows(plan, (4, 1, 0)))
    arrays = {key: (values.numpy(), lengths.numpy()) for key, (values, lengths) in inputs.items()}
    batch = Batch(arrays, random_targets(plan, (4, 1, 0)))
    losses = []
    for precision in (Precision(), Precision(CPU, kind)):
        model = Model(plan).eval()
        model.load_canonical(strong_weights(plan, size=0.3))
        losses.append(float(Objective(model, Train())(batch, precision).loss.detach()))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
