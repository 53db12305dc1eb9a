"""Tokens drawn at random, by the row's own seed alone (`rnnspec.plan.sampling_rng`)."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.plan.nodes import Sample
from rnnspec.plan.sampling_rng import BITS, bits, keys
from rnnspec.to_torch.search.path import follow
from rnnspec.to_torch.search.task import Task
from rnnspec.to_torch.search.texts import Texts


def sample(task: Task) -> Texts:
    """One draw a step, in double precision, as cumulative sums are compared."""
    search, of_seeds = task.rules.search, keys(task.seeds)
    assert isinstance(search, Sample)

    def choose(step: int, chances: Tensor) -> Tensor:
        if step < len(search.prefix):
            return chances.argmax(dim=-1)
        return drawn(search, chances.double(), bits(of_seeds, step).double() / (1 << BITS))

    return follow(task, choose)


def drawn(search: Sample, chances: Tensor, u: Tensor) -> Tensor:
    """The numbers `[B]` that `u` `[B]` draws by log-probabilities `[B, size]`."""
    sharp = ((chances - chances.amax(-1, keepdim=True)) / search.temperature).exp()
    falling, order = sharp.sort(dim=-1, descending=True, stable=True)
    mass = falling[:, : search.top_k or None].cumsum(-1)
    last = (mass < search.top_p * mass[:, -1:]).sum(-1, keepdim=True)
    kept = mass.gather(1, last.clamp(max=mass.shape[1] - 1))
    place = torch.minimum((mass <= u[:, None] * kept).sum(-1, keepdim=True), last)
    return order.gather(1, place)[:, 0]
