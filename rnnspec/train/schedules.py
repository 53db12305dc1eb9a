"""The learning rate at each step, as a share of the optimizer's `lr`.

A rate depends on the position alone, so that a resumed run goes on with the same rates. Only a
plateau depends on what was measured; its state is part of the position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

from rnnspec.spec.schedules import (
    ConstantRate,
    Cosine,
    InverseSqrt,
    Linear,
    Plateau,
    Schedule,
    StepDown,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """Step `step` (from 0) of `steps` in all, in epoch `epoch` (from 0)."""

    step: int
    steps: int
    epoch: int


def rate_at(schedule: Schedule, moment: Moment, fallen: float = 1.0) -> float:
    """The factor of the optimizer's rate in this step; `fallen`: that of a plateau so far.

    Cosine: Loshchilov and Hutter 2017, SGDR, equation 5, without restarts. Inverse square root:
    Vaswani et al. 2017, section 5.3, scaled so that the largest rate is the optimizer's.
    """
    warm, part = _warm(schedule.warmup, moment), _part(schedule.warmup, moment)
    match schedule:
        case ConstantRate():
            return warm
        case Cosine(floor=floor):
            return warm * (floor + (1 - floor) * (1 + math.cos(math.pi * part)) / 2)
        case Linear(floor=floor):
            return warm * (floor + (1 - floor) * (1 - part))
        case InverseSqrt(warmup=warmup):
            number = moment.step + 1
            return min(number / warmup, math.sqrt(warmup / number))
        case StepDown():
            falls = 0
            if moment.epoch >= schedule.after:
                falls = 1 + (moment.epoch - schedule.after) // schedule.every
            return warm * float(schedule.factor**falls)
        case Plateau():
            return warm * fallen
        case _:
            assert_never(schedule)


def _warm(warmup: int, moment: Moment) -> float:
    """Evenly up to 1 at step number `warmup`, counted from 1."""
    return min(1.0, (moment.step + 1) / warmup) if warmup else 1.0


def _part(warmup: int, moment: Moment) -> float:
    """Share of the steps after the warm-up that are done, from 0 to 1."""
    steps = max(1, moment.steps - warmup)
    return min(1.0, max(0, moment.step - warmup) / steps)


@dataclass(slots=True)
class PlateauState:
    """The `best` cost so far, the epochs without a better one since (`stale`), and the factor of
    the rate so far (`fallen`)."""

    best: float | None = None
    stale: int = 0
    fallen: float = 1.0

    def see(self, schedule: Plateau, cost: float) -> None:
        """Take in the cost of an epoch, inf where it cannot be measured. The rate falls after
        `patience` epochs without a better one."""
        if self.best is None or self.best - cost > schedule.min_delta:
            self.best, self.stale = cost, 0
            return
        self.stale += 1
        if self.stale >= schedule.patience:
            self.fallen, self.stale = max(schedule.floor, self.fallen * schedule.factor), 0
