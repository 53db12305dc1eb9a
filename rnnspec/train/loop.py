"""The training loop: epochs, checkpoints, the best weights, and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec import spec as language
from rnnspec.data import Dataset
from rnnspec.data.batches import Rows
from rnnspec.data.dataset import RowData, StreamData
from rnnspec.errors import BuildError
from rnnspec.evaluate.monitor import Monitor, monitor_of, validate
from rnnspec.objective.settings import LossSettings, forcing_at
from rnnspec.spec.metrics import monitored_metrics
from rnnspec.spec.schedules import Plateau
from rnnspec.store.events import Listener
from rnnspec.store.files import read_arrays, write_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.to_torch.memory import give_back
from rnnspec.train import checkpoint
from rnnspec.train.averaging import averaged
from rnnspec.train.checkpoint import Position
from rnnspec.train.cures import any_orthogonal, cure_of
from rnnspec.train.distributed import ALONE, Processes
from rnnspec.train.feed import MicroBatch, RowFeed, feed_of
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.schedules import Moment, rate_at
from rnnspec.train.statistics import gradient_statistics, warnings
from rnnspec.train.step import StepResult, TrainStep
from rnnspec.train.trials import choose_packing, precision_for

CHECKPOINT_SECONDS = 30.0
"""A checkpoint is written at the end of epochs and, within long ones, this often."""
EPOCH_SECONDS = 2.0
"""At the end of shorter epochs, but the first, none is written until so much would be lost."""
MEASURED_STEPS = 200
"""The statistics of gradients are measured after epochs that come to another multiple of so many
steps, after the first two, which a warning comes of, and after the last."""
SETTLED = 1000
"""Steps after which weights are no longer the drawn ones, in the first epoch too."""

Record = dict[str, float | int | bool]


class Diverged(BuildError):
    """A training whose loss, gradient or weights are no longer finite."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Weights after so many epochs."""

    arrays: dict[str, NDArray[np.float32]]
    epoch: int

    def write(self, path: Path) -> None:
        write_arrays(path, self.arrays, {"epoch": str(self.epoch)})


