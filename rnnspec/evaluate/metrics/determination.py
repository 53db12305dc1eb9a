"""R², the share of the variance of true numbers that answers explain."""

from __future__ import annotations

import numpy as np

from rnnspec.evaluate.metrics.numbers import Array


class Determination:
    """`r2`: 1 - sum of squared errors / sum of squared distances of the true numbers from their
    mean, the mean over features (as scikit-learn's `r2_score`). True numbers that are NaN are left
    out, and so are features whose true numbers are all the same; NaN of none.

    Means are kept as they move (Chan et al. 1983), so that large offsets lose no digits.
    """

    def __init__(self, width: int) -> None:
        self.count, self.mean = np.zeros(width), np.zeros(width)
        self.around, self.error = np.zeros(width), np.zeros(width)

    @np.errstate(invalid="ignore", over="ignore")  # of answers that are NaN or infinite
    def add(self, answers: Array, true: Array) -> None:
        """Both `[n, width]`."""
        known = ~np.isnan(true)
        count = known.sum(axis=0)
        mean = np.where(known, true, 0.0).sum(axis=0) / np.maximum(count, 1)
        around = np.where(known, true - mean, 0.0)
        total = self.count + count
        apart, share = mean - self.mean, count / np.maximum(total, 1)
        self.around += np.square(around).sum(axis=0) + apart**2 * self.count * share
        self.mean += apart * share
        self.count = total
        self.error += np.square(np.where(known, answers - true, 0.0)).sum(axis=0)

    @property
    def r2(self) -> float:
        differ = self.around > 0
        if not differ.any():
            return float("nan")
        return float((1 - self.error[differ] / self.around[differ]).mean())
