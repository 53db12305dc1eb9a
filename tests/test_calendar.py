"""What the calendar says of the steps of series: pandas says it too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.data import Reading, encode, survey
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.export import export_onnx
from rnnspec.plan import resolve, weights
from rnnspec.plan.nodes import Calendar, CalendarEmbed, CalendarFuture, CalendarInput
from rnnspec.plan.zones import offsets_of
from rnnspec.reference.calendar import calendar
from rnnspec.run import Model as ModelFile
from rnnspec.run.series import from_table, reading_of
from rnnspec.spec import Spec
from rnnspec.spec.calendar import PERIODS
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.calendar import CalendarEmbed as CalendarEmbedModule
from rnnspec.to_torch.calendar import CalendarInput as CalendarModule
from rnnspec.to_torch.sequences import PaddedSequence
from tests.cardinalities import SPECS
from tests.data_rows import any_spec, write_rows
from tests.kinds import plan_of
from tests.test_export_kinds import quick as quick

ZONES = ("", "Australia/Melbourne", "America/St_Johns")
HISTORY, HORIZON = 5, 3


def by_pandas(times: pd.DatetimeIndex) -> dict[str, NDArray[np.int64]]:
    """The value of each feature, from 0, of local times."""
    found = {
        "minute": times.minute,
        "hour": times.hour,
        "time_of_day": 60 * times.hour + times.minute,
        "weekday": times.day_of_week,
        "day": times.day - 1,
        "week": times.isocalendar().week.to_numpy(np.int64) - 1,
        "month": times.month - 1,
        "quarter": times.quarter - 1,
        "year_day": times.day_of_year - 1,
    }
    return {name: np.asarray(value, np.int64) for name, value in found.items()}


@pytest.mark.parametrize("zone", ZONES)
def test_features_are_those_of_pandas(zone: str) -> None:
    """Of times of two hundred years, and of the seconds around each change of a clock."""
    changes = np.array(offsets_of(zone or "UTC").changes, np.int64)[::7]
    around = (changes[:, None] + [-1, 0, 3600]).ravel()
    drawn = np.random.default_rng(0).integers(-2_000_000_000, 4_100_000_000, 1000)
    leaps = pd.to_datetime(["1900-02-28", "1900-12-31", "2000-02-29", "2000-12-31", "2024-12-30"])
    seconds = np.concatenate([around, drawn, leaps.to_numpy("datetime64[s]").astype(np.int64)])
    times = pd.to_datetime(seconds, unit="s", utc=True)
    expected = by_pandas(times.tz_convert(zone) if zone else times)
    for name, period in PERIODS.items():
        of = Calendar((name,), harmonics=0, zone=zone)
        module = CalendarModule(CalendarInput("input.t", "t", of))
        one_hot = module.said(torch.from_numpy(seconds)).numpy()
        assert one_hot.shape == (len(seconds), period) and (one_hot.sum(1) == 1).all()
        np.testing.assert_array_equal(one_hot.argmax(1), expected[name], err_msg=name)
        some = slice(0, 100)
        np.testing.assert_array_equal(calendar(of, seconds[some]), one_hot[some])


def test_waves_go_round_once_and_more() -> None:
    of = Calendar(("weekday",), harmonics=2)
    seconds = np.array([0, 86_400 * 3], np.int64)  # a Thursday, a Sunday
    found = CalendarModule(CalendarInput("input.t", "t", of)).said(torch.from_numpy(seconds))
    angle = 2 * np.pi * np.array([3, 6]) / 7
    expected = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    np.testing.assert_allclose(found.numpy(), np.stack(expected, 1), atol=1e-6)


def test_vectors_of_the_calendar_are_rows_of_its_tables() -> None:
    """Of Saturday, the 29th of February 2020, row 5 of weekdays and row 1 of months; of the Sunday
    after rows 6 and 2. The steps ahead are read by the tables of the past."""
    of = Calendar(("weekday", "month"), harmonics=0, numbers=True)
    seconds = torch.tensor([[1_582_934_400, 1_583_020_800]])
    numbers = CalendarModule(CalendarInput("input.t", "t", of))(seconds, torch.tensor([2]))
    embed = CalendarEmbedModule(CalendarEmbed("embed.t", "input.t", of.features, 2))
    with torch.no_grad():
        embed.get_parameter("weekday").copy_(torch.arange(14.0).reshape(7, 2))
        embed.get_parameter("month").copy_(100 + torch.arange(24.0).reshape(12, 2))
    found = embed(numbers)
    assert isinstance(found, PaddedSequence)
    assert found.values[:, 0].tolist() == [[10, 11, 102, 103], [12, 13, 104, 105]]
    plan, _ = plan_of(SPECS["forecast by the calendar_vectors recursive"])
    tables = [(w.name, w.shape) for w in weights(plan) if "calendar_vectors" in w.name]
    name = "embed.calendar_vectors"
    assert tables == [(f"{name}.day", (31, 3)), (f"{name}.weekday", (7, 3))]


def spec_of(features: list[str], series: dict[str, Any], **more: Any) -> Spec:
    sold = {"column": "sold", "as": "series"}
    said = {"column": "t", "as": "calendar", "features": features}
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON}
    series = {"time": "t", "id": "id", "history": HISTORY, **series}
    spec = any_spec("N:M", [sold, said], ahead, series=series)
    return Spec.model_validate({**spec.model_dump(mode="json", exclude_unset=True), **more})


HOURS = pd.date_range("2024-03-30T20:00Z", periods=16, freq="h")
"""Clocks in Berlin are put forward at 01:00Z on the 31st."""
AUTUMN = pd.date_range("2024-10-26T20:00Z", periods=16, freq="h")
TABLES: dict[str, tuple[dict[str, Any], list[str], pd.DatetimeIndex]] = {
    "times of UTC, a clock in Berlin": (
        {"every": "hour", "zone": "Europe/Berlin"},
        [f"{time:%Y-%m-%dT%H:%M}Z" for time in HOURS],
        HOURS,
    ),
    "times that the clock in Berlin shows twice": (
        {"every": "hour", "zone": "Europe/Berlin"},
        [f"{time:%Y-%m-%dT%H:%M}" for time in AUTUMN.tz_convert("Europe/Berlin")],
        AUTUMN,
    ),
    "hours as they stand": (
        {"every": "hour"},
        [f"{time:%Y-%m-%dT%H:%M}+02:00" for time in HOURS],
        HOURS,
    ),
    "days": (
        {},
        [f"{time:%Y-%m-%d}" for time in pd.date_range("2023-12-24", periods=16)],
        pd.date_range("2023-12-24", periods=16, tz="UTC"),
    ),
    "days in a zone": (
        {"zone": "Asia/Kathmandu", "every": "day"},
        [f"{time:%Y%m%d}" for time in pd.date_range("2023-12-24", periods=16)],
        pd.date_range("2023-12-24", periods=16, tz="Asia/Kathmandu").tz_convert("UTC"),
    ),
    "months": (
        {"every": "month"},
        [f"{time:%Y-%m-%d}" for time in pd.date_range("2023-11-30", periods=16, freq="ME")],
        pd.date_range("2023-11-30", periods=16, freq="ME", tz="UTC"),
    ),
}


def table(written: list[str], gaps: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    rows = [
        {"id": name, "t": time, "sold": at % 3}
        for at, time in enumerate(written)
        for name in ("a", "b")
        if not (name == "b" and at in gaps)
    ]
    return rows


@pytest.mark.parametrize("gaps", [(), (6, 7, 12)], ids=["whole", "with gaps"])
@pytest.mark.parametrize("name", TABLES)
def test_times_of_all_windows_are_those_of_pandas(
    name: str, gaps: tuple[int, ...], tmp_path: Path
) -> None:
    series, written, times = TABLES[name]
    if gaps:
        series = {"every": "day", **series, "fill": 0}
    spec = spec_of(["weekday", "month"], series)
    file = write_rows(tmp_path / "rows.csv", table(written, gaps))
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "all")
    batch = data.collate(np.arange(data.rows))
    expected = times.to_numpy("datetime64[s]").astype(np.int64)
    assert data.rows == 2 * (len(times) - HISTORY - HORIZON + 1)
    for row in range(data.rows):
        first = row % (data.rows // 2)
        past, ahead = (batch.inputs[key][0][row] for key in ("t", "t.future"))
        np.testing.assert_array_equal(past, expected[first : first + HISTORY])
        ends = first + HISTORY
        np.testing.assert_array_equal(ahead, expected[ends : ends + HORIZON])


@pytest.mark.parametrize("how", ["direct", "recursive"])
def test_a_file_knows_the_calendar_of_the_steps_that_follow(how: str, tmp_path: Path) -> None:
    """A table without rows of its future, dates and seconds are answered alike."""
    series, written, times = TABLES["times of UTC, a clock in Berlin"]
    more = {"decoder": {"layers": [{"cell": "gru", "units": 4}]}} if how == "recursive" else {}
    spec = spec_of(["hour", "weekday"], series, **more)
    file = write_rows(tmp_path / "rows.csv", table(written))
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    module = Model(plan)
    module.start(facts, seed=3)
    build = Trained(BuildFolder(tmp_path), spec, plan, facts, module.canonical_arrays())
    exported = tmp_path / "model.onnx"
    assert export_onnx(build, exported).rows > 0
    model = ModelFile.load(exported)
    reading = reading_of(model)
    assert reading.series is not None
    (_, row), _ = from_table(model, Shards.of(file), reading.series, reading.how).rows()
    assert not isinstance(row, DataError)
    seconds = times.to_numpy("datetime64[s]").astype(np.int64)
    after = [int(seconds[-1]) + 3600 * step for step in range(1, HORIZON + 1)]
    assert row["t"] == seconds[-HISTORY:].tolist() and row["t.future"] == after
    local = pd.to_datetime(seconds[-HISTORY:], unit="s", utc=True).tz_convert("Europe/Berlin")
    dates = [f"{time:%Y-%m-%dT%H:%M}" for time in local]  # without an offset, by the zone
    said = {"t": dates, "t.future": [f"{t}Z" for t in pd.to_datetime(after, unit="s")]}
    (by_seconds,) = model.answer([row])
    (by_dates,) = model.answer([row | said])
    assert by_seconds == by_dates
    (an_hour_on,) = model.answer([row | {"t.future": [time + 3600 for time in after]}])
    assert an_hour_on != by_seconds
    with pytest.raises(DataError, match=r"has 2 times, the model reads 3"):
        list(model.answer([row | {"t.future": after[:2]}]))
    with pytest.raises(DataError, match=r"time 1 is 1711828800000, expected whole seconds since"):
        list(model.answer([row | {"t": [1711828800000] * HISTORY}]))


def test_numbers_are_no_calendar(tmp_path: Path) -> None:
    spec = spec_of(["weekday"], {})
    file = write_rows(tmp_path / "rows.csv", table([str(1000 + n) for n in range(16)]))
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    assert any(isinstance(node, CalendarFuture) for node in plan.nodes)
    with pytest.raises(DataError, match=r"column 't' holds numbers, and the calendar is read off"):
        encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "all")
