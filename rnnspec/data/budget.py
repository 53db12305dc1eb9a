"""Batches of as many rows as fit a number of steps, padding included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

POOL_STEPS = 50
"""Steps of a pool, in budgets: rows are sorted by length within a pool only."""


def budget_batches(
    lengths: NDArray[np.integer], tokens: int, seed: int, epoch: int, start: int = 0
) -> Iterator[Rows]:
    """Every row once, in batches of at most `tokens` steps, from batch number `start` on.

    The steps of a batch are its rows times the longest of them; a row longer than `tokens` is a
    batch of its own. As `epoch_batches`, it depends on its arguments alone.
    """
    passed = 0
    for number, pool in enumerate(_pools(lengths, tokens, seed, epoch)):
        cuts = _cuts(lengths[pool], tokens)
        if passed + len(cuts) <= start:
            passed += len(cuts)
            continue
        turns = np.arange(len(cuts))
        np.random.RandomState([seed, epoch, number]).shuffle(turns)
        for turn in turns[max(0, start - passed) :]:
            yield pool[slice(*cuts[turn])]
        passed += len(cuts)


def budget_count(lengths: NDArray[np.integer], tokens: int, seed: int, epoch: int) -> int:
    """Batches of the epoch."""
    pools = _pools(lengths, tokens, seed, epoch)
    return sum(len(_cuts(lengths[pool], tokens)) for pool in pools)


def _pools(
    lengths: NDArray[np.integer], tokens: int, seed: int, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """The rows, shuffled, in pools of about `POOL_STEPS` budgets, each sorted by length."""
    order = np.arange(len(lengths), dtype=np.uint32 if len(lengths) < 2**32 else np.uint64)
    np.random.RandomState([seed, epoch]).shuffle(order)
    mean = max(1.0, float(lengths.mean())) if len(lengths) else 1.0
    size = max(1, round(POOL_STEPS * tokens / mean))
    for start in range(0, len(order), size):
        rows = order[start : start + size].astype(np.int64)
        yield rows[np.argsort(lengths[rows], kind="stable")]


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
