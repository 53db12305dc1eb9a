"""Quantiles of distributions and draws of them in NumPy: see `rnnspec.plan.nodes.quantiles`."""

from __future__ import annotations

import math
from math import pi

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import Law
from rnnspec.plan.nodes.quantiles import CELLS, HALVINGS, SHARE_SPREAD, TAIL
from rnnspec.plan.sampling_rng import BITS, bits, keys
from rnnspec.reference.distributions import cdf, mixed
from rnnspec.reference.functions import Array, log_sigmoid, sigmoid
from rnnspec.reference.special import normal_quantile

SHARES = np.linspace(-1.0, 1.0, CELLS + 1)


def quantile(law: Law, parameters: Array, probability: Array | float) -> Array:
    """What each number stays below with a probability, `[..., D]`, which is one number for all or
    `[..., D]` too; of numbers that are mixed together, of each alone. NaN where a parameter is.

    Of `quantiles` and `point` there are none.
    """
    p = np.broadcast_to(probability, (*parameters.shape[:-1], law.width)).astype(np.float64)
    lost = ~np.isfinite(parameters).all(axis=-1, keepdims=True)
    safe = np.where(lost, 0.5, parameters)
    found = _mixture(law, safe, p) if law.name == "mixture" else _of_one(law, safe, p[..., 0])
    return np.where(lost, np.nan, found)


def _of_one(law: Law, parameters: Array, p: Array) -> Array:
    one = np.moveaxis(parameters, -1, 0)
    match law.name:
        case "gaussian":
            found = one[0] + one[1] * normal_quantile(p)
        case "laplace":
            found = one[0] - one[1] * np.sign(p - 0.5) * np.log(2 * np.minimum(p, 1 - p))
        case "student_t":
            found = one[0] + one[1] * student_t(one[2], p)
        case "poisson":
            found = counts(one[0], np.zeros_like(one[0]), p)
        case "negative_binomial":
            found = counts(one[0], one[1], p)
        case "beta":
            found = shares(one[0] * one[1], (1 - one[0]) * one[1], p)
        case "weibull":
            found = one[0] * (-np.log1p(-p)) ** (1 / one[1])
        case _:
            raise AssertionError(f"{law.name} has no such quantiles")
    return np.asarray(found)[..., None]


def _mixture(law: Law, parameters: Array, p: Array) -> Array:
    _, means, deviations, _ = mixed(law, parameters)
    own = means + deviations * normal_quantile(p)[..., None, :]
    low, high = own.min(axis=-2), own.max(axis=-2)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = cdf(law, parameters, middle) < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


def uniform_draws(seed: int, first: int, shape: tuple[int, ...]) -> Array:
    """The uniform draws of a row by `rnnspec.plan.sampling_rng`, from step `first` on."""
    steps = first + np.arange(math.prod(shape), dtype=np.int64)
    drawn = [bits(keys(np.array([seed], np.int64)), int(step))[0] for step in steps]
    return np.asarray((np.array(drawn, np.float64).reshape(shape) + 0.5) / 2**BITS)


def draws(law: Law, parameters: Array, uniform: Array) -> Array:
    """Draws `[..., S, D]` of laws with parameters `[..., K]` by uniform ones `[..., S, J]`."""
    of_each = np.broadcast_to(parameters[..., None, :], (*uniform.shape[:-1], parameters.shape[-1]))
    if law.name != "mixture":
        return quantile(law, of_each, uniform)
    found = np.zeros((*uniform.shape[:-1], law.width))
    for place in np.ndindex(*uniform.shape[:-1]):
        found[place] = _of_mixture(law, of_each[place], uniform[place])
    return found


def _of_mixture(law: Law, parameters: Array, uniform: Array) -> Array:
    """One draw `[D]`, of parameters `[K]` by uniform draws `[1 + D]`."""
    weights, means, deviations, correlations = mixed(law, parameters)
    chosen, total = 0, weights[0]
    while total <= uniform[0] and chosen < law.components - 1:
        chosen += 1
        total = total + weights[chosen]
    z = normal_quantile(uniform[1:])
    if law.correlated:
        r = correlations[chosen]
        z = np.array([z[0], r * z[0] + np.sqrt(1 - r**2) * z[1]])
    return np.asarray(means[chosen] + deviations[chosen] * z)


