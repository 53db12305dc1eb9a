"""The offsets of a time zone from UTC, as a table that back ends and files hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""The table has the changes between these; before and after them the offset stays as it is."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Offsets:
    """A local time is UTC plus `seconds[k]`, where k of the moments `changes` (seconds since 1970,
    rising) are not after it; there is one more offset than changes."""

    changes: tuple[int, ...]
    seconds: tuple[int, ...]


@cache
def offsets_of(name: str) -> Offsets:
    """The offsets of a zone of the database of time zones, from 1900 to 2100."""
    zone = ZoneInfo(name)
    first = int(FIRST.timestamp())
    changes = tuple(_changes(zone))
    return Offsets(changes, tuple(_offset(zone, at) for at in (first, *changes)))


def _changes(zone: ZoneInfo) -> Iterator[int]:
    """Zones change at most once a day: each day with another offset at its end is halved."""
    before = _offset(zone, int(FIRST.timestamp()))
    for day in range(int(FIRST.timestamp()), int(LAST.timestamp()), DAY):
        after = _offset(zone, day + DAY)
        if after != before:
            yield _first_with(zone, after, day, day + DAY)
        before = after


def _first_with(zone: ZoneInfo, offset: int, low: int, high: int) -> int:
    """The first second from which on a zone has an offset that it has at `high`, not at `low`."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(zone, middle) == offset else (middle, high)
    return high


def _offset(zone: ZoneInfo, second: int) -> int:
    found = (_EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    assert found is not None
    return found // timedelta(seconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
