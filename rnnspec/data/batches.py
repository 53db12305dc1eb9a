"""Which rows travel together: batches of rows of about equal length, in a reproducible order.

A batch is an array of row numbers. Memory is 4 bytes a row for the order of an epoch (400 MB for
100 million rows) and, for evaluation, 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def batch_count(rows: int, batch: int) -> int:
    """Batches in an epoch; the last one made may be smaller than `batch`."""
    return -(-rows // batch)


def epoch_batches(
    lengths: NDArray[np.integer],
    batch: int,
    seed: int,
    epoch: int,
    pool: int = 50,
    start: int = 0,
) -> Iterator[Rows]:
    """Every row once, in batches of `batch`, from batch number `start` on.

    The rows are shuffled and cut into pools of `pool` batches; within a pool they are sorted by
    length, cut into batches, and the batches shuffled. Depends on the arguments alone; pools
    before `start` are not looked at. `lengths` is `[rows]`; `seed` and `epoch` are below 2**32.

    Drawn from NumPy's legacy generator, whose numbers are frozen for good (NEP 19), so that a
    run continues the same after an upgrade.
    """
    order = np.arange(len(lengths), dtype=np.uint32 if len(lengths) < 2**32 else np.uint64)
    np.random.RandomState([seed, epoch]).shuffle(order)
    size = pool * batch
    for number in range(start // pool, -(-len(order) // size)):
        rows = order[number * size : (number + 1) * size].astype(np.int64)
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        turns = np.arange(batch_count(len(rows), batch))
        np.random.RandomState([seed, epoch, number]).shuffle(turns)
        for turn in turns[max(0, start - number * pool) :]:
            yield rows[turn * batch : (turn + 1) * batch]


def in_order_batches(lengths: NDArray[np.integer], batch: int) -> Iterator[Rows]:
    """Every row once, shortest first (rows of one length in their order): for evaluation.

    Answers go back into row order with `answers[rows] = ...` for each batch.
    """
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch):
        yield order[start : start + batch].astype(np.int64)


def padded_share(lengths: NDArray[np.integer], batches: Iterable[Rows]) -> float:
    """Share of the steps in the padded batches that are padding, from 0 to below 1."""
    real = steps = 0
    for rows in batches:
        of_batch = lengths[rows]
        real += int(of_batch.sum(dtype=np.int64))
        steps += len(rows) * max(1, int(of_batch.max()))
    return 1 - real / steps if steps else 0.0
