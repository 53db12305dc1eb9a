"""Steps of time: how many are between the times of a series, and which times come next.

- `NumberSteps`, and `ClockSteps` of elapsed time: a time is k steps after the one before it if the
  difference is k steps to a thousandth of a step, or to rounding: two spacings of float64 for each
  of the numbers compared.
- `DaySteps`: the same time of day, whether a day has 23, 24 or 25 hours. A time that the clock of a
  zone skips that day is the one that the clock shows instead.
- `BusinessDaySteps`: the same, and Saturdays and Sundays are no steps.
- `MonthSteps`: the same day of the month and time of day, or the last day of a shorter month; if
  all times are on last days of months, always the last day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rnnspec.spec.every import Every

TOLERANCE = 1e-3
"""Share of a step by which a difference may deviate from whole steps."""
MOST = 2.0**40
"""Most steps counted between two times, so that their sum fits."""
LONGEST_MONTH, SHORTEST_MONTH = 31, 28

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Times = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Stamps:
    """Times, `[n]` each: local (`shown`), and elapsed (`passed`), which is UTC if that is known
    (`zoned`). Both are datetime64[us], or the same numbers, int64 or float64. `zone`: the time
    zone of the local times."""

    shown: Times
    passed: Times
    zoned: bool = False
    zone: ZoneInfo | None = None

    def __len__(self) -> int:
        return len(self.shown)

    def showing(self, shown: Times) -> Stamps:
        """Stamps of other local times, in the zone, or with the offset from UTC of the last one."""
        if not self.zoned:
            return replace(self, shown=shown, passed=shown)
        if self.zone is None:
            return replace(self, shown=shown, passed=shown - (self.shown[-1] - self.passed[-1]))
        passed = passed_at(shown, self.zone)
        return replace(self, shown=shown_at(passed, self.zone), passed=passed)

    def passing(self, passed: Times) -> Stamps:
        """Stamps of other elapsed times, likewise."""
        if not self.zoned:
            return replace(self, shown=passed, passed=passed)
        if self.zone is None:
            return replace(self, shown=passed + (self.shown[-1] - self.passed[-1]), passed=passed)
        return replace(self, shown=shown_at(passed, self.zone), passed=passed)


class Steps(Protocol):
    """A kind of step."""

    def count(self, stamps: Stamps) -> tuple[Numbers, Flags]:
        """The step number of each time from the first, `[n]`, and whether it is whole; for the
        first, whether it can be a step at all."""
        ...

    def after(self, stamps: Stamps, counts: Numbers) -> Stamps:
        """The times `counts` steps after the last."""
        ...


def steps_of(every: Every) -> Steps:
    """The kind of step that a spec states."""
    match every.kind:
        case "number":
            return NumberSteps(every.count)
        case "clock":
            return ClockSteps(int(every.count))
        case "day":
            return DaySteps(int(every.count))
        case "business day":
            return BusinessDaySteps(int(every.count))
        case "month":
            return MonthSteps(int(every.count))


def inferred(stamps: Stamps) -> Steps | None:
    """The steps of a series from its first two times: months if all times are whole months apart,
    else calendar days, else elapsed time. None for fewer than two times, or if the second is not
    after the first."""
    if len(stamps) < 2:
        return None
    first = stamps.passed[1] - stamps.passed[0]
    if first <= first.dtype.type(0):
        return None
    if stamps.shown.dtype.kind != "M":
        return NumberSteps(first.item())
    days = int((_days(stamps.shown[1:2]) - _days(stamps.shown[:1])).astype(np.int64)[0])
    months = int(np.diff(_months(stamps.shown[:2]).astype(np.int64))[0])
    if months > 0 and days >= SHORTEST_MONTH and MonthSteps(months).count(stamps)[1].all():
        return MonthSteps(months)
    if days > 0 and DaySteps(days).count(stamps)[1].all():
        return DaySteps(days)
    return ClockSteps(int(first / np.timedelta64(1, "us")))


@dataclass(frozen=True, slots=True)
class NumberSteps:
    """Numbers that rise by `size`."""

    size: float

    def count(self, stamps: Stamps) -> tuple[Numbers, Flags]:
        times = stamps.passed
        return _counted(np.diff(times), self.size, _spacing(times))

    def after(self, stamps: Stamps, counts: Numbers) -> Stamps:
        times = stamps.passed
        size = int(self.size) if float(self.size).is_integer() else self.size
        found = times[-1] + counts * size
        if times.dtype.kind == "f" and (places := _decimals(times)) is not None:
            rounded = np.round(found, places)
            close = np.abs(rounded - found) <= TOLERANCE * self.size
            found = np.where(close, rounded, found)
        return replace(stamps, shown=found, passed=found)


@dataclass(frozen=True, slots=True)
class ClockSteps:
    """Elapsed microseconds."""

    size: int

    def count(self, stamps: Stamps) -> tuple[Numbers, Flags]:
        return _counted(np.diff(stamps.passed.astype(np.int64)), self.size, 0.0)

    def after(self, stamps: Stamps, counts: Numbers) -> Stamps:
        passed = stamps.passed[-1] + (counts * self.size).astype("timedelta64[us]")
        return stamps.passing(passed)


@dataclass(frozen=True, slots=True)
class DaySteps:
    """Days of the calendar."""

    size: int

    def count(self, stamps: Stamps) -> tuple[Numbers, Flags]:
        days = _days(stamps.shown)
        numbers = (days - days[:1]).astype(np.int64)
        return numbers // self.size, (numbers % self.size == 0) & _at_the_same_time(stamps, days)

    def after(self, stamps: Stamps, counts: Numbers) -> Stamps:
        day = _days(stamps.shown[-1:]) + (counts * self.size).astype("timedelta64[D]")
        return stamps.showing(day + _clock(stamps))


@dataclass(frozen=True, slots=True)
class BusinessDaySteps:
    """Days from Monday to Friday."""

    size: int

    def count(self, stamps: Stamps) -> tuple[Numbers, Flags]:
        days = _days(stamps.shown)
        numbers = np.busday_count(days[0], days).astype(np.int64)
        whole = np.is_busday(days) & (numbers % self.size == 0) & _at_the_same_time(stamps, days)
        return numbers // self.size, whole

    def after(self, stamps: Stamps, counts: Numbers) -> Stamps:
        last = np.busday_offset(_days(stamps.shown[-1:]), 0, "backward")
        days = np.busday_offset(last, counts * self.size)
        return stamps.showing(days + _clock(stamps))


@dataclass(frozen=True, slots=True)
class MonthSteps:
    """Months of the calendar."""

    size: int

    def count(self, stamps: Stamps) -> tuple[Numbers, Flags]:
        months, days = _months(stamps.shown), _days(stamps.shown)
        numbers = (months - months[:1]).astype(np.int64)
        right = days == _day_of_month(months, _wanted_day(stamps))
        whole = (numbers % self.size == 0) & right & _at_the_same_time(stamps, days)
        return numbers // self.size, whole

    def after(self, stamps: Stamps, counts: Numbers) -> Stamps:
        months = _months(stamps.shown[-1:]) + (counts * self.size).astype("timedelta64[M]")
        days = _day_of_month(months, _wanted_day(stamps))
        return stamps.showing(days + _clock(stamps))


def _counted(gaps: NDArray[Any], size: float, spacing: float) -> tuple[Numbers, Flags]:
    """Steps of `size` in each of `gaps`, summed up, `[n]` of `[n - 1]`."""
    counts = np.clip(np.rint(gaps / size), -MOST, MOST)
    allowed = np.maximum(TOLERANCE * size, 2 * spacing * (1 + np.abs(counts)))
    whole = np.abs(gaps - counts * size) <= np.minimum(allowed, size / 4)
    numbers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return numbers, np.concatenate([[True], whole])


def _spacing(times: Times) -> float:
    """The spacing of float64 at the largest of `times`."""
    return float(np.spacing(np.abs(times).max())) if times.dtype.kind == "f" else 0.0


def _decimals(times: Times) -> int | None:
    """How many decimals, up to nine, the last of these numbers have; None if they have more."""
    last = times[-100:]
    for places in range(10):
        if (np.abs(np.round(last, places) - last) <= np.spacing(np.abs(last))).all():
            return places
    return None


def _days(shown: Times) -> Times:
    return shown.astype("datetime64[D]")


def _months(shown: Times) -> Times:
    return shown.astype("datetime64[M]")


def _clock(stamps: Stamps) -> np.timedelta64:
    """The most frequent time of day, the earliest of several: a clock that is put forward shows
    another one on that day."""
    times, counts = np.unique(stamps.shown - _days(stamps.shown), return_counts=True)
    found: np.timedelta64 = times[np.argmax(counts)]
    return found


def _at_the_same_time(stamps: Stamps, days: Times) -> Flags:
    clock = _clock(stamps)
    same: Flags = stamps.shown - days == clock
    if stamps.zoned and stamps.zone is not None and not same.all():
        others = ~same
        same[others] = passed_at(days[others] + clock, stamps.zone) == stamps.passed[others]
    return same


def _wanted_day(stamps: Stamps) -> int:
    """The day of the month of all times, LONGEST_MONTH for the last."""
    months, days = _months(stamps.shown), _days(stamps.shown)
    if (days == _day_of_month(months, LONGEST_MONTH)).all():
        return LONGEST_MONTH
    return int((days - months.astype("datetime64[D]")).astype(np.int64).max()) + 1


def _day_of_month(months: Times, day: int) -> Times:
    """Day `day` of each month, or its last if it is shorter."""
    first, last = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
    found: Times = np.minimum(first + (day - 1), last)
    return found


def passed_at(shown: Times, zone: ZoneInfo, fold: int = 0) -> Times:
    """The UTC of local times of a zone: the first (`fold` 1: the second) of two; a time that is
    skipped is taken as if the clock had not been put forward."""
    times = (each.replace(tzinfo=zone, fold=fold) for each in _objects(shown))
    return _from_objects([each.astimezone(UTC).replace(tzinfo=None) for each in times])


def shown_at(passed: Times, zone: ZoneInfo) -> Times:
    """The local times of a zone at times of UTC."""
    times = (each.replace(tzinfo=UTC).astimezone(zone) for each in _objects(passed))
    return _from_objects([each.replace(tzinfo=None) for each in times])


def _objects(times: Times) -> list[datetime]:
    found: list[datetime] = times.astype("datetime64[us]").tolist()
    return found


def _from_objects(times: list[datetime]) -> Times:
    return np.array(times, "datetime64[us]")
