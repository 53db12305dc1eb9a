"""Axes: from values to pixels, with ticks at round numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import TypeGuard

from rnnspec.report.model import Value
from rnnspec.report.words import tick

_LARGEST, _SMALLEST = 1e100, 1e-100
"""Values beyond are not drawn, and values below are drawn as 0, so that differences stay finite."""
_SPREAD = 30
"""A logarithmic axis is for values whose largest is this many times their smallest."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` is drawn at pixel `start`, `high` at `end`; `ticks` are values and their names."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value between `low` and `high`."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = log10(low), log10(high), log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def drawable(value: Value) -> TypeGuard[float]:
    """Whether a value has a place on an axis."""
    return value is not None and isfinite(value) and abs(value) <= _LARGEST


def scale(
    values: Iterable[Value],
    start: float,
    end: float,
    *,
    most: int = 5,
    zero: bool = False,
    tight: bool = False,
    logarithmic: bool = False,
) -> Scale:
    """An axis that holds the drawable `values`, with about `most` ticks.

    It ends at ticks, or if `tight` a little beyond the values. `zero`: it holds 0 too.
    `logarithmic`: it is so if no value is 0 or less and they span an order of magnitude and a half.
    """
    found = (value for value in values if drawable(value))
    seen = [value if abs(value) > _SMALLEST else 0.0 for value in found] or [0.0, 1.0]
    low, high = min(seen), max(seen)
    if logarithmic and low > 0 and high / low >= _SPREAD:
        return _logarithmic(low, high, start, end, most)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    least = max(1e-9 * max(abs(low), abs(high)), _SMALLEST)
    if high - low < least:
        around = abs(low) * 0.1 or 1.0
        low, high = low - around, high + around
        low = 0.0 if zero and low < 0 <= min(seen) else low
    step = _step((high - low) / max(1, most - 1))
    if tight:
        low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
        inner = range(ceil(low / step), floor(high / step) + 1)
        return Scale(low, high, start, end, tuple((n * step, tick(n * step, step)) for n in inner))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = tuple((n * step, tick(n * step, step)) for n in range(first, last + 1))
    return Scale(first * step, last * step, start, end, ticks)


def steps(first: int, count: int, start: float, end: float, most: int = 6) -> Scale:
    """An axis of whole numbers from `first`, with half a step of room at either end."""
    last = first + max(1, count) - 1
    step = max(1, round(_step(max(1, count) / most)))
    numbers = [n for n in range(first, last + 1) if n % step == 0 or n == first]
    if len(numbers) > 1 and numbers[1] - numbers[0] < 0.6 * step:
        del numbers[1]
    ticks = tuple((float(n), f"{n:,}".replace("-", "−")) for n in numbers)
    return Scale(first - 0.5, last + 0.5, start, end, ticks)


def _step(rough: float) -> float:
    """The least round number that is not below `rough`."""
    power = 10.0 ** floor(log10(rough))
    return power * next(s for s in _STEPS if s * power >= rough * (1 - 1e-9))


def _logarithmic(low: float, high: float, start: float, end: float, most: int) -> Scale:
    """From a little below `low` to a little above `high`; ticks at 1, 2 and 5 of each order of
    magnitude, or at every few orders."""
    room = (high / low) ** 0.04
    low, high = low / room, high * room
    first, last = floor(log10(low)), ceil(log10(high))
    orders = log10(high / low)
    within = (1, 2, 5) if orders <= 2 else (1, 3) if orders <= 3 else (1,)
    every = ceil(orders / most)
    numbers = [m * 10.0**n for n in range(first, last + 1, every) for m in within]
    ticks = tuple((n, tick(n, n)) for n in numbers if low <= n <= high)
    return Scale(low, high, start, end, ticks, True)
