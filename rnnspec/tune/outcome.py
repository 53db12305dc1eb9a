"""What a search has found so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from rnnspec.spec.load import Tunable
from rnnspec.spec.ranges import Choices, Number, Range
from rnnspec.tune.study import FOLDER, WHY
from rnnspec.tune.trial import Metric

STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "training",
    TrialState.WAITING: "waiting",
}
LEAST = 4
"""Finished trials from which on it is said which range matters."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial: the values it took by the names of their ranges, and the best `value` of the metric
    by its `epochs`, None before the first. `why` it ended before its last epoch, if it did."""

    number: int
    folder: Path
    state: str
    values: Mapping[str, Number]
    shown: Mapping[str, str]
    value: float | None
    epochs: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The trials of a search, in their order. `importances`: how much of the differences between
    trials each range explains (they sum to 1), empty where there are too few."""

    name: str
    metric: str
    larger: bool
    out: Path
    ranges: Mapping[str, str]
    trials: tuple[Tried, ...]
    best: Tried | None
    importances: Mapping[str, float]

    @property
    def page(self) -> Path:
        return self.out / "tune.html"

    @property
    def best_spec(self) -> Path:
        return self.out / "best.yaml"


def outcome_of(study: Study, tunable: Tunable, metric: Metric, out: Path) -> Outcome:
    """The outcome so far."""
    frozen = study.get_trials(deepcopy=False)
    retried = {n for each in frozen for n in each.system_attrs.get("retry_history", ())}
    trials = tuple(_tried(t, tunable, metric, out) for t in frozen if t.number not in retried)
    done = [t for t in trials if t.state == "finished" and t.value is not None]
    sign = -1 if metric.larger else 1
    best = min(done, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)
    described = {each.name: each.described() for each in tunable.ranges}
    importances = _importances(study, len(done))
    name = tunable.first.spec.name
    return Outcome(name, metric.name, metric.larger, out, described, trials, best, importances)


def _tried(trial: FrozenTrial, tunable: Tunable, metric: Metric, out: Path) -> Tried:
    first = first_number(trial)
    values = {
        each.name: _value(each, trial.params[each.name])
        for each in tunable.ranges
        if each.name in trial.params
    }
    of_name = {each.name: each for each in tunable.ranges}
    return Tried(
        first,
        out / trial.user_attrs.get(FOLDER, f"trial-{first}"),
        STATES[trial.state],
        values,
        {name: of_name[name].shown(value) for name, value in values.items()},
        trial.value if trial.value is not None else metric.best(trial.intermediate_values),
        max(trial.intermediate_values, default=0),
        trial.user_attrs.get(WHY, ""),
    )


def first_number(trial: FrozenTrial) -> int:
    """The number of a trial, or of the one that it goes on with."""
    return int(trial.system_attrs.get("retry_history", [trial.number])[0])


def _value(each: Range, parameter: Any) -> Number:
    if isinstance(each, Choices):
        return [each.shown(value) for value in each.ends()].index(parameter)
    return each.rounded(parameter)


def _importances(study: Study, done: int) -> Mapping[str, float]:
    """By PED-ANOVA (Watanabe et al. 2023)."""
    if done < LEAST:
        return {}
    try:
        found = optuna.importance.get_param_importances(study)
    except (RuntimeError, ValueError):  # trials that all have the same value
        return {}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def best_text(best: Tried, tunable: Tunable, folder: Path) -> str:
    """The spec with the values of a trial, which finds its files from `folder`."""
    picked = {each: best.values[each.name] for each in tunable.ranges if each.name in best.values}
    return tunable.text(picked, folder=folder)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as `--json` prints it."""
    best = outcome.best
    return {
        "name": outcome.name,
        "metric": outcome.metric,
        "larger_is_better": outcome.larger,
        "best": None if best is None else _trial_json(best),
        "spec": None if best is None else str(outcome.best_spec),
        "page": str(outcome.page),
        "importances": dict(outcome.importances),
        "trials": [_trial_json(each) for each in outcome.trials],
    }


def _trial_json(trial: Tried) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state,
        "value": trial.value,
        "epochs": trial.epochs,
        "values": dict(trial.shown),
        "folder": str(trial.folder),
        "why": trial.why,
    }
