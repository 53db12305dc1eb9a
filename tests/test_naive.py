"""Figures beside the naive forecast: what they are divided by comes from training rows, and series
of large numbers do not speak for all."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from rnnspec.cli.evaluate import _json, _text
from rnnspec.data import Dataset
from rnnspec.data.naive import Naive
from rnnspec.evaluate.report import report_of
from rnnspec.evaluate.score import Scores, evaluate_build
from rnnspec.plan.facts_file import read_facts, write_facts
from rnnspec.report.model import SeriesTable
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.train.build import build
from tests.data_rows import any_spec, encoded, whole, write_rows

VALUE = {"column": "y", "as": "series"}
FORECAST = {"column": "y", "as": "forecast", "horizon": 2}
NEXT = {"column": "y", "as": "next"}
Rows = list[dict[str, Any]]


def table(values: Mapping[str, Sequence[float | None]], start: int = 0) -> Rows:
    """The rows of some series, one step after another."""
    longest = max(map(len, values.values()))
    return [
        {"t": start + t, "id": name, "y": "" if of[t] is None else of[t]}
        for t in range(longest)
        for name, of in values.items()
        if t < len(of)
    ]


def trained_on(folder: Path, rows: Rows, output: Mapping[str, Any], **data: Any) -> Trained:
    """A build that is not trained."""
    write_rows(folder / "train.csv", rows)
    ahead = output["as"] == "forecast"
    series = {"time": "t", "id": "id"} | ({"history": 4} if ahead else {})
    spec = {
        "name": "naive",
        "cardinality": "N:M" if ahead else "N:N",
        "data": {
            "train": "train.csv",
            "series": series,
            "input": {**VALUE, "missing": "previous"},
            "output": dict(output),
            **data,
        },
        "encoder": {"layers": [{"cell": "gru", "units": 2}]},
        "train": {"epochs": 1, "threads": 1},
    }
    file = folder / "naive.yaml"
    file.write_text(json.dumps(spec))  # JSON is YAML
    return read_build(build(load_spec(file), folder / "builds", Silent(), train=False).folder)


def answering(trained: Trained, value: float) -> Trained:
    """The model that always answers one number, with a `scale: standard`."""
    known = trained.facts.inputs["y"]
    raw = (value - known.mean[0]) / known.deviation[0]  # type: ignore[union-attr]
    weights = {n: np.zeros_like(w) if _learned(n) else w for n, w in trained.weights.items()}
    (bias,) = (n for n, w in weights.items() if n.startswith("answer") and w.ndim == 1)
    weights[bias] = np.full_like(weights[bias], raw)
    return replace(trained, weights=weights)


def _learned(name: str) -> bool:
    return name.rpartition(".")[2] not in ("mean", "deviation")


# ---------------------------------------------------------------- the scale of MASE


def test_mase_divides_by_how_much_the_series_changed_in_training(tmp_path: Path) -> None:
    """By hand: training changes by 10 a step. Always 5.43 is off by 5.43 and 4.43, 4.93 on average:
    0.493. The file that is measured changes by 1 a step, by which it would be 4.93."""
    train = table({"a": [10.0 * (t % 2) for t in range(40)]})
    trained = answering(trained_on(tmp_path, train, FORECAST), 5.43)
    file = write_rows(tmp_path / "new.csv", table({"a": [0, 1, 0, 1, 0, 1]}, start=40))
    metrics = evaluate_build(trained, file).metrics
    assert metrics["mae"] == pytest.approx(4.93)
    assert metrics["mase"] == pytest.approx(0.493)


def test_the_scale_of_a_series_that_training_did_not_show(tmp_path: Path) -> None:
    """Is that of its steps before the answered ones, by hand 3; what follows would make it 40 and
    more. A series that training did show has its own, whatever the file says."""
    train = table({"a": [0, 2] * 10, "flat": [1.0] * 20})
    trained = answering(trained_on(tmp_path, train, FORECAST), 0.0)
    assert trained.facts.scales == {"y": {"a": 2.0, "flat": 0.0}}
    new: dict[str, list[float]] = {
        "a": [0, 9] * 4,
        "new": [1.0, 4, 7, 10, 100, 300, 8, 90],
        "flat": [0, 5.0] * 4,
    }
    file = write_rows(tmp_path / "new.csv", table(new))
    score = evaluate_build(trained, file).outputs["y"]
    found = {row.name: row for row in score.series}
    answered = {name: [[of[t], of[t + 1]] for t in range(4, 7)] for name, of in new.items()}
    for name, scale in (("a", 2.0), ("new", 3.0)):
        mae = np.abs(answered[name]).mean()
        assert found[name].error == pytest.approx(mae)
        assert found[name].scaled == pytest.approx(mae / scale)
    assert found["flat"].scaled is None  # never changed in training: there is nothing to divide by
    scaled = [np.abs(answered["a"]).ravel() / 2, np.abs(answered["new"]).ravel() / 3]
    assert score.metrics["mase"] == pytest.approx(np.mean(scaled))


def test_a_share_for_validation_has_no_part_in_the_scale(tmp_path: Path) -> None:
    """Of 20 steps the last 5: training changes by 1 a step, they by 50."""
    values = [float(t % 2) for t in range(15)] + [50.0 * (t % 2) for t in range(5)]
    trained = answering(trained_on(tmp_path, table({"a": values}), FORECAST, valid=0.25), 0.0)
    assert trained.facts.scales == {"y": {"a": 1.0}}
    metrics = evaluate_build(trained).metrics
    assert metrics["mase"] == pytest.approx(metrics["mae"])


@pytest.mark.parametrize("output", [FORECAST, NEXT], ids=["forecast", "next"])
def test_scales_are_facts_that_are_kept(output: dict[str, Any], tmp_path: Path) -> None:
    """By name, of one season, missing steps left out; none of a series that is too short."""
    long: list[Any] = [1.0, None, 5.0, 2.0, 9.0, 4.0, 7.0]
    rows = table({"é": long, "b": [1.0, 3.0, 8.0], "ONE": [4.0, 4.0, 4.0, 4.0]})
    spec = any_spec(
        "N:M" if output is FORECAST else "N:N",
        {**VALUE, "missing": "previous"},
        {**output, "season": 3},
        series={"id": "id"} | ({"history": 2} if output is FORECAST else {}),
    )
    facts, data = encoded(spec, write_rows(tmp_path / "rows.csv", rows))
    changes = [abs(long[t] - long[t - 3]) for t in (3, 5, 6)]
    assert facts.scales == {"y": {"é": pytest.approx(np.mean(changes)), "b": None, "ONE": 0.0}}
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    assert data.series is not None and data.series.names == ("é", "b", "ONE")
    scale = naive_of(data).scale
    assert scale is not None
    expected = {"é": np.mean(changes), "b": np.nan, "ONE": 0.0}
    of_rows = [data.series.names[number] for number in data.series.of_rows.tolist()]
    np.testing.assert_allclose(scale, [expected[name] for name in of_rows])


def naive_of(data: Dataset) -> Naive:
    return data.naive(whole(data))["y"]


# ---------------------------------------------------------------- the naive forecast


def sarimax(past: list[float], season: int, steps: int) -> list[float]:
    """The naive forecast by statsmodels: a random walk, or a seasonal one, without drift."""
    order, seasonal = ((0, 1, 0), (0, 0, 0, 0)) if season == 1 else ((0, 0, 0), (0, 1, 0, season))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SARIMAX(past, order=order, seasonal_order=seasonal)
        found: list[float] = model.smooth([1.0]).forecast(steps).tolist()
    return found


@pytest.mark.parametrize("season", [1, 3])
def test_the_naive_forecast_is_that_of_statsmodels(season: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(season)
    values = [round(float(v), 2) for v in draw.normal(size=14)]
    file = write_rows(tmp_path / "rows.csv", table({"a": values}))
    for output, steps in ((FORECAST | {"horizon": 4}, 4), (NEXT, 1)):
        more = {"history": 5} if output is not NEXT else {}
        kind = "N:N" if output is NEXT else "N:M"
        spec = any_spec(kind, VALUE, output | {"season": season}, series={"time": "t", **more})
        _, data = encoded(spec, file)
        naive = naive_of(data)
        assert naive.name == ("last value" if season == 1 else "seasonal-naive")
        if output is NEXT:
            pairs = [(t, [naive.forecast[0, t, 0]]) for t in range(season - 1, 13)]
        else:
            ends = data.ends.tolist()
            pairs = [(e - 1, naive.forecast[n].tolist()) for n, e in enumerate(ends)]
        for last, found in pairs:
            expected = sarimax(values[: last + 1], season, steps)
            assert found == pytest.approx(expected, abs=1e-4)


def test_the_next_of_frames_and_where_a_season_has_not_passed(tmp_path: Path) -> None:
    """By hand: a season of 2, the last value before that; each row begins anew."""
    rows = [{"f": [[1, 10], [2, 20], [3, 30], [4, 40]]}, {"f": [[5, 50], [6, 60]]}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    frames = {"column": "f", "as": "frames"}
    spec = any_spec("N:N", frames, {"column": "f", "as": "next", "season": 2})
    _, data = encoded(spec, file)
    naive = data.naive(whole(data))["f"]
    nan = math.nan
    np.testing.assert_array_equal(naive.forecast[..., 0], [[1, 1, 2, 3], [5, 5, nan, nan]])
    np.testing.assert_array_equal(naive.forecast[0, :, 1], [10, 10, 20, 30])
    assert naive.scale is None


def test_windows_of_a_stream_have_the_naive_forecast_of_whole_rows(tmp_path: Path) -> None:
    """Also where what was a season ago stands in another window."""
    rows = table({"a": [float(t * t) for t in range(11)], "b": [float(-t) for t in range(7)]})
    file = write_rows(tmp_path / "rows.csv", rows)
    spec = any_spec("N:N", VALUE, NEXT | {"season": 4}, series={"id": "id"})
    _, data = encoded(spec, file)
    rows_whole = naive_of(data)
    assert rows_whole.scale is not None
    seen = 0
    for batch, _, _ in data.documents(2, 3):
        naive, cut = data.naive(batch)["y"], batch.slices
        assert cut is not None and naive.scale is not None
        for row, number in enumerate(cut.rows.tolist()):
            start, count = int(cut.starts[row] - data.starts[number]), int(cut.lengths[row])
            expected = rows_whole.forecast[number, start : start + count]
            np.testing.assert_array_equal(naive.forecast[row, :count], expected)
            assert naive.scale[row] == rows_whole.scale[number]
            seen += count
    assert seen == 18


# ---------------------------------------------------------------- baselines and figures


def test_beside_a_next_of_numbers_stands_the_last_value(tmp_path: Path) -> None:
    """Not the training mean, which a model that repeats what it sees beats by far."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=60)).round(3)
    trained = answering(trained_on(tmp_path, table({"a": walk.tolist()}), NEXT, valid=0.5), 2.0)
    score = evaluate_build(trained).outputs["y"]
    true, before = walk[31:], walk[30:-1]
    assert score.baseline_name == "last value"
    naive = np.abs(true - before).mean()
    assert score.baseline["mae"] == pytest.approx(naive, rel=1e-5)
    assert score.baseline["rmse"] == pytest.approx(((true - before) ** 2).mean() ** 0.5, rel=1e-5)
    mae = np.abs(true - 2.0).mean()
    assert score.metrics["mae"] == pytest.approx(mae, rel=1e-5)
    assert score.metrics["skill"] == pytest.approx(1 - mae / naive, rel=1e-5)
    scale = np.abs(np.diff(walk[:30])).mean()
    assert score.metrics["mase"] == pytest.approx(mae / scale, rel=1e-5)
    assert score.metrics["scaled_skill"] == pytest.approx(score.metrics["skill"])


