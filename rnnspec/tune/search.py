"""A worker of a search: one trial after another, until enough are done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from rnnspec.errors import SpecError
from rnnspec.files import make_folder
from rnnspec.source.problems import Problem
from rnnspec.spec.load import Tunable
from rnnspec.spec.metrics import TRAIN_LOSS
from rnnspec.spec.named_metrics import column_and_metric
from rnnspec.store.events import Listener
from rnnspec.tune.files import write
from rnnspec.tune.outcome import Outcome, Tried, first_number, outcome_of
from rnnspec.tune.study import again, counted, opened, quiet
from rnnspec.tune.trial import Metric, drawn, run_trial

POLL_SECONDS = 2.0
"""How often a worker looks whether the last trials of others are done."""


class Watcher(Listener, Protocol):
    """Told of trials, and of the events of their builds."""

    def trial(self, number: int, values: Sequence[tuple[str, str]]) -> None:
        """A trial begins with these values, by the names of their ranges."""
        return

    def tried(self, trial: Tried, best: bool) -> None:
        """A trial has ended; whether it is the best so far."""
        return

    def waiting(self, trials: int) -> None:
        """All other trials are done, and other workers train these."""
        return


def tune(
    tunable: Tunable,
    out: Path,
    watcher: Watcher,
    *,
    trials: int,
    timeout: float | None = None,
    storage: str | None = None,
    prune: bool = True,
) -> Outcome:
    """Search until `trials` trials are done, by this worker and all others of the same storage, or
    `timeout` seconds are over: the trial that runs then is finished.

    A search that was begun goes on. Raises SpecError for a spec without ranges or without rows to
    measure on, RnnspecError as `opened`, and KeyboardInterrupt when interrupted: the trial goes on
    when the search does.
    """
    _check(tunable)
    metric, end = Metric(tunable.monitored), None if timeout is None else time.monotonic() + timeout
    make_folder(out / "tune.db")
    with quiet():
        study = opened(tunable, out, storage, metric.larger, prune)
        told = False
        while end is None or time.monotonic() < end:
            done, running = counted(study)
            if done >= trials:
                break
            if done + running >= trials:
                if not told:
                    watcher.waiting(running)
                told = True
                optuna.storages.fail_stale_trials(study)
                if not _queued(study):
                    time.sleep(POLL_SECONDS)
                    continue
            _one(study, tunable, metric, out, watcher)
        outcome = outcome_of(study, tunable, metric, out)
        write(outcome, tunable)
    return outcome


def _one(study: Study, tunable: Tunable, metric: Metric, out: Path, watcher: Watcher) -> None:
    """Run the next trial, and write what is known after it."""
    running: list[int] = []

    def objective(trial: Trial) -> float:
        running.append(trial.number)
        picked = drawn(trial, tunable)
        shown = [(each.name, each.shown(value)) for each, value in picked.items()]
        watcher.trial(first_number(_trial(study, trial.number)), shown)
        return run_trial(trial, tunable, metric, out, watcher)

    try:
        study.optimize(objective, n_trials=1)
    except KeyboardInterrupt:
        for number in running:
            again(study, _trial(study, number))
        write(outcome_of(study, tunable, metric, out), tunable)
        raise
    outcome = outcome_of(study, tunable, metric, out)
    write(outcome, tunable)
    number = first_number(_trial(study, running[0]))
    (tried,) = (each for each in outcome.trials if each.number == number)
    watcher.tried(tried, outcome.best is tried)


def _trial(study: Study, number: int) -> FrozenTrial:
    return study.get_trials(deepcopy=False)[number]


def _queued(study: Study) -> bool:
    """Whether a trial waits for a worker."""
    return bool(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))


def _check(tunable: Tunable) -> None:
    document = tunable.document
    problems: list[Problem] = []
    if not tunable.ranges:
        hint = "write one in place of a value, like {tune: [32, 64]} or {tune: {low: 1, high: 9}}"
        problems.append(document.problem((), "the spec has no range to search through", hint))
    if tunable.first.spec.data.valid is None and tunable.monitored != TRAIN_LOSS:
        hint = "set data.valid to a file, or to a share of the rows as in 'valid: 0.1'"
        what = "trials are compared on validation rows, and data.valid is null"
        problems.append(document.problem(("data", "valid"), what, hint))
    if column_and_metric(tunable.monitored)[1].partition("@")[0] == "coverage":
        what = "coverage is best at the nominal one, which no search aims at"
        problems.append(document.problem(("train",), what, "name another metric in train.monitor"))
    if problems:
        raise SpecError(problems)
