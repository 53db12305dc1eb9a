"""Intervals and draws of answers: see `rnnspec.plan.nodes.quantiles`."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.plan.nodes.quantiles import SEED_STRIDE, ends, uniforms
from rnnspec.to_torch.quantiles import draws, quantile, uniform_draws

Distributed = NumericOutput | ForecastOutput


def bounds(node: Distributed, parameters: Tensor, by: float = 0.0) -> Tensor:
    """Lower, then upper bounds `[..., numbers, 2 levels]` of what is answered, `[..., K]` of a
    forecast, else of the laws side by side; float64. Their probabilities are moved `by` a share."""
    shares = torch.tensor(ends(node.intervals), dtype=torch.float64, device=parameters.device)
    return quantile(node.law, _laws(node, parameters), moved(shares, by)).flatten(-3, -2)


def moved(probabilities: Tensor, by: float) -> Tensor:
    """Probabilities further on by a share of what is left on their side."""
    further: Tensor = probabilities + by * torch.minimum(probabilities, 1 - probabilities)
    return further


def uniform(node: Distributed, parameters: Tensor, seeds: Tensor, place: int) -> Tensor:
    """The uniform draws `[..., laws, samples, J]` behind those of rows with seeds int64 `[B]`,
    whose output stands at a place among all."""
    of_row = (*_laws(node, parameters).shape[1:-1], node.samples, uniforms(node.law))
    count = torch.Size(of_row).numel()
    return uniform_draws(seeds + (place + 1) * SEED_STRIDE, count).reshape(len(seeds), *of_row)


def samples(node: Distributed, parameters: Tensor, uniform: Tensor) -> Tensor:
    """Draws `[..., numbers, samples]` by uniform ones; float64."""
    return draws(node.law, _laws(node, parameters), uniform).flatten(-3, -2)


def _laws(node: Distributed, parameters: Tensor) -> Tensor:
    """`[..., laws, K]`."""
    many = 1 if isinstance(node, ForecastOutput) else node.laws
    found: Tensor = parameters.unflatten(-1, (many, node.law.size))
    return found
