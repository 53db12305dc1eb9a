"""Numbers that are none any more: the build ends and says why, and what was good is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.train import build as training
from rnnspec.train.feed import RowFeed
from rnnspec.train.step import StepResult, TrainStep
from tests.cli import right, wrong
from tests.tiny import SPECS, write_data
from tests.training import model_of, rows_data, settings_of

STEPS = 5
"""Of an epoch: 60 rows in batches of 12."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    return tmp_path


def write_spec(folder: Path, name: str, **train: Any) -> str:
    spec = {**SPECS["class"], "name": name}
    spec["train"] = {**spec["train"], **train}
    (folder / f"{name}.yaml").write_text(json.dumps(spec))  # JSON is YAML
    return f"{name}.yaml"


@pytest.fixture
def spoilt(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the loss nan in the step of this number, from 0; empty: in none."""
    at: list[int] = []
    step = TrainStep.step

    def spoil(
        train_step: TrainStep, micro_batches: Any, rate: float = 1.0, number: int = 0
    ) -> StepResult:
        if number in at:
            with torch.no_grad():
                train_step.trained[-1].fill_(torch.nan)
        return step(train_step, micro_batches, rate, number)

    monkeypatch.setattr(TrainStep, "step", spoil)
    return at


def state_of(build: str) -> dict[str, Any]:
    return BuildFolder(Path(build)).read_state()


def test_the_best_weights_so_far_are_kept_and_can_be_used(world: Path, spoilt: list[int]) -> None:
    spoilt.append(2 * STEPS + 1)
    said = wrong("build", write_spec(world, "nan", epochs=5))
    assert "the loss became nan in epoch 3, batch 2" in said
    assert "train.optimizer.adam.lr lower than 0.01" in said
    assert "train.clip_norm smaller than 1" in said
    assert "builds/nan/001: the weights of epoch 2, the best so far, are kept for export" in said
    assert "--resume" not in said
    state = state_of("builds/nan/001")
    assert (state["state"], state["best_epoch"]) == ("failed", 2)
    assert state["why"] in said
    _, about = read_arrays(Path("builds/nan/001/weights.safetensors"))
    assert about == {"epoch": "2"}
    assert json.loads(right("evaluate", "builds/nan/001", "--json"))["metrics"]["loss"] > 0
    assert "proven" in right("export", "builds/nan/001", "--onnx")
    assert "its training failed: the loss became nan" in wrong(
        "evaluate", "builds/nan/001", "--weights", "last"
    )


def test_it_is_not_resumed_and_another_spec_starts_anew(world: Path, spoilt: list[int]) -> None:
    spoilt.append(STEPS)
    spec = write_spec(world, "nan", clip_norm=None)
    assert "train.clip_norm to 1" in wrong("build", spec)
    said = wrong("build", spec, "--resume")
    assert "builds/nan/001: cannot be resumed, for its training failed and would again" in said
    assert "the loss became nan in epoch 2, batch 1" in said
    spoilt.clear()
    slower = ("--set", "train.optimizer.adam.lr=1e-3")
    told = wrong("build", spec, *slower, "--resume")
    assert "each build is finished already" in told and "or failed with another spec" in told
    assert "built builds/nan/002" in right("build", spec, *slower)
    assert state_of("builds/nan/002")["state"] == "finished"


def test_processes_that_are_started_again_do_not_begin_another_build(
    world: Path, spoilt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt.append(0)
    spec = write_spec(world, "nan")
    wrong("build", spec)
    monkeypatch.setattr(training, "restarts", lambda: 1)
    assert "cannot be resumed, for its training failed" in wrong("build", spec)
    assert not Path("builds/nan/002").exists()


def test_without_a_finished_epoch_there_are_no_weights(world: Path, spoilt: list[int]) -> None:
    spoilt.append(3)
    said = wrong("build", write_spec(world, "nan"))
    assert "no epoch was finished, so no weights are kept" in said
    for command in (("evaluate",), ("export", "--onnx")):
        told = wrong(*command, "builds/nan/001")
        assert "has no weights, for its training failed: the loss became nan" in told


def test_before_the_first_step_it_is_not_the_rate(world: Path, spoilt: list[int]) -> None:
    spoilt.append(0)
    said = wrong("build", write_spec(world, "nan"))
    assert "in epoch 1, batch 1" in said and "look for huge numbers in the data" in said
    assert "lr lower" not in said


def test_weights_that_are_no_numbers_are_never_kept(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spoilt by the last step of an epoch, after which no loss is computed."""
    make = TrainStep.step

    def spoil(
        train_step: TrainStep, micro_batches: Any, rate: float = 1.0, number: int = 0
    ) -> StepResult:
        found = make(train_step, micro_batches, rate, number)
        if number == 2 * STEPS - 1:
            with torch.no_grad():
                train_step.trained[0].view(-1)[0] = torch.inf
        return found

    monkeypatch.setattr(TrainStep, "step", spoil)
    said = wrong("build", write_spec(world, "nan", epochs=2))
    assert "a weight became infinite or no number in epoch 2, batch 5" in said
    arrays, about = read_arrays(Path("builds/nan/001/weights.safetensors"))
    assert about == {"epoch": "1"}
    assert all(np.isfinite(value).all() for value in arrays.values())
    assert not Path("builds/nan/001/last.safetensors").exists()


def test_a_gradient_that_is_no_number_is_not_taken() -> None:
    model, settings = model_of(), settings_of()
    train_step, feed = TrainStep(model, settings), RowFeed(rows_data(), settings)
    before = {name: w.detach().clone() for name, w in model.named_parameters()}
    first = train_step.trained[0]
    first.register_hook(lambda gradient: gradient * torch.inf)
    found = train_step.step([feed.micro_batch(np.arange(8))])
    assert np.isfinite(found.loss) and found.failure == "the gradient became infinite"
    for name, weight in model.named_parameters():
        assert torch.equal(weight, before[name])


def test_a_gradient_that_is_only_long_is_shortened() -> None:
    """Its norm is too large for float32, its entries are not: the step is one of 0."""
    model, settings = model_of(), settings_of(optimizer={"sgd": {"lr": 0.1}})
    train_step, feed = TrainStep(model, settings), RowFeed(rows_data(), settings)
    train_step.trained[0].register_hook(lambda gradient: torch.full_like(gradient, 1e30))
    found = train_step.step([feed.micro_batch(np.arange(8))])
    assert found.norm == np.inf and not found.failure
    assert train_step.finite()
