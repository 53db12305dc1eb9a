"""What the calendar says of times: see `rnnspec.plan.nodes.calendar.Calendar`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from rnnspec.plan.nodes import Calendar
from rnnspec.plan.nodes.calendar import EARLIEST, LATEST
from rnnspec.reference.functions import Array
from rnnspec.spec.calendar import CalendarFeature

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def calendar(of: Calendar, seconds: Array) -> Array:
    """`[n, width]` of the times `[n]`."""
    kept = np.clip(seconds, EARLIEST, LATEST).tolist()
    zone = ZoneInfo(of.zone) if of.zone else UTC
    times = [(_EPOCH + timedelta(seconds=s)).astimezone(zone) for s in kept]
    rows = [[x for each in of.features for x in _encoded(of, each, time)] for time in times]
    return np.array(rows, np.float64).reshape(-1, of.width)


def _encoded(of: Calendar, feature: CalendarFeature, time: datetime) -> list[float]:
    value, period = _value(feature, time)
    if of.numbers:
        return [float(value)]
    if not of.harmonics:
        return [float(at == value) for at in range(period)]
    angles = [2 * np.pi * k * value / period for k in range(1, of.harmonics + 1)]
    return [x for angle in angles for x in (np.sin(angle), np.cos(angle))]


def _value(feature: CalendarFeature, time: datetime) -> tuple[int, int]:
    """The value of a feature, from 0, and its period."""
    match feature:
        case "minute":
            return time.minute, 60
        case "hour":
            return time.hour, 24
        case "time_of_day":
            return 60 * time.hour + time.minute, 24 * 60
        case "weekday":
            return time.weekday(), 7
        case "day":
            return time.day - 1, 31
        case "week":
            return time.isocalendar().week - 1, 53
        case "month":
            return time.month - 1, 12
        case "quarter":
            return (time.month - 1) // 3, 4
        case "year_day":
            return time.timetuple().tm_yday - 1, 366
