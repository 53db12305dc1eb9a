"""Functions of distributions in NumPy and float64: a few digits short of the last."""

from __future__ import annotations

from math import erf, erfc, lgamma, sqrt
from statistics import NormalDist

import numpy as np

from rnnspec.reference.functions import Array

MOST_TERMS = 20_000
TINY, CLOSE = 1e-300, 1e-15

log_gamma = np.vectorize(lgamma, otypes=[np.float64])
erf_of = np.vectorize(erf, otypes=[np.float64])
_normal_cdf = np.vectorize(lambda z: 0.5 * erfc(-z / sqrt(2)), otypes=[np.float64])
normal_quantile = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])
"""The value that a standard normal variable stays below with a probability between 0 and 1."""


def normal_cdf(z: Array) -> Array:
    """The probability that a standard normal variable is at most `z`."""
    return np.asarray(_normal_cdf(z))


def gamma_cdf(shape: Array, x: Array) -> Array:
    """The regularized lower incomplete gamma function P(shape, x), x >= 0: by its series below
    shape + 1, else by its continued fraction (Press et al., Numerical Recipes, section 6.2)."""
    shape, x = np.broadcast_arrays(np.asarray(shape, np.float64), np.asarray(x, np.float64))
    at = np.maximum(x, TINY)
    front = np.exp(shape * np.log(at) - at - log_gamma(shape))
    below = x < shape + 1
    series = _series(shape, np.where(below, at, shape))
    beyond = _gamma_fraction(shape, np.where(below, shape + 1, at))
    return np.asarray(np.where(x <= 0, 0.0, np.where(below, front * series, 1 - front * beyond)))


def _series(shape: Array, x: Array) -> Array:
    term = total = 1 / shape
    for number in range(1, MOST_TERMS):
        term = term * x / (shape + number)
        total = total + term
        if (term <= CLOSE * total).all():
            break
    return np.asarray(total)


def _gamma_fraction(shape: Array, x: Array) -> Array:
    b = x + 1 - shape
    c, d = np.full_like(x, 1 / TINY), 1 / _apart(b)
    found = d
    for number in range(1, MOST_TERMS):
        factor = -number * (number - shape)
        b = b + 2
        d, c = 1 / _apart(factor * d + b), _apart(b + factor / c)
        change = d * c
        found = found * change
        if (np.abs(change - 1) <= CLOSE).all():
            break
    return np.asarray(found)


def beta_cdf(a: Array, b: Array, x: Array) -> Array:
    """The regularized incomplete beta function I_x(a, b), x from 0 to 1, by its continued fraction
    (Press et al., Numerical Recipes, section 6.4)."""
    given = (np.asarray(each, np.float64) for each in (a, b, x))
    a, b, x = np.broadcast_arrays(*given)
    inner = np.clip(x, TINY, 1 - 1e-16)
    swapped = inner > (a + 1) / (a + b + 2)
    p, q = np.where(swapped, b, a), np.where(swapped, a, b)
    at = np.where(swapped, 1 - inner, inner)
    logs = log_gamma(a + b) - log_gamma(a) - log_gamma(b)
    front = np.exp(logs + a * np.log(inner) + b * np.log1p(-inner)) / p
    found = front * _beta_fraction(p, q, at)
    found = np.where(swapped, 1 - found, found)
    return np.asarray(np.where(x <= 0, 0.0, np.where(x >= 1, 1.0, found)))


def _beta_fraction(a: Array, b: Array, x: Array) -> Array:
    c = np.ones_like(x)
    d = 1 / _apart(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for factor in (even, odd):
            d, c = 1 / _apart(1 + factor * d), _apart(1 + factor / c)
            change = d * c
            found = found * change
        if (np.abs(change - 1) <= CLOSE).all():
            break
    return np.asarray(found)


def _apart(value: Array) -> Array:
    """`value`, and not 0."""
    return np.asarray(np.where(np.abs(value) < TINY, TINY, value))
