"""The column that orders the steps of series: numbers or ISO 8601 dates, rising by equal steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.decode.cells import described
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError

_MONTH = re.compile(r"\d{4}-\d{2}")
_TOLERANCE = 1e-6
"""Of steps between numbers, relative to the first."""
_ZERO = datetime(1970, 1, 1)
_DAY = np.timedelta64(1, "D")


@dataclass(slots=True)
class Times:
    """Gathers the times of all rows, in the order of the file."""

    column: str
    dates: bool | None = None
    """Whether they are dates; None before the first."""
    zoned: bool = False
    """Whether they say their zone."""
    found: list[NDArray[Any]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        def decoded(cell: object) -> float | datetime:
            return self._same_kind(_time(cell, chunk.textual))

        times = bad.decoded(chunk, self.column, decoded)
        kind = "datetime64[us]" if self.dates else np.float64
        if not bad.found:
            self.found.append(np.array(times, kind))

    def _same_kind(self, time: float | datetime) -> float | datetime:
        dates = isinstance(time, datetime)
        zoned = isinstance(time, datetime) and time.tzinfo is not None
        if self.dates is None:
            self.dates, self.zoned = dates, zoned
        if dates != self.dates:
            kinds = ("a number", "a date")
            raise DataError(f"is {kinds[dates]}, the rows before have {kinds[not dates]}")
        if zoned != self.zoned:
            kinds = ("a time without a zone", "a time with a zone")
            raise DataError(f"is {kinds[zoned]}, the rows before have {kinds[not zoned]}")
        if isinstance(time, datetime) and zoned:
            return time.astimezone(UTC).replace(tzinfo=None)
        return time

    def check(
        self,
        order: NDArray[np.int64],
        offsets: NDArray[np.int64],
        lines: NDArray[np.int64],
        bad: BadRows,
    ) -> None:
        """Raises DataError, at the first such row of the file, where a time does not follow the one
        before it in its series by the step between the first two.

        Rows `order[offsets[s]:offsets[s + 1]]` are series s. Dates may also rise by equal numbers
        of months, from the same day and time of each, or from the last day of each.
        """
        times = np.concatenate(self.found)[order]
        wrong: list[tuple[int, str]] = []
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            of_series = times[start:end]
            at = _first_wrong(of_series)
            if at is None:
                continue
            line, before = (int(lines[order[start + place]]) for place in (at, at - 1))
            wrong.append((line, _explained(of_series, at, bad.beside(before, line))))
        if wrong:
            line, message = min(wrong)
            bad.fail(line, f"column {self.column!r} {message}")


def _time(cell: object, textual: bool) -> float | datetime:
    """A time as a number, or as a date that may have a zone."""
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    if isinstance(cell, str):
        try:
            return datetime.fromisoformat(f"{cell}-01" if _MONTH.fullmatch(cell) else cell)
        except ValueError:
            if not textual:
                raise _no_time(cell) from None
    try:
        return decode.real(cell, textual)
    except DataError:
        raise _no_time(cell) from None


def _no_time(cell: object) -> DataError:
    return DataError(
        f"{described(cell)}, expected a number or a date as in 2024-01-31, 2024-01 or "
        "2024-01-31T12:00"
    )


def _first_wrong(times: NDArray[Any]) -> int | None:
    """The first place whose time does not follow, None if all do."""
    if len(times) < 2:
        return None
    steps = np.diff(times)
    zero = steps.dtype.type(0)
    fell = steps <= zero
    if fell.any():
        return int(np.argmax(fell)) + 1
    if steps.dtype.kind == "f":
        unequal = np.abs(steps - steps[0]) > _TOLERANCE * steps[0]
    else:
        unequal = steps != steps[0]
        if unequal.any() and _by_months(times):
            return None
    return int(np.argmax(unequal)) + 1 if unequal.any() else None


def _by_months(times: NDArray[Any]) -> bool:
    months = times.astype("datetime64[M]")
    within = times - months.astype(times.dtype)
    last = times.astype("datetime64[D]") + _DAY == (months + 1).astype("datetime64[D]")
    clock = times - times.astype("datetime64[D]")
    equal = np.diff(months.astype(np.int64))
    same_day = (within == within[0]).all() or (last.all() and (clock == clock[0]).all())
    return bool(same_day and equal[0] > 0 and (equal == equal[0]).all())


def _explained(times: NDArray[Any], at: int, before: str) -> str:
    step, first = times[at] - times[at - 1], times[1] - times[0]
    if step <= first.dtype.type(0):
        return (
            f"is {_shown(times[at])}, which does not come after {_shown(times[at - 1])} of the step"
            f" before it ({before}); order the rows of each series by time, one row a step"
        )
    return (
        f"is {_shown(times[at])}, {_shown(step)} after the step before it ({before}); the"
        f" series began with a step of {_shown(first)}: add the rows that are missing, with empty"
        " fields where the inputs say what is missing, or leave data.series.time out to take the"
        " rows as they come"
    )


def _shown(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[s]")).replace("T", " ")
    if isinstance(value, np.timedelta64):
        return str(value.astype(object))
    return f"{value:g}"
