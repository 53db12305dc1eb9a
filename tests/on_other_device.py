"""Every part of a model on a device that is not the CPU: no operation takes tensors of both.

`test_other_device.py` runs this file in a process of its own: with a second device torch has
threads for its gradients, and a process with these can no longer be forked, as other tests do.

`other_device` stands for a GPU. What it cannot show is whether a GPU's own kernels give the same
numbers: `benchmarks/gpu.py` is for that.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import rnnspec
from rnnspec.data import Batch
from rnnspec.objective.objective import Objective
from rnnspec.plan import Plan
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from tests import tiny
from tests.every_plan import PLANS
from tests.kinds import batched, random_rows, strong_weights
from tests.other_device import DEVICE, MixedDevicesError, home, other_device
from tests.targets import random_targets

LENGTHS = (5, 1, 0, 3)


def taught(
    plan: Plan, batch: Batch, precision: Precision
) -> tuple[float, dict[str, torch.Tensor], dict[str, object]]:
    """The loss, the gradients and the answers of a model at weights drawn once."""
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan))
    model.to(precision.device)
    forward = Objective(model, Train())(batch, precision)
    forward.loss.backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return float(forward.loss.detach()), gradients, dict(model.answers(forward.inputs))


@pytest.mark.parametrize("name", PLANS)
def test_a_model_trains_and_answers_on_another_device(name: str) -> None:
    plan = PLANS[name]
    inputs = batched(plan, random_rows(plan, LENGTHS))
    arrays = {key: (values.numpy(), lengths.numpy()) for key, (values, lengths) in inputs.items()}
    batch = Batch(arrays, random_targets(plan, LENGTHS))
    loss, gradients, _ = taught(plan, batch, Precision())
    with other_device() as device:
        found, others, answers = taught(plan, batch, Precision(device))
    np.testing.assert_allclose(found, loss, rtol=1e-4)
    assert set(others) == set(gradients)
    for weight, gradient in gradients.items():
        torch.testing.assert_close(home(others[weight]), gradient, atol=1e-4, rtol=1e-4)
    assert set(answers) == {out.column for out in plan.outputs}


@pytest.mark.parametrize("kind", ["labels", "text", "gaussian"])
def test_a_build_goes_through_on_another_device(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training, checkpoints, statistics, metrics, examples and the report."""
    monkeypatch.setattr("rnnspec.train.build.device_of", lambda settings: DEVICE)
    monkeypatch.setattr("rnnspec.train.trials.device_of", lambda settings: DEVICE)
    monkeypatch.chdir(tmp_path)
    tiny.write_data(tmp_path)
    spec = json.loads(json.dumps(tiny.SPECS[kind]))
    spec["train"] |= {"epochs": 1}
    Path("tiny.yaml").write_text(yaml.safe_dump(spec))
    with other_device():
        build = rnnspec.load("tiny.yaml").build()
    assert (build.path / "report.html").is_file()


@pytest.mark.parametrize(
    "mix",
    [
        lambda there, here: there + here,
        lambda there, here: torch.cat([here, there]),
        lambda there, here: there @ here.T,
        lambda there, here: torch.where(here > 0, there, there),
        lambda there, here: there.numpy(),
    ],
)
def test_tensors_of_two_devices_are_refused(mix: object) -> None:
    """The device of these tests is one, and a model that forgets it fails."""
    here = torch.ones(2, 3)
    with other_device() as device, pytest.raises(MixedDevicesError):
        mix(here.to(device), here)  # type: ignore[operator]
