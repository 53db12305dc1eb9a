"""Prediction intervals: the range in which a forecast expects most of the true values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import ForecastOutput

Array = NDArray[np.float64]

LOW, HIGH = 0.1, 0.9
"""Probabilities at the ends of the interval, where the forecast itself does not name them."""
NORMAL = 1.2815515655446004
"""The 0.9 quantile of the standard normal distribution."""
DRAWS = 500
SEED = 0


def interval_of(node: ForecastOutput, parameters: Array) -> tuple[str, Array, Array] | None:
    """The name of the interval, and its lower and upper end `[B, H]`; None for a point forecast.

    `parameters` `[B, H, k]` in the units of the data. For quantiles, the lowest and the highest.
    For distributions, the quantiles 0.1 and 0.9: of a Gaussian exactly, of others among 500 draws
    of each value, always the same. NaN where a parameter is.
    """
    match node.distribution:
        case "point":
            return None
        case "quantiles":
            if len(node.quantiles) < 2:
                return None
            name = f"{100 * nominal_coverage(node):.4g} % band"
            return name, parameters[..., 0], parameters[..., -1]
        case "gaussian":
            mean, deviation = np.moveaxis(parameters, -1, 0)
            low, high = mean - NORMAL * deviation, mean + NORMAL * deviation
        case "student_t":
            location, scale, degrees = np.moveaxis(parameters, -1, 0)
            low, high = _drawn(lambda draw, size, of: draw.standard_t(of[0], size), degrees)
            low, high = location + scale * low, location + scale * high
        case "negative_binomial":
            mean, dispersion = np.moveaxis(parameters, -1, 0)
            low, high = _drawn(_counts, mean, dispersion)
        case _:
            assert_never(node.distribution)
    return f"{100 * (HIGH - LOW):.0f} % band", low, high


def within(lower: Array, upper: Array, true: Array) -> Array:
    """1 where a true value is in the interval, else 0, NaN where one of them is; all `[B, H]`."""
    inside = ((true >= lower) & (true <= upper)).astype(np.float64)
    found: Array = np.where(np.isnan(lower) | np.isnan(upper) | np.isnan(true), np.nan, inside)
    return found


def nominal_coverage(node: ForecastOutput) -> float:
    """The share of true values that the interval should hold."""
    return node.quantiles[-1] - node.quantiles[0] if node.quantiles else HIGH - LOW


def _counts(
    draw: np.random.Generator, size: tuple[int, ...], of: Sequence[Array]
) -> NDArray[np.int64]:
    """A Poisson variable whose mean is drawn from a Gamma distribution."""
    mean, dispersion = of
    return draw.poisson(draw.gamma(1 / dispersion, mean * dispersion, size).clip(max=1e15))


def _drawn(
    function: Callable[[np.random.Generator, tuple[int, ...], Sequence[Array]], NDArray[Any]],
    *of: Array,
) -> tuple[Array, Array]:
    """The quantiles of draws for each entry of arrays `[B, H]`, a row at a time."""
    draw = np.random.default_rng(SEED)
    rows, steps = of[0].shape
    low, high = np.empty((rows, steps)), np.empty((rows, steps))
    for row in range(rows):
        of_row = [each[row] for each in of]
        finite = np.isfinite(of_row).all(axis=0)  # nothing can be drawn of a parameter that is NaN
        of_row = [np.where(finite, each, 1.0) for each in of_row]
        found = np.sort(function(draw, (DRAWS, steps), of_row), axis=0)
        low[row], high[row] = found[round(LOW * DRAWS) - 1], found[round(HIGH * DRAWS) - 1]
        low[row, ~finite] = high[row, ~finite] = np.nan
    return low, high
