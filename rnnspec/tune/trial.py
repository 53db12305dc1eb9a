"""One trial: the values that are tried, the build with them, and when it is stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
import torch
from optuna.trial import Trial

from rnnspec.errors import SpecError
from rnnspec.evaluate.metrics import info_of
from rnnspec.spec.load import LoadedSpec, Tunable
from rnnspec.spec.metrics import TRAIN_LOSS
from rnnspec.spec.ranges import Choices, Number, Picked, Range, active
from rnnspec.store.events import Listener, Several, Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.train.build import Result, build
from rnnspec.train.loop import Diverged
from rnnspec.tune.study import FOLDER, WHY, WORKER, worker


class Stopped(KeyboardInterrupt):
    """Training was asked to end; its build can go on."""


@dataclass(frozen=True, slots=True)
class Metric:
    """The watched metric by its name in a spec."""

    name: str

    @property
    def key(self) -> str:
        """Its name in the lines of metrics.jsonl."""
        return self.name if self.name == TRAIN_LOSS else f"valid.{self.name}"

    @property
    def larger(self) -> bool:
        """Whether the largest value is the best."""
        info = None if self.name == TRAIN_LOSS else info_of(self.name)
        return info is not None and info.larger_is_better

    def best(self, values: Mapping[int, float]) -> float | None:
        """The best of the values by epoch; None where none is finite."""
        found = [value for value in values.values() if math.isfinite(value)]
        return (max if self.larger else min)(found) if found else None


def run_trial(
    trial: Trial, tunable: Tunable, metric: Metric, out: Path, listener: Listener
) -> float:
    """The best value of the metric in a build with the values that the trial draws.

    Its folder is `out/trial-N`, where a build that was broken off goes on. Raises TrialPruned where
    the build is stopped, or cannot be made with these values; Stopped after an interrupt.
    """
    picked = drawn(trial, tunable)
    folder = BuildFolder(out / trial.user_attrs.get(FOLDER, f"trial-{trial.number}"))
    trial.set_user_attr(FOLDER, folder.path.name)
    trial.set_user_attr(WORKER, worker())
    watch = _Watch(trial, metric, folder)
    watch.again()
    try:
        result = _built(tunable.spec(picked), folder, Several(listener, watch))
    except SpecError as error:  # these values do not fit together
        raise _pruned(trial, error.problems[0].render().partition("\n")[0]) from error
    except (Diverged, torch.OutOfMemoryError) as error:
        raise _pruned(trial, str(error).partition("\n")[0]) from error
    except optuna.TrialPruned:
        why = f"stopped by rnnspec tune after epoch {watch.last}: worse than most trials then"
        folder.write_state({**folder.read_state(), "state": "pruned", "why": why})
        folder.checkpoint.unlink(missing_ok=True)
        raise
    if not result.finished:
        raise Stopped
    best = metric.best(watch.values)
    if best is None:
        raise _pruned(trial, f"{metric.name} was never a finite number")
    return best


def _built(loaded: LoadedSpec, folder: BuildFolder, listener: Listener) -> Result:
    """Raises Diverged also for a build that has failed before, TrialPruned for one that was
    stopped."""
    before = folder.read_state() if folder.state.exists() else {"state": "none"}
    if before["state"] == "failed":
        raise Diverged(str(before.get("why")))
    if before["state"] == "pruned":
        raise optuna.TrialPruned
    return build(loaded, folder.path.parent, listener, place=folder.path)


def _pruned(trial: Trial, why: str) -> optuna.TrialPruned:
    trial.set_user_attr(WHY, why)
    return optuna.TrialPruned(why)


def drawn(trial: Trial, tunable: Tunable) -> Picked:
    """The values that the trial takes."""

    def pick(each: Range) -> Number:
        if isinstance(each, Choices):
            texts = [each.shown(value) for value in each.ends()]
            return texts.index(trial.suggest_categorical(each.name, texts))
        if each.whole:
            step = 1 if each.step is None else int(each.step)
            low, high = int(each.low), int(each.high)
            return trial.suggest_int(each.name, low, high, step=step, log=each.log)
        value = trial.suggest_float(
            each.name, float(each.low), float(each.high), step=each.step, log=each.log
        )
        return each.rounded(value)

    return active(tunable.ranges, pick)


class _Watch(Silent):
    """Reports each epoch to the study, and stops a build that is worse than most."""

    def __init__(self, trial: Trial, metric: Metric, folder: BuildFolder) -> None:
        self.trial, self.metric, self.folder = trial, metric, folder
        self.values: dict[int, float] = {}
        self.last, self.epochs = 0, 0

    def again(self) -> None:
        """Report the epochs of a build that goes on."""
        for record in self.folder.records():
            self._report(record)

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        self.epochs = of

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        self._report(record)
        if self.last < self.epochs and self.trial.should_prune():
            raise optuna.TrialPruned

    def _report(self, record: Mapping[str, float | int | bool]) -> None:
        self.last = int(record["epoch"])
        value = record.get(self.metric.key)
        if self.last not in self.values:
            self.values[self.last] = math.nan if value is None else float(value)
            self.trial.report(self.values[self.last], self.last)
