"""Streams: documents end to end, cut into lanes that are read side by side, window by window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.views import Cut

Places = NDArray[np.int64]


def lane_bounds(steps: int, batch: int) -> Places:
    """`[batch + 1]`: lane i has the steps `bounds[i]` to `bounds[i + 1]` of all `steps`.

    All lanes are as long, but the last ones, which may lack some steps.
    """
    return np.minimum(np.arange(batch + 1) * -(-steps // batch), steps)


def count_windows(starts: Places, ends: Places, batch: int, window: int) -> int:
    """How many cuts `cut_lanes` gives: those of the lane that has most."""
    bounds = lane_bounds(int(ends[-1]) if len(ends) else 0, batch)
    cuts = np.unique(np.concatenate([starts, bounds]))  # no window goes beyond any of them
    lanes = np.searchsorted(bounds[:-1], cuts[:-1], side="right") - 1
    windows = -(-np.diff(cuts) // window)
    return int(np.bincount(lanes, windows).max(initial=0)) if len(windows) else 0


def cut_lanes(
    starts: Places, ends: Places, batch: int, window: int
) -> Iterator[tuple[Cut, NDArray[np.bool_]]]:
    """Cuts of the steps of all documents, and whether each lane's states start anew, `[batch]`.

    Document i has the steps `starts[i]` to `ends[i]`, where the next one starts; together they are
    cut into `batch` lanes. A lane is read `window` steps at a time, or up to the end of a document:
    the states start anew at each document and at the start of each lane. A lane that has ended
    before the others has length 0. The step after a lane's last one is the true next step.
    """
    steps = int(ends[-1]) if len(ends) else 0
    bounds = lane_bounds(steps, batch)
    at, stops = bounds[:-1].copy(), bounds[1:]
    reset = np.ones(batch, np.bool_)
    while (at < stops).any():
        # The last document that starts at or before the place: those of no steps are passed over.
        documents = np.searchsorted(starts, at, side="right") - 1
        lengths = np.minimum(np.minimum(window, stops - at), ends[documents] - at).clip(0)
        yield Cut(documents, at, lengths, ends[documents]), reset
        at = at + lengths
        reset = at == ends[documents]
