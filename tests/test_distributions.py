"""Distributions against scipy: densities, gradients, probabilities, quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats

from rnnspec.objective.densities import surprise
from rnnspec.plan.nodes import Law
from rnnspec.reference import distributions as reference
from rnnspec.reference.distributions import answer, cdf, log_density
from rnnspec.reference.quantiles import quantile
from rnnspec.reference.special import beta_cdf, gamma_cdf
from rnnspec.to_torch.distributions import parameters_of

Array = NDArray[np.float64]
MANY = 400
SHARES = (0.025, 0.1, 0.5, 0.9, 0.975)


def drawn(name: str, seed: int = 0) -> Array:
    """Parameters `[MANY, K]` over the whole range that matters."""
    draw = np.random.default_rng(seed)
    any_, size = draw.normal(0, 3, MANY), 10 ** draw.uniform(-2, 2, MANY)
    share, many = draw.uniform(0.02, 0.98, MANY), 10 ** draw.uniform(-2, 4, MANY)
    match name:
        case "gaussian" | "laplace":
            return np.stack([any_, size], -1)
        case "student_t":
            return np.stack([any_, size, 2 + 10 ** draw.uniform(-3, 3, MANY)], -1)
        case "poisson":
            return many[:, None]
        case "negative_binomial":
            return np.stack([many, 10 ** draw.uniform(-2, 1, MANY)], -1)
        case "beta":
            return np.stack([share, 10 ** draw.uniform(-1, 3, MANY)], -1)
        case "weibull":
            return np.stack([size, 10 ** draw.uniform(-0.7, 0.7, MANY)], -1)
    raise AssertionError(name)


def of_scipy(name: str, parameters: Array) -> Any:
    one = np.moveaxis(parameters, -1, 0)
    match name:
        case "gaussian":
            return stats.norm(one[0], one[1])
        case "laplace":
            return stats.laplace(one[0], one[1])
        case "student_t":
            return stats.t(one[2], one[0], one[1])
        case "poisson":
            return stats.poisson(one[0])
        case "negative_binomial":
            return stats.nbinom(1 / one[1], 1 / (1 + one[0] * one[1]))
        case "beta":
            return stats.beta(one[0] * one[1], (1 - one[0]) * one[1])
        case "weibull":
            return stats.weibull_min(one[1], 0, one[0])
    raise AssertionError(name)


COUNTS = ("poisson", "negative_binomial")
NAMES = ("gaussian", "laplace", "student_t", "beta", "weibull", *COUNTS)


def logs(name: str, true: Any, values: Array) -> Array:
    found: Array = true.logpmf(values) if name in COUNTS else true.logpdf(values)
    return found


def values_of(name: str, true: Any) -> Array:
    """Values inside the distribution, for each of its parameters."""
    found: Array = true.ppf(np.random.default_rng(1).uniform(0.05, 0.95, MANY))
    return np.clip(found, 1e-3, 1 - 1e-3) if name == "beta" else found


LOCATED = ("gaussian", "laplace", "student_t")


def unit_of(name: str, parameters: Array, at: int) -> Array:
    """The size of a parameter; of a location the scale."""
    found: Array = np.abs(parameters[:, 1 if name in LOCATED and at == 0 else at])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_densities_and_gradients_are_those_of_scipy(name: str) -> None:
    law, parameters = Law(name), drawn(name)  # type: ignore[arg-type]
    values = values_of(name, of_scipy(name, parameters))
    expected = logs(name, of_scipy(name, parameters), values)
    np.testing.assert_allclose(
        log_density(law, parameters, values[:, None]), expected, rtol=1e-8, atol=1e-8
    )
    given = torch.tensor(parameters, requires_grad=True)
    found = surprise(law, given, torch.from_numpy(values)[:, None])
    np.testing.assert_allclose(-found.detach().numpy(), expected, rtol=1e-8, atol=1e-8)
    (gradient,) = torch.autograd.grad(found.sum(), given)
    for at in range(parameters.shape[-1]):
        step = np.zeros_like(parameters)
        step[:, at] = 1e-5 * unit_of(name, parameters, at)
        ends = (logs(name, of_scipy(name, parameters + way * step), values) for way in (1, -1))
        slope = -np.subtract(*ends) / (2 * step[:, at])
        np.testing.assert_allclose(gradient[:, at].numpy(), slope, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_those_of_scipy(name: str) -> None:
    law, parameters = Law(name), drawn(name)  # type: ignore[arg-type]
    true = of_scipy(name, parameters)
    values = values_of(name, true)
    found = cdf(law, parameters, values[:, None])[:, 0]
    np.testing.assert_allclose(found, true.cdf(values), atol=1e-10)
    assert (cdf(law, parameters, np.full((MANY, 1), -1e9))[:, 0] < 1e-6).all()


TOLERANCE = {"student_t": 1.1e-3, "beta": 0.005}
"""Of quantiles, in deviations or of themselves; 1e-9 for the others."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", SHARES)
def test_quantiles_are_those_of_scipy(name: str, share: float) -> None:
    law, parameters = Law(name), drawn(name)  # type: ignore[arg-type]
    true = of_scipy(name, parameters)
    found, expected = quantile(law, parameters, share)[:, 0], true.ppf(share)
    if name in COUNTS:
        room = 10 * np.sqrt(parameters[:, 0]) + 14 * (1 + np.prod(parameters, -1))
        small = (parameters[:, 0] + room < 400) if name == "poisson" else np.zeros(MANY, bool)
        np.testing.assert_array_equal(found[small], expected[small])
        assert (np.abs(found - expected) <= np.maximum(1, 0.01 * true.std())).all()
        return
    unit = true.std() if name == "beta" else np.abs(expected)
    if name in LOCATED:
        unit = np.abs(expected - parameters[:, 0])
    assert (np.abs(found - expected) <= TOLERANCE.get(name, 1e-9) * unit + 1e-9).all()


