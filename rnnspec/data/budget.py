"""Batches of as many rows as fit a number of steps, padding included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.batches import RowLengths, Rows, in_turn, shuffled

POOL_STEPS = 50
"""Steps of a pool, in budgets: rows are sorted by length within a pool only."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Batches of at most `tokens` steps of the rows of `data`.

    The steps of a batch are its rows times the longest of them; a row longer than `tokens` is a
    batch of its own. `pool` rows are sorted by length together. Batches depend on `seed` and
    `epoch` alone, as those of `epoch_batches`, and take as much memory. How many there are, and
    where one begins in the middle of an epoch, is found by going through all lengths: 10 to 20
    seconds for 100 million rows.
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
            cuts = _cuts(lengths[order], self.tokens)
            if passed + len(cuts) > start:
                pool, turns = rows[order], np.arange(len(cuts))
                np.random.RandomState([seed, epoch, number]).shuffle(turns)
                for turn in turns[max(0, start - passed) :]:
                    yield pool[slice(*cuts[turn])]
            passed += len(cuts)

    def count(self, seed: int, epoch: int) -> int:
        """Batches of the epoch."""
        pools = shuffled(self.data, self.pool, seed, epoch)
        return sum(len(_cuts(np.sort(lengths), self.tokens)) for _, lengths in pools)


def _steps(data: RowLengths) -> int:
    """Of all rows."""
    return sum(int(data.lengths(rows).sum()) for rows in in_turn(data.rows))


def _cuts(ascending: NDArray[np.integer], tokens: int) -> list[tuple[int, int]]:
    """Where to cut rows of these lengths, so that each piece holds as many as fit."""
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
