"""Differences of a series, and the way back from them to its values (Box and Jenkins 1970).

With L the step back, L y(t) = y(t - 1), the lags k, l, ... stand for (1 - L^k)(1 - L^l)...: a
polynomial in L whose degree K is the sum of the lags. A difference needs the K values before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.plan.nodes.node import ColumnNode, Shape, Shapes, State


@dataclass(frozen=True, slots=True)
class LastValues(ColumnNode):
    """The last `steps` values of the series in `column` in the units of the data, or their
    logarithms with `log`, `[B, steps]`, float64 if `double`: what the values ahead are summed up
    from. In a shorter row its first value stands for those before it, in a row without steps 0."""

    steps: int
    double: bool = False
    log: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.steps)

    def carried(self) -> tuple[State, ...] | None:
        return None


def polynomial(lags: Sequence[int]) -> list[float]:
    """The coefficients `[K + 1]` of the product of 1 - L^k, that of L^0 first."""
    found = [1.0]
    for lag in lags:
        before = [*[0.0] * lag, *found]
        found = [one - other for one, other in zip([*found, *[0.0] * lag], before, strict=True)]
    return found


def summed_up(lags: Sequence[int], horizon: int) -> tuple[list[list[float]], list[list[float]]]:
    """The matrices A `[H, H]` and B `[H, K]` with y = A d + B b, where y are the values ahead, d
    their differences and b the last K values before them, the oldest first."""
    terms = [(back, c) for back, c in enumerate(polynomial(lags)) if back and c]
    reach, wide = sum(lags), sum(lags) + horizon
    ahead: list[list[float]] = []
    for at in range(reach, wide):
        row = [float(at == column) for column in range(wide)]
        for back, coefficient in terms:
            if at - back < reach:  # a known value
                row[at - back] -= coefficient
            else:
                before = ahead[at - back - reach]
                row = [own - coefficient * b for own, b in zip(row, before, strict=True)]
        ahead.append(row)
    return [row[reach:] for row in ahead], [row[:reach] for row in ahead]