def scores_of_three(folder: Path, output: Mapping[str, Any]) -> tuple[Trained, Scores, Rows]:
    """Always 0 of a series of thousands, on which that is good, and of two of ones, on which it is
    bad."""
    draw = np.random.default_rng(1)
    large = (1000 * draw.normal(size=40)).round(2).tolist()
    small = [(9 + 0.1 * draw.normal(size=40)).round(4).tolist() for _ in range(2)]
    rows = table({"large": large, "one": small[0], "two": small[1]})
    trained = answering(trained_on(folder, rows, output, valid=0.25), 0.0)
    return trained, evaluate_build(trained), rows


@pytest.mark.parametrize("output", [FORECAST, NEXT], ids=["forecast", "next"])
def test_one_large_series_does_not_decide_alone(output: dict[str, Any], tmp_path: Path) -> None:
    trained, scores, rows = scores_of_three(tmp_path, output)
    score, scaled, scaled_naive = scores.outputs["y"], [], []
    for row in score.series:
        values = np.array([each["y"] for each in rows if each["id"] == row.name], np.float64)
        if output is FORECAST:
            windows = [(t - 1, t + ahead) for t in range(30, 39) for ahead in (0, 1)]
        else:
            windows = [(t - 1, t) for t in range(31, 40)]
        errors = np.array([abs(values[t]) for _, t in windows])
        naive = np.array([abs(values[t] - values[last]) for last, t in windows])
        scale = np.abs(np.diff(values[:30])).mean()
        assert row.values == len(windows)
        assert row.error == pytest.approx(errors.mean(), rel=1e-4)
        assert row.baseline == pytest.approx(naive.mean(), rel=1e-4)
        assert row.skill == pytest.approx(1 - errors.mean() / naive.mean(), rel=1e-3)
        assert row.scaled == pytest.approx(errors.mean() / scale, rel=1e-3)
        scaled.append(errors / scale)
        scaled_naive.append(naive / scale)
    assert [row.name for row in score.series] == ["large", "one", "two"]
    assert score.metrics["skill"] > 0, "the errors of the large one are nearly all of the sum"
    expected = 1 - np.mean(scaled) / np.mean(scaled_naive)
    assert expected < -10
    assert score.metrics["scaled_skill"] == pytest.approx(expected, rel=1e-3)
    assert score.baseline["mase"] == pytest.approx(np.mean(scaled_naive), rel=1e-3)
    told = json.loads(_json(trained, scores))["series"]["y"]
    assert [row["name"] for row in told] == ["large", "one", "two"]
    text = _text(trained, scores, ())
    lines = text[text.index("series of y") :].splitlines()
    assert [line.split()[0] for line in lines[2:4]] != ["large", "large"]
    assert lines[3].startswith("large"), "the lowest skill comes first"
    (section,) = (s for s in report_of(trained, scores).sections if isinstance(s, SeriesTable))
    assert section.rows == score.series and section.baseline == "last value"


