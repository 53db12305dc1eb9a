"""How well scores tell what is true from what is not: AUROC and average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.evaluate.metrics.numbers import Array, Mask

MOST = 2_000_000
"""Most different scores, of all labels together, that are kept apart."""
BITS = 32

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Rising `scores` `[n]`, and how many untrue and true cases have each: `counts` `[n, 2]`."""

    scores: Array
    counts: Integers


class ScoreCounts:
    """How many true and untrue cases of each label have each score.

    Exact up to `most` different scores of all labels together. Beyond, the last bits of scores are
    dropped, one more at a time, so that scores that are nearly equal count as equal: memory stays
    below 24 bytes for each of them, three times that while they are put together.
    """

    def __init__(self, labels: int, most: int = MOST) -> None:
        self.labels, self.most, self.dropped = labels, most, 0
        self.keys: Integers = np.zeros(0, np.int64)
        """Label and score as one number that rises with both."""
        self.counts: Integers = np.zeros((0, 2), np.int64)
        """Untrue and true cases of each key."""
        self._new: list[tuple[Integers, Mask]] = []
        self._waiting = 0

    def add(self, scores: NDArray[np.floating], true: Mask) -> None:
        """Scores from 0 to 1 and which labels are true, both `[n, labels]`."""
        bits = np.ascontiguousarray(scores, np.float32).view(np.int32).astype(np.int64)
        keys = bits + (np.arange(self.labels, dtype=np.int64) << BITS)
        self._new.append((keys.reshape(-1) >> self.dropped, true.reshape(-1)))
        self._waiting += keys.size
        if self._waiting > self.most:
            self._merge()

    def _merge(self) -> None:
        """Take in what was added; keep at most `most` keys."""
        keys = np.concatenate([self.keys, *(keys for keys, _ in self._new)])
        true = np.concatenate([np.zeros(0, np.bool_), *(true for _, true in self._new)])
        untrue_and_true = np.stack([~true, true], axis=1).astype(np.int64)
        counts = np.concatenate([self.counts, untrue_and_true])
        self._new, self._waiting = [], 0
        self.keys, self.counts = _summed(keys, counts)
        while len(self.keys) > self.most and self.dropped < BITS - 1:
            self.dropped += 1
            self.keys, self.counts = _summed(self.keys >> 1, self.counts)

    def by_label(self) -> list[Scored]:
        """The scores of each label."""
        self._merge()
        ends = np.arange(1, self.labels, dtype=np.int64) << (BITS - self.dropped)
        cuts = np.searchsorted(self.keys, ends)
        scores, parts = self._scores(self.keys), np.split(self.counts, cuts)
        return [Scored(*pair) for pair in zip(np.split(scores, cuts), parts, strict=True)]

    def together(self) -> Scored:
        """The scores of all labels."""
        self._merge()
        own = (1 << (BITS - self.dropped)) - 1
        keys, counts = _summed(self.keys & own, self.counts)
        return Scored(self._scores(keys), counts)

    def _scores(self, keys: Integers) -> Array:
        own = (1 << (BITS - self.dropped)) - 1
        bits = ((keys & own) << self.dropped).astype(np.int32)
        return bits.view(np.float32).astype(np.float64)

    def auroc(self) -> float:
        """The mean over labels of the probability that a true case has a higher score than an
        untrue one, of equal ones half (the area under the ROC curve, one label against the rest;
        Fawcett 2006). Labels without a true or without an untrue case are left out; NaN of none."""
        return _mean([_auroc(each.counts) for each in self.by_label()])

    def average_precision(self) -> float:
        """The mean over labels of sum over n of (R_n - R_n-1) P_n, where P_n and R_n are precision
        and recall of the cases whose score is at least the n-th highest (as in scikit-learn).
        Labels without a true case are left out; NaN of none."""
        return _mean([_average_precision(each.counts) for each in self.by_label()])


def _summed(keys: Integers, counts: Integers) -> tuple[Integers, Integers]:
    """The sorted keys, each once, with the sums of their counts."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    if not len(starts):
        return keys, counts
    return keys[starts], np.add.reduceat(counts[order], starts)


def _auroc(counts: Integers) -> float:
    untrue, true = counts.astype(np.float64).T
    pairs = untrue.sum() * true.sum()
    below = np.cumsum(untrue) - untrue / 2
    return float((true * below).sum() / pairs) if pairs else float("nan")


def _average_precision(counts: Integers) -> float:
    untrue, true = counts[::-1].astype(np.float64).T
    precision: Array = np.cumsum(true) / np.cumsum(untrue + true)
    return float((true * precision).sum() / true.sum()) if true.sum() else float("nan")


def _mean(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else float("nan")
