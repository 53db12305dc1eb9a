"""Series: windows by their definition, order and steps in time, facts, the naive forecast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data import Dataset, Reading
from rnnspec.data.reading import SeriesReading
from rnnspec.data.rows import BadRows
from rnnspec.data.series import Part, Table, training_end, windows
from rnnspec.errors import DataError
from rnnspec.plan import NumericFacts, TextFacts
from rnnspec.spec import Spec
from tests.data_rows import any_spec, encoded, trouble, whole, write_rows

VALUE = {"column": "value", "as": "series"}


def forecast_spec(
    *inputs: Mapping[str, Any],
    horizon: int = 2,
    season: int = 1,
    valid: float | None = None,
    **series: Any,
) -> Spec:
    output = {"column": "value", "as": "forecast", "horizon": horizon, "season": season}
    sources = [VALUE, *inputs] if inputs else VALUE
    return any_spec("N:M", sources, output, series={"history": 3, **series}, valid=valid)


def file_of(
    folder: Path, values: list[Any], name: str = "rows.jsonl", **columns: list[Any]
) -> Path:
    rows = [
        {"value": value, **{key: cells[at] for key, cells in columns.items()}}
        for at, value in enumerate(values)
    ]
    return write_rows(folder / name, rows)


def test_windows_by_hand(tmp_path: Path) -> None:
    file = file_of(tmp_path, [float(n) for n in range(7)])
    facts, data = encoded(forecast_spec(), file)
    assert facts.rows == data.rows == 3
    assert facts.inputs["value"] == NumericFacts(1, (3.0,), (2.0,), longest=3)
    assert facts.outputs["value"] is facts.inputs["value"]
    batch = whole(data)
    values, lengths = batch.inputs["value"]
    assert values[..., 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    assert lengths.tolist() == data.lengths(np.arange(3)).tolist() == [3, 3, 3]
    assert batch.targets["value"].tolist() == [[3, 4], [4, 5], [5, 6]]
    assert data.lines.tolist() == [4, 5, 6]
    stridden = encoded(forecast_spec(stride=2), file, rows="train")
    assert whole(stridden[1]).targets["value"].tolist() == [[3, 4], [5, 6]]
    assert stridden[0].rows == 2


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_interleaved_series_of_unequal_length_with_all_kinds_of_inputs(
    tmp_path: Path, format: str
) -> None:
    ids = ["b", "a", "b", "a", "a", "b", "a", "a"]
    columns: dict[str, list[Any]] = {
        "id": ids,
        "promo": [float(n % 2) for n in range(8)],
        # One value in the steps that are read, whatever stands beside what is answered.
        "shop": ["of b", "of a", "x", "of a", "of a", "y", "z", "of b"],
        "size": [[0.0], [4.0], [1.0], [4.0], [4.0], [2.0], [0.0], [3.0]],
    }
    file = file_of(tmp_path, [float(n) for n in range(8)], f"rows.{format}", **columns)
    inputs: list[dict[str, Any]] = [
        {"column": "promo", "as": "series", "known": True},
        {"column": "shop", "as": "category", "join": "steps"},
        {"column": "size", "as": "vector"},
    ]
    facts, data = encoded(forecast_spec(*inputs, id="id"), file)
    # b: 0, 2, 5; a: 1, 3, 4, 6, 7; b has but one step to read.
    batch = whole(data)
    values, lengths = batch.inputs["value"]
    assert values[..., 0].tolist() == [[0, 0, 0], [1, 3, 4]]
    assert lengths.tolist() == [1, 3]
    assert batch.targets["value"].tolist() == [[2, 5], [6, 7]]
    ahead, of_ahead = batch.inputs["promo.future"]
    assert ahead[..., 0].tolist() == [[0, 1], [0, 1]]
    assert of_ahead.tolist() == [2, 2]
    shops = facts.inputs["shop"]
    assert isinstance(shops, TextFacts)
    expected = shops.vocabulary.numbers(["of b", "of a"])
    assert batch.inputs["shop"][0].tolist() == expected
    assert batch.inputs["size"][0].tolist() == [[0], [4]]
    first = 1 if format != "csv" else 2
    assert data.lines.tolist() == [first + 2, first + 6]


CHANGING: dict[str, list[Any]] = {
    "category": ["x", "x", "x", "y", "y", "y", "y"],
    "number": [1, 1, 1, 2, 2, 2, 2],
    "vector": [[1, 0], [1, 0], [1, 0], [1, 2], [1, 2], [1, 2], [1, 2]],
}


@pytest.mark.parametrize("kind", CHANGING)
@pytest.mark.parametrize("gap", [False, True])
def test_what_is_read_once_must_not_change_within_a_window(
    tmp_path: Path, kind: str, gap: bool
) -> None:
    """With one step read a window has one value; the second window of three reads lines 2 to 4."""
    cells = [cell if n < 3 or not gap else None for n, cell in enumerate(CHANGING[kind])]
    input = {"column": "what", "as": kind} | ({} if kind == "category" else {"missing": "mean"})
    file = file_of(tmp_path, [float(n) for n in range(7)], what=cells)
    said = trouble(forecast_spec(input), file)
    assert f"FILE:4: column 'what' is read 'as: {kind}', once for all steps" in said
    assert f"'as: {'categories' if kind == 'category' else 'series'}'" in said
    _, data = encoded(forecast_spec(input, history=1), file)
    assert data.rows == 5


def test_the_series_of_a_change_is_named(tmp_path: Path) -> None:
    ids, kinds = [*"abababab"], [*"xyxyxyxz"]
    file = file_of(tmp_path, [float(n) for n in range(8)], "rows.csv", id=ids, kind=kinds)
    input = {"column": "kind", "as": "category"}
    encoded(forecast_spec(input, id="id", horizon=1), file)  # z stands where b is answered
    whole_of = any_spec(
        "N:N", [VALUE, input], {"column": "value", "as": "next"}, series={"id": "id"}
    )
    said = trouble(whole_of, file)
    assert "FILE:9: column 'kind'" in said
    assert "of series 'b'" in said


LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=5)


@settings(max_examples=200)
@given(
    sizes=LENGTHS,
    history=st.integers(1, 6),
    horizon=st.integers(1, 4),
    stride=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
)
def test_windows_by_definition(
    sizes: list[int], history: int, horizon: int, stride: int, share: float
) -> None:
    reading = SeriesReading(history, horizon, stride)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.arange(offsets[-1])
    table = Table(tuple(map(str, range(len(sizes)))), places, offsets, places + 1)
    bad = BadRows(Path("rows.csv"))
    parts, refused = {}, ""
    asked: tuple[Part, ...] = ("train", "valid") if share else ("all", "train")
    for part in asked:
        try:
            found = windows(table, reading, part, share, bad)
        except DataError as error:
            refused = str(error)
            break
        parts[part] = {
            (int(first), int(start - first), int(end - first))
            for first, start, end in zip(found.first, found.starts, found.ends, strict=True)
        }
        assert len(parts[part]) == len(found.ends)
    if refused and "train" in parts:
        assert "takes no window" in refused
        assert [training_end(size, reading, share) for size in sizes] == sizes
    elif refused:
        assert "too few for one that is read" in refused
        assert min(sizes) <= horizon
    if refused:
        return
    for first, size in zip(offsets[:-1].tolist(), sizes, strict=True):
        trained = training_end(size, reading, share)
        assert trained == size or size - trained >= max(horizon, int(size * share))
        for part, of_part in parts.items():
            mine = sorted((start, end) for place, start, end in of_part if place == first)
            low, high = (trained, size) if part == "valid" else (1, trained)
            assert all(low <= end <= high - horizon for _, end in mine)
            assert all(start == max(0, end - history) for start, end in mine)
            if part == "valid":
                assert [end for _, end in mine] == list(range(trained, size - horizon + 1))
            elif trained < history + horizon:
                assert [end for _, end in mine] == [trained - horizon]
            else:
                step = stride if part == "train" else 1
                every = range(trained - horizon, history - 1, -step)
                assert [end for _, end in mine] == sorted(every)


def test_a_share_splits_each_series_in_time(tmp_path: Path) -> None:
    values = [float(n) for n in range(20)]
    file = file_of(tmp_path, values, id=["a"] * 20)
    spec = forecast_spec(valid=0.25, id="id")
    facts, train = encoded(spec, file, rows="train", share=0.25)
    _, valid = encoded(spec, file, rows="valid", share=0.25)
    value = facts.inputs["value"]
    assert isinstance(value, NumericFacts)
    assert (value.mean, value.longest) == ((7.0,), 3)
    assert value.deviation == pytest.approx((np.std(range(15)),))
    assert facts.rows == train.rows == 11
    assert whole(train).targets["value"].max() == 14
    assert whole(valid).targets["value"].tolist() == [[n, n + 1.0] for n in range(15, 19)]
    assert whole(valid).inputs["value"][0][0, :, 0].tolist() == [12, 13, 14]


def test_a_share_is_that_of_its_digits() -> None:
    """As floats 100 * 0.29 and 360 * 0.35 are a little less than 29 and 126."""
    reading = SeriesReading(3, 1, 1)
    assert [training_end(100, reading, 0.29), training_end(360, reading, 0.35)] == [71, 234]


def test_scales_of_series(tmp_path: Path) -> None:
    values = [1.0, 2.0, 3.0, 4.0, 100.0, None, 5.0]
    file = file_of(tmp_path, values, flat=[0.0] * 6 + [1.0])
    known = {"missing": "previous", "scale": "robust"}
    robust = any_spec(
        "N:M",
        [VALUE | known, {"column": "flat", "as": "series", "scale": "robust"}],
        {"column": "value", "as": "forecast", "horizon": 2},
        series={"history": 3},
    )
    facts, data = encoded(robust, file)
    low, middle, high = np.percentile([1, 2, 3, 4, 100, 5], [25, 50, 75])
    value = facts.inputs["value"]
    assert isinstance(value, NumericFacts)
    assert value.mean == (middle,)
    assert value.deviation == pytest.approx(((high - low) / 1.349,))
    flat = facts.inputs["flat"]  # no interquartile range: the deviation
    assert isinstance(flat, NumericFacts)
    assert flat.deviation == pytest.approx((np.std([0] * 6 + [1]),))
    batch = whole(data)
    np.testing.assert_array_equal(batch.targets["value"][1], [100, np.nan])
    np.testing.assert_array_equal(batch.inputs["value"][0][2, :, 0], [3, 4, 100])
    assert trouble(forecast_spec(), file) == (
        "FILE:6: column 'value' is null, expected a number; set missing of the input to mean or "
        "previous"
    )


def naive_of(data: Dataset) -> Any:
    return data.naive(whole(data))["value"]


def test_the_seasonal_naive_forecast(tmp_path: Path) -> None:
    values = [float(n * n) for n in range(12)]
    file = file_of(tmp_path, values)
    spec = forecast_spec(horizon=3, season=4, valid=0.25)
    _, valid = encoded(spec, file, rows="valid", share=0.25)
    found = naive_of(valid)
    assert found.forecast.tolist() == [[25, 36, 49]]
    differences = [values[t] - values[t - 4] for t in range(4, 9)]
    assert found.scale.tolist() == [pytest.approx(np.mean(differences))]
    _, train = encoded(forecast_spec(horizon=3, season=2), file)
    found = naive_of(train)
    assert found.forecast[0].tolist() == [1, 4, 1]  # after 0, 1, 4
    differences = [values[t] - values[t - 2] for t in range(2, 12)]
    assert found.scale.tolist() == [pytest.approx(np.mean(differences))] * train.rows
    _, short = encoded(forecast_spec(horizon=3, season=20), file)
    found = naive_of(short)
    assert found.forecast[0].tolist() == [4, 4, 4]  # no season yet: the last value
    assert np.isnan(found.scale).all()


BEGIN = datetime(2024, 1, 30, 22)
RISING: dict[str, list[Any]] = {
    "hours": [str(BEGIN + timedelta(hours=n)) for n in range(6)],
    "with T and zone": [f"{(BEGIN + timedelta(days=n)).isoformat()}Z" for n in range(6)],
    "a change of zone": [
        "2024-03-31T00:00:00+01:00",
        "2024-03-31T01:00:00+01:00",
        "2024-03-31T03:00:00+02:00",
        "2024-03-31T04:00:00+02:00",
        "2024-03-31T05:00:00+02:00",
        "2024-03-31T06:00:00+02:00",
    ],
    "days": [str(date(2024, 2, 27) + timedelta(days=n)) for n in range(6)],
    "months": ["2023-11", "2023-12", "2024-01", "2024-02", "2024-03", "2024-04"],
    "ends of months": [
        "2023-11-30", "2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30",
    ],
    "quarters": [
        "2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01", "2024-01-01", "2024-04-01",
    ],
    "years": [2019, 2020, 2021, 2022, 2023, 2024],
    "tenths": [0.1 * n for n in range(6)],
}  # fmt: skip


@pytest.mark.parametrize("format", ["jsonl", "csv"])
@pytest.mark.parametrize("name", RISING)
def test_times_that_rise_by_equal_steps(tmp_path: Path, name: str, format: str) -> None:
    file = file_of(tmp_path, [1.0, 2, 4, 8, 16, 32], f"rows.{format}", time=RISING[name])
    assert encoded(forecast_spec(time="time"), file)[1].rows == 2


def test_times_of_parquet(tmp_path: Path) -> None:
    times = [BEGIN + timedelta(hours=n) for n in range(6)]
    file = file_of(tmp_path, [1.0, 2, 4, 8, 16, 32], "rows.parquet", time=times)
    assert encoded(forecast_spec(time="time"), file)[1].rows == 2


TIMES: list[tuple[list[Any], str]] = [
    (
        ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"],
        "FILE:3: column 'time' is 2024-01-02 00:00:00, which does not come after 2024-01-02 "
        "00:00:00 of the step before it (line 2); order the rows of each series by time, one row a "
        "step; the column that tells series apart is data.series.id",
    ),
    (
        ["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"],
        "FILE:3: column 'time' is 2024-01-04 00:00:00, 2 days, 0:00:00 after the step before it "
        "(line 2); the series began with a step of 1 day, 0:00:00: add the rows that are missing, "
        "with empty fields where the inputs say what is missing, or set data.series.every to the "
        "step and data.series.fill to what stands in for them, or leave data.series.time out to "
        "take the rows as they come",
    ),
    (
        [1, 2, 4, 5],
        "FILE:3: column 'time' is 4, 2 after the step before it (line 2); the series began with a "
        "step of 1: add the rows that are missing, with empty fields where the inputs say what is "
        "missing, or set data.series.every to the step and data.series.fill to what stands in for "
        "them, or leave data.series.time out to take the rows as they come",
    ),
    ([1, 2, "2024-01-01", 4], "FILE:3: column 'time' is a date, the rows before have a number"),
    (
        ["2024-01-01T00:00", "2024-01-01T01:00Z", "2024-01-01T02:00", "2024-01-01T03:00"],
        "FILE:2: column 'time' is a time with a zone, the rows before have a time without a zone",
    ),
    (
        ["1 Jan", "2 Jan", "3 Jan", "4 Jan"],
        "column 'time' is the text '4 Jan', expected a number or a date as in 2024-01-31, 2024-01 "
        "or 2024-01-31T12:00",
    ),
    (
        [1, 2, None, 4],
        "FILE:3: column 'time' is null, expected a number or a date as in 2024-01-31, 2024-01 or "
        "2024-01-31T12:00",
    ),
]


@pytest.mark.parametrize(("times", "message"), TIMES)
def test_times_that_do_not(tmp_path: Path, times: list[Any], message: str) -> None:
    file = file_of(tmp_path, [1.0, 2, 4, 8], time=times)
    found = trouble(forecast_spec(time="time"), file)
    assert found.endswith(message)


def test_each_series_has_times_of_its_own(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"time": [1, 5, 2, 7, 3, 9, 4, 11], "id": ["a", "b"] * 4}
    spec = forecast_spec(time="time", id="id")
    file = file_of(tmp_path, [float(n) for n in range(8)], "rows.jsonl", **columns)
    assert encoded(spec, file)[1].rows == 2
    columns["time"][5] = 8
    file = file_of(tmp_path, [float(n) for n in range(8)], "rows.jsonl", **columns)
    assert trouble(spec, file).startswith("FILE:6: column 'time' is 8, 1 after the step before it")


def test_series_that_are_too_short(tmp_path: Path) -> None:
    file = file_of(tmp_path, [1.0, 2.0, 3.0, 4.0, 5.0], id=["a", "a", "a", "b", "b"])
    assert trouble(forecast_spec(id="id"), file) == (
        "FILE:4: series 'b' has 2 steps, too few for one that is read and 2 that are answered; "
        "leave it out, or set data.output.horizon lower"
    )
    assert trouble(forecast_spec(), file_of(tmp_path, [1.0])) == (
        "FILE:1: the only series has 1 step, too few for one that is read and 2 that are answered; "
        "leave it out, or set data.output.horizon lower"
    )
    file = file_of(tmp_path, [1.0, 2.0, 3.0, 4.0])
    assert trouble(forecast_spec(valid=0.25), file) == (
        "FILE: a validation share of 0.25 takes no window of 2 steps to answer; any share needs a"
        " series of 5 steps, and the longest has 4; set data.valid to a file or to null, or"
        " data.output.horizon to 1"
    )
    trained = forecast_spec(valid=0.25, horizon=1)  # what the cure says
    assert encoded(trained, file, rows="valid", share=0.25)[1].rows == 1
    file = file_of(tmp_path, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert encoded(forecast_spec(valid=0.5), file, rows="valid", share=0.5)[1].rows == 1


def test_a_validation_file_has_every_window(tmp_path: Path) -> None:
    train = file_of(tmp_path, [float(n) for n in range(20)])
    other = file_of(tmp_path, [float(n) for n in range(9)], "other.jsonl")
    spec = forecast_spec(stride=4)
    assert encoded(spec, train, rows="train")[1].rows == 4
    assert encoded(spec, train, other)[1].rows == 5
    assert Reading.of(spec).series == SeriesReading(3, 2, 4, seasons={"value": 1})
