"""`rnnspec run` on tables of series: which rows are the future, and what a forecast says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnnspec.export import export_onnx
from tests.cli import rnnspec, wrong
from tests.data_rows import write_rows
from tests.kinds import spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick

ADVICE = "--on-error skip goes on without it, --on-error null with null in its place\n"
NONE_ANSWERED = f"no answers were given before it; {ADVICE}"
ONE_ANSWERED = f"1 answer was given before it; {ADVICE}"
HORIZON = 2
FORMATS = ["csv", "jsonl", "parquet"]
SOLD, PROMO = "window_series", "known_series"
"""Columns: the target, where `missing: mean` holds, and one that is known beforehand."""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("known"), SOLD, PROMO)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("plain"), SOLD)


def model(folder: Path, *columns: str, **series: Any) -> Path:
    """A file with weights drawn at random, so that each number that is read changes its answer."""
    ahead = {"column": SOLD, "as": "forecast", "horizon": HORIZON, "distribution": "point"}
    data = spec_data("N:M", columns, [ahead])
    data["data"]["series"] = {"history": 12, "id": "shop", **series}
    export_onnx(trained(data, size=0.9), folder / "model.onnx")
    return folder / "model.onnx"


Numbers = Sequence[float | None]


def table(file: Path, sold: Numbers, promo: Numbers = (), **shops: tuple[Numbers, Numbers]) -> Path:
    """A table of a shop `A`, and of others."""
    found = {"A": (sold, promo or [0.0] * len(sold)), **shops}
    rows = [
        {"shop": shop, SOLD: blank(file, value), PROMO: blank(file, known)}
        for shop, (values, others) in found.items()
        for value, known in zip(values, others, strict=True)
    ]
    return write_rows(file, rows)


def blank(file: Path, value: float | None) -> object:
    return "" if value is None and file.suffix == ".csv" else value


def asked(model: Path, data: Path) -> tuple[list[dict[str, Any]], str]:
    said = rnnspec("run", model, "--data", data, "--json")
    assert said.code == 0, said
    return [json.loads(line) for line in said.out.splitlines()], said.err


def listed(folder: Path, *rows: Mapping[str, Any]) -> Path:
    return write_rows(folder / "listed.jsonl", rows)


PAST = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0]
OFF = [0.0, 1.0] * 5
AHEAD = [1.0, 1.0]


@pytest.mark.parametrize("format", FORMATS)
def test_the_future_is_where_the_target_is_empty(known: Path, tmp_path: Path, format: str) -> None:
    file = table(tmp_path / f"t.{format}", [*PAST, None, None], [*OFF, *AHEAD])
    expected, _ = asked(known, listed(tmp_path, {SOLD: PAST, PROMO: OFF, f"{PROMO}.future": AHEAD}))
    assert asked(known, file) == ([{"shop": "A", **expected[0]}], "")


@pytest.mark.parametrize("format", FORMATS)
def test_more_rows_of_the_future_than_are_answered_are_said(
    known: Path, tmp_path: Path, format: str
) -> None:
    few = asked(known, table(tmp_path / f"few.{format}", [*PAST, None, None], [*OFF, *AHEAD]))
    file = table(tmp_path / f"t.{format}", [*PAST, *[None] * 6], [*OFF, *AHEAD, 0, 1, 0, 1])
    answers, said = asked(known, file)
    assert answers == few[0]
    place = {"csv": f"{file}:12", "jsonl": f"{file}:11", "parquet": f"{file}: row 11"}[format]
    assert said == (
        f"note: {place}: the future of series 'A' has more than the 2 steps that the model"
        " answers, the first ones are answered\n"
    )


def test_a_table_without_its_future_is_refused_with_a_cure(known: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", PAST, OFF, B=([1.0, 2.0, None], [0.0, 1.0, 0.0]))
    assert wrong("run", known, "--data", file) == (
        f"error: {file}:11: series 'A' ends with this row, in which 'window_series' is filled, so"
        " that nothing says what 'known_series' will be in the 2 steps to be answered; add 2 rows"
        f" for them, with 'known_series' filled and 'window_series' empty\n{NONE_ANSWERED}"
    )
    mended = table(
        tmp_path / "t.csv", [*PAST, None, None], [*OFF, *AHEAD],
        B=([1.0, 2.0, None], [0.0, 1.0, 0.0]),
    )  # fmt: skip
    assert wrong("run", known, "--data", mended) == (
        f"error: {mended}:16: series 'B' ends with 1 row of its future, where 'window_series' is"
        " empty, and the model answers 2 steps; add 1 row after it, with 'known_series' filled and"
        f" 'window_series' empty\n{ONE_ANSWERED}"
    )
    whole = table(
        tmp_path / "t.csv", [*PAST, None, None], [*OFF, *AHEAD],
        B=([1.0, 2.0, None, None], [0.0, 1.0, 0.0, 0.0]),
    )  # fmt: skip
    assert [answer["shop"] for answer in asked(known, whole)[0]] == ["A", "B"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_target_before_a_filled_one_is_a_number_of_the_past(
    known: Path, plain: Path, tmp_path: Path, format: str
) -> None:
    past = [*PAST[:-2], None, PAST[-1]]
    file = table(tmp_path / f"t.{format}", [*past, None, None], [*OFF, *AHEAD])
    row = {SOLD: past, PROMO: OFF, f"{PROMO}.future": AHEAD}
    expected, _ = asked(known, listed(tmp_path, row))
    assert asked(known, file)[0] == [{"shop": "A", **expected[0]}]
    expected, _ = asked(plain, listed(tmp_path, {SOLD: past}))
    assert asked(plain, file)[0] == [{"shop": "A", **expected[0]}]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_without_known_columns_the_future_is_no_missing_past(
    plain: Path, tmp_path: Path, format: str, ahead: int
) -> None:
    expected, _ = asked(plain, listed(tmp_path, {SOLD: PAST}))
    file = table(tmp_path / f"t.{format}", [*PAST, *[None] * ahead])
    assert asked(plain, file) == ([{"shop": "A", **expected[0]}], "")


def test_a_series_without_a_past(plain: Path, known: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", [1.0, 2.0, None, None], B=([None, None], [0.0, 0.0]))
    for model in (plain, known):
        assert wrong("run", model, "--data", file) == (
            f"error: {file}:6: series 'B' has no past, for 'window_series' is empty in all of its"
            f" rows; put rows before them in which it is filled\n{ONE_ANSWERED}"
        )


def test_a_known_column_that_is_empty_in_the_future(known: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", [*PAST, None, None], [*OFF, 1.0, None])
    said = wrong("run", known, "--data", file)
    assert f"{file}:13: column 'known_series' is empty, expected a number" in said


# ---------------------------------------------------------------- times, and steps without a row


def timed(file: Path, times: Sequence[object], sold: Numbers, promo: Numbers = ()) -> Path:
    rows = [
        {"time": time, "shop": "A", SOLD: blank(file, value), PROMO: known}
        for time, value, known in zip(times, sold, promo or [0.0] * len(sold), strict=True)
    ]
    return write_rows(file, rows)


@pytest.fixture(scope="module")
def with_times(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("times"), SOLD, time="time")


@pytest.fixture(scope="module")
def known_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("known_at"), SOLD, PROMO, time="time")


SERIES_TIMES: dict[str, list[Any]] = {
    "days": ["2024-02-27", "2024-02-28", "2024-02-29", "2024-03-01"],
    "months": ["2023-11", "2023-12", "2024-01", "2024-02"],
    "ends of months": ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"],
    "minutes": ["2024-02-27 23:15", "2024-02-27 23:30", "2024-02-27 23:45", "2024-02-28 00:00"],
    "milliseconds": [1700000000000, 1700003600000, 1700007200000, 1700010800000],
    "years": [2022, 2023, 2024, 2025],
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", SERIES_TIMES)
def test_a_forecast_says_its_series_and_its_times(
    with_times: Path, known_at: Path, tmp_path: Path, name: str, format: str
) -> None:
    """Those of the future's rows, or as the steps of the series go on; in every form."""
    times = SERIES_TIMES[name]
    only_past = timed(tmp_path / f"past.{format}", times[:2], [1.0, 2.0])
    whole = timed(tmp_path / f"whole.{format}", times, [1.0, 2.0, None, None])
    for model, data in ((with_times, only_past), (with_times, whole), (known_at, whole)):
        (answer,), _ = asked(model, data)
        assert (answer["shop"], answer["time"]) == ("A", times[2:])
        assert len(answer[SOLD]) == HORIZON
        said = rnnspec("run", model, "--data", data)
        assert said.out.startswith(f"A, {times[2]} to {times[3]}  →  [")
        file = tmp_path / "answers.jsonl"
        assert rnnspec("run", model, "--data", data, "--output", file).code == 0
        assert json.loads(file.read_text()) == answer
        file.unlink()


