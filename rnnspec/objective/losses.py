"""Losses as sums over the answers that have a true value.

Means are taken over all micro-batches of a step together (`rnnspec.objective.objective`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.objective.densities import pinball, surprise
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import ForecastOutput, Law

LossName = Literal["auto", "cross_entropy", "mse", "mae", "huber"]
ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda answer, true: (answer - true).square(),
    "mae": lambda answer, true: (answer - true).abs(),
    "huber": lambda answer, true: F.huber_loss(answer, true, reduction="none"),
}
"""The loss of each number by name, in the scaled units that the model is trained in."""
UNKNOWN_CLASS = -1
"""Target of an unknown class. Smaller numbers are labels that no training row has."""


def class_loss(logits: Tensor, targets: Tensor, loss: OutputLoss, smoothing: float) -> Tensor:
    """Sum of the cross-entropy of logits `[..., classes]` and class numbers `[...]`; numbers below
    0 are left out. `smoothing`: Szegedy et al. 2016, section 7."""
    weights = logits.new_tensor(loss.class_weights) if loss.class_weights else None
    if logits.dim() == 3 and logits.transpose(0, 1).is_contiguous():
        # Steps lie first in memory: in the other order 10,000 classes would be copied, a tenth of
        # the time of a step.
        logits, targets = logits.transpose(0, 1), targets.transpose(0, 1)
    return F.cross_entropy(
        logits.flatten(0, -2),
        targets.flatten().clamp(min=UNKNOWN_CLASS),
        weights,
        ignore_index=UNKNOWN_CLASS,
        reduction="sum",
        label_smoothing=smoothing,
    )


def log_probability_loss(logs: Tensor, targets: Tensor) -> Tensor:
    """Sum of -ln p of the true tokens, from log-probabilities `[B, U, size]`."""
    return F.nll_loss(logs.flatten(0, -2), targets.flatten(), ignore_index=-1, reduction="sum")


def ctc_loss(logs: Tensor, targets: Tensor) -> Tensor:
    """Sum of -ln p of the true texts (Graves et al. 2006), from log-probabilities `[B, T, size]` of
    the numbers at each step, the blank 0 alone past a row's length, and targets `[B, U]`: numbers,
    0, then -1.

    Texts that no path reads as, since they do not fit into the steps, are left out, as are rows
    without a target.
    """
    numbers = targets.clamp(min=END_ID)
    steps = torch.full((len(logs),), logs.shape[1], device=logs.device)
    each = F.ctc_loss(
        logs.transpose(0, 1),
        numbers,
        steps,
        (numbers > END_ID).sum(1),
        blank=END_ID,
        reduction="none",
        zero_infinity=True,
    )
    return each.masked_fill((targets < 0).all(1), 0.0).sum()


def labels_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum over rows or steps, and over labels, of the binary cross-entropy."""
    known = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(
        logits, torch.where(known, targets, 0.0), reduction="none"
    )
    return torch.where(known, each, 0.0).sum()


def numeric_loss(
    answers: Tensor, targets: Tensor, name: LossName, known: Tensor | None = None
) -> Tensor:
    """Sum over all numbers, both in scaled units.

    `known`: the numbers with a true value, since scaling may make one NaN; without it the targets
    that are not NaN.
    """
    known = ~targets.isnan() if known is None else known
    each = ERRORS["mse" if name == "auto" else name](answers, torch.where(known, targets, 0.0))
    return torch.where(known, each, 0.0).sum()


def stop_loss(logits: Tensor, stops: Tensor, own: Tensor) -> Tensor:
    """Sum of the binary cross-entropy of `stops` `[B, U]`, 1 at the step at which an answer has
    ended, over the steps that are a row's `own` (Shen et al. 2018, section 2.3)."""
    each = F.binary_cross_entropy_with_logits(logits, stops, reduction="none")
    return torch.where(own, each, 0.0).sum()


def forecast_loss(
    node: ForecastOutput, parameters: Tensor, scale: Tensor, targets: Tensor, name: LossName
) -> Tensor:
    """As `law_loss`, of `targets` `[B, H]`, NaN where none is known, and `scale` `[B, 1]`."""
    true = targets[..., None]
    return law_loss(node.law, parameters, scale[..., None], true, ~true.isnan(), name)


def law_loss(
    law: Law, parameters: Tensor, scale: Tensor, targets: Tensor, known: Tensor, name: LossName
) -> Tensor:
    """Sum over all laws: of the error or the pinball loss in units of `scale`, or of -ln of the
    density in the units of the data. Of a law of several numbers all must be `known`.

    `parameters` `[..., k]` and `targets` `[..., D]` are of the scaled values where the law is
    scaled, else in the units of the data. `scale` `[..., D]` is the unit of each number.
    """
    true = torch.where(known, targets, _possible(law, parameters))
    match law.name:
        case "point":
            each = ERRORS["mse" if name == "auto" else name](parameters, true)[..., 0]
        case "quantiles":
            each = pinball(law, parameters, true)
        case _:
            each = surprise(law, parameters, true)
            if law.is_scaled:
                each = each + scale.log().to(true.dtype).expand(*each.shape, -1).sum(-1)
    return torch.where(known.all(-1), each, 0.0).sum()


def _possible(law: Law, parameters: Tensor) -> Tensor:
    """A value with a finite density, where none is known: its loss does not count, and its gradient
    must be finite."""
    if law.traits.values == "shares":
        return parameters.new_tensor(0.5)
    return parameters[..., :1].detach()
