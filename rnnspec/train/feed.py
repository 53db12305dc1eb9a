"""What a trainer reads: batches of whole rows, or windows of streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import Batch, epoch_batches
from rnnspec.data.batches import Rows, batch_count
from rnnspec.data.budget import Budget
from rnnspec.data.lanes import Order
from rnnspec.spec import Train
from rnnspec.spec.train import TokenBudget
from rnnspec.train.distributed import ALONE, Processes


class RowData(Protocol):
    """Rows that are read whole, as `rnnspec.data.Dataset` has them."""

    @property
    def rows(self) -> int: ...

    def lengths(self, rows: Rows) -> NDArray[np.int64]:
        """The steps of each of `rows`, `[B]`."""

    def collate(self, indices: NDArray[np.integer[Any]]) -> Batch:
        """The rows `indices` as one batch."""


class StreamData(Protocol):
    """Long sequences, read side by side in lanes and window by window."""

    @property
    def new(self) -> Mapping[str, Mapping[str, int]]:
        """The labels to be answered that no training row has: see `rnnspec.data.Dataset`."""

    def windows(self, batch: int, window: int) -> int:
        """How many windows `lanes` gives."""

    def lanes(
        self, batch: int, window: int, start: int = 0, order: Order | None = None
    ) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
        """Windows of at most `window` steps of `batch` lanes from number `start` on, always the
        same ones for an `order`.

        Row i of each batch goes on where row i of the one before ended, but where `reset` `[batch]`
        is true: there a new sequence begins. A lane that is at its end has rows of no steps.
        """

    def documents(
        self, batch: int, window: int
    ) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.bool_]]]:
        """Windows of at most `batch` lanes, each sequence in one lane from first step to last.

        With each batch `[B]` the numbers of its lanes, rising, and whether a new sequence begins.
        """


@dataclass(frozen=True, slots=True)
class Piece:
    """What one process computes at once: the loss of `batch` and its gradient.

    `rows` and `real` are those of all processes: rows, and steps that are no padding; `padded`
    counts steps with padding. `reset` is given for a window of streams.
    """

    batch: Batch
    rows: int
    real: int
    padded: int
    reset: NDArray[np.bool_] | None = None


class Feed(Protocol):
    """The pieces of each epoch; they depend on its number alone."""

    def count(self, epoch: int) -> int:
        """Pieces of the epoch (from 0)."""

    def pieces(self, epoch: int, start: int) -> Iterator[Piece]:
        """The epoch's pieces from number `start` on."""


class RowFeed:
    """Rows of about one length together, in an order that is drawn anew for each epoch."""

    def __init__(self, data: RowData, settings: Train, processes: Processes = ALONE) -> None:
        self.data, self.processes = data, processes
        self.batch: int | Budget = (
            Budget.of(data, settings.batch.tokens)
            if isinstance(settings.batch, TokenBudget)
            else settings.batch
        )
        self.seed = settings.seed

    def count(self, epoch: int) -> int:
        if isinstance(self.batch, Budget):
            return self.batch.count(self.seed, epoch)
        return batch_count(self.data.rows, self.batch)

    def pieces(self, epoch: int, start: int) -> Iterator[Piece]:
        if isinstance(self.batch, Budget):
            batches = self.batch.batches(self.seed, epoch, start)
        else:
            batches = epoch_batches(self.data, self.batch, self.seed, epoch, start=start)
        yield from map(self.piece, batches)

    def piece(self, rows: Rows) -> Piece:
        """The rows as a piece."""
        lengths = self.data.lengths(rows)
        padded = len(rows) * max(1, int(lengths.max()))
        batch = self.data.collate(self.processes.share(rows))
        return Piece(batch, len(rows), int(lengths.sum(dtype=np.int64)), padded)


class StreamFeed:
    """Windows of lanes, over sequences in an order that is drawn anew for each epoch. Each process
    takes its lanes of every window."""

    def __init__(self, data: StreamData, settings: Train, processes: Processes = ALONE) -> None:
        assert settings.window is not None and isinstance(settings.batch, int)
        self.data, self.processes = data, processes
        self.lanes, self.window = settings.batch, settings.window
        self.seed = settings.seed
        self._count: int | None = None

    def count(self, epoch: int) -> int:
        if self._count is None:
            self._count = self.data.windows(self.lanes, self.window)
        return self._count

    def pieces(self, epoch: int, start: int) -> Iterator[Piece]:
        for batch, reset in self.data.lanes(self.lanes, self.window, start, (self.seed, epoch)):
            each = [lengths for _, lengths in batch.inputs.values() if lengths.ndim == 1]
            # Inputs of whole rows have a length of 1, in a lane that has ended too.
            lengths = np.where(np.min(each, axis=0) > 0, np.max(each, axis=0), 0)
            padded = len(reset) * max(1, int(lengths.max()))
            part = batch
            if self.processes.count > 1:
                part = rows_of(batch, self.processes.share(np.arange(len(reset))))
            share = self.processes.share(reset)
            yield Piece(part, len(reset), int(lengths.sum()), padded, share)


def is_stream(data: RowData | StreamData) -> TypeGuard[StreamData]:
    """Whether the data are read window by window."""
    return hasattr(data, "lanes")


def feed_of(data: RowData | StreamData, settings: Train, processes: Processes = ALONE) -> Feed:
    """The feed that fits the data."""
    if settings.window is not None and is_stream(data):
        return StreamFeed(data, settings, processes)
    assert not is_stream(data) or hasattr(data, "collate"), "a stream is read by train.window"
    return RowFeed(data, settings, processes)  # type: ignore[arg-type]


def rows_of(batch: Batch, rows: NDArray[np.integer[Any]]) -> Batch:
    """Some rows of a batch."""

    def picked(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(picked(inner) for inner in value)
        return value[rows]

    return Batch(
        {column: picked(value) for column, value in batch.inputs.items()},
        {column: picked(value) for column, value in batch.targets.items()},
    )
