"""Subnormal numbers are 0 while a gradient is computed, and only then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnnspec.to_torch import Model
from rnnspec.to_torch.threads import subnormals_as_zero
from rnnspec.train.feed import RowFeed
from rnnspec.train.statistics import measure
from rnnspec.train.step import TrainStep, gradients
from tests.models import frames_facts, frames_plan
from tests.training import rows_data, settings_of

SETTINGS = settings_of(clip_norm=None)
DATA = rows_data(rows=8, shortest=110, longest=110)
LEAST = torch.finfo(torch.float32).smallest_normal


def product() -> torch.Tensor:
    """A number that is subnormal as float32."""
    return torch.full((1,), 1e-30) * 1e-10


def test_they_are_zero_inside_and_as_before_outside() -> None:
    assert 0 < product().item() < LEAST
    with subnormals_as_zero():
        assert product().item() == 0.0
    assert product().item() > 0
    assert sys.float_info.min / 2 > 0


def test_what_was_set_before_is_kept() -> None:
    torch.set_flush_denormal(True)
    try:
        with subnormals_as_zero():
            pass
        assert product().item() == 0.0
    finally:
        torch.set_flush_denormal(False)


def test_a_gradient_that_fades_through_time_ends_at_zero() -> None:
    """The state of an RNN is halved at each of 110 steps, and its input weights are 1e-6: at the
    first step the gradient is subnormal."""
    train_step = TrainStep(fading(), SETTINGS)
    micro_batch = next(RowFeed(DATA, SETTINGS).micro_batches(0, 0))

    def plain() -> None:
        losses = train_step.objective(micro_batch.batch, train_step.precision).losses
        losses["label"].backward()

    as_it_is = measure(train_step.model, plain)
    assert as_it_is["flow.layers.0.forward"] == pytest.approx(0.5**109, rel=0.1)
    found = measure(
        train_step.model, lambda: gradients(train_step.objective, micro_batch, train_step.precision)
    )
    assert found["flow.layers.0.forward"] == 0.0
    assert found["grad.layers.0.forward"] == pytest.approx(as_it_is["grad.layers.0.forward"])


def test_a_step_leaves_none_in_the_moments_of_adam() -> None:
    """The moments of a weight without a gradient shrink by 0.9 and 0.999."""
    train_step = TrainStep(fading(), SETTINGS)
    micro_batches = [next(RowFeed(DATA, SETTINGS).micro_batches(0, 0))]
    train_step.step(micro_batches)
    moments = [
        state[name]
        for state in train_step.optimizer.entries.values()
        for name in ("exp_avg", "exp_avg_sq")
    ]
    for moment in moments:
        moment.fill_(LEAST / 2)
    train_step.step(micro_batches)
    sizes = torch.cat([moment.flatten() for moment in moments]).abs()
    assert not ((sizes > 0) & (sizes < LEAST)).any()


def test_threads_that_are_started_take_them_for_zero() -> None:
    """In a process of its own, for threads once started stay as they are."""
    code = """
import torch
from rnnspec.to_torch.threads import computing_with
with computing_with(2):
    numbers = torch.full((2**18,), 1e-30) * 1e-10  # in halves
assert numbers[0] > 0 and numbers[-1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def fading() -> Model:
    model = Model(frames_plan("rnn"))
    model.start(frames_facts(), 0)
    for name, value in model.canonical():
        if name == "layers.0.forward.U":
            value.copy_(0.5 * torch.eye(5))
        elif name == "layers.0.forward.W":
            value.mul_(1e-6)  # far from where tanh is flat
        elif name == "layers.0.forward.b":
            value.zero_()
    return model