def student_t(n: Array, p: Array) -> Array:
    """The quantile of n degrees, at least 2, at location 0 and scale 1 (Hill 1970)."""
    n = np.maximum(n, 2)
    both = 2 * np.minimum(p, 1 - p)
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * np.sqrt(a * pi / 2) * n
    y = np.exp(np.log(d * both) * 2 / n)
    z = normal_quantile(both / 2)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # the one not taken
        bulk = _bulk(n, z, a, b, c, d)
        tail = (n + 6) / (n * y) - 0.089 * d - 0.822
        tail = (1 / (tail * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1
        tail = tail * (n + 1) / (n + 2) + 1 / y
    found = np.sqrt(n * np.where(y > 0.05 + a, bulk, tail))
    return np.asarray(np.sign(p - 0.5) * found)


def _bulk(n: Array, z: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
    square = z**2
    c = np.where(n < 5, c + 0.3 * (n - 4.5) * (z + 0.6), c)
    c = (((0.05 * d * z - 5) * z - 7) * z - 2) * z + b + c
    y = (((((0.4 * square + 6.3) * square + 36) * square + 94.5) / c - square - 3) / b + 1) * z
    return np.asarray(np.expm1(a * y**2))


def counts(mean: Array, dispersion: Array, p: Array) -> Array:
    """The least whole number that a Poisson variable, or a negative binomial one, is at most with
    probability p, by a table of `CELLS` cells."""
    spread, tail = np.sqrt(mean + dispersion * mean**2), 1 + dispersion * mean
    lowest = np.floor(np.maximum(mean - 8 * spread, 0))
    more = np.maximum(mean + 8 * spread + TAIL * tail - lowest - CELLS, 0)
    growth = np.log1p(more)[..., None] * (np.arange(CELLS + 1) / CELLS)
    edges = lowest[..., None] + np.arange(CELLS + 1) + np.floor(np.expm1(growth) + 1e-9)
    widths = np.diff(edges)
    centres = edges[..., :-1] + (widths - 1) / 2
    between = (centres[..., 1:] + centres[..., :-1] - 1) / 2
    slope = np.log1p(dispersion[..., None] * between) - np.log1p(between)
    slope = slope + np.log(mean / tail)[..., None]
    logs = np.cumsum(slope * np.diff(centres), axis=-1)
    logs = np.concatenate([np.zeros((*logs.shape[:-1], 1)), logs], axis=-1)
    masses = widths * np.exp(logs - logs.max(axis=-1, keepdims=True))
    at, part = _found(masses, p)
    first, width = _at(edges, at), _at(widths, at)
    return np.asarray(first + np.clip(np.ceil(part * width - 1e-9), 1, width) - 1)


def shares(a: Array, b: Array, p: Array) -> Array:
    """The quantile of a beta distribution, by a table of `CELLS` cells of its logit."""
    spread = SHARE_SPREAD * np.sqrt(1 / a + 1 / b)[..., None]
    tails = np.where(SHARES < 0, TAIL / a[..., None], TAIL / b[..., None])
    edges = np.log(a / b)[..., None] + spread * SHARES + tails * SHARES**5
    logs = a[..., None] * log_sigmoid(edges) + b[..., None] * log_sigmoid(-edges)
    height = np.exp(logs - logs.max(axis=-1, keepdims=True))
    widths = np.diff(edges)
    at, part = _found(widths * (height[..., 1:] + height[..., :-1]), p)
    return sigmoid(_at(edges, at) + part * _at(widths, at))


def _found(masses: Array, p: Array) -> tuple[NDArray[np.int64], Array]:
    """The first cell up to whose end there is a share p of all masses, and the part of the cell
    that this takes, from 0 to 1."""
    total = np.cumsum(masses, axis=-1)
    aim = p * total[..., -1]
    at = np.minimum((total < aim[..., None]).sum(axis=-1), CELLS - 1)
    end, mass = _at(total, at), _at(masses, at)
    part = np.clip(1 - (end - aim) / np.where(mass > 0, mass, 1), 0, 1)
    return at, part


def _at(values: Array, places: NDArray[np.int64]) -> Array:
    return np.asarray(np.take_along_axis(values, places[..., None], axis=-1)[..., 0])
