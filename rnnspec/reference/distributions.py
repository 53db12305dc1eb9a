"""Distributions in NumPy: parameters, answers, densities and probabilities.

The formulas are those of `rnnspec.plan.nodes.Law`. Parameters are `[..., K]`, as `Law.parameters`
orders them, in the units of the data; values `[..., D]`, the numbers that a law is of.
"""

from __future__ import annotations

from math import log, pi
from typing import assert_never

import numpy as np

from rnnspec.plan.nodes import MOST_CORRELATED, SOFTPLUS_FLOOR, Law
from rnnspec.reference.functions import FUNCTIONS, Array, sigmoid, softmax
from rnnspec.reference.special import beta_cdf, gamma_cdf, log_gamma, normal_cdf
from rnnspec.spec.distributions import Link


def parameters_of(law: Law, raw: Array, centre: Array, scale: Array) -> Array:
    """The parameters of raw numbers `[..., K]`; centre and scale `[..., D]` of the numbers."""
    centre, scale = centre[..., None, :], scale[..., None, :]
    found = []
    for parameter, start, end in law.placed():
        part = raw[..., start:end]
        width = law.width if parameter.axes == "values" else 1
        of_each = part.reshape(*part.shape[:-1], (end - start) // width, width)
        made = _linked(parameter.link, of_each, centre, scale)
        found.append(made.reshape(part.shape))
    return np.concatenate(found, axis=-1)


def _linked(link: Link, r: Array, centre: Array, scale: Array) -> Array:
    match link:
        case "value":
            return np.asarray(r * scale + centre)
        case "rising":
            return np.sort(r * scale + centre, axis=-2)
        case "size":
            return np.asarray(_positive(r) * scale)
        case "per_root":
            return np.asarray(_positive(r) / np.sqrt(scale))
        case "positive":
            return _positive(r)
        case "above_two":
            return 2 + _positive(r)
        case "share":
            return sigmoid(r)
        case "weights":
            return softmax(r[..., 0])[..., None]
        case "correlation":
            return np.asarray(MOST_CORRELATED * np.tanh(r))
        case _:
            assert_never(link)


def _positive(raw: Array) -> Array:
    return np.maximum(FUNCTIONS["softplus"](raw), SOFTPLUS_FLOOR)


def answer(law: Law, parameters: Array) -> Array:
    """The point answer `[..., D]`."""
    match law.traits.answer:
        case "first" | "middle":
            return parameters[..., law.middle : law.middle + 1]
        case "mean":
            shares, means, *_ = mixed(law, parameters)
            return np.asarray((shares[..., None] * means).sum(axis=-2))
        case "median":
            scale, shape = (parameters[..., at : at + 1] for at in range(2))
            return np.asarray(scale * log(2) ** (1 / shape))


def mixed(law: Law, parameters: Array) -> tuple[Array, Array, Array, Array]:
    """Weights `[..., M]`, means and deviations `[..., M, D]` and correlations `[..., M]`, 0 where
    there are none, of a mixture."""
    many, wide = law.components, law.components * law.width
    ends = np.cumsum([many, wide, wide])
    shares, means, deviations, *_ = np.split(parameters, ends, axis=-1)
    shape = (*parameters.shape[:-1], many, law.width)
    left = parameters[..., ends[-1] :]
    correlations = left if law.correlated else np.zeros(shares.shape)
    return shares, means.reshape(shape), deviations.reshape(shape), correlations


def log_density(law: Law, parameters: Array, values: Array) -> Array:
    """ln of the density at `values` `[..., D]`, or of the probability of counts: `[...]`."""
    if law.name == "mixture":
        return _mixture_log_density(law, parameters, values)
    one, v = np.moveaxis(parameters, -1, 0), values[..., 0]
    match law.name:
        case "gaussian":
            return np.asarray(-0.5 * ((v - one[0]) / one[1]) ** 2 - np.log(one[1]) - _ROOT)
        case "laplace":
            return np.asarray(-np.abs(v - one[0]) / one[1] - np.log(2 * one[1]))
        case "student_t":
            far, half = ((v - one[0]) / one[1]) ** 2 / one[2], (one[2] + 1) / 2
            constant = log_gamma(half) - log_gamma(one[2] / 2) - 0.5 * np.log(pi * one[2])
            return np.asarray(constant - np.log(one[1]) - half * np.log1p(far))
        case "poisson":
            return np.asarray(v * np.log(one[0]) - one[0] - log_gamma(v + 1))
        case "negative_binomial":
            count, product = 1 / one[1], one[1] * one[0]
            logs = log_gamma(v + count) - log_gamma(v + 1) - log_gamma(count)
            powers = v * np.log(product) - (v + count) * np.log1p(product)
            return np.asarray(logs + powers)
        case "beta":
            a, b = one[0] * one[1], (1 - one[0]) * one[1]
            logs = log_gamma(a + b) - log_gamma(a) - log_gamma(b)
            return np.asarray(logs + (a - 1) * np.log(v) + (b - 1) * np.log1p(-v))
        case "weibull":
            logs = np.log(v / one[0])
            return np.asarray(np.log(one[1] / one[0]) + (one[1] - 1) * logs - np.exp(one[1] * logs))
        case "point" | "quantiles":
            raise AssertionError(f"{law.name} has no density")
        case _:
            assert_never(law.name)


_ROOT = 0.5 * log(2 * pi)


def _mixture_log_density(law: Law, parameters: Array, values: Array) -> Array:
    shares, means, deviations, correlations = mixed(law, parameters)
    z = (values[..., None, :] - means) / deviations
    logs = np.log(shares) - (np.log(deviations) + _ROOT).sum(axis=-1)
    square = (z**2).sum(axis=-1)
    if law.correlated:
        left = 1 - correlations**2
        square = (square - 2 * correlations * z[..., 0] * z[..., 1]) / left
        logs = logs - 0.5 * np.log(left)
    logs = logs - 0.5 * square
    largest = logs.max(axis=-1)
    return np.asarray(largest + np.log(np.exp(logs - largest[..., None]).sum(axis=-1)))


def cdf(law: Law, parameters: Array, values: Array) -> Array:
    """The probability that each number is at most its value, `[..., D]`; of numbers that are mixed
    together, that of each alone."""
    if law.name == "mixture":
        shares, means, deviations, _ = mixed(law, parameters)
        below = normal_cdf((values[..., None, :] - means) / deviations)
        return np.asarray((shares[..., None] * below).sum(axis=-2))
    one, v = np.moveaxis(parameters, -1, 0)[..., None], values
    match law.name:
        case "gaussian":
            return normal_cdf((v - one[0]) / one[1])
        case "laplace":
            z = (v - one[0]) / one[1]
            tail = 0.5 * np.exp(-np.abs(z))
            return np.asarray(np.where(z < 0, tail, 1 - tail))
        case "student_t":
            z = (v - one[0]) / one[1]
            tail = 0.5 * beta_cdf(one[2] / 2, np.full_like(z, 0.5), one[2] / (one[2] + z**2))
            return np.asarray(np.where(z < 0, tail, 1 - tail))
        case "poisson":
            most = np.floor(np.maximum(v, -1))
            found = 1 - gamma_cdf(np.maximum(most, 0) + 1, np.broadcast_to(one[0], v.shape))
            return np.asarray(np.where(v < 0, 0.0, found))
        case "negative_binomial":
            most, product = np.floor(np.maximum(v, -1)), one[0] * one[1]
            found = beta_cdf(1 / one[1], np.maximum(most, 0) + 1, 1 / (1 + product))
            return np.asarray(np.where(v < 0, 0.0, found))
        case "beta":
            return beta_cdf(one[0] * one[1], (1 - one[0]) * one[1], v)
        case "weibull":
            return np.asarray(-np.expm1(-((np.maximum(v, 0) / one[0]) ** one[1])))
        case "point" | "quantiles":
            raise AssertionError(f"{law.name} has no distribution function")
        case _:
            assert_never(law.name)
