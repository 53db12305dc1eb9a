"""Optimizers of a spec as torch's own."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from rnnspec.spec import SGD, Adam, AdamW, Optimizer


def optimizer_of(chosen: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer over `parameters`. Fused: one call a step instead of several a parameter."""
    match chosen:
        case Adam() | AdamW():
            kind = torch.optim.AdamW if isinstance(chosen, AdamW) else torch.optim.Adam
            return kind(
                parameters,
                lr=chosen.lr,
                betas=chosen.betas,
                eps=chosen.eps,
                weight_decay=chosen.weight_decay,
                fused=True,
            )
        case SGD():
            return torch.optim.SGD(
                parameters,
                lr=chosen.lr,
                momentum=chosen.momentum,
                nesterov=chosen.nesterov,
                weight_decay=chosen.weight_decay,
                fused=True,
            )
