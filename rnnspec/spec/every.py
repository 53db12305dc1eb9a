"""How far apart the steps of a series are: a number, or a span of time in plain words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import own

Kind = Literal["number", "clock", "day", "business day", "month"]

_SECOND = 1_000_000
UNITS: dict[str, tuple[Kind, int]] = {
    "ms": ("clock", _SECOND // 1000),
    "s": ("clock", _SECOND),
    "second": ("clock", _SECOND),
    "min": ("clock", 60 * _SECOND),
    "minute": ("clock", 60 * _SECOND),
    "half hour": ("clock", 1800 * _SECOND),
    "h": ("clock", 3600 * _SECOND),
    "hour": ("clock", 3600 * _SECOND),
    "day": ("day", 1),
    "business day": ("business day", 1),
    "week": ("day", 7),
    "month": ("month", 1),
    "quarter": ("month", 3),
    "year": ("month", 12),
}
"""Each unit, and how many of what is counted it has; a word may have the s of several."""
_FORM = re.compile(r"(?:(\d{1,9}) *)?([a-z]+(?: [a-z]+)?)")


@dataclass(frozen=True, slots=True)
class Every:
    """A step: so many numbers, microseconds that pass (`clock`), days or business days of the
    calendar, or months."""

    kind: Kind
    count: float

    @property
    def is_time(self) -> bool:
        """Whether times are dates, and not numbers."""
        return self.kind != "number"


def every_of(written: str | float) -> Every:
    """What a spec says a step is. Raises an error of pydantic where it says nothing."""
    if not isinstance(written, str):
        return Every("number", written)
    found = _FORM.fullmatch(written.strip())
    if found is None:
        raise _unknown(written, written)
    count, unit = int(found[1] or 1), found[2]
    if unit not in UNITS and unit.removesuffix("s") in UNITS:
        unit = unit.removesuffix("s")
    if unit not in UNITS:
        raise _unknown(written, unit)
    if not count:
        raise own("a step of 0 leads nowhere", f"write '{unit}' alone for one")
    kind, size = UNITS[unit]
    return Every(kind, count * size)


def known_every(written: str) -> str:
    """The text itself; raises where it is no step."""
    every_of(written)
    return written


def _unknown(written: str, unit: str) -> Exception:
    near = did_you_mean(unit, UNITS)
    listed = ", ".join(UNITS)
    return own(
        f"expected a step, as in 'day' or '30 min', found {written[:40]!r}",
        near or f"the units are {listed}",
    )