def test_mixtures_are_sums_of_normal_distributions() -> None:
    draw = np.random.default_rng(2)
    law = Law("mixture", components=3, correlated=True, width=2)
    shares = draw.dirichlet(np.ones(3), 20)
    means, deviations = draw.normal(0, 2, (20, 3, 2)), draw.uniform(0.3, 2, (20, 3, 2))
    correlations, values = draw.uniform(-0.9, 0.9, (20, 3)), draw.normal(0, 2, (20, 2))
    flat = (each.reshape(20, -1) for each in (shares, means, deviations, correlations))
    parameters = np.concatenate(list(flat), -1)
    expected, below = np.zeros(20), np.zeros((20, 2))
    for row, component in np.ndindex(20, 3):
        spread, share = deviations[row, component], shares[row, component]
        both = correlations[row, component] * spread[0] * spread[1]
        covariance = [[spread[0] ** 2, both], [both, spread[1] ** 2]]
        of_one = stats.multivariate_normal(means[row, component], covariance)
        expected[row] += share * of_one.pdf(values[row])
        below[row] += share * stats.norm.cdf(values[row], means[row, component], spread)
    np.testing.assert_allclose(log_density(law, parameters, values), np.log(expected))
    given, true = torch.from_numpy(parameters), torch.tensor(values)
    found = surprise(law, given, true)
    np.testing.assert_allclose(-found.numpy(), np.log(expected))
    first = (shares * stats.norm.pdf(values[:, :1], means[..., 0], deviations[..., 0])).sum(1)
    true[:, 1] = 1e3  # whatever stands where no number is known
    unknown = surprise(law, given, true, torch.tensor([True, False]).expand(20, 2))
    np.testing.assert_allclose(-unknown.numpy(), np.log(first))
    np.testing.assert_allclose(cdf(law, parameters, values), below)
    np.testing.assert_allclose(quantile(law, parameters, below), values, atol=1e-8)
    mean = (shares[..., None] * means).sum(1)
    np.testing.assert_allclose(answer(law, parameters), mean)


@pytest.mark.parametrize(("correlated", "width"), [(True, 2), (False, 3)])
def test_gradients_of_mixtures_are_right(correlated: bool, width: int) -> None:
    law = Law("mixture", components=2, correlated=correlated, width=width)
    draw = np.random.default_rng(3)
    raw, values = draw.normal(size=(5, law.size)), draw.normal(size=(5, width))
    zeros = np.zeros(width)

    def logs(raw: Array) -> Array:
        return log_density(law, reference.parameters_of(law, raw, zeros, zeros + 1), values)

    given, zero = torch.tensor(raw, requires_grad=True), torch.zeros(width, dtype=torch.float64)
    found = surprise(law, parameters_of(law, given, zero, zero + 1), torch.from_numpy(values))
    (gradient,) = torch.autograd.grad(found.sum(), given)
    for at in range(law.size):
        step = np.zeros_like(raw)
        step[:, at] = 1e-6
        slope = (logs(raw - step) - logs(raw + step)) / 2e-6
        np.testing.assert_allclose(gradient[:, at].numpy(), slope, atol=1e-6)


def test_a_time_that_is_only_known_to_be_longer() -> None:
    parameters = drawn("weibull")
    true = of_scipy("weibull", parameters)
    values = values_of("weibull", true)
    found = surprise(
        Law("weibull"), torch.from_numpy(parameters), -torch.from_numpy(values)[:, None]
    )
    np.testing.assert_allclose(-found.numpy(), true.logsf(values))


def test_incomplete_functions_are_those_of_scipy() -> None:
    draw = np.random.default_rng(4)
    a, b = 10 ** draw.uniform(-2, 4, (2, 300))
    x = draw.uniform(0, 1, 300)
    np.testing.assert_allclose(gamma_cdf(a, 2 * a * x), special.gammainc(a, 2 * a * x), atol=1e-11)
    np.testing.assert_allclose(beta_cdf(a, b, x), special.betainc(a, b, x), atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_the_mean_or_the_median(name: str) -> None:
    parameters = drawn(name)
    true = of_scipy(name, parameters)
    expected = true.median() if name in ("weibull", "laplace") else true.mean()
    np.testing.assert_allclose(answer(Law(name), parameters)[:, 0], expected)  # type: ignore[arg-type]