def test_one_row_that_says_no_step(with_times: Path, tmp_path: Path) -> None:
    (answer,), _ = asked(with_times, timed(tmp_path / "one.csv", ["2024-01-01"], [1.0]))
    assert answer["time"] is None
    stated = model(tmp_path, SOLD, time="time", every="business day")
    friday = timed(tmp_path / "one.csv", ["2024-01-05"], [1.0])
    assert asked(stated, friday)[0][0]["time"] == ["2024-01-08", "2024-01-09"]


GAP = ["2024-03-28", "2024-03-29", "2024-04-01", "2024-04-03"]
"""Thursday to Monday, and a Wednesday."""


@pytest.mark.parametrize(
    ("fill", "every", "read", "coming"),
    [
        (0, "day", [3, 1, 0, 0, 4, 0, 1], ["2024-04-04", "2024-04-05"]),
        ("previous", "day", [3, 1, 1, 1, 4, 4, 1], ["2024-04-04", "2024-04-05"]),
        ("missing", "day", [3, 1, None, None, 4, None, 1], ["2024-04-04", "2024-04-05"]),
        (-1.5, "business day", [3, 1, 4, -1.5, 1], ["2024-04-04", "2024-04-05"]),
    ],
)
def test_steps_without_a_row_are_filled_as_in_training(
    tmp_path: Path, fill: str | float, every: str, read: Numbers, coming: list[str]
) -> None:
    plain = model(tmp_path, SOLD, time="time", every=every, fill=fill)
    (expected,), _ = asked(plain, listed(tmp_path, {SOLD: read}))
    for sold, times in (
        ([3.0, 1.0, 4.0, 1.0], GAP),
        ([3.0, 1.0, 4.0, 1.0, None], [*GAP, coming[1]]),
    ):
        (answer,), _ = asked(plain, timed(tmp_path / "t.csv", times, sold))
        assert answer == {"shop": "A", "time": coming, **expected}


def test_a_future_with_a_gap_is_refused_where_it_is_read(tmp_path: Path) -> None:
    known = model(tmp_path, SOLD, PROMO, time="time", every="day", fill=0)
    for times, line in (
        (["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"], 3),
        (["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"], 4),
    ):
        file = timed(tmp_path / "t.csv", times, [1.0, 2.0, None, None])
        assert wrong("run", known, "--data", file) == (
            f"error: {file}:{line}: series 'A' has no row for the step after this one, which is of"
            " its future, for 'window_series' is empty or missing from there on; add it, with"
            f" 'known_series' filled\n{NONE_ANSWERED}"
        )


def test_the_file_itself_says_how_its_tables_are_read(tmp_path: Path) -> None:
    from rnnspec.run import Model
    from rnnspec.run.series import reading_of

    more: dict[str, Any] = {"time": "time", "every": "30 min", "zone": "Europe/Berlin", "fill": 0}
    reading = reading_of(Model.load(model(tmp_path, SOLD, **more))).series
    assert reading is not None and (reading.id, reading.target) == ("shop", SOLD)
    assert {key: getattr(reading, key) for key in more} == more
