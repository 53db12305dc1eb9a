"""Losses of each answer, and 0 where there is no true value. The first axis is that of rows.

They are weighted and added up by `rnnspec.objective.objective`, over all micro-batches of a step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.objective.densities import pinball, surprise
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import ForecastOutput, Law
from rnnspec.spec.losses import AUTO, AbsoluteError, Focal, Huber, Loss

UNKNOWN_CLASS = -1
"""Target of an unknown class. Smaller numbers are labels that no training row has."""


def class_loss(logits: Tensor, targets: Tensor, loss: OutputLoss, smoothing: float) -> Tensor:
    """The cross-entropy, or the focal loss, of logits `[..., classes]` and class numbers `[...]`;
    numbers below 0 are left out. `smoothing`: Szegedy et al. 2016, section 7."""
    weights = logits.new_tensor(loss.class_weights) if loss.class_weights else None
    steps_first = logits.dim() == 3 and logits.transpose(0, 1).is_contiguous()
    if steps_first:
        # In the other order 10,000 classes would be copied, a tenth of the time of a step.
        logits, targets = logits.transpose(0, 1), targets.transpose(0, 1)
    known = targets.flatten().clamp(min=UNKNOWN_CLASS)
    if isinstance(loss.loss, Focal):
        each = _cross_entropy(logits.flatten(0, -2), known)
        factor = 1.0 if weights is None else weights[known.clamp(min=0)]
        each = factor * focal(each, loss.loss)
    else:
        each = _cross_entropy(logits.flatten(0, -2), known, weights, smoothing)
    each = each.view(targets.shape)
    return each.transpose(0, 1) if steps_first else each


def _cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    return F.cross_entropy(
        logits,
        targets,
        weights,
        ignore_index=UNKNOWN_CLASS,
        reduction="none",
        label_smoothing=smoothing,
    )


def focal(surprises: Tensor, loss: Focal) -> Tensor:
    """(1 - p)^gamma times -ln p, of the probabilities p of what is true (Lin et al. 2017, equation
    4), from `surprises`, which are -ln p."""
    smallest = torch.finfo(surprises.dtype).tiny  # of 0 the power has no finite gradient
    return (-torch.expm1(-surprises)).clamp(min=smallest) ** loss.gamma * surprises


def position_loss(scores: Tensor, targets: Tensor, loss: Loss = AUTO) -> Tensor:
    """`[B]`: the sum over marks of the cross-entropy, or of the focal loss, of the scores of
    choices `[B, 1 + T, marks]` and the true ones `[B, marks]`; numbers below 0 are left out."""
    each = F.cross_entropy(scores, targets, ignore_index=UNKNOWN_CLASS, reduction="none")
    return (focal(each, loss) if isinstance(loss, Focal) else each).sum(1)


def log_probability_loss(logs: Tensor, targets: Tensor) -> Tensor:
    """-ln p of the true tokens, from log-probabilities `[B, U, size]`: `[B, U]`."""
    each = F.nll_loss(logs.flatten(0, -2), targets.flatten(), ignore_index=-1, reduction="none")
    return each.view(targets.shape)


def ctc_loss(logs: Tensor, targets: Tensor) -> Tensor:
    """-ln p of the true texts (Graves et al. 2006), `[B]`, from log-probabilities `[B, T, size]` of
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
    return each.masked_fill((targets < 0).all(1), 0.0)


def reads_as(arcs: Tensor, targets: Tensor) -> Tensor:
    """Bool `[B]`: whether the steps of a row have room for its text, from what `ctc_loss` is of, or
    of a transducer, which needs a step at all, from log-probabilities `[B, T, U + 1, 2]`."""
    tokens = targets > END_ID
    if arcs.dim() == 4:
        return (arcs[:, :, 0, 0] < 0).any(1) | ~tokens.any(1)
    steps = (arcs[..., END_ID + 1 :] > -torch.inf).any(2).sum(1)
    repeats = tokens[:, 1:] & (targets[:, 1:] == targets[:, :-1])
    return tokens.sum(1) + repeats.sum(1) <= steps


def labels_loss(logits: Tensor, targets: Tensor, loss: Loss = AUTO) -> Tensor:
    """The binary cross-entropy, or the focal loss, of each label of each row or step."""
    known = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(
        logits, torch.where(known, targets, 0.0), reduction="none"
    )
    if isinstance(loss, Focal):
        each = focal(each, loss)
    return torch.where(known, each, 0.0)


def error(loss: Loss, answers: Tensor, true: Tensor) -> Tensor:
    """The loss of each number, in the scaled units that the model is trained in."""
    match loss:
        case AbsoluteError():
            return (answers - true).abs()
        case Huber():
            return F.huber_loss(answers, true, reduction="none", delta=loss.delta)
        case _:
            return (answers - true).square()


def numeric_loss(
    answers: Tensor, targets: Tensor, loss: Loss, known: Tensor | None = None
) -> Tensor:
    """The loss of each number, both in scaled units.

    `known`: the numbers with a true value, since scaling may make one NaN; without it the targets
    that are not NaN.
    """
    known = ~targets.isnan() if known is None else known
    return torch.where(known, error(loss, answers, torch.where(known, targets, 0.0)), 0.0)


def stop_loss(logits: Tensor, stops: Tensor, own: Tensor) -> Tensor:
    """The binary cross-entropy of `stops` `[B, U]`, 1 at the step at which an answer has ended, at
    the steps that are a row's `own` (Shen et al. 2018, section 2.3)."""
    each = F.binary_cross_entropy_with_logits(logits, stops, reduction="none")
    return torch.where(own, each, 0.0)


def forecast_loss(
    node: ForecastOutput, parameters: Tensor, scale: Tensor, targets: Tensor, loss: Loss
) -> Tensor:
    """As `law_loss`, of `targets` `[B, H]`, NaN where none is known, and `scale` `[B, 1]`."""
    true = targets[..., None]
    return law_loss(node.law, parameters, scale[..., None], true, ~true.isnan(), loss)


def law_loss(
    law: Law, parameters: Tensor, scale: Tensor, targets: Tensor, known: Tensor, loss: Loss
) -> Tensor:
    """Of each law the error or the pinball loss in units of `scale`, or -ln of the density in the
    units of the data. Of a law of several numbers it is the density of those that are `known`.

    `parameters` `[..., k]` and `targets` `[..., D]` are of the scaled values where the law is
    scaled, else in the units of the data. `scale` `[..., D]` is the unit of each number.
    """
    true = torch.where(known, targets, _possible(law, parameters))
    match law.name:
        case "point":
            each = error(loss, parameters, true)[..., 0]
        case "quantiles":
            each = pinball(law, parameters, true)
        case _:
            each = surprise(law, parameters, true, known)
            if law.is_scaled:
                units = scale.log().to(true.dtype).expand(*each.shape, -1)
                each = each + torch.where(known, units, 0.0).sum(-1)
    return torch.where(known.any(-1), each, 0.0)


def _possible(law: Law, parameters: Tensor) -> Tensor:
    """A value with a finite density, where none is known: its loss does not count, and its gradient
    must be finite."""
    if law.traits.values == "shares":
        return parameters.new_tensor(0.5)
    return parameters[..., :1].detach()