class Trainer:
    """Trains one model into one build folder. All processes of a training have one each."""

    def __init__(
        self,
        model: Model,
        settings: language.Train,
        folder: BuildFolder,
        train: RowData | StreamData,
        valid: Dataset | StreamData | None,
        listener: Listener,
        processes: Processes = ALONE,
        loss_settings: LossSettings | None = None,
    ) -> None:
        self.model, self.settings, self.folder = model, settings, folder
        self.valid, self.listener, self.processes = valid, listener, processes
        self.feed = feed_of(train, settings, processes)
        self._whole = self.feed if processes.count == 1 else feed_of(train, settings)
        precision, why = precision_for(model, settings, self.feed, folder.checkpoint, processes)
        if why:
            listener.warning(why)
        choose_packing(model, settings, self.feed, folder.checkpoint, precision, processes)
        self.train_step = TrainStep(model, settings, precision, processes, loss_settings)
        names = monitored_metrics(settings, self.train_step.objective.loss_settings.monitor)
        best, *others = (monitor_of(each, model.plan) for each in names)
        self.monitor, self.plateau_monitor = best, (others or [best])[0]
        self.position = Position()
        self._saved_at = time.monotonic()
        self._unsaved = False
        self._best: _Kept | None = None

    def resume(self) -> None:
        """Continue from the folder's checkpoint. Raises BuildError if it does not fit."""
        self.position = checkpoint.load(self.folder.checkpoint, self.train_step, self.processes)
        if self.processes.first:
            if self.position.best_epoch:
                read_arrays(self.folder.weights)  # an error now rather than at the end
            self.folder.cut_metrics(self.position.lines)

    def save(self) -> None:
        self._write_best()  # first: a checkpoint never names an epoch whose weights are not there
        checkpoint.save(self.folder.checkpoint, self.position, self.train_step, self.processes)
        self._saved_at, self._unsaved = time.monotonic(), False

    def run(self, interrupt: Interrupt) -> bool:
        """Train to the end; False if the interrupt came first, with a checkpoint written."""
        try:
            return self._run(interrupt)
        finally:  # what stops training, numbers that are not finite say, leaves the best weights
            self._write_best()

    def _run(self, interrupt: Interrupt) -> bool:
        self.model.train()
        if self.position == Position():
            torch.manual_seed(self.settings.seed + self.processes.rank)
            self.save()
        while self.position.epoch < self.settings.epochs and not self._stops_early():
            if not self._epoch(interrupt):
                return False
        if self._unsaved:
            self.save()
        return True

    def validate(self) -> tuple[dict[str, float], tuple[str, ...]]:
        """The metrics of the current weights on the validation data, and warnings of answers that
        are not finite. The first process measures."""
        assert self.valid is not None
        settings, step = self.settings, self.train_step
        arguments = self.model, self.valid, settings, step.objective.loss_settings, step.precision
        return self.processes.from_first(lambda: validate(*arguments))

    def step(self, rows: Rows) -> float:
        """One step of the optimizer on these rows; their loss."""
        assert isinstance(self.feed, RowFeed)
        return self._step([self.feed.micro_batch(rows)], Moment(0, 1, 0)).loss

    def keep_last(self) -> None:
        """Write the weights that training ended with, averaged as they were evaluated."""
        with averaged(self.train_step.average):
            self._kept(self.position.epoch).write(self.folder.last)

    def _kept(self, epoch: int) -> _Kept:
        """The weights after so many epochs under their canonical names, in float32."""
        arrays = self.model.canonical_arrays()
        return _Kept(
            {name: value.astype(np.float32, copy=False) for name, value in arrays.items()}, epoch
        )

    def _write_best(self) -> None:
        """Write the best weights unless they are written. Between the checkpoints of short epochs
        they are only in memory: training that is killed there goes on from the checkpoint before,
        and comes to the same weights again."""
        if self._best is not None:
            self._best.write(self.folder.weights)
            self._best = None

    def _stops_early(self) -> bool:
        stopping = self.settings.early_stopping
        return stopping is not None and self.position.stale >= stopping.patience

    def _epoch(self, interrupt: Interrupt) -> bool:
        at, settings = self.position, self.settings
        many = settings.accumulate
        count = -(-self.feed.count(at.epoch) // many)
        self.listener.epoch(at.epoch + 1, settings.epochs, count, at.batches)
        started = time.monotonic() - at.seconds
        if not at.batches:
            self.train_step.carried = None
        following = self.feed.micro_batches(at.epoch, at.batches * many)
        for micro_batches in in_groups(following, many):
            steps = at.steps - at.batches + count * (settings.epochs - at.epoch)
            result = self._step(micro_batches, Moment(at.steps, steps, at.epoch))
            self._count(result, micro_batches)
            at.seconds = time.monotonic() - started
            if not interrupt.is_set():  # the terminal may be what has ended
                self.listener.batch(at.loss_sum / (at.weight or 1.0))
            stop, save = self._requests(interrupt)
            if stop or save:
                self.save()
            if stop:
                return False
        self._end_of_epoch()
        return True

    def _step(self, micro_batches: list[MicroBatch], moment: Moment) -> StepResult:
        rate = rate_at(self.settings.schedule, moment, self.position.plateau.fallen)
        objective, epochs = self.train_step.objective, self.settings.epochs
        done = epochs * moment.step / moment.steps
        objective.forcing = forcing_at(objective.loss_settings.forcing, done, epochs)
        result = self.train_step.step(micro_batches, rate, moment.step)
        self.position.lr = rate * self.settings.optimizer.lr
        if result.failure:
            raise self._diverged(result.failure, self.position.batches + 1)
        return result

    def _diverged(self, what: str, batch: int) -> Diverged:
        """The error of a training whose numbers are no longer finite."""
        at, settings = self.position, self.settings
        clip = "train.clip_norm to 1, say"
        if settings.clip_norm is not None:
            clip = f"train.clip_norm smaller than {settings.clip_norm:g}"
        cure = (
            f"the steps are too large: set train.optimizer.{settings.optimizer.name}.lr lower than"
            f" {settings.optimizer.lr:g}, or {clip}"
        )
        if not at.steps:
            ways = filter(
                None, ("look for huge numbers in the data", any_orthogonal(self.model.plan))
            )
            cure = (
                "no step was made before, so it comes of the rows or the starting weights: "
                + ", or ".join(ways)
            )
        kept = "no epoch was finished, so no weights are kept"
        if at.best_epoch:
            kept = f"the weights of epoch {at.best_epoch}, the best so far, are kept for export"
        return Diverged(
            f"{what} in epoch {at.epoch + 1}, batch {batch}; {cure}; then start a new build"
            f" ({self.folder.path}: {kept})"
        )

    def _count(self, result: StepResult, micro_batches: list[MicroBatch]) -> None:
        """Count a step that was made."""
        at, limit = self.position, self.settings.clip_norm
        at.loss_sum += result.loss * result.weight
        at.weight += result.weight
        at.rows += sum(each.rows for each in micro_batches)
        at.real += sum(each.real for each in micro_batches)
        at.padded += sum(each.padded for each in micro_batches)
        if limit is not None and math.isfinite(result.norm):  # float16 leaves out such a step
            at.norm_sum += result.norm
            at.clipped += result.norm > limit
        at.batches += 1
        at.steps += 1

    def _requests(self, interrupt: Interrupt) -> tuple[bool, bool]:
        """Whether to stop, as any process was asked to, and whether a checkpoint is due."""
        due = time.monotonic() - self._saved_at > CHECKPOINT_SECONDS
        asked = interrupt.is_set()
        if self.processes.count == 1:
            return asked, due
        stops, saves = self.processes.total([asked, due and self.processes.first])
        return bool(stops), bool(saves)

    def _end_of_epoch(self) -> None:
        """Evaluate, keep the weights if they are the best so far, write metrics and checkpoint."""
        at = self.position
        if not self.train_step.finite():
            raise self._diverged("a weight became infinite or no number", at.batches)
        record = self._record()
        if self._is_measured():
            record |= gradient_statistics(self.train_step, self._whole, self.settings, at.epoch)
        if self._is_late():
            give_back()
        self.train_step.average.after_epoch()
        not_finite: tuple[str, ...] = ()
        with averaged(self.train_step.average):
            if self.valid is not None:
                metrics, not_finite = self.validate()
                record |= {f"valid.{name}": value for name, value in metrics.items()}
            if self.monitor.key in record:
                cost = self.monitor.cost(float(record[self.monitor.key]))
                self.train_step.average.see(cost)
            kept = self._is_best(record)
            record["best"] = kept and math.isfinite(at.best or 0.0)
            if kept and self.processes.first:
                self._best = self._kept(at.epoch + 1)
        self._update_plateau(record)
        if self.processes.first:
            self.folder.append_metrics(record)
        signs = [*self._signs(record), *self._once("no numbers", not_finite)]
        self.position, self._unsaved = at.next_epoch(), True
        if self._is_late():
            give_back()
        if self._is_late() or at.epoch == 0 or self.processes.count > 1:
            self.save()
        self.listener.epoch_done(record)
        for sign in signs:
            self.listener.warning(sign)

    def _is_late(self) -> bool:
        """Whether it is time for what is not done after each of many short epochs."""
        return time.monotonic() - self._saved_at > EPOCH_SECONDS

    def _is_measured(self) -> bool:
        """Whether this epoch has statistics of gradients."""
        at = self.position
        another = at.steps // MEASURED_STEPS > (at.steps - at.batches) // MEASURED_STEPS
        return another or at.epoch in (0, 1, self.settings.epochs - 1)

    def _record(self) -> Record:
        """The measures of the epoch that its steps give."""
        at = self.position
        seconds = max(at.seconds, 1e-9)
        record: Record = {
            "epoch": at.epoch + 1,
            "train.loss": at.loss_sum / (at.weight or 1.0),
            "tokens_per_second": round(at.real / seconds, 1),
            "padded": 1 - at.real / max(1, at.padded),
            "lr": at.lr,
        }
        if self.settings.window is None:
            record["rows_per_second"] = round(at.rows / seconds, 1)
        if self.settings.clip_norm is not None:
            record["grad.norm"] = at.norm_sum / max(1, at.batches)
            record["grad.clipped"] = at.clipped / max(1, at.batches)
        return record

    def _signs(self, record: Record) -> list[str]:
        """Signs of trouble in the statistics that there was no warning of before."""
        at = self.position
        settled = at.epoch > 0 or at.steps >= SETTLED or self.settings.epochs == 1
        found = warnings(record, partial(cure_of, self.model.plan, self.settings), settled)
        return [sign for word, sentence in found for sign in self._once(word, (sentence,))]

    def _once(self, word: str, sentences: tuple[str, ...]) -> tuple[str, ...]:
        """The sentences, unless there was a warning under this word before."""
        warned = self.position.warned
        if not sentences or word in warned:
            return ()
        warned.append(word)
        return sentences

    def _update_plateau(self, record: Record) -> None:
        schedule = self.settings.schedule
        if isinstance(schedule, Plateau):
            value = float(record[self.plateau_monitor.key])
            self.position.plateau.see(schedule, self.plateau_monitor.cost(value))

    def _is_best(self, record: Record) -> bool:
        """Whether this epoch's weights are kept: the best by the monitored metric, of equal ones
        those of the lowest loss; without validation rows always. An equal value is no
        improvement. Of early stopping an improvement is counted from the last value that was one,
        so that small gains add up."""
        at, stopping = self.position, self.settings.early_stopping
        if self.monitor.key not in record:  # there are no validation rows
            at.best_epoch = at.epoch + 1
            return True
        value, cost = float(record[self.monitor.key]), self.monitor.cost
        first = at.best is None  # kept whatever it is worth
        gain = math.inf if at.best is None else cost(at.best) - cost(value)
        if first or cost(at.improved) - cost(value) > (stopping.min_delta if stopping else 0):
            at.improved, at.stale = value, 0
        else:
            at.stale += 1
        loss = Monitor("valid.loss").cost(float(record.get("valid.loss", math.nan)))
        equal = at.best is not None and cost(at.best) == cost(value)
        kept = gain > 0 or (equal and at.best_loss is not None and loss < at.best_loss)
        if kept:
            at.best, at.best_epoch, at.best_loss = value, at.epoch + 1, loss
        if first and math.isinf(cost(value)):
            self.listener.warning(
                f"{self.monitor.key} is {value}, which tells no epoch from another; while it is,"
                " the weights of the lowest loss are kept; to watch another metric, name it in"
                " train.monitor"
            )
        return kept


def in_groups(micro_batches: Iterable[MicroBatch], many: int) -> Iterator[list[MicroBatch]]:
    """`many` micro-batches at a time; the last group may have fewer."""
    following = iter(micro_batches)
    while group := list(islice(following, many)):
        yield group
