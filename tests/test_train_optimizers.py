"""Every optimizer: torch's own, step for step; and its state, resumed to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rnnspec.spec import Optimizer
from rnnspec.to_torch.devices import Precision
from rnnspec.train.checkpoint import Position, load, save
from rnnspec.train.optimizers import KINDS, entries_of, load_entries
from rnnspec.train.step import TrainStep
from tests.conftest import ROOT
from tests.models import layers_plan
from tests.training import (
    assert_same_training,
    metrics_of,
    model_of,
    rows_data,
    settings_of,
    trained_in_pieces,
)

TORCHS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "adam": ({}, {"lr": 1e-2, "betas": [0.8, 0.9], "eps": 1e-4, "weight_decay": 0.1}),
    "adamw": ({}, {"lr": 1e-2, "betas": [0.8, 0.9], "eps": 1e-4, "weight_decay": 0.3}),
    "nadam": ({}, {"lr": 1e-2, "betas": [0.8, 0.9], "momentum_decay": 0.1, "weight_decay": 0.1}),
    "radam": ({}, {"lr": 1e-2, "betas": [0.8, 0.9], "eps": 1e-4, "weight_decay": 0.1}),
    "sgd": ({}, {"lr": 0.2, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "rmsprop": (
        {},
        {"alpha": 0.9, "momentum": 0.5, "centered": True, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "adagrad": ({}, {"lr": 0.1, "lr_decay": 0.5, "eps": 1e-4, "weight_decay": 0.1}),
}
CASES = [(name, settings) for name, all_of in SETTINGS.items() for settings in all_of]
OPTIONS = get_args(get_args(Optimizer)[0])
WIDE = Precision(name="float64")


def test_every_optimizer_of_the_spec_is_tested() -> None:
    names = {option.name for option in OPTIONS}
    assert names == set(TORCHS) == set(SETTINGS)
    assert set(KINDS) == set(OPTIONS)
    for name, (_, settings) in SETTINGS.items():
        (option,) = (option for option in OPTIONS if option.name == name)
        left = set(option.model_fields) - set(settings)
        assert left <= {"lr", "eps", "weight_decay_on"}, f"{left} of {name} are never set"


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_steps_are_those_of_torch(name: str, settings: dict[str, Any]) -> None:
    """Twelve steps with gradients of any size, in float64: beside torch's own way of computing."""
    draw = np.random.default_rng(0)
    wanted = settings_of(optimizer={name: settings} if settings else name)
    train_step = TrainStep(model_of(), wanted, WIDE)
    ours = train_step.trained
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    torchs = TORCHS[name](theirs, foreach=False, **{"lr": wanted.optimizer.lr, **given})
    for number in range(12):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.from_numpy(draw.normal(0, 10.0 ** -(number % 3), one.shape))
            other.grad = one.grad.clone()
        train_step.optimizer.step()
        torchs.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_every_optimizer_resumes_exactly(
    name: str, settings: dict[str, Any], precision: str, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"weight_decay_on": "matrices"} if settings else {}
    optimizer = {name: {**settings, **more}} if settings else name
    wanted = settings_of(optimizer=optimizer, precision=precision)
    plan = layers_plan({"cell": "gru", "units": 4, "norm": "layer", "dropout": 0.2})
    whole = trained_in_pieces(tmp_path / "whole", wanted, plan=plan)
    broken = trained_in_pieces(tmp_path / "broken", wanted, [1, 3, 2], plan=plan)
    assert_same_training(whole, broken)


@pytest.mark.parametrize("precision", [Precision(), WIDE])
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_every_entry_of_the_state_survives(
    name: str, settings: dict[str, Any], precision: Precision, tmp_path: Path
) -> None:
    """Values, types, shapes and devices: numbers stay numbers, wide ones wide."""
    wanted = settings_of(optimizer={name: settings} if settings else name)
    train_steps = [TrainStep(model_of(), wanted, precision) for _ in range(2)]
    one, other = train_steps
    for _ in range(3):
        for weight in one.trained:
            weight.grad = torch.full_like(weight, 0.1)
        one.optimizer.step()
    save(tmp_path / "checkpoint.safetensors", Position(steps=3), one)
    load(tmp_path / "checkpoint.safetensors", other)
    before, after = (entries_of(train_step.optimizer) for train_step in train_steps)
    assert before.keys() == after.keys()
    for key, value in before.items():
        found = after[key]
        told = (found.dtype, found.shape, found.device)
        assert told == (value.dtype, value.shape, value.device), f"{name}: {key}"
        assert torch.equal(found, value)


class Calls(TorchDispatchMode):
    """How many operations torch is asked for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_is_as_many_calls_for_more_weights(name: str) -> None:
    counts = []
    for layers in (1, 3):
        plan = layers_plan(*[{"cell": "gru", "units": 4}] * layers)
        train_step = TrainStep(model_of(plan), settings_of(optimizer=name))
        for weight in train_step.trained:
            weight.grad = torch.ones_like(weight)
        train_step.optimizer.step()  # which makes what is remembered of each
        with Calls() as calls:
            train_step.optimizer.step()
        counts.append(calls.count)
    (option,) = (option for option in OPTIONS if option.name == name)
    fewer, more = counts
    assert more == fewer or (more < 2 * fewer and not KINDS[option].fused), counts


def test_a_file_of_another_optimizer_is_refused() -> None:
    updates = TrainStep(model_of(), settings_of(optimizer="adam")).optimizer
    weight = updates.weights[0]
    for entries in (
        {"0.momentum_buffer": torch.zeros_like(weight)},
        {f"0.{key}": torch.zeros(1, 2, 3) for key in ("step", "exp_avg", "exp_avg_sq")},
        {f"{len(updates.weights)}.step": torch.zeros(())},
    ):
        with pytest.raises(ValueError, match=r"entries|weights"):
            load_entries(updates, entries)
    assert not updates.entries


BUILD = """
import sys
from pathlib import Path
from tests.training import rows_data, settings_of, trained_in_pieces

trained_in_pieces(Path(sys.argv[1]), settings_of(epochs=1), train=rows_data(8, 3))
print({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules))
"""


def test_no_build_imports_the_compiler_of_torch(tmp_path: Path) -> None:
    """It takes as long as all the rest of torch."""
    code = [sys.executable, "-c", BUILD, str(tmp_path / "build")]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("set()", 0), done.stderr


@pytest.mark.parametrize("name", SETTINGS)
def test_every_optimizer_learns(name: str, tmp_path: Path) -> None:
    """With its defaults but for the rate, which suits rows so few."""
    settings = settings_of(optimizer={name: {"lr": 0.5 if name == "sgd" else 0.03}}, epochs=6)
    build = trained_in_pieces(tmp_path / "build", settings, train=rows_data(80, 5))
    losses = [record["train.loss"] for record in metrics_of(build)]
    assert losses[-1] < 0.9 * losses[0]
