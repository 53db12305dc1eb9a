"""The unit of the data changes nothing: a series in another unit gives the same relative figures.

Right values of `WindowMoments` are worked out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi, sin, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.evaluate.score import evaluate_build
from rnnspec.reference import answers
from rnnspec.reference.interpret import values_of
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.train.build import Result, build
from tests.answers import close, of_torch, onnx_agrees
from tests.kinds import HORIZON, batched, feeds, plan_of, spec_data, strong_weights

NAN = float("nan")
ROWS = 60
RELATIVE = ("skill", "mase", "smape", "coverage")


def wave(at: int, season: int = 7) -> float:
    return 20.0 + 6 * sin(2 * pi * at / season) + (at * 7 % 5) * 0.5 + at * 0.05


def table(folder: Path, series: Mapping[str, Sequence[float]], name: str = "rows.csv") -> Path:
    lines = ["id,n,load"]
    for key, values in series.items():
        lines += [f"{key},{at},{float(value)!r}" for at, value in enumerate(values)]
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def built(folder: Path, scale: str, distribution: Any = "point", **train: Any) -> Result:
    """A forecast of the series in `rows.csv`, trained for a few steps."""
    spec: dict[str, Any] = {
        "name": "units",
        "cardinality": "N:M",
        "data": {
            "train": "rows.csv",
            "valid": 0.2,
            "series": {"id": "id", "time": "n", "history": 7},
            "input": {"column": "load", "as": "series", "scale": scale},
            "output": {
                "column": "load",
                "as": "forecast",
                "horizon": 3,
                "season": 7,
                "distribution": distribution,
            },
        },
        "encoder": {"layers": [{"cell": "gru", "units": 4}]},
        "train": {"epochs": 1, "batch": 16, "threads": 1, "optimizer": {"adam": {"lr": 0.01}}},
    }
    spec["train"] |= train
    (folder / "units.yaml").write_text(to_yaml(spec))
    return build(load_spec(folder / "units.yaml"), folder / "builds", Silent())


def figures(folder: Path, factor: float, scale: str, distribution: Any) -> dict[str, float]:
    folder.mkdir()
    table(folder, {"a": [wave(at) * factor for at in range(ROWS)]})
    found = built(folder, scale, distribution).metrics
    kept = {name: found[name] for name in RELATIVE if name in found}
    return kept | {"mae": found["mae"] / factor, "rmse": found["rmse"] / factor}


CASES: list[tuple[str, Any]] = [
    ("standard", "point"),
    ("robust", "gaussian"),
    ("window", "point"),
    ("mean", "student_t"),
    ("window", {"quantiles": [0.1, 0.5, 0.9]}),
    ("mean", "gaussian"),
]


@pytest.mark.parametrize(("scale", "distribution"), CASES)
def test_a_series_in_another_unit_has_the_same_relative_figures(
    tmp_path: Path, scale: str, distribution: Any
) -> None:
    """Of every way to scale and every distribution but counts, whose unit is one."""
    expected = figures(tmp_path / "1", 1.0, scale, distribution)
    assert {"skill", "mase", "smape"} <= expected.keys()
    for power in (-9, 9):
        found = figures(tmp_path / f"{power}", 10.0**power, scale, distribution)
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4), power


@pytest.mark.parametrize("scale", ["window", "mean"])
def test_one_series_in_another_unit_changes_nothing_for_the_others(
    tmp_path: Path, scale: str
) -> None:
    plain, other = [wave(at) for at in range(ROWS)], [wave(at, 5) for at in range(ROWS)]
    found = []
    for number, factor in enumerate((1.0, 1e6)):
        folder = tmp_path / str(number)
        folder.mkdir()
        table(folder, {"a": plain, "b": [value * factor for value in other]})
        result = built(folder, scale)
        asked = table(folder, {"a": plain}, "a.csv")
        found.append(evaluate_build(read_build(result.folder), asked).metrics)
    assert found[1]["mae"] == pytest.approx(found[0]["mae"], rel=1e-4)


WINDOWS: list[tuple[str, list[float], float | str, float | str]] = [
    ("window", [1.0, 3.0, NAN, 5.0], 3.0, sqrt(8 / 3)),
    ("window", [1e-9, 3e-9, 5e-9], 3e-9, 1e-9 * sqrt(8 / 3)),
    ("window", [1e30, 3e30, 5e30], 3e30, 1e30 * sqrt(8 / 3)),
    ("window", [-4.0, -4.0, -4.0], -4.0, 4.0),  # stands still: its own size
    ("window", [1e7, 1e7 + 1, 1e7], 1e7 + 1 / 3, 1e7 + 1 / 3),  # by rounding of float32 alone
    ("window", [0.0, 0.0], 0.0, "deviation"),
    ("window", [NAN, NAN], "mean", "deviation"),
    ("window", [], "mean", "deviation"),
    ("mean", [-1.0, 3.0, NAN], 0.0, 2.0),
    ("mean", [-1e-9, 3e-9], 0.0, 2e-9),
    ("mean", [1e30, 3e30], 0.0, 2e30),
    ("mean", [0.0, 0.0], 0.0, "root mean square"),
    ("mean", [NAN], 0.0, "root mean square"),
]


@pytest.mark.parametrize(("kind", "window", "centre", "scale"), WINDOWS)
def test_centre_and_scale_of_a_window_by_hand(
    kind: str, window: list[float], centre: float | str, scale: float | str
) -> None:
    """In the reference by hand; torch and the file answer as it does."""
    target = {"column": "window_series", "as": "forecast", "horizon": HORIZON}
    data = spec_data("N:M", ["window_series"], [target])
    data["data"]["input"][0]["scale"] = kind
    plan, facts = plan_of(data)
    weights, name = strong_weights(plan), "input.window_series.moments"
    mean, deviation = (float(weights[f"{name}.{part}"][0]) for part in ("mean", "deviation"))
    words = {"mean": mean, "deviation": deviation, "root mean square": sqrt(mean**2 + deviation**2)}
    rows = [{"window_series": np.array(window, np.float32)}]
    exact = {key: np.asarray(value, np.float64) for key, value in weights.items()}
    found = values_of(plan, exact, rows[0])[name]
    wanted = [words[each] if isinstance(each, str) else each for each in (centre, scale)]
    assert found.tolist() == pytest.approx(wanted, rel=1e-6)
    model = Model(plan).eval()
    model.load_canonical(weights)
    (expected,) = answers(plan, weights, rows).values()
    unit = np.abs(expected).max()
    with torch.no_grad():
        (got,) = of_torch(model, batched(plan, rows, extra=2, filler=3.7)).values()
    close(got / unit, expected / unit, "torch")
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    told = session.run(feeds(plan, rows, 1, 3.7))
    onnx_agrees(
        plan,
        {key: value / unit for key, value in told.items()},
        {"window_series": expected / unit},
        {},
    )
