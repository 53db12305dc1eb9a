"""Differences of a series, and values from them: see `rnnspec.plan.nodes.differences`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from rnnspec.plan.nodes.differences import summed_up


def differences_of(steps: Tensor, lags: Sequence[int]) -> Tensor:
    """Of `[T, ...]`, along its first axis, one lag after the other; before the first step is 0."""
    for lag in lags:
        before = torch.zeros_like(steps[:lag])
        steps = steps - torch.cat([before, steps[: max(len(steps) - lag, 0)]])
    return steps


def differences_ahead(values: Tensor, base: Tensor, lags: Sequence[int]) -> Tensor:
    """The differences `[B, H]` of the values ahead `[B, H]` after the last ones `[B, K]`."""
    every = torch.cat([base.to(values.dtype), values], dim=1).t()
    return differences_of(every, lags)[base.shape[1] :].t()


def values_of(differences: Tensor, base: Tensor, lags: Sequence[int]) -> Tensor:
    """The values `[B, H]` of their differences `[B, H]` after the last ones `[B, K]`: float64."""
    matrices = _matrices(tuple(lags), differences.shape[1])
    of_differences, of_base = (each.to(differences.device) for each in matrices)
    wide, before = differences.to(torch.float64), base.to(torch.float64)
    return wide @ of_differences.t() + before @ of_base.t()


@lru_cache(maxsize=8)
def _matrices(lags: tuple[int, ...], horizon: int) -> tuple[Tensor, Tensor]:
    """The same for every batch of a model."""
    of_differences, of_base = summed_up(lags, horizon)
    return torch.tensor(of_differences, dtype=torch.float64), torch.tensor(
        of_base, dtype=torch.float64
    )
