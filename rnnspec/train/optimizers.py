"""Optimizers of a spec as torch's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from rnnspec.spec import SGD, Adam, AdamW, Optimizer
from rnnspec.to_torch.layers import Embed
from rnnspec.to_torch.stack import Normalize

Groups = Iterable[nn.Parameter] | Sequence[dict[str, Any]]


def optimizer_of(chosen: Optimizer, weights: Groups) -> torch.optim.Optimizer:
    """The optimizer over weights, or groups of them that differ in a setting.

    Fused: one call a step instead of several a weight.
    """
    match chosen:
        case Adam() | AdamW():
            kind = torch.optim.AdamW if isinstance(chosen, AdamW) else torch.optim.Adam
            return kind(
                weights,
                lr=chosen.lr,
                betas=chosen.betas,
                eps=chosen.eps,
                weight_decay=chosen.weight_decay,
                fused=True,
            )
        case SGD():
            return torch.optim.SGD(
                weights,
                lr=chosen.lr,
                momentum=chosen.momentum,
                nesterov=chosen.nesterov,
                weight_decay=chosen.weight_decay,
                fused=True,
            )


def groups_of(chosen: Optimizer, model: nn.Module) -> list[dict[str, Any]]:
    """The trained weights by how they decay; biases, norms, embeddings and first states do not if
    `weight_decay_on` is "matrices"."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if chosen.weight_decay_on == "all":
        return [{"params": trained, "weight_decay": chosen.weight_decay}]
    kept = {
        id(weight)
        for part in model.modules()
        if isinstance(part, Embed | Normalize)
        for weight in part.parameters()
    }
    matrices = [weight for weight in trained if weight.dim() > 1 and id(weight) not in kept]
    decaying = {id(weight) for weight in matrices}
    others = [weight for weight in trained if id(weight) not in decaying]
    groups = [(matrices, chosen.weight_decay), (others, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
