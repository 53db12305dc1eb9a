"""Learning rates: each schedule's formula, and that training goes by it."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from rnnspec.objective.settings import Forcing, forcing_at
from rnnspec.spec.decoder import ExponentialForcing, InverseSigmoidForcing, LinearForcing
from rnnspec.spec.schedules import (
    ConstantRate,
    Cosine,
    InverseSqrt,
    Linear,
    Plateau,
    Schedule,
    StepDown,
)
from rnnspec.train.schedules import Moment, PlateauState, rate_at
from tests.training import metrics_of, settings_of, trained_in_pieces

STEPS = 40


def rates(schedule: Schedule) -> list[float]:
    """Of 40 steps in four epochs."""
    return [rate_at(schedule, Moment(step, STEPS, step // 10)) for step in range(STEPS)]


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def test_cosine_is_that_of_torch() -> None:
    optimizer = sgd()
    torchs = CosineAnnealingLR(optimizer, STEPS, eta_min=0.1)
    for rate in rates(Cosine(floor=0.1)):
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        torchs.step()


def test_warmup_rises_evenly_and_reaches_the_rate() -> None:
    for schedule in (Cosine(warmup=8), Linear(warmup=8), InverseSqrt(warmup=8)):
        found = rates(schedule)
        assert found[:8] == pytest.approx([(step + 1) / 8 for step in range(8)])
        assert max(found) == found[7]
        assert found[8:] == sorted(found[8:], reverse=True)


@pytest.mark.parametrize(
    "schedule",
    [ConstantRate(warmup=8), StepDown(warmup=8, after=2), Plateau(warmup=8)],
    ids=lambda schedule: schedule.name,
)
def test_warmup_multiplies_what_has_no_end(schedule: Schedule) -> None:
    """Of step numbers 1 to 8 in 40, with a fall at step 21 and what a plateau has left."""
    without = schedule.model_copy(update={"warmup": 0})
    for step, rate in enumerate(rates(schedule), start=1):
        moment = Moment(step - 1, STEPS, (step - 1) // 10)
        assert rate == pytest.approx(min(1.0, step / 8) * rate_at(without, moment))
    assert rates(without)[0] == 1.0
    moment = Moment(3, STEPS, 0)
    expected = 0.25 if isinstance(schedule, Plateau) else 1.0
    assert rate_at(schedule, moment, fallen=0.25) == pytest.approx(0.5 * expected)


def test_linear_ends_one_step_above_its_floor() -> None:
    found = rates(Linear(warmup=0, floor=0.2))
    steps = [earlier - later for earlier, later in pairwise(found)]
    assert steps == pytest.approx([0.8 / STEPS] * (STEPS - 1))
    assert found[-1] - 0.8 / STEPS == pytest.approx(0.2)


def test_inverse_square_root_halves_where_steps_are_fourfold() -> None:
    schedule = InverseSqrt(warmup=10)
    assert rate_at(schedule, Moment(9, 1000, 0)) == 1.0
    assert rate_at(schedule, Moment(39, 1000, 0)) == pytest.approx(0.5)
    assert rate_at(schedule, Moment(159, 1000, 0)) == pytest.approx(0.25)


def test_steps_fall_after_their_epochs() -> None:
    by_epoch = [rate_at(StepDown(every=2, factor=0.5, after=3), Moment(e, 10, e)) for e in range(8)]
    assert by_epoch == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_plateau_is_that_of_torch(patience: int) -> None:
    losses = [3.0, 2.0, 2.5, 2.0, 1.9, 1.95, 1.95, 1.95, 1.95, 1.0, 1.0, 1.2, 1.3, 1.4]
    state, schedule = PlateauState(), Plateau(factor=0.5, patience=patience, floor=0.05)
    optimizer = sgd()
    torchs = ReduceLROnPlateau(  # which waits for more than `patience` epochs
        optimizer, factor=0.5, patience=patience - 1, threshold=0.0, min_lr=0.05
    )
    for loss in losses:
        state.see(schedule, loss)
        torchs.step(loss)
        assert state.fallen == optimizer.param_groups[0]["lr"]


def test_a_plateau_of_what_cannot_be_measured() -> None:
    state = PlateauState()
    for cost in (math.inf, math.inf):
        state.see(Plateau(patience=2), cost)
    assert state.fallen == 1.0
    state.see(Plateau(patience=2), 3.0)
    assert (state.best, state.stale) == (3.0, 0)
    for _ in range(2):
        state.see(Plateau(patience=2), math.inf)
    assert state.fallen == 0.5


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0]),
        ({"constant": {"warmup": 12}}, [5 / 12, 10 / 12, 1.0]),
        ({"step": {"factor": 0.1, "warmup": 8}}, [5 / 8, 0.1, 0.01]),
        ({"step": {"factor": 0.1}}, [1.0, 0.1, 0.01]),
        ({"linear": {}}, [11 / 15, 6 / 15, 1 / 15]),
        ({"cosine": {}}, [(1 + math.cos(math.pi * step / 15)) / 2 for step in (4, 9, 14)]),
        # no epoch is better by 10 than the one before
        ({"plateau": {"patience": 1, "min_delta": 10.0}}, [1.0, 1.0, 0.5]),
        ({"plateau": {"patience": 1, "min_delta": 10.0, "warmup": 10}}, [0.5, 1.0, 0.5]),
    ],
)
def test_training_goes_by_the_schedule(
    schedule: Any, expected: list[float], tmp_path: Path
) -> None:
    """Rates of the last steps of three epochs of five steps."""
    settings = settings_of(schedule=schedule, epochs=3, optimizer={"sgd": {"lr": 0.02}})
    build = trained_in_pieces(tmp_path / "build", settings)
    found = [record["lr"] for record in metrics_of(build)]
    assert found == pytest.approx([0.02 * rate for rate in expected])


@pytest.mark.parametrize(
    ("chosen", "shares"),
    [
        (0.7, [0.7, 0.7, 0.7]),
        (LinearForcing(start=0.9, end=0.3), [0.9, 0.75, 0.3]),
        (ExponentialForcing(k=0.9), [1.0, 0.81, 0.43046721]),
        (InverseSigmoidForcing(k=5.0), [0.8333333, 0.7701995, 0.5023595]),
    ],
)
def test_true_tokens_get_rarer(chosen: Forcing, shares: list[float]) -> None:
    """After 0, 2 and 8 of 8 epochs: k^i and k / (k + e^(i / k)) (Bengio et al., 2015) by hand."""
    found = [forcing_at(chosen, done, 8) for done in (0.0, 2.0, 8.0)]
    assert found == pytest.approx(shares)
