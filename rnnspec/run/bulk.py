"""Many rows, answered in their order: read ahead a window at a time, and within a window in batches
of similar length, so that little padding is computed."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.errors import DataError
from rnnspec.run.results import Answer

WINDOW = 16
"""Batches of rows that are sorted together."""
BYTES = 1 << 25
"""Values of a window after which it is full, once it has a batch of rows."""
SWITCH = 0.0002
"""Seconds after which a thread that computes gets Python's lock back from one that reads. By
default it waits 5 ms, as long as it computes a batch."""


@dataclass(slots=True)  # not frozen: one is made for every row, in half the time
class Values:
    """The values of a row, in the order of the columns, its number of steps on the first time axis,
    the length on each that the graph takes, and where there are several the steps on each."""

    cells: list[Any]
    steps: int
    lengths: dict[str, int]
    on_axes: dict[str, int]


def _size(row: Read) -> int:
    """About how many bytes the values of a row take."""
    if isinstance(row, DataError):
        return 0
    size = 0
    for value in row.cells:
        if isinstance(value, np.ndarray | np.generic):
            size += value.nbytes
        else:
            size += 8 * len(value) if isinstance(value, list) else len(value)
    return size


Read = Values | DataError
Compute = Callable[[Sequence[Values], Sequence[int]], list[Answer]]
"""The answers to a batch of rows with these seeds."""
Begin = Callable[[Sequence[Values], Sequence[int]], Callable[[], list[Answer]]]
"""Begins to compute a batch, and returns what waits for its answers."""


def answers_in_order(
    rows: Iterable[Read], compute: Compute, batch: int, threads: int, seed: int
) -> Iterator[Answer | DataError]:
    """The answer to each row, and errors in place of rows unchanged.

    So many `threads` compute batches while the window after theirs is read; with 0 the calling
    thread computes all. A batch of one row without threads is answered before the next row is read.
    Row i, from 0, has the seed `seed` + i.
    """
    most = batch * WINDOW if batch > 1 or threads else 1
    with _beginning(compute, threads) as begin:
        begun: deque[_Window] = deque()
        for window in _windows(rows, batch, most):
            begun.append(_begun(window, batch, seed, begin))
            seed += len(window)
            if len(begun) > min(threads, 1):
                yield from begun.popleft().answers()
        while begun:
            yield from begun.popleft().answers()


def _windows(rows: Iterable[Read], batch: int, most: int) -> Iterator[list[Read]]:
    window, size = list[Read](), 0
    for row in rows:
        window.append(row)
        size += _size(row)
        if len(window) >= most or (len(window) >= batch and size >= BYTES):
            yield window
            window, size = [], 0
    if window:
        yield window


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows whose answers are being computed, in batches of the rows at these places."""

    rows: list[Read]
    batches: list[tuple[list[int], Callable[[], list[Answer]]]]

    def answers(self) -> Iterator[Answer | DataError]:
        found: list[Any] = list(self.rows)
        for places, result in self.batches:
            for place, answer in zip(places, result(), strict=True):
                found[place] = answer
        yield from found


def _begun(window: list[Read], batch: int, seed: int, begin: Begin) -> _Window:
    good = [(at, row) for at, row in enumerate(window) if not isinstance(row, DataError)]
    good.sort(key=lambda each: each[1].steps)
    batches = []
    for start in range(0, len(good), batch):
        places = [at for at, _ in good[start : start + batch]]
        rows = [row for _, row in good[start : start + batch]]
        batches.append((places, begin(rows, [seed + at for at in places])))
    return _Window(window, batches)


@contextmanager
def _beginning(compute: Compute, threads: int) -> Iterator[Begin]:
    if not threads:
        yield lambda rows, seeds: _done(compute(rows, seeds))
        return
    before = sys.getswitchinterval()
    pool = ThreadPoolExecutor(threads)
    sys.setswitchinterval(min(before, SWITCH))
    try:
        yield lambda rows, seeds: pool.submit(compute, rows, seeds).result
    finally:
        sys.setswitchinterval(before)
        pool.shutdown(cancel_futures=True)


def _done(answers: list[Answer]) -> Callable[[], list[Answer]]:
    return lambda: answers
