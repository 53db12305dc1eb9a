"""Rows of which nothing is known but how long they are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.batches import RowLengths, Rows


class Given:
    """Rows of these lengths."""

    def __init__(self, lengths: Sequence[int] | NDArray[np.int64]) -> None:
        self.of_all = np.array(lengths, np.int64)

    @property
    def rows(self) -> int:
        return len(self.of_all)

    def lengths(self, rows: Rows) -> NDArray[np.int64]:
        return self.of_all[rows]


class Alike:
    """`rows` rows of 1 to 30 steps, which take no memory."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def lengths(self, rows: Rows) -> NDArray[np.int64]:
        return rows * 7919 % 30 + 1


def check_memory_is_even(make: Callable[[Alike], None]) -> None:
    """Making batches of many rows holds less than a byte for each row more at once."""

    def peak(rows: int) -> int:
        tracemalloc.start()
        make(Alike(rows))
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    few, many = (peak(rows) for rows in (20_000, 120_000))
    assert many < few + 100_000


def padded_share(data: RowLengths, batches: Iterable[Rows]) -> float:
    """Share of the steps in the padded batches that are padding, from 0 to below 1."""
    real = steps = 0
    for rows in batches:
        of_batch = data.lengths(rows)
        real += int(of_batch.sum(dtype=np.int64))
        steps += len(rows) * max(1, int(of_batch.max()))
    return 1 - real / steps if steps else 0.0
