"""Times of which some had not ended: how well answers tell which of two rows ends first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def ended(times: Tensor) -> Tensor:
    """Times with NaN in place of those that had not ended, which are written as their negatives."""
    return times.masked_fill(times < 0, float("nan"))


class ConcordanceSums:
    """Harrell's concordance index (Harrell et al. 1982): of all pairs of rows of which it is known
    that the one ended before the other, the share whose answers are in that order; equal answers
    count half. Of rows of one time, one that had not ended ends after one that had."""

    def __init__(self) -> None:
        self.times: list[Array] = []
        self.answers: list[Array] = []

    def add(self, answers: Tensor, times: Tensor) -> None:
        """`answers` and `times` `[n]`; a time that had not ended is its negative."""
        known = ~times.isnan()
        self.times.append(times[known].double().cpu().numpy())
        self.answers.append(answers[known].double().cpu().numpy())

    @property
    def value(self) -> float:
        """NaN where no pair is known, or an answer is NaN."""
        times = np.concatenate([np.zeros(0), *self.times])
        answers = np.concatenate([np.zeros(0), *self.answers])
        if np.isnan(answers).any():
            return float("nan")
        return concordance(np.abs(times), times > 0, answers)


def concordance(times: Array, over: NDArray[np.bool_], answers: Array) -> float:
    """The concordance index of answers to `times` that are `over`, or had not ended, all `[n]`.

    Rows are put in the order in which they are known to end; of each that is over the larger and
    the equal answers behind it are counted. What had ended at one time has no order: there larger
    answers come first, and the equal ones are taken off.
    """
    order = np.lexsort((-answers, ~over, times))
    times, over, answers = times[order], over[order], answers[order]
    _, ranks = np.unique(answers, return_inverse=True)
    larger, equal = _behind(ranks, over)
    _, groups, sizes = np.unique(np.stack([times, over], 1), axis=0, return_inverse=True,
                                 return_counts=True)  # fmt: skip
    after = len(times) - np.arange(len(times)) - 1
    pairs = int(after[over].sum()) - _within(sizes[np.bincount(groups.ravel(), over) > 0])
    _, alike = np.unique(np.stack([times, ranks], 1)[over], axis=0, return_counts=True)
    equal -= _within(alike)
    return (larger + equal / 2) / pairs if pairs else float("nan")


def _within(sizes: NDArray[np.integer]) -> int:
    """The pairs within groups of these sizes."""
    return int((sizes * (sizes - 1) // 2).sum())


def _behind(ranks: NDArray[np.integer], counted: NDArray[np.bool_]) -> tuple[int, int]:
    """Of all rows that are `counted`, how many later ranks are larger, and how many are equal, by
    merging: of neighbouring blocks of 1, 2, 4, ... rows, those of the right one are counted for
    each row of the left one, of all blocks at once."""
    rows, size = len(ranks), 1
    places, larger, equal = np.arange(rows), 0, 0
    while size < rows:
        blocks = places // size
        keys = np.sort(blocks * rows + ranks)
        left = np.flatnonzero(counted & (blocks % 2 == 0))
        wanted = (blocks[left] + 1) * rows
        ends = np.searchsorted(keys, wanted + rows)
        above = np.searchsorted(keys, wanted + ranks[left], "right")
        larger += int((ends - above).sum())
        equal += int((above - np.searchsorted(keys, wanted + ranks[left])).sum())
        size *= 2
    return larger, equal
