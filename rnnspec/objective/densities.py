"""-ln of the densities of answers, by the formulas of `rnnspec.plan.nodes.Law`."""

from __future__ import annotations

from math import log, pi
from typing import assert_never

import torch
from torch import Tensor

from rnnspec.plan.nodes import Law
from rnnspec.to_torch.distributions import mixed

SMALLEST = 1e-38


def surprise(law: Law, parameters: Tensor, true: Tensor, known: Tensor | None = None) -> Tensor:
    """-ln of the density, or of the probability of counts, at `true` `[..., D]`: `[...]`. Of
    several numbers it is that of those that are `known` `[..., D]`, by default all, whatever the
    others are.

    A time of `weibull` that is only known to be longer is written as its negative."""
    if law.name == "mixture":
        return _mixture(law, parameters, true, known)
    value = true[..., 0]
    match law.name:
        case "gaussian":
            return _gaussian(parameters, value)
        case "laplace":
            location, scale = parameters.unbind(-1)
            return (value - location).abs() / scale + (2 * scale).log()
        case "student_t":
            return _student_t(parameters, value)
        case "poisson":
            return _poisson(parameters, value)
        case "negative_binomial":
            return _negative_binomial(parameters, value)
        case "beta":
            return _beta(parameters, value)
        case "weibull":
            return _weibull(parameters, value)
        case "point" | "quantiles":
            raise AssertionError(f"{law.name} has no density")
        case _:
            assert_never(law.name)


def pinball(law: Law, parameters: Tensor, true: Tensor) -> Tensor:
    """The mean over quantiles of max(q e, (q - 1) e), e = `true` `[..., 1]` less the quantile."""
    short = true - parameters
    levels = short.new_tensor(law.quantiles)
    return torch.maximum(levels * short, (levels - 1) * short).mean(-1)


def _gaussian(parameters: Tensor, true: Tensor) -> Tensor:
    mean, deviation = parameters.unbind(-1)
    return 0.5 * ((true - mean) / deviation).square() + deviation.log() + 0.5 * log(2 * pi)


def _student_t(parameters: Tensor, true: Tensor) -> Tensor:
    location, scale, degrees = parameters.unbind(-1)
    far = ((true - location) / scale).square() / degrees
    half = (degrees + 1) / 2
    constant = torch.lgamma(degrees / 2) - torch.lgamma(half) + 0.5 * (pi * degrees).log()
    return constant + scale.log() + half * torch.log1p(far)


def _poisson(parameters: Tensor, true: Tensor) -> Tensor:
    """In float64: of large counts, what is added cancels."""
    mean = parameters.double()[..., 0]
    found = mean - true * mean.log() + torch.lgamma(true.double() + 1)
    return found.to(parameters.dtype)


def _negative_binomial(parameters: Tensor, true: Tensor) -> Tensor:
    """With r = 1 / dispersion: ln of Gamma(z + r) / (z! Gamma(r)) (1 + a m)^-r (a m / (1 + a m))^z
    (Salinas et al. 2020, equation 3). In float64: of large r, the logarithms of Gamma cancel."""
    mean, dispersion = parameters.double().unbind(-1)
    count, product = 1 / dispersion, dispersion * mean
    logs = torch.lgamma(true + count) - torch.lgamma(true + 1) - torch.lgamma(count)
    powers = true * (product.log() - torch.log1p(product)) - count * torch.log1p(product)
    return -(logs + powers).to(parameters.dtype)


def _beta(parameters: Tensor, true: Tensor) -> Tensor:
    """In float64: of a large precision, the logarithms of Gamma cancel."""
    mean, precision = parameters.double().unbind(-1)
    value = true.double()
    a = (mean * precision).clamp(min=SMALLEST)
    b = ((1 - mean) * precision).clamp(min=SMALLEST)
    logs = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    found = logs - (a - 1) * value.log() - (b - 1) * torch.log1p(-value)
    return found.to(parameters.dtype)


def _weibull(parameters: Tensor, true: Tensor) -> Tensor:
    scale, shape = parameters.unbind(-1)
    logs = (true.abs() / scale).log()
    power = (shape * logs).exp()
    return torch.where(true < 0, power, power - (shape - 1) * logs - (shape / scale).log())


def _mixture(law: Law, parameters: Tensor, true: Tensor, known: Tensor | None) -> Tensor:
    shares, means, deviations, correlations = mixed(law, parameters)
    z = (true.unsqueeze(-2) - means) / deviations
    logs = shares.clamp(min=SMALLEST).log()
    sizes = deviations.log() + 0.5 * log(2 * pi)
    if known is not None and law.width > 1:
        z, sizes = (each.masked_fill(~known.unsqueeze(-2), 0.0) for each in (z, sizes))
    logs = logs - sizes.sum(-1)
    square = z.square().sum(-1)
    if correlations is not None:
        if known is not None:
            correlations = correlations.masked_fill(~known.all(-1, keepdim=True), 0.0)
        left = 1 - correlations.square()
        square = (square - 2 * correlations * z[..., 0] * z[..., 1]) / left
        logs = logs - 0.5 * left.log()
    return -torch.logsumexp(logs - 0.5 * square, dim=-1)
