"""Differences of a series, and the way back from them to its values (Box and Jenkins 1970).

With L the step back, L y(t) = y(t - 1), the lags k, l, ... stand for (1 - L^k)(1 - L^l)...: a
polynomial in L whose degree K is the sum of the lags. A difference needs the K values before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes.node import ColumnNode, Shape, Shapes, State


@dataclass(frozen=True, slots=True)
class LastValues(ColumnNode):
    """The last `steps` values of the series in `column` in the units of the data, `[B, steps]`,
    float64 if `double`: what the values ahead are summed up from. In a shorter row its first value
    stands for those before it, in a row without steps 0."""

    steps: int
    double: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.steps)

    def carried(self) -> tuple[State, ...] | None:
        return None


def polynomial(lags: Sequence[int]) -> NDArray[np.float64]:
    """The coefficients `[K + 1]` of the product of 1 - L^k, that of L^0 first."""
    found = np.ones(1)
    for lag in lags:
        factor = np.zeros(lag + 1)
        factor[[0, lag]] = 1.0, -1.0
        found = np.convolve(found, factor)
    return found


def summed_up(lags: Sequence[int], horizon: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The matrices A `[H, H]` and B `[H, K]` with y = A d + B b, where y are the values ahead, d
    their differences and b the last K values before them, the oldest first."""
    found = polynomial(lags)
    reach = len(found) - 1
    rows = np.zeros((reach + horizon, reach + horizon))
    rows[np.arange(reach), np.arange(reach)] = 1.0
    for step in range(horizon):
        at = reach + step
        rows[at, at] = 1.0
        for back in np.flatnonzero(found[1:]) + 1:
            rows[at] -= found[back] * rows[at - back]
    return rows[reach:, reach:], rows[reach:, :reach]
