"""Streams: documents end to end, slices into lanes that are read side by side, window by window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.collate import RowSlices

Places = NDArray[np.int64]
Order = tuple[int, int]
"""Seed and epoch, each below 2**32, by which the order of documents is drawn."""
BLOCKS = 1 << 16
"""Most runs of consecutive documents whose order is drawn; within a run it is that of the file."""
CHUNK = 1 << 20
"""Documents that are looked at at once."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Document i has the steps `starts[i]` to `ends[i]`; it is read `window` steps at a time.

    They are taken in runs of `size` documents; the last run may have fewer.
    """

    starts: Places
    ends: Places
    window: int

    @property
    def size(self) -> int:
        return max(1, -(-len(self.starts) // BLOCKS))

    def windows(self) -> Places:
        """How many windows the documents of each run have: `[runs]`."""
        size, found = self.size, []
        step = max(1, CHUNK // size) * size
        for first in range(0, len(self.starts), step):
            of_each = self._windows(first, first + step)
            found.append(np.add.reduceat(of_each, np.arange(0, len(of_each), size)))
        return np.concatenate([np.zeros(0, np.int64), *found])

    def place(self, run: int, windows: int) -> tuple[int, int]:
        """The document of a run that has the window after so many, and the step it begins at."""
        first = run * self.size
        before = np.cumsum(self._windows(first, first + self.size))
        at = int(np.searchsorted(before, windows, side="right"))
        inside = windows - (int(before[at - 1]) if at else 0)
        return first + at, int(self.starts[first + at]) + inside * self.window

    def _windows(self, first: int, end: int) -> Places:
        lengths = self.ends[first:end] - self.starts[first:end]
        found: Places = -(-lengths // self.window)
        return found


def count_windows(starts: Places, ends: Places, batch: int, window: int) -> int:
    """How many windows `lane_slices` gives: a `batch`-th of the windows of all documents."""
    return -(-int(Documents(starts, ends, window).windows().sum()) // batch)


def lane_slices(
    starts: Places,
    ends: Places,
    batch: int,
    window: int,
    start: int = 0,
    order: Order | None = None,
) -> Iterator[tuple[RowSlices, NDArray[np.bool_]]]:
    """Windows over all documents from number `start` on, and whether each lane's states are reset,
    `[batch]`.

    Document i has the steps `starts[i]` to `ends[i]`. The documents, in the order drawn from
    `order` or in file order, are split into `batch` lanes with equally many windows, the fewest
    that hold them all. A lane is read `window` steps at a time, or up to the end of a document.
    The lanes of a single document have equally many steps. States are reset at each document and
    at the start of each lane. A lane that has ended has length 0. The step after a lane's last one
    is the true next step. Memory: 16 bytes for each of at most `BLOCKS` runs of documents.
    """
    if len(starts) == 1:
        lanes = _of_one(starts, ends, batch, window, start)
    else:
        lanes = _of_many(Documents(starts, ends, window), batch, start, order)
    fresh = start == 0
    while (lanes.left > 0).any():
        active, at, documents = lanes.left > 0, lanes.at, lanes.documents
        lengths = np.minimum(np.minimum(ends[documents], lanes.stops) - at, window)
        reset = ~active | (at == starts[documents]) | fresh
        yield (
            RowSlices(documents.copy(), at.copy(), np.where(active, lengths, 0), ends[documents]),
            reset,
        )
        fresh = False
        lanes.at, lanes.left = at + np.where(active, lengths, 0), lanes.left - active
        lanes.move_on(starts, ends)


@dataclass(slots=True)
class _Lanes:
    """Where each lane is, `[batch]` each: the step `at` of its document, the step that it stops at
    and the windows that are `left`. It goes on from turn to turn of `runs`, whose documents end
    before `run_ends`; a run has `size` documents."""

    documents: Places
    at: Places
    stops: Places
    left: Places
    turns: Places
    run_ends: Places
    runs: Places
    size: int

    def move_on(self, starts: Places, ends: Places) -> None:
        """Lanes that have windows left go from the end of a document to the next with steps."""
        done = (self.left > 0) & (self.at == ends[self.documents])
        while done.any():
            self.documents[done] += 1
            over = done & (self.documents == self.run_ends)
            self.turns[over] += 1
            self.documents[over] = self.runs[self.turns[over]] * self.size
            self.run_ends[over] = np.minimum(self.documents[over] + self.size, len(starts))
            self.at[done] = starts[self.documents[done]]
            done &= self.at == ends[self.documents]


def _of_one(starts: Places, ends: Places, batch: int, window: int, start: int) -> _Lanes:
    """The lanes of a single document, all as long, but the last ones, which may lack some steps."""
    first, end = int(starts[0]), int(ends[0])
    bounds = np.minimum(first + np.arange(batch + 1) * -(-(end - first) // batch), end)
    at, stops = np.minimum(bounds[:-1] + start * window, bounds[1:]), bounds[1:]
    none = np.zeros(batch, np.int64)
    left = -(-(stops - at) // window)
    return _Lanes(none, at, stops, left, none.copy(), none + 1, np.zeros(1, np.int64), 1)


def _of_many(documents: Documents, batch: int, start: int, order: Order | None) -> _Lanes:
    """Lanes of as many windows, but the last ones, which may have fewer."""
    windows, size = documents.windows(), documents.size
    runs = np.arange(len(windows))
    if order is not None:
        runs = np.random.RandomState(order).permutation(runs)
    behind = np.cumsum(windows[runs])
    total = int(behind[-1]) if len(behind) else 0
    each = -(-total // batch)
    first = np.minimum(np.arange(batch) * each + start, total)
    left = (np.minimum((np.arange(batch) + 1) * each, total) - first).clip(0)
    turns = np.searchsorted(behind, first, side="right")
    numbers, at = np.zeros(batch, np.int64), np.zeros(batch, np.int64)
    for lane in np.flatnonzero(left).tolist():
        turn = int(turns[lane])
        before = int(behind[turn - 1]) if turn else 0
        numbers[lane], at[lane] = documents.place(int(runs[turn]), int(first[lane]) - before)
    run_ends = np.minimum((numbers // size + 1) * size, len(documents.starts))
    stops = np.full(batch, np.iinfo(np.int64).max)
    return _Lanes(numbers, at, stops, left, turns, run_ends, runs, size)


def document_slices(
    starts: Places, ends: Places, batch: int, window: int
) -> Iterator[tuple[RowSlices, Places, NDArray[np.bool_]]]:
    """Windows over all documents, each read in one lane from its first step to its last: for
    evaluation. With each window `[B]` the rising numbers of its lanes, and whether their states
    are reset.

    Documents come in their order, to whichever lane of `batch` is free; lanes for which none is
    left are not there any more, and the others read `batch * window` steps at a time together.
    """
    waiting = _with_steps(starts, ends)
    lanes, documents, at, stops = np.arange(batch), *(np.zeros(batch, np.int64) for _ in range(3))
    while True:
        free = np.flatnonzero(at == stops)
        found = list(islice(waiting, len(free)))
        documents[free[: len(found)]] = found
        taken = documents[free[: len(found)]]
        at[free[: len(found)]], stops[free[: len(found)]] = starts[taken], ends[taken]
        kept = np.delete(np.arange(len(lanes)), free[len(found) :])
        lanes, documents, at, stops = lanes[kept], documents[kept], at[kept], stops[kept]
        if not len(lanes):
            return
        lengths = np.minimum(batch * window // len(lanes), stops - at)
        reset = at == starts[documents]
        yield RowSlices(documents.copy(), at.copy(), lengths, stops.copy()), lanes, reset
        at += lengths


def _with_steps(starts: Places, ends: Places) -> Iterator[int]:
    """The numbers of the documents that have steps."""
    for first in range(0, len(starts), CHUNK):
        end = first + CHUNK
        yield from (first + np.flatnonzero(ends[first:end] > starts[first:end])).tolist()
