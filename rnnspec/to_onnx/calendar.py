"""What the calendar says of times, in whole numbers: see `rnnspec.plan.nodes.calendar.Calendar`.

Times are kept within the years that the definition has, so that what stands past a length is a time
too, and days are counted from 0000-03-01, so that no number is negative: `Div` rounds towards 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.nodes.calendar import EARLIEST, LATEST, rows_of
from rnnspec.plan.zones import DAY, offsets_of
from rnnspec.spec.calendar import PERIODS, CalendarFeature
from rnnspec.to_onnx.axis import nonempty_rows, on_time_axis, time_major
from rnnspec.to_onnx.emitter import BOOL, INT64, Emitter, Extent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Value, Vector

BEFORE_1970 = 719_468
"""Days from 0000-03-01 to 1970-01-01."""


def lower_calendar(low: Lowering, node: nodes.CalendarInput) -> PaddedSequence:
    """What is said of each step, `[T, B, width]`."""
    doc = f"the time of each step, {_unit(node.calendar)}; past the length anything"
    shape: list[Extent] = [BATCH, low.time_extent(node)]
    given = low.emit.input(node.key, INT64, shape, doc, reserved=True)
    major = time_major(low, given, f"{node.name}.time_major")
    times = on_time_axis(low, node, major)
    return PaddedSequence(_said(low.emit, node, times.name), times.lengths)


def lower_calendar_future(low: Lowering, node: nodes.CalendarFuture) -> Value:
    """What is said of the steps ahead: `[H, B, width]`, or `[B, H * width]` if it is flat."""
    emit, name = low.emit, node.name
    doc = f"the times of the {node.horizon} steps ahead, {_unit(node.calendar)}"
    given = emit.input(node.key, INT64, [BATCH, node.horizon], doc, reserved=True)
    if node.flat:
        values = _said(emit, node, nonempty_rows(low, given, f"{name}.rows", INT64))
        wide = emit.integers(0, node.horizon * node.calendar.width)
        return Vector(emit.op("Reshape", [values, wide], f"{name}.flat"))
    major = time_major(low, given, f"{name}.time_major", other=True)
    ahead = _said(emit, node, major)
    rows = emit.extent(given, 0, f"{name}.batch")
    lengths = emit.op("Expand", [emit.integer(node.horizon), rows], f"{name}.lengths")
    return PaddedSequence(ahead, Lengths(emit, name, lengths, ahead, padded=False), clean=True)


def _unit(calendar: nodes.Calendar) -> str:
    clock = "UTC" if calendar.zone else "its clock"
    return f"seconds since 1970-01-01T00:00 of {clock}"


@dataclass(frozen=True, slots=True)
class _Whole:
    """Whole numbers, of int64; each result is called `name` and a title."""

    emit: Emitter
    name: str

    def of(self, kind: str, left: str, right: str | int, title: str) -> str:
        """An operator on two values, of which the second may be a constant."""
        other = right if isinstance(right, str) else self.emit.integer(right)
        return self.emit.op(kind, [left, other], f"{self.name}.{title}")

    def where(self, condition: str, left: str, right: str, title: str) -> str:
        return self.emit.op("Where", [condition, left, right], f"{self.name}.{title}")

    def scaled(self, value: str, factor: int, plus: int, by: int, title: str) -> str:
        """(factor * value + plus) / by, rounded down."""
        value = self.of("Mul", value, factor, f"{title}.product")
        return self.of("Div", self.of("Add", value, plus, f"{title}.sum"), by, title)


def _said(emit: Emitter, node: nodes.CalendarInput | nodes.CalendarFuture, seconds: str) -> str:
    """`[T, B, width]` of the times `[T, B]`."""
    whole, calendar = _Whole(emit, node.name), node.calendar
    bounds = [emit.integer(EARLIEST), emit.integer(LATEST)]
    seconds = emit.op("Clip", [seconds, *bounds], f"{node.name}.seconds")
    if calendar.zone:
        seconds = whole.of("Add", seconds, _offset(whole, calendar.zone, seconds), "local")
    values = _values(whole, seconds, calendar.features)
    if calendar.numbers:
        each = [emit.unsqueeze(v, -1, f"{node.name}.{f}.number") for f, v in values.items()]
        return each[0] if len(each) == 1 else emit.concat(each, -1, f"{node.name}.said")
    said = [_encoded(emit, node, feature, value) for feature, value in values.items()]
    return said[0] if len(said) == 1 else emit.concat(said, -1, f"{node.name}.said")


def _offset(whole: _Whole, zone: str, seconds: str) -> str:
    """The offset of a zone at times of UTC `[T, B]`: that of as many changes as have passed."""
    emit, table, name = whole.emit, offsets_of(zone), whole.name
    if not table.changes:
        return emit.integer(table.seconds[0])
    changes = emit.constant(np.array(table.changes, np.int64), f"{name}.changes")
    each = emit.op("Unsqueeze", [seconds, emit.integers(2)], f"{name}.each")
    passed = emit.op("GreaterOrEqual", [each, changes], f"{name}.passed")
    # onnxruntime leaves an axis that is counted from the end where there are no times.
    counted = emit.cast(passed, BOOL, INT64, f"{name}.counted")
    count = emit.reduce("ReduceSum", counted, 2, f"{name}.count")
    offsets = emit.constant(np.array(table.seconds, np.int64), f"{name}.offsets")
    return emit.op("Gather", [offsets, count], f"{name}.offset", axis=0)


def _encoded(
    emit: Emitter,
    node: nodes.CalendarInput | nodes.CalendarFuture,
    feature: CalendarFeature,
    value: str,
) -> str:
    name, period = f"{node.name}.{feature}", PERIODS[feature]
    if not node.calendar.harmonics:
        marks = emit.constant(np.array([0.0, 1.0], np.float32), "off_and_on")
        inputs = [value, emit.integers(period), marks]
        return emit.op("OneHot", inputs, f"{name}.one_hot", axis=-1)
    rows = np.array(rows_of(node.calendar, feature), np.float32)
    table = emit.constant(rows, f"{name}.rows")
    return emit.op("Gather", [table, value], f"{name}.waves", axis=0)


def _values(
    whole: _Whole, seconds: str, features: tuple[CalendarFeature, ...]
) -> dict[CalendarFeature, str]:
    """The value of each feature at local times, seconds since 1970."""
    since = whole.of("Add", seconds, BEFORE_1970 * DAY, "since_0000")
    days = whole.of("Div", since, DAY, "days")
    weekday = whole.of("Mod", whole.of("Add", days, 2, "days_on"), 7, "weekday")
    found: dict[CalendarFeature, str] = dict.fromkeys(features, "")
    if {"minute", "hour", "time_of_day"} & found.keys():
        of_day = whole.of("Mod", since, DAY, "of_day")
        minutes = whole.of("Div", of_day, 60, "minutes")
        found |= {"time_of_day": minutes, "hour": whole.of("Div", minutes, 60, "hour")}
        found["minute"] = whole.of("Mod", minutes, 60, "minute")
    if {"day", "month", "quarter", "year_day"} & found.keys():
        year_day, month, day = _date(whole, days, "date")
        found |= {"year_day": year_day, "month": month, "day": day}
        found["quarter"] = whole.of("Div", month, 3, "quarter")
    if "week" in found:
        monday = whole.of("Sub", days, weekday, "monday")
        thursday = _date(whole, whole.of("Add", monday, 3, "thursday"), "of_thursday")[0]
        found["week"] = whole.of("Div", thursday, 7, "week")
    found["weekday"] = weekday
    return {feature: found[feature] for feature in features}


def _date(whole: _Whole, days: str, title: str) -> tuple[str, str, str]:
    """Day of the year, month and day of the month, each from 0, of days since 0000-03-01.

    Years begin in March, so that leap days end them (Hinnant, chrono-compatible low-level date
    algorithms, civil_from_days).
    """

    def op(kind: str, left: str, right: str | int, what: str) -> str:
        return whole.of(kind, left, right, f"{title}.{what}")

    era_day = op("Mod", days, 146_097, "era_day")
    fours = op("Div", era_day, 1_460, "fours")
    centuries = op("Div", era_day, 36_524, "centuries")
    last = op("Div", era_day, 146_096, "last")
    shifted = op("Sub", op("Sub", era_day, fours, "less"), last, "lesser")
    year = op("Div", op("Add", shifted, centuries, "plus"), 365, "year")
    leaps = op("Sub", op("Div", year, 4, "leaps"), op("Div", year, 100, "not_leaps"), "leap_days")
    begun = op("Add", op("Mul", year, 365, "year_days"), leaps, "begun")
    since_march = op("Sub", era_day, begun, "since_march")
    march_month = whole.scaled(since_march, 5, 2, 153, f"{title}.march_month")
    month_begun = whole.scaled(march_month, 153, 2, 5, f"{title}.month_begun")
    day = op("Sub", since_march, month_begun, "day")
    month = op("Mod", op("Add", march_month, 2, "month_on"), 12, "month")
    from_march = op("Add", op("Add", since_march, 59, "in_year"), _leap(whole, year, title), "on")
    new_year = op("GreaterOrEqual", march_month, 10, "is_new_year")
    from_january = op("Sub", since_march, 306, "from_january")
    return whole.where(new_year, from_january, from_march, f"{title}.year_day"), month, day


def _leap(whole: _Whole, year: str, title: str) -> str:
    """1 in leap years, else 0, of years of an era of 400."""

    def divided(by: int) -> str:
        rest = whole.of("Mod", year, by, f"{title}.rest_{by}")
        return whole.of("Equal", rest, 0, f"{title}.by_{by}")

    no_century = whole.emit.op("Not", [divided(100)], f"{whole.name}.{title}.no_century")
    kept = whole.of("Or", no_century, divided(400), f"{title}.kept")
    leap = whole.of("And", divided(4), kept, f"{title}.leap")
    return whole.emit.cast(leap, BOOL, INT64, f"{whole.name}.{title}.leap_day")
