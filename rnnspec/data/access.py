"""How a data set is read: rows that are read whole, or streams that are read window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.batches import Rows
from rnnspec.data.dataset import Batch
from rnnspec.data.lanes import Order


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
