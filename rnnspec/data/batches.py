"""Batches of rows of about equal length, in a reproducible order.

A batch is an array of row numbers, `[B]`. At most BUFFER rows are held at once, and 16 bytes for
every BLOCK rows. The order of an epoch takes 36 MB for a million rows and 60 MB for a hundred
million; the order of evaluation 34 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

BUFFER = 1 << 20
"""Rows that are shuffled, or for evaluation sorted, at once."""
BLOCK = 1 << 10
"""Consecutive rows that come into the buffer together, where there are more rows than it holds."""

MANY = 1 << 16
"""Rows whose lengths are read at once."""


class RowLengths(Protocol):
    """The number and the lengths of rows."""

    @property
    def rows(self) -> int:
        """How many there are."""

    def lengths(self, rows: Rows) -> NDArray[np.int64]:
        """The steps of each of `rows`, `[B]`."""


def batch_count(rows: int, batch: int) -> int:
    """Batches in an epoch; the last one made may be smaller than `batch`."""
    return -(-rows // batch)


def epoch_batches(
    data: RowLengths, batch: int, seed: int, epoch: int, pool: int = 50, start: int = 0
) -> Iterator[Rows]:
    """Every row once, in batches of `batch`, from batch number `start` on.

    The rows are shuffled (`shuffled`) and divided into pools of `pool` batches. Within a pool they
    are sorted by length and divided into batches, which are shuffled. The order depends on the
    arguments alone; pools before `start` are skipped. `seed` and `epoch` are below 2**32.

    Drawn from NumPy's legacy generator, whose numbers never change (NEP 19): a run continues the
    same after an upgrade.
    """
    first = start // pool
    pools = shuffled(data, pool * batch, seed, epoch, first)
    for number, (found, lengths) in enumerate(pools, first):
        rows = found[np.argsort(lengths, kind="stable")]
        turns = np.arange(batch_count(len(rows), batch))
        np.random.RandomState([seed, epoch, number]).shuffle(turns)
        for turn in turns[max(0, start - number * pool) :]:
            yield rows[turn * batch : (turn + 1) * batch]


def shuffled(
    data: RowLengths, size: int, seed: int, epoch: int, start: int = 0
) -> Iterator[tuple[Rows, NDArray[np.int64]]]:
    """All rows in random order, in pools of `size` from pool number `start` on, and their lengths.

    If they fit the buffer, all orders are equally likely. More rows are taken in blocks of BLOCK
    consecutive ones: the order of the blocks is drawn, the buffer is filled with the next blocks
    again and again, and each filling is shuffled. Buffers before `start` are skipped.
    """
    none = np.zeros(0, np.int64)
    held = none, none
    for before, *buffer in _buffers(data, seed, epoch, start * size):
        skipped = max(0, start * size - before)
        rows, lengths = (
            np.concatenate([h, b[skipped:]]) for h, b in zip(held, buffer, strict=True)
        )
        buffer.clear()
        whole = len(rows) - len(rows) % size
        for first in range(0, whole, size):
            yield rows[first : first + size], lengths[first : first + size]
        held = rows[whole:].copy(), lengths[whole:].copy()
    if len(held[0]):
        yield held


def _buffers(
    data: RowLengths, seed: int, epoch: int, skipped: int
) -> Iterator[tuple[int, Rows, NDArray[np.int64]]]:
    """The fillings of the buffer: how many rows come before, rows and lengths. Fillings within the
    first `skipped` rows of the epoch are left out."""
    count, draw = data.rows, np.random.RandomState([seed, epoch])
    if count <= BUFFER:
        yield 0, *_with_lengths(data, np.arange(count), draw)
        return
    blocks = np.arange(batch_count(count, BLOCK))
    draw.shuffle(blocks)
    ends = np.cumsum(np.minimum(BLOCK, count - blocks * BLOCK))  # the last of the data is shorter
    for number, first in enumerate(range(0, len(blocks), BUFFER // BLOCK)):
        some = blocks[first : first + BUFFER // BLOCK]
        end = int(ends[first + len(some) - 1])
        if end > skipped:
            rows = (some[:, None] * BLOCK + np.arange(BLOCK)).ravel()
            rows = rows[rows < count]
            draw = np.random.RandomState([seed, epoch, number, 1])
            yield end - len(rows), *_with_lengths(data, rows, draw)


def _with_lengths(
    data: RowLengths, rows: Rows, draw: np.random.RandomState
) -> tuple[Rows, NDArray[np.int64]]:
    """The rows, shuffled, and their lengths."""
    lengths = np.empty(len(rows), np.int64)
    for at in range(0, len(rows), MANY):
        lengths[at : at + MANY] = data.lengths(rows[at : at + MANY])
    order = np.arange(len(rows), dtype=np.uint32)
    draw.shuffle(order)
    return rows[order], lengths[order]


def in_turn(count: int) -> Iterator[Rows]:
    """The rows 0 to `count`, BUFFER at a time."""
    for first in range(0, count, BUFFER):
        yield np.arange(first, min(first + BUFFER, count))


def in_order_batches(data: RowLengths, batch: int) -> Iterator[Rows]:
    """Every row once, sorted by length (stable): for evaluation.

    Of more rows than the buffer holds, the first BUFFER come first, sorted among themselves, then
    the next. Answers go back into row order with `answers[rows] = ...` for each batch.
    """
    for some in in_turn(data.rows):
        order = some[np.argsort(data.lengths(some), kind="stable")]
        for start in range(0, len(order), batch):
            yield order[start : start + batch]


POOL_STEPS = 50
"""Steps of a pool, in budgets: rows are sorted by length within a pool only."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Batches of at most `tokens` steps of the rows of `data`.

    The steps of a batch are its rows times the longest of them; a row longer than `tokens` is a
    batch of its own. `pool` rows are sorted by length together. As with `epoch_batches`, batches
    depend on `seed` and `epoch` alone, and take as much memory. Counting them, or starting in the
    middle of an epoch, goes through all lengths: 10 to 20 seconds for 100 million rows.
    """

    data: RowLengths
    tokens: int
    pool: int

    @classmethod
    def of(cls, data: RowLengths, tokens: int) -> Budget:
        """In pools of about `POOL_STEPS` budgets."""
        mean = max(1.0, _steps(data) / data.rows) if data.rows else 1.0
        return cls(data, tokens, max(1, round(POOL_STEPS * tokens / mean)))

    def batches(self, seed: int, epoch: int, start: int = 0) -> Iterator[Rows]:
        """Every row once, from batch number `start` on."""
        passed = 0
        pools = shuffled(self.data, self.pool, seed, epoch)
        for number, (rows, lengths) in enumerate(pools):
            order = np.argsort(lengths, kind="stable")
            bounds = _bounds(lengths[order], self.tokens)
            if passed + len(bounds) > start:
                pool, turns = rows[order], np.arange(len(bounds))
                np.random.RandomState([seed, epoch, number]).shuffle(turns)
                for turn in turns[max(0, start - passed) :]:
                    yield pool[slice(*bounds[turn])]
            passed += len(bounds)

    def count(self, seed: int, epoch: int) -> int:
        """Batches of the epoch."""
        pools = shuffled(self.data, self.pool, seed, epoch)
        return sum(len(_bounds(np.sort(lengths), self.tokens)) for _, lengths in pools)


def _steps(data: RowLengths) -> int:
    """The steps of all rows."""
    return sum(int(data.lengths(rows).sum()) for rows in in_turn(data.rows))


def _bounds(ascending: NDArray[np.integer], tokens: int) -> list[tuple[int, int]]:
    """First and last row of each batch, so that it holds as many rows as fit."""
    steps = np.maximum(ascending.astype(np.int64), 1)
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(steps):
        most = max(1, tokens // int(steps[start]))  # for the first row of a batch is its shortest
        longest = steps[start : start + most]
        sizes = longest * np.arange(1, len(longest) + 1)
        rows = max(1, int(np.searchsorted(sizes, tokens, side="right")))
        found.append((start, start + rows))
        start += rows
    return found
