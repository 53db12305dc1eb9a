"""Nodes of what the calendar says of the steps of series."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.plan.nodes.node import ColumnNode, Shape, Shapes, SourceNode, State, Vectors, Weight
from rnnspec.spec.calendar import PERIODS, CalendarFeature

EARLIEST, LATEST = -62_135_500_000, 253_402_200_000
"""The first and the last second of a time, of the years 1 and 9999."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """What is read of a time, a whole number of seconds since 1970.

    With a `zone`, seconds are of UTC, and what follows is of the local time there: seconds + the
    offset of the zone at that time (`rnnspec.plan.zones.offsets_of`); else seconds are those of the
    clock that the calendar goes by. Each of the `features` is a whole number v, 0 <= v < P, P its
    period (`rnnspec.spec.calendar.PERIODS`):

    - `minute` of the hour, `hour` of the day, `time_of_day` the minute of the day;
    - `weekday` 0 on Mondays; `day` of the month, `month`, `quarter`, `year_day`, each less 1;
    - `week` less 1, by ISO 8601: week 1 has the first Thursday of the year.

    Years are those of the Gregorian calendar; a time is kept between `EARLIEST` and `LATEST`. v
    becomes, with `harmonics`, the numbers sin(2 pi k v / P), cos(2 pi k v / P) for k from 1 to
    `harmonics`; with 0 a number for each value, 1 at v and else 0. With
    `numbers` it stays v, a whole number.
    """

    features: tuple[CalendarFeature, ...]
    harmonics: int = 1
    zone: str = ""
    numbers: bool = False

    @property
    def width(self) -> int:
        if self.numbers:
            return len(self.features)
        widths = (2 * self.harmonics or PERIODS[feature] for feature in self.features)
        return sum(widths)

    def __str__(self) -> str:
        how = f"{self.harmonics} harmonics" if self.harmonics else "one hot"
        if self.harmonics == 1:
            how = "cyclic"
        if self.numbers:
            how = "numbers"
        return f"{' '.join(self.features)}, {how}{f', {self.zone}' if self.zone else ''}"


def rows_of(calendar: Calendar, feature: CalendarFeature) -> tuple[tuple[float, ...], ...]:
    """The waves of each value of a feature, a row each."""
    period = PERIODS[feature]
    return tuple(tuple(_waves(v / period, calendar.harmonics)) for v in range(period))


def _waves(share: float, harmonics: int) -> Iterator[float]:
    for k in range(1, harmonics + 1):
        yield math.sin(2 * math.pi * k * share)
        yield math.cos(2 * math.pi * k * share)


@dataclass(frozen=True, slots=True)
class CalendarInput(ColumnNode):
    """What the calendar says of each step of the past, `[B, T, width]`, from the times of the steps
    as seconds `[B, T]`, with their lengths `[B]`."""

    calendar: Calendar

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, self.calendar.width)


@dataclass(frozen=True, slots=True)
class CalendarFuture(ColumnNode):
    """What the calendar says of the steps ahead, `[B, horizon, width]`, from their times as seconds
    `[B, horizon]`: a sequence on the axis of the answer. With `flat`, the value is a vector
    `[B, horizon * width]`, the first step first."""

    calendar: Calendar
    horizon: int
    flat: bool = False

    @property
    def key(self) -> str:
        return f"{self.column}.future"

    def shape(self, shapes: Shapes) -> Shape:
        wide = self.calendar.width
        return ("B", self.horizon * wide) if self.flat else ("B", "U", wide)

    def carried(self) -> tuple[State, ...] | None:
        return None


@dataclass(frozen=True, slots=True)
class CalendarEmbed(SourceNode):
    """Of the values of calendar features `[..., F]`, whole numbers, a learned vector each, side by
    side in their order: `[..., F * width]`. Feature f has the table `name.f` `[P, width]`."""

    pointwise = True
    decays = False

    features: tuple[CalendarFeature, ...]
    width: int

    def weights(self) -> Iterator[Weight]:
        for feature in self.features:
            shape = (PERIODS[feature], self.width)
            yield Weight(f"{self.name}.{feature}", shape, Vectors(pad=False))

    def shape(self, shapes: Shapes) -> Shape:
        inputs = len(self.features)
        return shapes.each_vector(self, self.source, inputs, inputs * self.width)
