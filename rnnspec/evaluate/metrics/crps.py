"""The continuous ranked probability score of distributions: the integral over x of
(F(x) - [x >= y])^2, in the unit of the numbers (Gneiting and Raftery 2007, equation 20). Of a point
it is the absolute error.

All closed forms: of the normal and the Laplace distribution, Student's, the beta and the counts as
Jordan, Krueger and Lerch collect them (2019, appendix A), of mixtures Grimit et al. (2006). That of
`weibull` follows from E|X - y| - E|X - X'| / 2: with k the shape, l the scale, P the regularized
incomplete gamma function and m = l Gamma(1 + 1 / k), it is
y (2 F(y) - 1) + m (2^(-1 / k) - 2 P(1 + 1 / k, (y / l)^k)).
"""

from __future__ import annotations

from math import pi, sqrt
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.plan.nodes import Law
from rnnspec.reference.distributions import cdf, log_density, mixed
from rnnspec.reference.special import beta_cdf, gamma_cdf, log_gamma, normal_cdf

Array = NDArray[np.float64]
NODES = 120
"""Of the quadrature behind the score of `negative_binomial`, whose error they leave below 1e-10."""


def crps(law: Law, parameters: Array, values: Array) -> Array:
    """Of parameters `[..., K]` and values `[..., D]` the score of each number, `[..., D]`; of
    numbers that are mixed together of each alone."""
    if law.name == "mixture":
        return _mixture(law, parameters, values)
    one, y = np.moveaxis(parameters, -1, 0)[..., None], values
    below = 2 * cdf(law, parameters, values) - 1
    match law.name:
        case "gaussian":
            return np.asarray(_gap(y - one[0], one[1]) - one[1] / sqrt(pi))
        case "laplace":
            z = np.abs(y - one[0]) / one[1]
            return np.asarray(one[1] * (z + np.exp(-z) - 0.75))
        case "student_t":
            return _student_t(one, below, y)
        case "poisson":
            mass, twice = np.exp(log_density(law, parameters, values))[..., None], 2 * one[0]
            return np.asarray((y - one[0]) * below + twice * mass - one[0] * _bessel(twice))
        case "negative_binomial":
            return _negative_binomial(one[0], one[1], below, y)
        case "beta":
            return _beta(one[0] * one[1], (1 - one[0]) * one[1], below, y)
        case "weibull":
            inverse = 1 / one[1]
            mean = one[0] * np.exp(log_gamma(1 + inverse))
            within = gamma_cdf(1 + inverse, (y / one[0]) ** one[1])
            return np.asarray(y * below + mean * (2**-inverse - 2 * within))
        case "point" | "quantiles":
            raise AssertionError(f"{law.name} has no distribution function")
        case _:
            assert_never(law.name)


def crps_of_draws(draws: Array, values: Array) -> Array:
    """Of S draws `[..., S]` the score of each value `[...]`, that of their empirical distribution:
    the mean of |x_i - y| less half the mean of |x_i - x_j| over all pairs (Jordan, Krueger and
    Lerch 2019, equation 3)."""
    rising, many = np.sort(draws, axis=-1), draws.shape[-1]
    of_pairs = rising @ (2.0 * np.arange(many) + 1 - many) / many**2
    return np.asarray(np.abs(draws - values[..., None]).mean(-1) - of_pairs)


def _gap(distance: Array, deviation: Array) -> Array:
    """E|X - d| of a normal variable of mean 0, 2 s phi(d / s) + d (2 Phi(d / s) - 1)."""
    z = distance / deviation
    density = np.exp(-0.5 * z**2) / sqrt(2 * pi)
    return np.asarray(2 * deviation * density + distance * (2 * normal_cdf(z) - 1))


def _mixture(law: Law, parameters: Array, values: Array) -> Array:
    weights, means, deviations, _ = mixed(law, parameters)
    weights = weights[..., None]
    found = (weights * _gap(values[..., None, :] - means, deviations)).sum(-2)
    between = means[..., :, None, :] - means[..., None, :, :]
    spread = np.hypot(deviations[..., :, None, :], deviations[..., None, :, :])
    both = weights[..., :, None, :] * weights[..., None, :, :]
    return np.asarray(found - 0.5 * (both * _gap(between, spread)).sum((-3, -2)))


def _student_t(one: Array, below: Array, y: Array) -> Array:
    scale, n = one[1], one[2]
    z = (y - one[0]) / scale
    logs = log_gamma((n + 1) / 2) - log_gamma(n / 2) - 0.5 * np.log(pi * n)
    density = np.exp(logs - (n + 1) / 2 * np.log1p(z**2 / n))
    shares = _log_beta(0.5, n - 0.5) - 2 * _log_beta(0.5, n / 2)
    own = 2 * density * (n + z**2) - 2 * np.sqrt(n) * np.exp(shares)
    return np.asarray(scale * (z * below + own / (n - 1)))


def _beta(a: Array, b: Array, below: Array, y: Array) -> Array:
    shares = np.exp(_log_beta(2 * a, 2 * b) - 2 * _log_beta(a, b))
    within = 2 * beta_cdf(a + 1, b, y)
    return np.asarray(y * below + a / (a + b) * (1 - within - 2 * shares / a))


def _log_beta(a: Array | float, b: Array) -> Array:
    return np.asarray(log_gamma(a) + log_gamma(b) - log_gamma(a + b))


def _bessel(x: Array) -> Array:
    """exp(-x) (I_0(x) + I_1(x))."""
    given = torch.from_numpy(np.ascontiguousarray(x))
    found: Array = (torch.special.i0e(given) + torch.special.i1e(given)).numpy()
    return found


def _negative_binomial(mean: Array, dispersion: Array, below: Array, y: Array) -> Array:
    """With n = 1 / dispersion and p = 1 / (1 + dispersion mean): y (2 F(y) - 1) - n (1 - p) / p^2
    (p (2 F_(n + 1)(y - 1) - 1) + 2F1(n + 1, 1 / 2; 2; -4 (1 - p) / p^2))."""
    n, tail = 1 / dispersion, 1 + dispersion * mean
    before = np.where(y < 1, 0.0, beta_cdf(n + 1, np.maximum(y, 1), 1 / tail))
    shape = _hypergeometric(n + 1, 4 * dispersion * mean * tail)
    return np.asarray(y * below - mean * tail * ((2 * before - 1) / tail + shape))


def _hypergeometric(a: Array, size: Array) -> Array:
    """2F1(a, 1 / 2; 2; -size), 4 / pi times the integral of cos^2 (1 + size sin^2)^-a from 0 to
    pi / 2, by the double exponential rule (Takahasi and Mori 1974)."""
    steps, width = np.linspace(-4.5, 4.5, NODES, retstep=True)
    share = 1 / (1 + np.exp(-pi * np.sinh(steps)))
    slope = pi * np.cosh(steps) * share * (1 - share)
    angle = pi / 2 * share
    inner = np.exp(-a[..., None] * np.log1p(size[..., None] * np.sin(angle) ** 2))
    return np.asarray(2 * width * (inner * np.cos(angle) ** 2 * slope).sum(-1))
