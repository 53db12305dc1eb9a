"""Steps of series that have no row in the file: what stands in for them. The oracle is pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnspec.data import survey
from rnnspec.plan import ClassFacts, NumericFacts, TextFacts
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder
from tests.cli import right
from tests.data_rows import any_spec, encoded, trouble, whole, write_rows

FREQUENCIES = {"day": "D", "business day": "B", "month": "MS", "6 hours": "6h"}
HISTORY, HORIZON = 3, 2


def forecast_spec(fill: str | float, every: str, *more: dict[str, Any], **data: Any) -> Spec:
    sold = {"column": "sold", "as": "series"}
    if fill == "missing":
        sold["missing"] = "previous"
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON}
    series = {"time": "time", "id": "id", "history": HISTORY, "every": every, "fill": fill}
    return any_spec("N:M", [sold, *more], ahead, series=series, **data)


def by_pandas(frame: pd.DataFrame, fill: str | float, every: str) -> dict[str, pd.Series]:
    """The steps of each series."""
    found = {}
    for name, of_series in frame.groupby("id", sort=False):
        sold = of_series.set_index("time")["sold"]
        frequency = FREQUENCIES[every]
        if fill == "previous":
            found[str(name)] = sold.asfreq(frequency, method="ffill")
        elif fill == "missing":
            found[str(name)] = sold.asfreq(frequency)
        else:
            found[str(name)] = sold.asfreq(frequency, fill_value=fill)
    return found


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, str]:
    """Two series of which some rows are missing, with rows among each other."""
    every = draw(st.sampled_from(sorted(FREQUENCIES)))
    frames = []
    for name in "ab":
        index = pd.date_range("2023-12-28", periods=20, freq=FREQUENCIES[every])
        kept = draw(st.sets(st.integers(0, 19), min_size=8))
        rows = pd.DataFrame({"time": index, "id": name, "sold": np.arange(20.0) + ord(name)})
        frames.append(rows.iloc[sorted(kept)])
    return pd.concat(frames).sort_values("time", kind="stable", ignore_index=True), every


CALM = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@CALM
@given(table=tables(), fill=st.sampled_from([0.0, -2.5, "previous", "missing"]))
def test_steps_without_a_row_are_filled_as_by_asfreq(
    table: tuple[pd.DataFrame, str], fill: str | float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frame, every = table
    folder = tmp_path_factory.mktemp("filled")
    frame.assign(time=frame["time"].dt.strftime("%Y-%m-%dT%H:%M")).to_csv(
        folder / "rows.csv", index=False
    )
    expected = by_pandas(frame, fill, every)
    spec = forecast_spec(fill, every)
    facts, data = encoded(spec, folder / "rows.csv")
    assert data.filled == sum(map(len, expected.values())) - len(frame)
    batch, at = whole(data), 0
    known = np.concatenate([each.to_numpy() for each in expected.values()])
    numeric = facts.inputs["sold"]
    assert isinstance(numeric, NumericFacts)
    assert numeric.mean[0] == pytest.approx(np.nanmean(known))
    assert numeric.deviation[0] == pytest.approx(np.nanstd(known))
    for name in dict.fromkeys(frame["id"]):  # windows of one series after the other
        steps = expected[name].to_numpy(np.float32)
        for end in range(HISTORY, len(steps) - HORIZON + 1):
            values, lengths = batch.inputs["sold"]
            assert lengths[at] == HISTORY
            np.testing.assert_array_equal(values[at, :, 0], steps[end - HISTORY : end])
            np.testing.assert_array_equal(batch.targets["sold"][at], steps[end : end + HORIZON])
            at += 1
    assert at == data.rows


ROWS = [
    {"time": f"2024-01-{day:02}", "id": "a", "sold": day, "promo": day % 2, "kind": "k",
     "state": "up" if day % 2 else "down", "level": day / 2}
    for day in (1, 2, 3, 7, 8, 9, 10, 11, 12)
]  # fmt: skip


def test_windows_beside_columns_of_whole_rows(tmp_path: Path) -> None:
    kind = {"column": "kind", "as": "category"}
    promo = {"column": "promo", "as": "series", "known": True}
    spec = forecast_spec(0, "day", kind, promo, valid=0.25)
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    facts, data = encoded(spec, file, rows="train", share=0.25)
    kinds = facts.inputs["kind"]
    assert isinstance(kinds, TextFacts) and kinds.vocabulary.entries == ("k",)
    batch = whole(data)
    assert batch.inputs["kind"][0].tolist() == [2] * 5
    assert batch.targets["sold"].tolist() == [[0, 0], [0, 0], [0, 7], [7, 8], [8, 9]]
    assert batch.inputs["promo.future"][0][..., 0].tolist() == [
        [0, 0], [0, 0], [0, 1], [1, 0], [0, 1],
    ]  # fmt: skip
    assert data.lines.tolist() == [3, 3, 3, 4, 5]


def test_answers_of_steps_without_a_row_are_none(tmp_path: Path) -> None:
    sold = {"column": "sold", "as": "series"}
    outputs = [{"column": "state", "as": "tags"}, {"column": "level", "as": "frames"}]
    series = {"time": "time", "every": "day", "fill": "previous"}
    spec = any_spec("N:N", sold, outputs, series=series)
    facts, data = encoded(spec, write_rows(tmp_path / "rows.csv", ROWS))
    states, levels = facts.outputs["state"], facts.outputs["level"]
    assert isinstance(states, ClassFacts) and states.counts == (4, 5)
    assert isinstance(levels, NumericFacts)
    assert levels.mean[0] == pytest.approx(np.mean([row["level"] for row in ROWS]))
    training = {**spec.model_dump(mode="json", exclude_unset=True)}
    training["data"] |= {"valid": 0.25}
    facts, _ = encoded(
        Spec.model_validate(training), tmp_path / "rows.csv", rows="train", share=0.25
    )
    states = facts.outputs["state"]  # of days 1 to 9, of which six have a row, each counted once
    assert isinstance(states, ClassFacts) and states.counts == (2, 4)
    batch = whole(data)
    assert batch.inputs["sold"][0][0, :, 0].tolist() == [1, 2, 3, 3, 3, 3, 7, 8, 9, 10, 11, 12]
    assert batch.targets["state"][0].tolist() == [1, 0, 1, -1, -1, -1, 1, 0, 1, 0, 1, 0]
    expected = [0.5, 1, 1.5, np.nan, np.nan, np.nan, 3.5, 4, 4.5, 5, 5.5, 6]
    np.testing.assert_array_equal(batch.targets["level"][0, :, 0], expected)


def test_what_is_filled_is_told(tmp_path: Path) -> None:
    rows = [{**row, "id": name} for row in ROWS for name in ("a", "b")]
    rows = [row for row in rows if not (row["id"] == "b" and row["sold"] in (9, 10))]
    file = write_rows(tmp_path / "rows.csv", rows)
    for fill, words in ((0, "0"), ("previous", "the row before")):
        told: list[str] = []
        survey(forecast_spec(fill, "day"), file, note=told.append)
        assert told == [
            f"{file}: 8 steps have no row and are filled with {words}: 5 of 'b', 3 of 'a'"
        ]
    one = [row for row in ROWS if row["sold"] != 7]
    file, told = write_rows(tmp_path / "one.csv", one), []
    ahead = {"column": "sold", "as": "forecast", "horizon": 2}
    series = {"time": "time", "history": 3, "every": "day", "fill": 0}
    spec = any_spec("N:M", {"column": "sold", "as": "series"}, ahead, series=series)
    survey(spec, file, note=told.append)
    assert told == [f"{file}: 4 steps have no row and are filled with 0"]
    whole_file, told = write_rows(tmp_path / "whole.csv", ROWS[3:]), []
    survey(spec, whole_file, note=told.append)
    assert told == []


def test_more_than_can_be_filled(tmp_path: Path) -> None:
    rows = [{"time": time, "id": "a", "sold": 1} for time in ("1970-01-01", "2024-01-01")]
    file = write_rows(tmp_path / "rows.csv", rows)
    assert trouble(forecast_spec(0, "s"), file) == (
        "FILE: 1,704,067,199 steps have no row, too many to be filled; see whether"
        " data.series.every says what a step is"
    )


def test_a_build_says_what_it_fills(tmp_path: Path) -> None:
    """Of the training rows by series, and of other rows that it measures on."""
    write_rows(tmp_path / "train.csv", [row for row in ROWS if row["sold"] != 10])
    write_rows(tmp_path / "valid.csv", ROWS)
    spec = tmp_path / "sales.yaml"
    spec.write_text(
        "name: sales\ncardinality: N:M\ndata:\n  train: train.csv\n  valid: valid.csv\n"
        "  series: {time: time, id: id, history: 3, every: day, fill: 0}\n"
        "  input: {column: sold, as: series}\n"
        "  output: {column: sold, as: forecast, horizon: 2}\n"
        "encoder: {layers: [{cell: gru, units: 2}]}\n"
        "train: {epochs: 1, threads: 1}\n"
    )
    said = right("build", spec, "--builds", tmp_path / "builds")
    train, valid = tmp_path / "train.csv", tmp_path / "valid.csv"
    assert f"note: {train}: 4 steps have no row and are filled with 0: 4 of 'a'\n" in said
    assert f"note: {valid}: 3 steps of series have no row, and are filled\n" in said
    state = BuildFolder(tmp_path / "builds" / "sales" / "001").read_state()
    assert len(state["notes"]) == 2
    again = right("build", spec, "--builds", tmp_path / "builds")  # out of the cache
    assert again.count("note: ") == 2
