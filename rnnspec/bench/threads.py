"""Training with other numbers of threads: what they would give on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from rnnspec.to_torch.threads import allowed_threads, computing_with
from rnnspec.train.feed import MicroBatch

LEAST = 5
"""Batches that each number of threads computes, at least."""
GAIN = 1.05
"""How many times as fast another number of threads has to be to be recommended: less than that is
within what a measurement wavers by."""


def numbers_of_threads(used: int) -> tuple[int, ...]:
    """The numbers worth a comparison: `used`, one, and all that may be used."""
    return tuple(sorted({1, used, allowed_threads()}))


def by_threads(
    timed: Callable[[MicroBatch], float],
    batches: Sequence[MicroBatch],
    counts: Sequence[int],
    seconds: float,
) -> dict[int, float]:
    """The median seconds of a step of training, by the number of threads.

    `timed` trains on a batch and says how many seconds that took. Each batch is computed with every
    one of `counts`, in turns, so that what else the machine does falls on all of them, for about so
    many `seconds` in sum.
    """
    taken: dict[int, list[float]] = {count: [] for count in counts}
    end, number = time.perf_counter() + seconds, -1  # the first batch starts the threads
    while number < LEAST or time.perf_counter() < end:
        for count, own in taken.items():
            with computing_with(count):
                spent = timed(batches[max(0, number) % len(batches)])
            if number >= 0:
                own.append(spent)
        number += 1
    return {count: statistics.median(own) for count, own in taken.items()}


def advised(found: dict[int, float], used: int) -> int | None:
    """The number of threads to set: the fastest, where it gains over `used`."""
    if used not in found:
        return None
    best = min(found, key=lambda count: (found[count], count))
    return best if found[used] > GAIN * found[best] else None
