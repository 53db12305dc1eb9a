"""CRPS by its definition, integrated over scipy's distribution functions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from rnnspec.evaluate.metrics.crps import crps, crps_of_draws
from rnnspec.plan.nodes import Law
from tests.test_distributions import COUNTS, NAMES, drawn, of_scipy

Array = NDArray[np.float64]
FEW, POINTS = 12, 10_001


def by_definition(below: Array, grid: Array, value: float) -> float:
    """The integral of (F(x) - [x >= value])^2, `below` the values of F on a fine `grid`."""
    return float(np.trapezoid((below - (grid >= value)) ** 2, grid))


def parameters_of(name: str) -> Array:
    found = drawn(name)[:FEW]
    if name == "student_t":  # tails that a grid can hold
        found[:, 2] += 1
    if name in COUNTS:
        found[:, 0] = found[:, 0] ** 0.6
    return found


@pytest.mark.parametrize("name", NAMES)
def test_crps_is_the_integral_that_defines_it(name: str) -> None:
    parameters = parameters_of(name)
    found = np.zeros(FEW)
    expected, values = np.zeros(FEW), np.zeros(FEW)
    for row in range(FEW):
        true = of_scipy(name, parameters[row])
        value = float(true.ppf(0.03 + 0.94 * row / FEW))
        values[row] = min(max(value, 1e-6), 1 - 1e-6) if name == "beta" else value
        if name in COUNTS:
            steps = np.arange(float(true.ppf(1 - 1e-12)) + 2)
            expected[row] = ((true.cdf(steps) - (steps >= values[row])) ** 2).sum()
            continue
        shares = stats.norm.cdf(np.linspace(-7, 7, POINTS))
        grid = np.unique(
            np.append(true.ppf(shares), [values[row], np.nextafter(values[row], -9e9)])
        )
        expected[row] = by_definition(true.cdf(grid), grid, values[row])
    found = crps(Law(name), parameters, values[:, None])[:, 0]  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-9)


def test_crps_of_draws_is_that_of_their_steps() -> None:
    """By the integral over the empirical distribution function, and by hand: of the draws 1 and 3
    the value 2 is 1 away, less half the mean distance 1 of the four pairs; 5 is 3 away."""
    hand = crps_of_draws(np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0]]), np.array([2.0, 5.0, 2.5]))
    np.testing.assert_allclose(hand, [0.5, 2.5, 0.5])
    draw = np.random.default_rng(3)
    draws, values = draw.normal(0, 2, (4, 6, 9)), draw.normal(0, 3, (4, 6))
    found = crps_of_draws(draws, values)
    for at in np.ndindex(4, 6):
        edges = np.sort(np.append(draws[at], values[at]))
        below = (draws[at] <= edges[:-1, None]).mean(-1)
        expected = ((below - (edges[:-1] >= values[at])) ** 2 * np.diff(edges)).sum()
        assert found[at] == pytest.approx(expected, rel=1e-9)


def test_crps_of_mixtures_is_that_of_each_number() -> None:
    draw = np.random.default_rng(0)
    law = Law("mixture", components=3, width=2)
    weights = draw.dirichlet(np.ones(3), 10)
    means, deviations = draw.normal(0, 2, (10, 3, 2)), draw.uniform(0.1, 2, (10, 3, 2))
    values = draw.normal(0, 3, (10, 2))
    flat = [weights, means.reshape(10, -1), deviations.reshape(10, -1)]
    found = crps(law, np.concatenate(flat, -1), values)
    for row, number in np.ndindex(10, 2):
        value = float(values[row, number])
        grid = np.sort(np.append(np.linspace(-25, 25, 40_001), [value, np.nextafter(value, -9)]))
        each = stats.norm.cdf(grid[:, None], means[row, :, number], deviations[row, :, number])
        expected = by_definition(each @ weights[row], grid, value)
        assert found[row, number] == pytest.approx(expected, rel=1e-4)
