"""What the calendar says of times, in whole numbers: see `rnnspec.plan.nodes.calendar.Calendar`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.nodes.calendar import EARLIEST, LATEST, rows_of
from rnnspec.plan.zones import offsets_of
from rnnspec.spec.calendar import PERIODS, CalendarFeature
from rnnspec.to_torch.inputs import steps_first
from rnnspec.to_torch.layers import on_each
from rnnspec.to_torch.sequences import PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted

BEFORE_1970 = 719_468
"""Days from 0000-03-01 to 1970-01-01."""


class Calendar(Weighted):
    """Seconds `[...]` to `[..., width]`."""

    changes: Tensor
    offsets: Tensor
    one: Tensor

    def __init__(self, node: nodes.CalendarInput | nodes.CalendarFuture) -> None:
        super().__init__(node)
        self.calendar = of = node.calendar
        shifts = offsets_of(of.zone or "UTC")
        self._hold("changes", torch.tensor(shifts.changes, dtype=torch.int64))
        self._hold("offsets", torch.tensor(shifts.seconds))
        for feature in of.features if of.harmonics else ():
            self._hold(f"rows_{feature}", torch.tensor(rows_of(of, feature)))
        self._hold("one", torch.ones(()))

    def _hold(self, name: str, value: Tensor) -> None:
        """Keeps a constant, which is no weight."""
        self.register_buffer(name, value, persistent=False)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ()

    def said(self, seconds: Tensor) -> Tensor:
        seconds = seconds.clamp(EARLIEST, LATEST)
        passed = torch.searchsorted(self.changes, seconds.contiguous(), right=True)
        values = values_of(seconds + self.offsets[passed], self.calendar.features)
        if self.calendar.numbers:
            return torch.stack(list(values.values()), -1)
        return torch.cat([self._encoded(each, value) for each, value in values.items()], -1)

    def _encoded(self, feature: CalendarFeature, value: Tensor) -> Tensor:
        if self.calendar.harmonics:
            return self.get_buffer(f"rows_{feature}")[value]
        return F.one_hot(value, PERIODS[feature]).to(self.one.dtype)


class CalendarInput(Calendar):
    """The steps of the past."""

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        """`values` `[B, T]`."""
        return steps_first(self.said(values), lengths)


class CalendarFuture(Calendar):
    """The steps ahead: a sequence on the axis of the answer, or flat."""

    node: nodes.CalendarFuture

    def forward(self, values: Tensor, lengths: Tensor) -> Value:
        """`values` `[B, horizon]`."""
        ahead = self.said(values)
        return ahead.flatten(1) if self.node.flat else steps_first(ahead, lengths)


class CalendarEmbed(Weighted):
    """A learned vector of the value of each feature, side by side."""

    node: nodes.CalendarEmbed

    def forward(self, source: Value) -> Value:
        return on_each(self._looked_up, source)

    def _looked_up(self, numbers: Tensor) -> Tensor:
        """`[..., F]` to `[..., F * width]`."""
        each = zip(self.node.features, numbers.unbind(-1), strict=True)
        return torch.cat([F.embedding(of, self.get_parameter(name)) for name, of in each], -1)


def values_of(
    seconds: Tensor, features: tuple[CalendarFeature, ...]
) -> dict[CalendarFeature, Tensor]:
    """The value of each feature at local times, seconds since 1970."""
    minutes = seconds.div(60, rounding_mode="floor")
    days = minutes.div(PERIODS["time_of_day"], rounding_mode="floor")
    of_day, weekday = minutes - days * PERIODS["time_of_day"], (days + 3) % 7
    year_day, month, day = date_of(days)
    thursday = date_of(days - weekday + 3)[0] if "week" in features else year_day
    found: dict[CalendarFeature, Tensor] = {
        "minute": of_day % 60,
        "hour": of_day // 60,
        "time_of_day": of_day,
        "weekday": weekday,
        "day": day,
        "week": thursday // 7,
        "month": month,
        "quarter": month // 3,
        "year_day": year_day,
    }
    return {feature: found[feature] for feature in features}


def date_of(days: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Day of the year, month and day of the month, each from 0, of days since 1970.

    Years begin in March, so that leap days end them (Hinnant, chrono-compatible low-level date
    algorithms, civil_from_days).
    """
    days = days + BEFORE_1970
    era_day = days % 146_097
    year = (era_day - era_day // 1_460 + era_day // 36_524 - era_day // 146_096) // 365
    since_march = era_day - (365 * year + year // 4 - year // 100)
    march_month = (5 * since_march + 2) // 153
    day = since_march - (153 * march_month + 2) // 5
    month = (march_month + 2) % 12
    leap = ((year % 4 == 0) & ((year % 100 != 0) | (year == 0))).long()
    in_new_year = march_month >= 10
    year_day = torch.where(in_new_year, since_march - 306, since_march + 59 + leap)
    return year_day, month, day
