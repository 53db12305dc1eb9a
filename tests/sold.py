"""Forecasts of a column `sold`, whose answers are known where the network says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnspec.data import survey
from rnnspec.plan import Facts, Plan, resolve
from rnnspec.spec import Spec
from rnnspec.to_torch import Model
from tests.data_rows import any_spec, write_rows

HISTORY, HORIZON, SEASON = 6, 5, 3


def spec_of(source: dict[str, Any], more: Mapping[str, Any] | None = None, **output: Any) -> Spec:
    """A series read as `source` says, with `more` of `data.series`, and a forecast of it."""
    sold = {"column": "sold", "as": "series", **source}
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON, "season": SEASON, **output}
    series = {"time": "t", "id": "id", "history": HISTORY, **(more or {})}
    return any_spec("N:M", [sold], ahead, series=series)


def planned(spec: Spec, folder: Path, values: Mapping[str, Iterable[float]]) -> tuple[Plan, Facts]:
    """The plan, and the facts of a table of these values by the name of their series."""
    rows = [
        {"id": name, "t": time, "sold": repr(float(value))}
        for name, of_series in values.items()
        for time, value in enumerate(of_series)
    ]
    facts = survey(spec, write_rows(folder / "rows.csv", rows))
    return resolve(spec, facts), facts


def started(plan: Plan, facts: Facts, idle: bool = True) -> Model:
    """A module as training begins with it; an `idle` one answers raw numbers of 0."""
    model = Model(plan).eval()
    model.start(facts, seed=0)
    weights = model.canonical_arrays()
    if idle:
        weights |= {name: 0 * w for name, w in weights.items() if name.startswith("answer.")}
    model.load_canonical(weights)
    return model
