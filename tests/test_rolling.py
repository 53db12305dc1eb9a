"""Forecasts from a rolling origin: every value says its own time (see `test_future`)."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec import load
from rnnspec.data import survey
from rnnspec.errors import RnnspecError
from rnnspec.evaluate.rolling import Windows, windows_of
from rnnspec.evaluate.score import evaluate_build
from rnnspec.plan import resolve
from rnnspec.store.folder import BuildFolder, Trained
from tests.cli import right, rnnspec
from tests.data_rows import write_rows
from tests.kinds import output, plan_of, spec_data
from tests.test_future import (
    ENDS,
    HISTORY,
    HORIZON,
    STARTS,
    answers_of_windows,
    rows,
    spec_of,
    started,
)

Row = dict[str, Any]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, Path]:
    """A model that has learned nothing, and the table that it is measured on."""
    folder = tmp_path_factory.mktemp("rolling")
    file = write_rows(folder / "rows.csv", rows())
    target = {"distribution": {"quantiles": [0.1, 0.5, 0.9]}}
    spec = spec_of({})
    data = spec.model_dump(mode="json", exclude_unset=True)
    data["data"]["output"] |= target
    spec = type(spec).model_validate(data)
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    return Trained(BuildFolder(folder), spec, plan, facts, started(plan, facts)), file


def written(trained: tuple[Trained, Path], windows: str | None, folder: Path) -> list[Row]:
    build, file = trained
    target = folder / "forecasts.jsonl"
    scores = evaluate_build(build, file, windows=windows, forecasts=target)
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert scores.rows * HORIZON == len(found)
    errors = [abs(row["sold"] - row["sold.forecast"]) for row in found]
    assert scores.metrics["mae"] == pytest.approx(np.mean(errors), rel=1e-5)
    return found


def firsts(found: list[Row], name: str) -> list[int]:
    return [int(row["t"]) for row in found if row["id"] == name and row["step"] == 1]


def all_firsts(name: str) -> list[int]:
    """The first answered times of all windows of a series."""
    first = STARTS[name] + HISTORY
    last = ENDS[name] - HORIZON
    return list(range(first, last + 1)) if last >= first else [last]


@pytest.mark.parametrize(
    ("windows", "every", "most"),
    [(None, 1, None), ("last", 1, 1), ("every 4", 4, None), ("2", HORIZON, 2)],
)
def test_windows_are_counted_back_from_the_last_one(
    windows: str | None, every: int, most: int | None, trained: Any, tmp_path: Path
) -> None:
    found = written(trained, windows, tmp_path)
    for name in ENDS:
        expected = all_firsts(name)[::-1][::every][:most][::-1]
        assert firsts(found, name) == expected
    for row in found:
        assert int(row["t"]) == row["sold"] == int(row["origin"]) + row["step"]


def test_what_is_written_is_what_the_module_answers(trained: Any, tmp_path: Path) -> None:
    build, file = trained
    expected = answers_of_windows(
        build.spec, build.plan, build.facts, build.weights, file, tmp_path
    )
    found = [row for row in written(trained, "every 3", tmp_path) if row["id"] == "a"]
    assert len(found) > 3 * HORIZON
    for row in found:
        low = expected[int(row["origin"]) + 1][row["step"] - 1]
        assert row["sold.q0.1"] == pytest.approx(float(low), rel=1e-5)
        assert row["sold.q0.1"] <= row["sold.q0.5"] == row["sold.forecast"] <= row["sold.q0.9"]


def test_python_and_command_have_the_same_options(tmp_path: Path) -> None:
    table = [{"id": n, "t": t, "sold": 10 * t % 7 + t} for n in "ab" for t in range(24)]
    spec = {
        "name": "sales",
        "cardinality": "N:M",
        "data": {
            "train": str(write_rows(tmp_path / "rows.csv", table)),
            "valid": 0.4,
            "series": {"id": "id", "time": "t", "history": 4},
            "input": {"column": "sold", "as": "series"},
            "output": {"column": "sold", "as": "forecast", "horizon": 2},
        },
        "encoder": {"layers": [{"cell": "gru", "units": 4}]},
        "train": {"epochs": 1},
    }
    build = load(spec).build(tmp_path / "builds")
    for given, data in ((None, []), (table, ["--data", str(tmp_path / "rows.csv")])):
        scores = build.evaluate(given, windows=3, by="id", output=tmp_path / "python.csv")
        asked = ["--windows", "3", "--by", "id", "--output", str(tmp_path / "command.csv")]
        told = json.loads(right("evaluate", str(build.path), *data, *asked, "--json"))
        assert told["metrics"] == pytest.approx(dict(scores.metrics), rel=1e-6)
        assert scores.rows == 6 and scores.groups is not None and len(scores.groups.scores) == 2
        assert (tmp_path / "python.csv").read_bytes() == (tmp_path / "command.csv").read_bytes()
    with pytest.raises(RnnspecError, match=r"^windows is '0'"):
        build.evaluate(windows=0)


def test_numbers_have_the_digits_that_they_are_read_back_by(trained: Any, tmp_path: Path) -> None:
    for row in written(trained, "last", tmp_path):
        for name in ("sold", "sold.forecast", "sold.q0.1"):
            assert str(row[name]) in (str(np.float32(row[name])), f"{np.float32(row[name]):.1f}")


def test_figures_of_the_last_windows_are_those_by_hand(trained: Any, tmp_path: Path) -> None:
    """MASE as Hyndman and Koehler 2006 have it: by the mean seasonal difference of the series, and
    every series counts as often as it has values."""
    build, file = trained
    target = tmp_path / "forecasts.csv"
    scores = evaluate_build(build, file, windows="last", forecasts=target)
    with target.open() as stream:
        found = list(csv.DictReader(stream))
    errors: dict[str, list[float]] = {}
    for row in found:
        error = abs(float(row["sold"]) - float(row["sold.forecast"]))
        errors.setdefault(row["id"], []).append(error)
    season = 4  # in every series the value rises by 1 a step
    assert scores.metrics["mase"] == pytest.approx(
        np.mean([np.mean(each) / season for each in errors.values()]), rel=1e-5
    )
    of_series = {row.name: row.error for row in scores.outputs["sold"].series}
    assert of_series == pytest.approx({k: float(np.mean(v)) for k, v in errors.items()}, rel=1e-5)


def test_scale_free_figures_are_those_by_hand(trained: Any, tmp_path: Path) -> None:
    """RMSSE and the weighted quantile loss by their formulas, of the values that are written."""
    build, file = trained
    target = tmp_path / "forecasts.jsonl"
    scores = evaluate_build(
        build, file, windows="every 2", forecasts=target, metrics=["rmsse", "wql"]
    )
    found = [json.loads(line) for line in target.read_text().splitlines()]
    errors: dict[str, list[float]] = {name: [] for name in ENDS}
    for row in found:
        errors[row["id"]].append((row["sold"] - row["sold.forecast"]) ** 2)
    season = 4  # in every series the value rises by 1 a step
    changing = {name for name in ENDS if firsts(found, name)[0] - STARTS[name] > season}
    by_hand = np.mean([np.sqrt(np.mean(errors[name])) / season for name in changing])
    assert scores.metrics["rmsse"] == pytest.approx(by_hand, rel=1e-4)
    losses = []
    for quantile in (0.1, 0.5, 0.9):
        short = [row["sold"] - row[f"sold.q{quantile}"] for row in found]
        losses.append(2 * sum(max(quantile * e, (quantile - 1) * e) for e in short))
    size = sum(abs(row["sold"]) for row in found)
    assert scores.metrics["wql"] == pytest.approx(np.mean(losses) / size, rel=1e-4)


def test_scores_of_paths_are_those_by_hand(tmp_path: Path) -> None:
    """Of two paths, which follow from their quartiles x + d / 4 and x + 3 d / 4, the CRPS of y is
    (|x - y| + |x + d - y|) / 2 - d / 4."""
    file = write_rows(tmp_path / "rows.csv", rows())
    spec = spec_of({})
    told = spec.model_dump(mode="json", exclude_unset=True)
    paths = {"samples": 2, "quantiles": [0.25, 0.5, 0.75]}
    told["data"]["output"] |= {"distribution": "gaussian", "paths": paths}
    told["decoder"] = {"layers": [{"cell": "gru", "units": 4}]}
    spec = type(spec).model_validate(told)
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    build = Trained(BuildFolder(tmp_path), spec, plan, facts, started(plan, facts))
    target, names = tmp_path / "forecasts.jsonl", ["crps", "coverage@50"]
    scores = evaluate_build(build, file, windows="every 2", forecasts=target, metrics=names)
    found = [json.loads(line) for line in target.read_text().splitlines()]
    y, low, high = (
        np.array([row[f"sold{name}"] for row in found]) for name in ("", ".q0.25", ".q0.75")
    )
    way = 2 * (high - low)
    lower = low - way / 4
    by_hand = (np.abs(lower - y) + np.abs(lower + way - y)) / 2 - way / 4
    assert scores.metrics["crps"] == pytest.approx(by_hand.mean(), rel=1e-4)
    assert scores.metrics["coverage@50"] == pytest.approx(((low <= y) & (y <= high)).mean())


def test_what_is_no_choice_of_windows_is_refused(trained: Any, tmp_path: Path) -> None:
    build, _ = trained
    assert windows_of("every 24", build.plan) == Windows(24)
    assert windows_of("3", build.plan) == Windows(HORIZON, 3)
    for wrong in ("first", "every", "every -1", "0", "last 2", "2.5"):
        with pytest.raises(RnnspecError, match=r"write last, 'every 24'"):
            windows_of(wrong, build.plan)
    plan, _ = plan_of(spec_data("N:1", ["frames"], [output("class")]))
    with pytest.raises(RnnspecError, match="--windows is for forecasts"):
        windows_of("last", plan)
    said = rnnspec("evaluate", "--output", tmp_path / "forecasts.txt")
    assert said.code == 2 and "forecasts.txt" in said.err
