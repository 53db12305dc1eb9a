"""Quantiles of distributions and draws of them, by the formulas of `rnnspec.plan.nodes.quantiles`,
in float64."""

from __future__ import annotations

from math import pi
from typing import assert_never

import torch
from torch import Tensor

from rnnspec.plan.nodes import Law
from rnnspec.plan.nodes.quantiles import CELLS, HALVINGS, SHARE_SPREAD, TAIL
from rnnspec.plan.sampling_rng import BITS, P, bits, keys
from rnnspec.to_torch.distributions import mixed


def quantile(law: Law, parameters: Tensor, p: Tensor) -> Tensor:
    """What each number stays below with probabilities `p`, `[P]` or `[..., P]`, of parameters
    `[..., K]`: `[..., D, P]`, of numbers that are mixed together of each alone."""
    given, p = parameters.double(), p.double()
    if law.name == "mixture":
        return _mixture(law, given, p.unsqueeze(-2))
    one = given.unsqueeze(-1).unbind(-2)
    return _of_one(law, one, p).unsqueeze(-2)


def _of_one(law: Law, one: tuple[Tensor, ...], p: Tensor) -> Tensor:
    match law.name:
        case "gaussian":
            return normal(p) * one[1] + one[0]
        case "laplace":
            return one[0] - one[1] * _side(p) * (2 * _tail_of(p)).log()
        case "student_t":
            return one[0] + one[1] * student_t(one[2], p)
        case "poisson":
            return counts(one[0], torch.zeros_like(one[0]), p)
        case "negative_binomial":
            return counts(one[0], one[1], p)
        case "beta":
            return shares(one[0] * one[1], (1 - one[0]) * one[1], p)
        case "weibull":
            return one[0] * ((-torch.log1p(-p)).log() / one[1]).exp()
        case "mixture" | "point" | "quantiles":
            raise AssertionError(f"{law.name} has no such quantiles")
        case _:
            assert_never(law.name)


def normal(p: Tensor) -> Tensor:
    """The quantile of a standard normal variable."""
    found: Tensor = torch.special.ndtri(p)
    return found


def _side(p: Tensor) -> Tensor:
    return (p - 0.5).sign()


def _tail_of(p: Tensor) -> Tensor:
    return torch.minimum(p, 1 - p)


def uniform_draws(seeds: Tensor, count: int, start: int = 0) -> Tensor:
    """`[B, count]`: the uniform draws of steps from `start` on, of seeds int64 `[B]`."""
    of_seed = keys(seeds[:, None])
    steps = torch.arange(start, start + count, device=seeds.device) % P
    drawn: Tensor = bits(of_seed, steps)  # type: ignore[arg-type]
    found: Tensor = (drawn.double() + 0.5) / 2**BITS
    return found


def draws(law: Law, parameters: Tensor, uniform: Tensor) -> Tensor:
    """Draws `[..., D, S]` of laws with parameters `[..., K]` by uniform ones `[..., S, J]`."""
    if law.name != "mixture":
        return quantile(law, parameters, uniform[..., 0])
    weights, means, deviations, correlations = mixed(law, parameters.double())
    passed = weights.cumsum(-1).unsqueeze(-2) <= uniform[..., :1]
    chosen = passed.sum(-1).clamp(max=law.components - 1)  # [..., S]
    z = normal(uniform[..., 1:])
    if correlations is not None:
        r = correlations.gather(-1, chosen)
        second = r * z[..., 0] + (1 - r**2).sqrt() * z[..., 1]
        z = torch.stack([z[..., 0], second], -1)
    of_numbers = chosen.unsqueeze(-1).expand(z.shape)
    found = means.gather(-2, of_numbers) + deviations.gather(-2, of_numbers) * z
    turned: Tensor = found.transpose(-1, -2)
    return turned


def _mixture(law: Law, parameters: Tensor, p: Tensor) -> Tensor:
    """`p` is `[1, P]` or `[..., 1, P]`."""
    weights, means, deviations, _ = mixed(law, parameters)
    weights = weights[..., None, None]
    means, deviations = means.unsqueeze(-1), deviations.unsqueeze(-1)  # [..., M, D, 1]
    own = means + deviations * normal(p).unsqueeze(-3)
    low, high = own.amin(-3), own.amax(-3)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        share = torch.special.ndtr((middle.unsqueeze(-3) - means) / deviations)
        short = (weights * share).sum(-3) < p
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    found: Tensor = (low + high) / 2
    return found


