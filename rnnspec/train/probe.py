"""Gradients of a few rows, outside of training: to choose a precision, and for statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rnnspec.data.batches import Budget
from rnnspec.objective.objective import Objective
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, device_of, tried
from rnnspec.to_torch.subnormals import subnormals_as_zero
from rnnspec.train.checkpoint import precision_of
from rnnspec.train.distributed import Processes
from rnnspec.train.feed import Feed, MicroBatch, RowFeed
from rnnspec.train.statistics import measure
from rnnspec.train.step import TrainStep

PROBED, DRAWN = 32, 512
"""Rows that are looked at: the longest of so many that are drawn."""


def precision_for(
    model: Model, settings: Train, feed: Feed, checkpoint: Path, processes: Processes
) -> tuple[Precision, str]:
    """Device and precision of a training, and why it is not what the spec asks for, if it is not.

    What a checkpoint was begun in is kept. Raises BuildError for a GPU that is not there.
    """
    device = device_of(settings)
    if checkpoint.exists():
        return Precision(device, precision_of(checkpoint)), ""
    model.to(device)

    def step(precision: Precision) -> None:
        piece = next(feed.pieces(0, 0))
        gradients(Objective(model, settings), piece, precision)
        model.zero_grad(set_to_none=True)

    with torch.random.fork_rng(enabled=settings.precision not in ("float32", "float64")):
        precision, why = tried(settings.precision, device, step, not settings.deterministic)
    precision, why = processes.from_first(lambda: (precision, why))
    return Precision(device, precision), why


@subnormals_as_zero()
def gradients(objective: Objective, piece: MicroBatch, precision: Precision) -> None:
    """Add the gradient of a piece's loss; a window of a stream starts from first states."""
    states, reset = None, None
    if piece.reset is not None:
        reset = torch.ones(len(piece.reset), dtype=torch.bool, device=precision.device)
        states = objective.model.first_states(len(reset))
    losses, _ = objective(piece.batch, precision, states, reset)
    sum(losses.values(), start=torch.zeros((), device=precision.device)).backward()


def measured(stepper: TrainStep, feed: Feed, settings: Train, epoch: int) -> dict[str, float]:
    """Statistics of the gradient through time (`rnnspec.train.statistics`) after an epoch."""
    piece = probe(feed, settings.seed, epoch)
    if not any(stepper.objective.counts(piece.batch).values()):
        return {}
    return measure(stepper.model, lambda: gradients(stepper.objective, piece, stepper.precision))


def probe(feed: Feed, seed: int, epoch: int) -> MicroBatch:
    """A piece to measure on: the longest of some rows, no more than fit a batch; or the first
    window of streams."""
    if not isinstance(feed, RowFeed):
        return next(feed.pieces(epoch, 0))
    draw = np.random.RandomState([seed, epoch, 1])
    rows = np.unique(draw.randint(0, feed.data.rows, DRAWN)).astype(np.int64)
    lengths = feed.data.lengths(rows)
    longest = rows[np.argsort(lengths, kind="stable")]
    if isinstance(feed.batch, Budget):
        most = feed.batch.tokens // max(1, int(lengths.max()))
    else:
        most = feed.batch
    return feed.piece(longest[-max(1, min(PROBED, most)) :])
