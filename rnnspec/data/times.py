"""The column that orders the steps of series: numbers or ISO 8601 dates, rising by equal steps.

What reads as a number is one: `1700000000000` are milliseconds, `2024` is a year, and `20240131` is
the number 20,240,131. Where a spec states a step in units of time, numbers of 4, 6 and 8 digits are
years, months and days, and others are refused. Where it states none, a column of nothing but such
months or days is refused, since it might hold either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.calendar import (
    BusinessDaySteps,
    ClockSteps,
    Flags,
    Numbers,
    Stamps,
    Steps,
    inferred,
    passed_at,
    steps_of,
)
from rnnspec.data.decode import described
from rnnspec.data.dialects import date_forms
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.spec.every import Every

DIGITS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}
"""Dates of digits alone, by their number."""
_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}(?P<gap>.)\d{2}:\d{2}(?P<seconds>:\d{2}([.,](?P<part>\d+))?)?"
    r"(?P<zone>Z|[+-]\d{2}(?P<colon>:?)\d{2})?"
)
Spec = Literal["auto", "minutes", "seconds", "milliseconds", "microseconds"]


def in_format_of(example: object, times: Stamps) -> list[object]:
    """Each of `times` in the format of `example`, the cell of another row: numbers as numbers,
    dates as text. A format that is too coarse, such as minutes for seconds, is extended."""
    if times.shown.dtype.kind != "M":
        return list(times.shown.tolist())
    shown: list[datetime] = times.shown.astype("datetime64[us]").tolist()
    offsets = (times.shown - times.passed) / np.timedelta64(1, "us")
    return [
        _one(example, time, timedelta(microseconds=offset) if times.zoned else None)
        for time, offset in zip(shown, offsets.tolist(), strict=True)
    ]


def _one(example: object, time: datetime, offset: timedelta | None) -> object:
    zoned = time if offset is None else time.replace(tzinfo=timezone(offset))
    if isinstance(example, datetime):
        return zoned.isoformat() if example.tzinfo else time.isoformat()
    midnight = not (time.hour or time.minute or time.second or time.microsecond)
    if isinstance(example, date):
        return time.date().isoformat() if midnight else time.isoformat()
    text = str(example).strip()
    if midnight and text.isdigit() and len(text) in DIGITS:
        digits = time.strftime(DIGITS[len(text)]).zfill(len(text))
        return digits if isinstance(example, str) else int(digits)
    if midnight and _DATE.fullmatch(text) and (len(text) > 7 or time.day == 1):
        return time.date().isoformat()[: len(text)]
    form = _TIME.fullmatch(text)
    if form is None:
        return zoned.isoformat()
    return _clocked(form, time, zoned)


def _clocked(form: re.Match[str], time: datetime, zoned: datetime) -> str:
    spec: Spec = "minutes"
    if form["seconds"]:
        spec = "seconds"
    if form["part"]:
        spec = "milliseconds" if len(form["part"]) <= 3 else "microseconds"
    if form["zone"] is None or zoned.tzinfo is None:
        return _at_least(time, form["gap"], spec)
    if form["zone"] == "Z":
        text = _at_least(zoned.astimezone(UTC).replace(tzinfo=None), form["gap"], spec)
        return f"{text}Z"
    text = _at_least(zoned, form["gap"], spec)
    return text if form["colon"] else text[:-3] + text[-2:]


def _at_least(time: datetime, gap: str, spec: Spec) -> str:
    """The time to the precision `spec`, or a finer one if that would not be exact."""
    text = time.isoformat(gap, spec)
    return text if datetime.fromisoformat(text) == time else time.isoformat(gap)


_MONTH = re.compile(r"\d{4}-\d{2}")
_WHOLE = re.compile(r"\s*[-+]?\d{1,18}\s*")
_YEARS = range(1900, 2100)
"""The years of numbers that may be dates."""
_BUSINESS = "set data.series.every to 'business day' if Saturdays and Sundays are no steps"
Time = int | float | datetime


@dataclass(slots=True)
class Times:
    """Collects the times of all rows, in the order of the file."""

    column: str
    every: Every | None = None
    zone: ZoneInfo | None = None
    dates: bool | None = None
    """Whether they are dates; None before the first."""
    zoned: bool = False
    """Whether they have an offset from UTC."""
    shown: list[NDArray[Any]] = field(default_factory=list)
    passed: list[NDArray[Any]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        def decoded(cell: object) -> Time:
            return self._same_kind(time_of(cell, self.every))

        times = bad.decoded(chunk, self.column, decoded)
        if bad.found:
            return
        if not self.dates:
            numbers = _numbers([time for time in times if not isinstance(time, datetime)])
            self.shown.append(numbers)
            self.passed.append(numbers)
            return
        dates = [time for time in times if isinstance(time, datetime)]
        shown = dates
        if self.zoned and self.zone is not None:
            shown = [time.astimezone(self.zone) for time in dates]
        self.shown.append(_clocks(shown))
        passed = [time.astimezone(UTC) for time in dates] if self.zoned else dates
        self.passed.append(_clocks(passed))

    def _same_kind(self, time: Time) -> Time:
        dates = isinstance(time, datetime)
        zoned = isinstance(time, datetime) and time.tzinfo is not None
        if self.dates is None:
            self.dates, self.zoned = dates, zoned
        if not dates and self.zone is not None:
            raise DataError("is a number, and data.series.zone is for dates; leave it out")
        if dates != self.dates:
            kinds = ("a number", "a date")
            raise DataError(f"is {kinds[dates]}, the rows before have {kinds[not dates]}")
        if zoned != self.zoned:
            kinds = ("a time without a zone", "a time with a zone")
            raise DataError(f"is {kinds[zoned]}, the rows before have {kinds[not zoned]}")
        return time

    def check_numbers(self, bad: BadRows) -> None:
        """Raises DataError if all are numbers that might be dates, and the spec does not say."""
        if self.dates or self.every is not None:
            return
        numbers = np.concatenate(self.shown)
        if numbers.dtype.kind == "i" and len(numbers) and _may_be_dates(numbers):
            raise DataError(
                f"{bad.file}: column {self.column!r} holds numbers such as {numbers[0]}, which may"
                " be dates; set data.series.every to 'day', or what a step is, to read them as"
                " dates, or to 1, or by how much they rise, to read them as numbers"
            )

    def numbers(
        self, order: Numbers, offsets: Numbers, lines: Numbers, bad: BadRows, gaps: bool = False
    ) -> list[Numbers]:
        """The step number of each row in its series, from 0, series by series.

        Rows `order[offsets[s]:offsets[s + 1]]` are series s. Raises DataError, at the first such
        row of the file, for a time that is not one step after the time before it, or with `gaps`
        one or more.
        """
        found: list[Numbers] = []
        wrong: list[tuple[int, str]] = []
        alone = len(offsets) == 2
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            rows = order[start:end]
            counted = self._counted(rows)
            found.append(counted.numbers)
            at = counted.first_wrong(gaps)
            if at is not None:
                before = bad.beside(int(lines[rows[at - 1]]), int(lines[rows[at]])) if at else ""
                wrong.append((int(lines[rows[at]]), self._explained(counted, at, before, alone)))
        if wrong:
            line, message = min(wrong)
            bad.fail(line, f"column {self.column!r} {message}")
        return found

    def _stamps(self, rows: Numbers) -> Stamps:
        if len(self.shown) > 1:  # join the chunks, once
            self.shown, self.passed = ([np.concatenate(x)] for x in (self.shown, self.passed))
        return Stamps(self.shown[0][rows], self.passed[0][rows], self.zoned, self.zone)

    def _counted(self, rows: Numbers) -> _Counted:
        stamps, exists = self._stamps(rows), np.ones(len(rows), np.bool_)
        steps = steps_of(self.every) if self.every is not None else inferred(stamps)
        if isinstance(steps, ClockSteps) and stamps.zone is not None and not stamps.zoned:
            stamps, exists = _in_its_zone(stamps, stamps.zone)
        return _Counted.of(stamps, steps, exists)

    def of_row(self, row: int, cell: object) -> object:
        """The time of a row, in the format of its file."""
        if self.dates and isinstance(cell, str):
            return cell.strip()
        return in_format_of(cell, self._stamps(np.array([row])))[0]

    def after(self, rows: Numbers, counts: Numbers, cell: object) -> list[object] | None:
        """The times `counts` steps after the last of the rows of a series, in the format of its
        `cell`; None for a single row if the spec does not say what a step is."""
        counted = self._counted(rows)
        if counted.steps is None:
            return None
        return in_format_of(cell, counted.steps.after(counted.stamps, counts))

    def seconds(self, rows: Numbers) -> Numbers:
        """The times of the rows of a series as whole seconds since 1970: of UTC where the spec
        names a zone, else of the clock that they show."""
        return self._whole(self._counted(rows).stamps)

    def seconds_after(self, rows: Numbers, counts: Numbers) -> Numbers | None:
        """Those `counts` steps after the last of the rows of a series, which may be negative; None
        as of `after`."""
        counted = self._counted(rows)
        if counted.steps is None:
            return None
        return self._whole(counted.steps.after(counted.stamps, counts))

    def _whole(self, stamps: Stamps) -> Numbers:
        times = stamps.shown if self.zone is None else stamps.passed
        if self.zone is not None and not stamps.zoned:
            times = passed_at(stamps.shown, self.zone)
        return times.astype("datetime64[s]").astype(np.int64)

    def _explained(self, counted: _Counted, at: int, before: str, alone: bool) -> str:
        stamps, steps = counted.stamps, counted.steps
        shown = _shown(stamps.shown[at])
        if not counted.exists[at]:
            return f"is {shown}, which the clock of {stamps.zone} skips, being put forward"
        if at and stamps.passed[at] <= stamps.passed[at - 1]:
            named = "; the column that tells series apart is data.series.id" if alone else ""
            return (
                f"is {shown}, which does not come after {_shown(stamps.shown[at - 1])} of the step"
                f" before it ({before}); order the rows of each series by time, one row a step"
                f"{named}"
                f"{_changed_clock(stamps, at)}"
            )
        if not at:
            return f"is {shown}, and no such step; set data.series.every to 'day' if it is one"
        gap = _shown(stamps.passed[at] - stamps.passed[at - 1])
        if self.every is None:
            first = _shown(stamps.passed[1] - stamps.passed[0])
            return (
                f"is {shown}, {gap} after the step before it ({before}); the series began with a"
                f" step of {first}: {_cure(stamps, at)}, or leave data.series.time out to take the"
                f" rows as they come{_changed_clock(stamps, at)}"
            )
        if counted.whole[at]:
            count = int(counted.numbers[at] - counted.numbers[at - 1]) - 1
            missing = f"{count} steps are" if count != 1 else "a step is"
            weekends = f"; or {_BUSINESS}" if _over_weekends(stamps, at) else ""
            weekends = weekends or _changed_clock(stamps, at)
            if at == 1 and not weekends:
                weekends = "; or set data.series.every to the step from one row to the next"
            return (
                f"is {shown}, {gap} after the step before it ({before}), so that {missing} missing:"
                " add rows, with empty fields where the inputs say what is missing, or set"
                f" data.series.fill to what stands in for them{weekends}"
            )
        return (
            f"is {shown}, {gap} after the step before it ({before}), which are no whole steps as"
            f" data.series.every says them{_other_clock(steps)}; set it to another step, or leave"
            " data.series.time out to take the rows as they come"
        )


@dataclass(frozen=True, slots=True)
class _Counted:
    """The times of a series in steps; `exists`: whether the clock of its zone shows them."""

    stamps: Stamps
    steps: Steps | None
    numbers: Numbers
    whole: Flags
    exists: Flags

    @staticmethod
    def of(stamps: Stamps, steps: Steps | None, exists: Flags) -> _Counted:
        if steps is None:  # one row, or the second does not come after the first
            return _Counted(stamps, steps, np.arange(len(stamps)), exists, exists)
        return _Counted(stamps, steps, *steps.count(stamps), exists)

    def first_wrong(self, gaps: bool) -> int | None:
        """The first place whose time does not exist or does not follow; None if all do."""
        wrong = ~(self.whole & self.exists)
        risen = self.stamps.passed[1:] > self.stamps.passed[:-1]
        counts = np.diff(self.numbers)
        wrong[1:] |= ~risen | (counts < 1 if gaps else counts != 1)
        return int(np.argmax(wrong)) if wrong.any() else None


def _cure(stamps: Stamps, at: int) -> str:
    """The cure for a series whose first step does not lead to the row `at`."""
    if _over_weekends(stamps, at):
        return _BUSINESS
    return (
        "add the rows that are missing, with empty fields where the inputs say what is missing, or"
        " set data.series.every to the step and data.series.fill to what stands in for them"
    )


def _changed_clock(stamps: Stamps, at: int) -> str:
    """The cure where the row `at` of times without a zone comes an hour too late or too early, as
    where daylight saving time begins and ends."""
    if stamps.shown.dtype.kind != "M" or stamps.zoned or stamps.zone is not None or at < 2:
        return ""
    usual, found = (stamps.passed[to] - stamps.passed[to - 1] for to in (at - 1, at))
    hour = np.timedelta64(1, "h")
    if usual > hour or abs(found - usual) != hour:
        return ""
    return "; or set data.series.zone, if a clock that was put forward or back shows these times"


def _over_weekends(stamps: Stamps, at: int) -> bool:
    """Whether all are business days, and the row `at` is the next one after the row before."""
    if stamps.shown.dtype.kind != "M":
        return False
    numbers, whole = BusinessDaySteps(1).count(stamps)
    return bool(whole.all() and numbers[at] - numbers[at - 1] == 1)


def _other_clock(steps: Steps | None) -> str:
    if isinstance(steps, ClockSteps):
        return ""
    return " (of days and more, at the same time of day; data.series.zone says by which clock)"


def _in_its_zone(stamps: Stamps, zone: ZoneInfo) -> tuple[Stamps, Flags]:
    """The UTC of times that a clock shows, and whether it shows them at all. Of an hour shown twice
    it is the first one, until a time does not come after the one before it."""
    passed, second = (passed_at(stamps.shown, zone, fold) for fold in (0, 1))
    for place in np.flatnonzero(second > passed).tolist():
        if place and passed[place] <= passed[place - 1]:
            passed[place] = second[place]
    return replace(stamps, passed=passed, zoned=True), second >= passed


def time_of(cell: object, every: Every | None) -> Time:
    """A time as a number, or as a date that may have a zone."""
    if isinstance(cell, datetime):
        return _no_number(cell, every)
    if isinstance(cell, date):
        return _no_number(datetime(cell.year, cell.month, cell.day), every)
    if isinstance(cell, str) and (text := cell.strip()) and not decode.is_number(text):
        try:
            found = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
        except ValueError:
            raise _no_time(cell) from None
        return _no_number(found, every)
    number: int | float
    if type(cell) is int or (isinstance(cell, str) and _WHOLE.fullmatch(cell)):
        number = int(cell)  # exact, where a float might not be
        if abs(number) >= 1 << 62:
            raise _no_time(cell)
    else:
        try:
            number = decode.real(cell, isinstance(cell, str))
        except DataError:
            raise _no_time(cell) from None
    return number if every is None or not every.is_time else _digits(number)


def _no_number(time: datetime, every: Every | None) -> datetime:
    if every is not None and not every.is_time:
        raise DataError(
            f"is a date, and data.series.every is the number {every.count:g}; write it as in 'day'"
            " or '30 min'"
        )
    return time


def _digits(number: float) -> datetime:
    """A number of 4, 6 or 8 digits as a date."""
    text = f"{number:.0f}" if isinstance(number, int) else ""
    try:
        return datetime.strptime(text, DIGITS[len(text)])
    except (KeyError, ValueError):
        raise DataError(
            f"is the number {number}, and data.series.every names a unit of time; write dates as"
            " 2024-01-31, 20240131 or 2024-01-31T12:00, or set it to the number by which they rise"
        ) from None


def _no_time(cell: object) -> DataError:
    forms = date_forms(cell.strip()) if isinstance(cell, str) else []
    settings = " or ".join(f"{{csv: {{dates: {form!r}}}}}" for form in forms)
    cure = f"; set dates of the format: {settings}" if forms else ""
    return DataError(
        f"{described(cell)}, expected a number or a date as in 2024-01-31, 2024-01 or "
        f"2024-01-31T12:00{cure}"
    )


def _numbers(times: list[int | float]) -> NDArray[Any]:
    """As int64 if all are whole, which keeps nanoseconds exact; otherwise float64."""
    exact = all(type(time) is int for time in times)
    return np.array(times, np.int64 if exact else np.float64)


def _clocks(times: list[datetime]) -> NDArray[Any]:
    return np.array([time.replace(tzinfo=None) for time in times], "datetime64[us]")


def _may_be_dates(numbers: NDArray[np.int64]) -> bool:
    """Whether all may be months or days of these years, written as digits alone."""
    for digits, size in ((8, 10_000), (6, 100)):
        low, high = _YEARS[0] * size, (_YEARS[-1] + 1) * size
        if ((numbers >= low) & (numbers < high)).all():
            return all(map(_is_date, np.unique(numbers).astype(f"U{digits}").tolist()))
    return False


def _is_date(text: str) -> bool:
    try:
        datetime.strptime(text, DIGITS[len(text)])
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[ms]").astype(datetime)).removesuffix("000")
    if isinstance(value, np.timedelta64):
        return str(value.astype(object))
    return f"{value:g}" if isinstance(value, np.floating) and abs(value) < 1e6 else str(value)
