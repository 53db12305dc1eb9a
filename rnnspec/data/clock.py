"""The times of the steps of a row, for models that read the calendar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.times import time_of
from rnnspec.errors import DataError

MOST = 1 << 40
"""Seconds beyond which a number is no time of a calendar, but milliseconds perhaps."""


def seconds(cells: Sequence[object], zone: str) -> NDArray[np.int64]:
    """Whole seconds since 1970 of numbers, which are such seconds, and of dates as ISO 8601.

    With a `zone` they are of UTC, and a date without an offset is of the zone (of an hour that its
    clock shows twice, the first); else of the clock that a date shows. Raises DataError for what is
    no time.
    """
    found = list(_each(cells, ZoneInfo(zone) if zone else None))
    return np.array(found, np.int64)


def _each(cells: Sequence[object], zone: ZoneInfo | None) -> Iterator[int]:
    for at, cell in enumerate(cells, start=1):
        try:
            yield _seconds(cell, zone)
        except DataError as error:
            raise DataError(f"time {at} {error}") from error


def _seconds(cell: object, zone: ZoneInfo | None) -> int:
    time = time_of(cell, None)
    if not isinstance(time, datetime):
        if abs(time) > MOST or time != int(time):
            raise DataError(f"is {time}, expected whole seconds since 1970, or a date")
        return int(time)
    if zone is None:
        time = time.replace(tzinfo=UTC)
    elif time.tzinfo is None:
        time = time.replace(tzinfo=zone)
    return (time - _EPOCH) // timedelta(seconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
