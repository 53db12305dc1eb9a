"""Times of series: what a step is, which come next, what is missing. The oracle is pandas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.times import Times
from rnnspec.errors import DataError
from rnnspec.spec.every import every_of

FEW = settings(max_examples=60, deadline=None)
FILE = Path("rows.csv")


def times_of(
    cells: Sequence[object], every: str | float | None = None, zone: str | None = None
) -> Times:
    times = Times(
        "time", None if every is None else every_of(every), None if zone is None else ZoneInfo(zone)
    )
    bad = BadRows(FILE)
    textual = all(isinstance(cell, str) for cell in cells)
    times.add(Chunk(0, list(range(1, len(cells) + 1)), {"time": list(cells)}, textual), bad)
    bad.close()
    return times


def numbers(
    cells: Sequence[object],
    every: str | float | None = None,
    zone: str | None = None,
    gaps: bool = False,
) -> list[int]:
    """The numbers of the rows of one series among its steps."""
    rows = np.arange(len(cells))
    bounds, times = np.array([0, len(cells)]), times_of(cells, every, zone)
    found = times.numbers(rows, bounds, rows + 1, BadRows(FILE), gaps)[0]
    return [int(number) for number in found]


def after(
    cells: Sequence[object], count: int, every: str | float | None = None, zone: str | None = None
) -> list[Any]:
    """The next times."""
    times, rows = times_of(cells, every, zone), np.arange(len(cells))
    found = times.after(rows, np.arange(1, count + 1), cells[-1])
    assert found is not None
    return found


def refused(cells: Sequence[object], *more: Any, **named: Any) -> str:
    with pytest.raises(DataError) as caught:
        numbers(cells, *more, **named)
    return str(caught.value)


# ------------------------------------------------------------- the calendar, beside pandas

FREQUENCIES: dict[str, Any] = {
    "ms": "ms", "250 ms": "250ms", "s": "s", "15 seconds": "15s", "min": "min", "30 min": "30min",
    "half hour": "30min", "hour": "h", "6 hours": "6h", "36 h": "36h", "day": "D", "3 days": "3D",
    "week": "7D", "2 weeks": "14D", "business day": "B", "3 business days": "3B",
    "month": "MS", "5 months": "5MS", "quarter": "QS-JAN", "year": "YS", "2 years": "2YS",
}  # fmt: skip
ENDS = {"month": "ME", "2 months": "2ME", "quarter": "QE-DEC", "year": "YE"}
STARTS = st.datetimes(datetime(1950, 1, 1), datetime(2060, 1, 1))


def texts(index: pd.DatetimeIndex) -> list[str]:
    return [time.isoformat(timespec="milliseconds") for time in index]


@FEW
@given(STARTS, st.sampled_from(sorted(FREQUENCIES)), st.integers(2, 30), st.integers(1, 9))
def test_steps_are_those_of_date_range(begin: datetime, every: str, past: int, ahead: int) -> None:
    begin = begin.replace(microsecond=begin.microsecond // 1000 * 1000)
    if FREQUENCIES[every].endswith(("MS", "QS-JAN", "YS")):
        begin = begin.replace(month=1, day=1)
    index = pd.date_range(begin, periods=past + ahead, freq=FREQUENCIES[every])
    cells = texts(index)
    assert numbers(cells, every) == list(range(past + ahead))
    assert after(cells[:past], ahead, every) == cells[past:]
    if "business" not in every:  # what is inferred of the first two goes on alike
        assert after(cells[:past], ahead) == cells[past:]


@FEW
@given(STARTS, st.sampled_from(sorted(ENDS)), st.integers(1, 20), st.integers(1, 9))
def test_last_days_of_months(begin: datetime, every: str, past: int, ahead: int) -> None:
    index = pd.date_range(begin.date(), periods=past + ahead, freq=ENDS[every])
    cells = [str(time.date()) for time in index]
    assert numbers(cells, every) == list(range(past + ahead))
    assert after(cells[:past], ahead, every) == cells[past:]


@FEW
@given(STARTS, st.integers(1, 7), st.integers(1, 30), st.integers(1, 30))
def test_the_same_day_of_months(begin: datetime, size: int, past: int, ahead: int) -> None:
    every = pd.DateOffset(months=size)
    cells = [str((pd.Timestamp(begin.date()) + k * every).date()) for k in range(past + ahead)]
    if begin.day > 28:  # until a long month comes, nothing tells such days from the last ones
        past = past + ahead
    assert numbers(cells, f"{size} months") == list(range(past + ahead))[: len(cells)]
    if begin.day <= 28 and begin.date() != (begin + pd.offsets.MonthEnd(0)).date():
        assert after(cells[:past], ahead, f"{size} months") == cells[past:]


@FEW
@given(STARTS, st.data())
def test_missing_steps_are_those_of_asfreq(begin: datetime, data: st.DataObject) -> None:
    every = data.draw(st.sampled_from(["day", "business day", "hour", "month", "15 min"]))
    if every == "month":
        begin = begin.replace(day=1)
    index = pd.date_range(begin.date(), periods=40, freq=FREQUENCIES.get(every, "15min"))
    kept = sorted({0, *data.draw(st.sets(st.integers(0, 39), min_size=3))})
    series = pd.Series(np.arange(40), index=index).iloc[kept]
    whole = series.asfreq(FREQUENCIES.get(every, "15min"))
    places = np.flatnonzero(whole.notna())
    assert numbers(texts(series.index), every, gaps=True) == places.tolist()
    if len(whole) > len(kept):
        assert "missing" in refused(texts(series.index), every)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Melbourne", "America/Sao_Paulo",
         "Africa/Cairo", "Asia/Kathmandu", "UTC"]  # fmt: skip


@FEW
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2024, 1, 1)),
    st.sampled_from(ZONES),
    st.sampled_from(["day", "business day", "week", "hour", "30 min"]),
)
def test_steps_over_daylight_saving(begin: datetime, zone: str, every: str) -> None:
    """Days of a zone, midnights that do not exist among them, are days apart; hours are time that
    passes. Stamps with offsets, in UTC, and without a zone."""
    count = 150 if "day" in every else 900
    if every in ("hour", "30 min"):  # around a change of the clock, where the zone has any
        begin = begin.replace(month=3 if begin.year % 2 else 10, day=10)
    index = local_range(begin, zone, every, count)
    past = count // 2
    with_offsets = [time.isoformat() for time in index]
    assert numbers(with_offsets, every, zone) == list(range(count))
    assert after(with_offsets[:past], count - past, every, zone) == with_offsets[past:]
    in_utc = [time.tz_convert("UTC").isoformat().replace("+00:00", "Z") for time in index]
    assert numbers(in_utc, every, zone) == list(range(count))
    assert after(in_utc[:past], count - past, every, zone) == in_utc[past:]
    if every in ("hour", "30 min"):  # the hour that a clock shows twice is told by order
        plain = [time.tz_localize(None).isoformat() for time in index]
        if plain[0] != plain[2 if every == "30 min" else 1]:
            assert numbers(plain, every, zone) == list(range(count))


def local_range(begin: datetime, zone: str, every: str, count: int) -> list[pd.Timestamp]:
    """By pandas: dates of the calendar made local, or time that passes from a local start."""
    if every in ("hour", "30 min"):
        start = pd.Timestamp(begin.replace(minute=0, second=0, microsecond=0))
        first = start.tz_localize(zone, nonexistent="shift_forward", ambiguous=True)
        return list(pd.date_range(first, periods=count, freq=FREQUENCIES[every]))
    plain = pd.date_range(begin.date(), periods=count, freq=FREQUENCIES[every])
    return list(plain.tz_localize(zone, nonexistent="shift_forward", ambiguous=[True] * count))


def test_local_midnights_with_offsets_need_no_zone() -> None:
    index = pd.date_range("2024-03-25", periods=14, freq="D", tz="Europe/Berlin")
    cells = [time.isoformat() for time in index]
    assert numbers(cells) == numbers(cells, "day") == list(range(14))
    assert after(cells, 2) == ["2024-04-08T00:00:00+02:00", "2024-04-09T00:00:00+02:00"]
    assert numbers(cells[:2] + cells[3:], "day", gaps=True) == [0, 1, *range(3, 14)]
    # 24 hours that pass are no days of this calendar, and are told to be none
    assert "no whole steps" in refused(cells, "24 hours")
    passing = pd.date_range("2024-03-25", periods=14, freq="24h", tz="Europe/Berlin")
    assert "same time of day" in refused([time.isoformat() for time in passing], "day")
    assert numbers([time.isoformat() for time in passing], "24 h") == list(range(14))


def test_a_time_that_a_clock_skips() -> None:
    cells = ["2024-03-31T01:30", "2024-03-31T02:30", "2024-03-31T03:30"]
    assert refused(cells, "hour", "Europe/Berlin") == (
        "rows.csv:2: column 'time' is 2024-03-31 02:30:00, which the clock of Europe/Berlin skips,"
        " being put forward"
    )


# ------------------------------------------------------------- numbers


@pytest.mark.parametrize("begin", [1_700_000_000.0, 1.0e6, 0.0, -3.0, 4.1e9])
@pytest.mark.parametrize("step", [0.1, 0.01, 1 / 30, 1e-3, 0.5, 1.0, 60.0, 86400.0, 1e-4])
def test_numbers_in_equal_steps(begin: float, step: float) -> None:
    """10 Hz at 1.7e9: float64 has numbers 2.4e-7 apart there."""
    cells = [begin + step * k for k in range(5000)]
    assert numbers(cells) == numbers(cells, step) == list(range(5000))
    assert numbers([repr(cell) for cell in cells]) == list(range(5000))
    kept = [*range(0, 20), *range(25, 1000), *range(3000, 5000)]
    assert numbers([cells[k] for k in kept], step, gaps=True) == kept
    ahead = after(cells, 10, step)
    np.testing.assert_allclose(ahead, [begin + step * k for k in range(5000, 5010)], atol=1e-6)


def test_what_comes_next_is_as_round_as_what_was() -> None:
    assert after([1700000000.0 + k / 10 for k in range(50)], 2) == [1700000005.0, 1700000005.1]
    assert after(["0.1", "0.2", "0.30000000000000004"], 2) == [0.4, 0.5]
    assert after([2019, 2020], 2) == [2021, 2022]
    assert after(["1700000000000", "1700003600000"], 1) == [1700007200000]
    assert after([10, 8.5][::-1], 1) == [11.5]


@pytest.mark.parametrize("step", [1, 1000, 100_000_000, 3_600_000_000_000])
def test_whole_numbers_are_exact(step: int) -> None:
    """Nanoseconds since 1970 are beyond what float64 can tell."""
    cells = [1_700_000_000_000_000_001 + step * k for k in range(100)]
    assert numbers(cells) == list(range(100))
    assert after(cells, 1) == [cells[-1] + step]
    cells[50] += 1 + step // 2
    assert f"rows.csv:51: column 'time' is {cells[50]}" in refused(cells)


@given(st.lists(st.floats(-0.9e-3, 0.9e-3), min_size=3, max_size=30))
def test_a_thousandth_of_a_step_is_rounding_and_more_is_not(jitter: list[float]) -> None:
    gaps = 5.0 * (1 + np.array(jitter))
    cells = np.concatenate([[0.0, 5.0], 5.0 + np.cumsum(gaps)]).tolist()
    assert numbers(cells) == list(range(len(cells)))
    assert numbers(cells, 5) == list(range(len(cells)))
    assert "no whole steps" in refused([*cells, cells[-1] + 5.0 * (1 + 1.2e-3)], 5)
    assert "the series began with a step" in refused([*cells, cells[-1] + 5.0 * (1 - 1.2e-3)])


def test_numbers_come_before_dates() -> None:
    milliseconds = [str(1_700_000_000_000 + 3_600_000 * k) for k in range(4)]
    times = times_of(milliseconds)
    assert times.dates is False and times.shown[0].tolist() == [int(x) for x in milliseconds]
    assert times_of(["2019", "2020"]).dates is False
    assert times_of(["1e3", "2e3"]).shown[0].tolist() == [1000, 2000]
    assert times_of(["2024-01", "2024-02"]).dates is True


@pytest.mark.parametrize(
    ("cells", "every", "ahead"),
    [
        (["20240130", "20240131", "20240201"], "day", "20240202"),
        ([20240130, 20240131, 20240201], "day", 20240202),
        (["20240131", "20240229"], "month", "20240331"),
        (["202311", "202312", "202401"], "month", "202402"),
        ([2019, 2020], "year", 2021),
        (["20240102", "20240103"], 1, 20240104),
    ],
)
def test_dates_of_digits_alone_are_read_where_a_step_says_so(
    cells: list[Any], every: str | float, ahead: object
) -> None:
    assert numbers(cells, every) == list(range(len(cells)))
    assert after(cells, 1, every) == [ahead]
    if every != "year":
        with pytest.raises(DataError, match=r"may be dates; set data\.series\.every"):
            times_of(cells).check_numbers(BadRows(FILE))
    times_of(cells, every).check_numbers(BadRows(FILE))


def test_numbers_that_are_no_dates() -> None:
    for cells in ([20240131, 20240132], [1, 2, 3], [2019, 2020], [1700000000, 1700000001], [0.5]):
        times_of(cells).check_numbers(BadRows(FILE))
    message = "names a unit of time; write dates as 2024-01-31, 20240131 or"
    for cell in (1700000000, "1700000000000", 20241301, 0.5, -5):
        with pytest.raises(DataError, match=message):
            times_of([cell], "day")
    with pytest.raises(DataError, match=r"data\.series\.every is the number 5"):
        times_of(["2024-01-31"], 5.0)
    with pytest.raises(DataError, match=r"data\.series\.zone is for dates"):
        times_of([5], None, "UTC")


# ------------------------------------------------------------- refusals, and forms


def test_business_days_are_told_and_weekends_are_none() -> None:
    index = pd.bdate_range("2024-01-04", periods=8)
    cells = [str(time.date()) for time in index]
    said = refused(cells)
    assert said == (
        "rows.csv:3: column 'time' is 2024-01-08 00:00:00, 3 days, 0:00:00 after the step before it"
        " (line 2); the series began with a step of 1 day, 0:00:00: set data.series.every to"
        " 'business day' if Saturdays and Sundays are no steps, or leave data.series.time out to"
        " take the rows as they come"
    )
    assert refused(cells, "day").endswith(
        "so that 2 steps are missing: add rows, with empty fields where the inputs say what is"
        " missing, or set data.series.fill to what stands in for them; or set data.series.every to"
        " 'business day' if Saturdays and Sundays are no steps"
    )
    assert numbers(cells, "business day") == list(range(8))
    assert "no whole steps" in refused([*cells[:2], "2024-01-06", *cells[2:]], "business day")
    assert refused(["2024-01-06", "2024-01-08"], "business day") == (
        "rows.csv:1: column 'time' is 2024-01-06 00:00:00, and no such step; set data.series.every"
        " to 'day' if it is one"
    )
    assert refused([*cells[:3], *cells[4:]], "business day") == (
        "rows.csv:4: column 'time' is 2024-01-10 00:00:00, 2 days, 0:00:00 after the step before it"
        " (line 3), so that a step is missing: add rows, with empty fields where the inputs say"
        " what is missing, or set data.series.fill to what stands in for them"
    )


def test_rows_of_a_step_twice() -> None:
    assert "does not come after" in refused(["2024-01-01", "2024-01-01"], "day", gaps=True)
    assert "does not come after" in refused([1.0, 2.0, 2.0], 1, gaps=True)
    assert "no whole steps" in refused(["2024-01-01T00", "2024-01-01T05"], "day", gaps=True)


def test_a_clock_that_was_put_back_or_forward_is_named_as_a_cause() -> None:
    """26 hours around both changes of 2024 in Berlin, as its clock showed them (pandas)."""
    hint = "set data.series.zone, if a clock that was put forward or back shows these times"
    for day in ("2024-03-30 12:00", "2024-10-26 12:00"):
        hours = pd.date_range(day, periods=26, freq="h", tz="Europe/Berlin")
        shown = [hour.tz_localize(None).isoformat() for hour in hours]
        assert refused(shown, "hour").endswith(hint)
        assert refused(shown).endswith(hint)
        assert numbers(shown, "hour", "Europe/Berlin") == list(range(26))  # the cure
        assert numbers(shown, None, "Europe/Berlin") == list(range(26))
    assert hint not in refused(["2024-01-01", "2024-01-02", "2024-01-02"], "day")
    assert hint not in refused([1.0, 2.0, 2.0], 1)


FORMS: list[tuple[list[Any], str, Any]] = [
    (["2024-01-31"], "day", "2024-02-01"),
    (["2024-01"], "month", "2024-02"),
    (["2024-01-31 23:00"], "hour", "2024-02-01 00:00"),
    (["2024-01-31T23:00:00Z"], "hour", "2024-02-01T00:00:00Z"),
    (["2024-01-31T23:00+0100"], "hour", "2024-02-01T00:00+0100"),
    (["2024-01-31T23:59:59.5+01:00"], "s", "2024-02-01T00:00:00.500+01:00"),
    (["2024-01-31 23:59"], "30 s", "2024-01-31 23:59:30"),
    ([date(2024, 1, 31)], "day", "2024-02-01"),
    ([datetime(2024, 1, 31, 12)], "day", "2024-02-01T12:00:00"),
    (["2024-01-31"], "12 h", "2024-01-31T12:00:00"),
    (["20240131T12"], "day", "2024-02-01T12:00:00"),
]


@pytest.mark.parametrize(("cells", "every", "ahead"), FORMS, ids=lambda x: str(x)[:30])
def test_times_are_written_as_those_of_the_file(
    cells: list[Any], every: str, ahead: object
) -> None:
    assert after(cells, 1, every) == [ahead]
    json.dumps(ahead)
    assert numbers([*cells, ahead], every) == [0, 1]