def student_t(n: Tensor, p: Tensor) -> Tensor:
    """As `rnnspec.reference.quantiles.student_t`."""
    n = n.clamp(min=2)
    both = 2 * _tail_of(p)
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * (a * pi / 2).sqrt() * n
    y = ((d * both).log() * 2 / n).exp()
    z = normal(both / 2)
    tail = (n + 6) / (n * y) - 0.089 * d - 0.822
    tail = (1 / (tail * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1
    tail = tail * (n + 1) / (n + 2) + 1 / y
    found = torch.where(y > 0.05 + a, _bulk(n, z, a, b, c, d), tail)
    return _side(p) * (n * found).sqrt()


def _bulk(n: Tensor, z: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    square = z**2
    c = torch.where(n < 5, c + 0.3 * (n - 4.5) * (z + 0.6), c)
    c = (((0.05 * d * z - 5) * z - 7) * z - 2) * z + b + c
    y = (((((0.4 * square + 6.3) * square + 36) * square + 94.5) / c - square - 3) / b + 1) * z
    return torch.expm1(a * y**2)


def counts(mean: Tensor, dispersion: Tensor, p: Tensor) -> Tensor:
    """As `rnnspec.reference.quantiles.counts`; mean and dispersion `[..., 1]`."""
    cells = torch.arange(CELLS + 1, dtype=torch.float64, device=mean.device)
    spread, tail = (mean + dispersion * mean**2).sqrt(), 1 + dispersion * mean
    lowest = (mean - 8 * spread).clamp(min=0).floor()
    more = (mean + 8 * spread + TAIL * tail - lowest - CELLS).clamp(min=0)
    growth = torch.log1p(more) * (cells / CELLS)
    edges = lowest + cells + (torch.expm1(growth) + 1e-9).floor()
    widths = edges.diff()
    centres = edges[..., :-1] + (widths - 1) / 2
    between = (centres[..., 1:] + centres[..., :-1] - 1) / 2
    slope = torch.log1p(dispersion * between) - torch.log1p(between) + (mean / tail).log()
    logs = torch.nn.functional.pad((slope * centres.diff()).cumsum(-1), (1, 0))
    masses = widths * (logs - logs.amax(-1, keepdim=True)).exp()
    at, part = _found(masses, p)
    width = widths.gather(-1, at)
    within = torch.minimum((part * width - 1e-9).ceil().clamp(min=1), width)
    return edges.gather(-1, at) + within - 1


def shares(a: Tensor, b: Tensor, p: Tensor) -> Tensor:
    """As `rnnspec.reference.quantiles.shares`; a and b `[..., 1]`."""
    steps = torch.linspace(-1, 1, CELLS + 1, dtype=torch.float64, device=a.device)
    tails = torch.where(steps < 0, TAIL / a, TAIL / b)
    edges = (a / b).log() + SHARE_SPREAD * (1 / a + 1 / b).sqrt() * steps + tails * steps**5
    softly = torch.nn.functional.logsigmoid
    logs = a * softly(edges) + b * softly(-edges)
    height = (logs - logs.amax(-1, keepdim=True)).exp()
    widths = edges.diff()
    at, part = _found(widths * (height[..., 1:] + height[..., :-1]), p)
    return torch.sigmoid(edges.gather(-1, at) + part * widths.gather(-1, at))


def _found(masses: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """The first cell `[..., P]` up to whose end there is a share p of all masses, and the part of
    the cell that this takes."""
    total = masses.cumsum(-1)
    aim = (p * total[..., -1:]).contiguous()
    at = torch.searchsorted(total.contiguous(), aim).clamp(max=CELLS - 1)
    end, mass = total.gather(-1, at), masses.gather(-1, at)
    part = (1 - (end - aim) / torch.where(mass > 0, mass, 1)).clamp(0, 1)
    return at, part
