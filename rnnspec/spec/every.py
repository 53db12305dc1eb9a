"""The step of a series: a number, or a span of time such as `30 min`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import spec_error

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
"""Each unit with the kind of its count and its size; a word may have a plural s."""
_FORM = re.compile(r"(?:(\d{1,9}) *)?([a-z]+(?: [a-z]+)?)")


@dataclass(frozen=True, slots=True)
class Every:
    """A step of `count`: a difference of numbers, microseconds of elapsed time (`clock`), days or
    business days of the calendar, or months."""

    kind: Kind
    count: float

    @property
    def is_time(self) -> bool:
        """Whether times are dates, and not numbers."""
        return self.kind != "number"


def every_of(written: str | float) -> Every:
    """The step that a spec names. Raises an error of pydantic for an unknown unit."""
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
        raise spec_error("a step of 0 leads nowhere", f"write '{unit}' alone for one")
    kind, size = UNITS[unit]
    return Every(kind, count * size)


def known_every(written: str) -> str:
    """Validates that `written` names a step, and returns it."""
    every_of(written)
    return written


def _unknown(written: str, unit: str) -> Exception:
    near = did_you_mean(unit, UNITS)
    listed = ", ".join(UNITS)
    return spec_error(
        f"expected a step, as in 'day' or '30 min', found {written[:40]!r}",
        near or f"the units are {listed}",
    )
