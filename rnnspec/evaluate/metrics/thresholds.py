"""The threshold above which a label is answered, chosen by F1."""

from __future__ import annotations

import numpy as np

from rnnspec.evaluate.metrics.numbers import Array
from rnnspec.evaluate.metrics.ranking import Scored

USUAL = 0.5
DIGITS = range(2, 10)
"""As few digits as leave a threshold in the middle between two scores."""


def best_threshold(found: Scored, missed: int = 0) -> float | None:
    """The threshold with the largest F1 of the cases above it, 2 hits / (true + answered); None
    where no case is true. `missed`: true cases that have no score, and are never answered.

    It lies between two scores, about in the middle; of equal F1 the one nearest to 0.5.
    """
    untrue, true = found.counts.T
    every = int(true.sum())
    if not every:
        return None
    hits = np.cumsum(true[::-1])[::-1]
    answered = np.cumsum((untrue + true)[::-1])[::-1]
    f1 = 2 * hits / (answered + every + missed)
    above = np.array([_between(*pair) for pair in _neighbours(found.scores)])
    f1[above >= found.scores] = -1.0  # a score of 0 is above nothing
    best = np.flatnonzero(f1 == f1.max())
    return float(above[best[np.abs(above[best] - USUAL).argmin()]])


def _neighbours(scores: Array) -> list[tuple[float, float]]:
    """Each score after the one below it, the lowest after 0."""
    return list(zip([0.0, *scores[:-1].tolist()], scores.tolist(), strict=True))


def _between(low: float, high: float) -> float:
    """A number of few digits from `low` to below `high`, as float32 has it."""
    middle, room = (low + high) / 2, (high - low) / 4
    short = (round(middle, digits) for digits in DIGITS)
    near = next((each for each in short if abs(each - middle) <= room), middle)
    threshold = float(np.float32(near))
    return threshold if low <= threshold < high else low
