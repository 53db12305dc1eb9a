"""Intervals and draws of one row's answers: see `rnnspec.plan.nodes.quantiles`."""

from __future__ import annotations

import numpy as np

from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.plan.nodes.quantiles import SEED_STRIDE, ends, uniforms
from rnnspec.reference.functions import Array
from rnnspec.reference.quantiles import draws, quantile, uniform_draws

Distributed = NumericOutput | ForecastOutput


def bounds(node: Distributed, parameters: Array) -> Array:
    """Lower, then upper bounds `[..., numbers, 2 levels]` of what is answered, `[..., K]` of a
    forecast, else of the laws side by side."""
    laws = _laws(node, parameters)
    found = [quantile(node.law, laws, share) for share in ends(node.intervals)]
    together = np.stack(found, axis=-1)  # [..., laws, D, 2 levels]
    return together.reshape(*parameters.shape[:-1], _numbers(node), together.shape[-1])


def samples(node: Distributed, parameters: Array, seed: int, place: int) -> Array:
    """Draws `[..., numbers, samples]` of a row, whose output stands at a place among all."""
    laws = _laws(node, parameters)
    shape = (*laws.shape[:-1], node.samples, uniforms(node.law))
    own = np.array([seed], np.int64) + (place + 1) * SEED_STRIDE  # which may run over
    found = np.moveaxis(draws(node.law, laws, uniform_draws(int(own[0]), 0, shape)), -1, -2)
    return found.reshape(*parameters.shape[:-1], _numbers(node), node.samples)


def _numbers(node: Distributed) -> int:
    return 1 if isinstance(node, ForecastOutput) else node.width


def _laws(node: Distributed, parameters: Array) -> Array:
    """`[..., laws, K]`."""
    many = 1 if isinstance(node, ForecastOutput) else node.laws
    return parameters.reshape(*parameters.shape[:-1], many, node.law.size)