def test_a_single_series_has_no_table_of_series(tmp_path: Path) -> None:
    trained = trained_on(tmp_path, table({"a": [0, 1.0] * 10}), FORECAST, valid=0.3)
    assert not evaluate_build(trained).outputs["y"].series


def test_numbers_that_are_no_forecast_stand_beside_the_mean(tmp_path: Path) -> None:
    """Of each step of two series: figures by series, without a scale."""
    rows = table({"a": [1.0, 2, 3, 4, 5, 6], "b": [10.0, 30, 10, 30, 10, 30]})
    for row in rows:
        row["z"] = 2 * row["y"]
    write_rows(tmp_path / "train.csv", rows)
    trained = answering(trained_on(tmp_path, rows, {"column": "z", "as": "frames"}, valid=0.5), 0.0)
    score = evaluate_build(trained).outputs["z"]
    assert score.baseline_name == "mean of the training rows"
    mean = np.mean([2, 4, 6, 20, 60, 20])
    answer = trained.facts.outputs["z"].mean[0]  # type: ignore[union-attr]
    assert answer == pytest.approx(mean)
    found = {row.name: row for row in score.series}
    assert found["a"].baseline == pytest.approx(np.abs(np.array([8, 10, 12]) - mean).mean())
    assert found["b"].baseline == pytest.approx(np.abs(np.array([60, 20, 60]) - mean).mean())
    assert found["a"].scaled is None and "mase" not in score.metrics
