"""The training loop: backpropagation through time over padded, length-bucketed batches."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from rnnspec import spec as language
from rnnspec.data import Dataset, epoch_batches
from rnnspec.data.batches import Rows, batch_count
from rnnspec.errors import BuildError
from rnnspec.to_torch import Model
from rnnspec.train import checkpoint
from rnnspec.train.checkpoint import Position
from rnnspec.train.evaluate import evaluate, tensors
from rnnspec.train.events import Listener
from rnnspec.train.files import write_arrays
from rnnspec.train.folder import BuildFolder
from rnnspec.train.losses import loss_of
from rnnspec.train.metrics import LARGER_IS_BETTER
from rnnspec.train.optimizers import optimizer_of

CHECKPOINT_SECONDS = 30.0
"""A checkpoint is written at each epoch's end and, within long epochs, this often."""


@dataclass
class Interrupt:
    """Set by Ctrl-C or a request to end; the loop writes a checkpoint and leaves."""

    requested: threading.Event = field(default_factory=threading.Event)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """While inside, the first SIGINT or SIGTERM asks the loop to end; a second one ends at once."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def request(number: int, frame: object) -> None:
        if interrupt.requested.is_set():
            raise KeyboardInterrupt
        interrupt.requested.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Trainer:
    """Trains one model into one build folder."""

    def __init__(
        self,
        model: Model,
        settings: language.Train,
        folder: BuildFolder,
        train: Dataset,
        valid: Dataset | None,
        listener: Listener,
    ) -> None:
        self.model, self.settings, self.folder = model, settings, folder
        self.train, self.valid, self.listener = train, valid, listener
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.penalties = list(model.penalties())
        self.optimizer = optimizer_of(settings.optimizer, self.trained)
        self.position = Position()
        outputs = model.plan.outputs
        self._losses = {
            out.column: loss_of(out, model.output(out.column), settings.loss) for out in outputs
        }
        self._lengths = train.lengths
        self._saved_at = time.monotonic()

    def resume(self) -> None:
        """Continue from the folder's checkpoint. Raises BuildError if it does not fit."""
        self.position = checkpoint.load(self.folder.checkpoint, self.model, self.optimizer)
        self.folder.cut_metrics(self.position.lines)

    def save(self) -> None:
        checkpoint.save(self.folder.checkpoint, self.position, self.model, self.optimizer)
        self._saved_at = time.monotonic()

    def run(self, interrupt: Interrupt) -> bool:
        """Train to the end; False if the interrupt came first, with a checkpoint written."""
        self.model.train()
        if self.position == Position():
            torch.manual_seed(self.settings.seed)
            self.save()
        while self.position.epoch < self.settings.epochs and not self._stops_early():
            if not self._epoch(interrupt):
                return False
        return True

    def _stops_early(self) -> bool:
        stopping = self.settings.early_stopping
        return stopping is not None and self.position.stale >= stopping.patience

    def _epoch(self, interrupt: Interrupt) -> bool:
        at, settings = self.position, self.settings
        count = batch_count(self.train.rows, settings.batch)
        self.listener.epoch(at.epoch + 1, settings.epochs, count, at.batches)
        started = time.monotonic() - at.seconds
        for rows in epoch_batches(
            self._lengths, settings.batch, settings.seed, at.epoch, start=at.batches
        ):
            loss = self.step(rows)
            at.loss_sum += loss * len(rows)
            at.rows += len(rows)
            at.batches += 1
            self.listener.batch(at.loss_sum / at.rows)
            at.seconds = time.monotonic() - started
            if interrupt.requested.is_set():
                self.save()
                return False
            if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self.save()
        self._end_of_epoch()
        return True

    def step(self, rows: Rows) -> float:
        """One step of the optimizer; the batch's loss."""
        inputs, targets = tensors(self.train.collate(rows))
        self.optimizer.zero_grad(set_to_none=True)
        scores = self.model(inputs)
        loss = sum(
            (self._losses[column](scores[column], targets[column]) for column in scores),
            start=torch.zeros(()),
        )
        value = loss.item()
        if not math.isfinite(value):
            raise BuildError(
                f"the loss became {value} in epoch {self.position.epoch + 1}, batch"
                f" {self.position.batches + 1}; set train.optimizer's lr lower or"
                " train.clip_norm smaller (the last checkpoint is kept)"
            )
        loss.backward()
        for parameter, l2 in self.penalties:  # of the penalty, which the reported loss leaves out
            assert parameter.grad is not None
            parameter.grad.add_(parameter.detach(), alpha=l2)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.trained, self.settings.clip_norm)
        self.optimizer.step()
        return value

    def _end_of_epoch(self) -> None:
        """Evaluate, keep the weights if they are the best so far, write metrics and checkpoint."""
        at = self.position
        record: dict[str, float | int | bool] = {
            "epoch": at.epoch + 1,
            "train.loss": at.loss_sum / at.rows,
            "rows_per_second": round(at.rows / max(at.seconds, 1e-9), 1),
        }
        if self.valid is not None:
            found, _ = evaluate(self.model, self.valid, self.settings.loss)
            record |= {f"valid.{name}": value for name, value in found.items()}
        record["best"] = self._is_best(record)
        if record["best"]:
            about = {"epoch": str(at.epoch + 1)}
            write_arrays(self.folder.weights, self.model.canonical_arrays(), about)
        self.folder.append_metrics(record)
        self.position = Position(
            epoch=at.epoch + 1,
            best=at.best,
            best_epoch=at.best_epoch,
            stale=at.stale,
            lines=at.lines + 1,
        )
        self.save()
        self.listener.epoch_done(record)

    def _is_best(self, record: dict[str, float | int | bool]) -> bool:
        """Whether this epoch's weights are kept: the best on the watched metric, else the last."""
        at, stopping = self.position, self.settings.early_stopping
        if self.valid is None:
            at.best_epoch = at.epoch + 1
            return True
        metric = stopping.metric if stopping else "loss"
        value = record[f"valid.{metric}"]
        gain = 0.0
        if at.best is not None:
            gain = value - at.best if metric in LARGER_IS_BETTER else at.best - value
        better = at.best is None or gain > 0
        at.stale = (
            0
            if at.best is None or gain > (stopping.min_delta if stopping else 0)
            else (at.stale + 1)
        )
        if better:
            at.best, at.best_epoch = float(value), at.epoch + 1
        return better
