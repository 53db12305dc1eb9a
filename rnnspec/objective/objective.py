"""What training minimizes: the loss of each output on a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.data import Batch
from rnnspec.objective import losses
from rnnspec.objective.losses import UNKNOWN_CLASS
from rnnspec.objective.settings import LossSettings, OutputLoss
from rnnspec.objective.transducer import transducer_loss
from rnnspec.plan.names import first_sequences, steps_in
from rnnspec.plan.nodes import (
    AlignedOutput,
    ChainOutput,
    ClassOutput,
    CopyMix,
    CtcOutput,
    ForecastOutput,
    FramesOutput,
    LabelsOutput,
    NumericOutput,
    PointerOutput,
    PositionOutput,
    Target,
    TextOutput,
    TransducerOutput,
)
from rnnspec.spec import Train
from rnnspec.spec.losses import Loss
from rnnspec.to_torch import Model
from rnnspec.to_torch.chain import ChainOutput as ChainModule
from rnnspec.to_torch.devices import Inputs, Precision, tensors
from rnnspec.to_torch.frames import FramesOutput as FramesModule
from rnnspec.to_torch.outputs import ForecastOutput as ForecastModule
from rnnspec.to_torch.outputs import NumericOutput as NumericModule

States = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward pass: by output column the losses, logits and targets of a batch. `logits` are raw
    values where numbers are answered. `counts`: how many answers each loss is the mean over.
    `states` are the states after a window, `activity` what layers add to the loss for their outputs
    while training, which the reported loss leaves out."""

    losses: dict[str, Tensor]
    logits: dict[str, Tensor]
    targets: dict[str, Tensor]
    inputs: Inputs
    states: dict[str, Tensor]
    activity: Tensor | None = None
    counts: Mapping[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> Tensor:
        """The sum of all losses, a scalar."""
        first, *others = self.losses.values()
        return sum(others, start=first)


class Objective:
    """The losses of a model's outputs: of each the mean over its answers (`counts`), times the
    output's weight.

    `forcing`: the share of decoder steps that are given the true token before them.
    """

    def __init__(
        self, model: Model, settings: Train, loss_settings: LossSettings | None = None
    ) -> None:
        every = OutputLoss(loss=settings.loss, smoothing=settings.label_smoothing)
        self.model, self.loss_settings = model, loss_settings or LossSettings(other=every)
        self.outputs: Mapping[str, Target] = {out.column: out for out in model.plan.targets}
        self.forcing = 1.0
        self.copies = any(isinstance(node, CopyMix) for node in model.plan.every_node())

    def counts(self, batch: Batch) -> dict[str, float]:
        """How many answers the mean loss of each output is over, each as often as its row or its
        step weighs. They weigh alike wherever rows are split: among the micro-batches of a step or
        among processes."""
        return {
            column: count_of(node, batch.targets[column], batch.weights_of(column))
            for column, node in self.outputs.items()
        }

    def __call__(
        self,
        batch: Batch,
        precision: Precision,
        states: States | None = None,
        reset: Tensor | None = None,
    ) -> Forward:
        """Run the model on a batch; on a window of streams with the `states` before it.

        `reset` `[B]` says in which rows of a window a sequence begins. Outside of training no label
        is smoothed and every true token is given.
        """
        inputs, targets = precision.placed(tensors(batch))
        counts = self.counts(batch)
        weights = {column: batch.weights_of(column) for column in self.outputs}
        with precision.mixed():
            after: dict[str, Tensor] = {}
            if states is None:
                forcing = self.forcing if self.model.training else 1.0
                logits = self.model(inputs, targets, forcing)
            else:
                logits, after = self.model.run(inputs, states, reset)
            active, self.model.activity = self.model.activity, None
            logits = {column: value.to(precision.weights) for column, value in logits.items()}
            counts |= self._readable(batch, logits, targets)
            found = {
                column: self._loss(node, logits[column], targets[column], inputs, weights[column])
                / (counts[column] or 1.0)
                for column, node in self.outputs.items()
            }
        return Forward(found, logits, targets, inputs, after, active, counts)

    def _readable(
        self, batch: Batch, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """The counts of texts that their steps have room for: the others, which rows to train on do
        not have, are left out of a loss that is measured."""
        found: dict[str, float] = {}
        for column, node in self.outputs.items():
            if isinstance(node, AlignedOutput) and not self.model.training:
                fits = losses.reads_as(logits[column], targets[column]).cpu().numpy()
                true = np.where(fits[:, None], batch.targets[column], UNKNOWN_CLASS)
                found[column] = count_of(node, true, batch.weights_of(column))
        return found

    def _loss(
        self,
        node: Target,
        logits: Tensor,
        targets: Tensor,
        inputs: Inputs,
        weights: NDArray[np.float64] | None,
    ) -> Tensor:
        """The weighted loss of one output, summed over its answers, with the `weights` of rows
        `[B]`, or of steps `[B, T]` or `[B, H]`."""
        each = LOSSES[type(node)].each(self, node, logits, targets, inputs)
        if weights is not None:
            axes = weights.ndim
            each = each.flatten(axes).sum(axes) if each.dim() > axes else each
            each = each * torch.from_numpy(weights).to(each.device, each.dtype)
        weight, total = self.loss_settings.of(node.column).weight, each.sum().to(logits.dtype)
        return total if weight == 1.0 else weight * total


# ---------------------------------------------------------------- by kind of output


@dataclass(frozen=True, slots=True)
class LossKind:
    """The loss of the outputs of one node type. Nodes are Any here: each is of its own type."""

    known: Callable[[NDArray[Any]], NDArray[np.bool_]]
    """Which rows, steps, tokens or numbers of targets have a true value."""
    each: Callable[[Objective, Any, Tensor, Tensor, Inputs], Tensor]
    """The losses of these, from a node, its logits and targets, and the model's inputs; the first
    axis is that of rows."""


def count_of(
    node: Target, targets: NDArray[Any], weights: NDArray[np.float64] | None = None
) -> float:
    """How many answers the loss of an output is a mean over, each as often as its row weighs, with
    `weights` `[B]`, or its step, with `[B, T]` or `[B, H]`."""
    known = LOSSES[type(node)].known(targets)
    if weights is None:
        return float(np.count_nonzero(known))
    inside = tuple(range(weights.ndim, known.ndim))
    return float((weights * known.sum(inside)).sum())


def _class_loss(
    objective: Objective, node: Target, logits: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    loss = objective.loss_settings.of(node.column)
    return losses.class_loss(
        logits, targets, loss, loss.smoothing if objective.model.training else 0.0
    )


def _position_loss(
    objective: Objective, node: PositionOutput, scores: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    return losses.position_loss(scores, targets, objective.loss_settings.of(node.column).loss)


def _chain_loss(
    objective: Objective, node: ChainOutput, scores: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    module, firsts = objective.model.output(node.column), first_sequences(objective.model.plan)
    assert isinstance(module, ChainModule)
    first = firsts[node.axis]
    lengths = steps_in(first, inputs[first.key][1])
    return module.surprise(scores, targets, lengths)


def _text_loss(
    objective: Objective, node: TextOutput, logits: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    if objective.copies:  # which mixes probabilities, so that these are their logarithms
        return losses.log_probability_loss(logits, targets)
    return _class_loss(objective, node, logits, targets, inputs)


def _numeric_loss(
    objective: Objective, node: NumericOutput, raw: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    module = objective.model.output(node.column)
    assert isinstance(module, NumericModule)
    return _distributed_loss(module, raw, targets, objective.loss_settings.of(node.column).loss)


def _distributed_loss(
    module: NumericModule | FramesModule, raw: Tensor, targets: Tensor, loss: Loss
) -> Tensor:
    """Of raw numbers `[..., raw]` and targets `[..., width]` in the units of the data."""
    law, known = module.law, ~targets.isnan()
    if law.name == "point":
        return losses.numeric_loss(raw, module.scale(targets), loss, known)
    if law.is_scaled:
        parameters, targets = module.standard(raw), module.scale(targets)
    else:
        parameters = module.laws(module.answer(raw))
    true, there = module.laws(targets), module.laws(known)
    _, scale = module.units(raw)
    return losses.law_loss(law, parameters, scale, true, there, loss)


def _forecast_loss(
    objective: Objective, node: ForecastOutput, raw: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    module = objective.model.output(node.column)
    assert isinstance(module, ForecastModule)
    moments = objective.model.moments(node.column, inputs)
    _, scale = module.scaling(raw, moments)
    if module.law.is_scaled:
        base = objective.model.base(node.column, inputs)
        parameters, targets = module.standard(raw), module.to_scale(targets, moments, base)
    else:
        parameters = module.answer(raw, moments)
    loss = objective.loss_settings.of(node.column).loss
    return losses.forecast_loss(node, parameters, scale, targets, loss)


def _frames_loss(
    objective: Objective, node: FramesOutput, raw: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    module = objective.model.output(node.column)
    assert isinstance(module, FramesModule)
    lengths = objective.model.true_lengths(node, inputs, targets)
    frames = raw[:, : targets.shape[1], : node.raw]
    loss = objective.loss_settings.of(node.column).loss
    found = _distributed_loss(module, frames, module.ordered(targets, lengths), loss)
    if node.length != "learned":
        return found
    stops, own = module.stop_targets(lengths, raw.shape[1])
    stopping = losses.stop_loss(raw[..., node.raw], stops, own)
    return found.flatten(1).sum(1) + node.width * stopping.sum(1)


def _labels_loss(
    objective: Objective, node: LabelsOutput, logits: Tensor, targets: Tensor, inputs: Inputs
) -> Tensor:
    return losses.labels_loss(logits, targets, objective.loss_settings.of(node.column).loss)


def _known_positions(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows, of which all marks have a true choice or none has."""
    found: NDArray[np.bool_] = targets[:, 0] >= 0
    return found


def _known_classes(targets: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = targets >= 0
    return found


def _known_rows(targets: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ~np.isnan(targets).any(-1)
    return found


def _known_numbers(targets: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ~np.isnan(targets)
    return found


LOSSES: Mapping[type[Target], LossKind] = {
    ClassOutput: LossKind(_known_classes, _class_loss),
    ChainOutput: LossKind(_known_classes, _chain_loss),
    LabelsOutput: LossKind(_known_rows, _labels_loss),
    NumericOutput: LossKind(_known_numbers, _numeric_loss),
    PositionOutput: LossKind(_known_positions, _position_loss),
    PointerOutput: LossKind(_known_classes, _class_loss),
    TextOutput: LossKind(_known_classes, _text_loss),
    TransducerOutput: LossKind(
        _known_classes, lambda o, node, arcs, targets, inputs: transducer_loss(arcs, targets)
    ),
    CtcOutput: LossKind(
        _known_classes, lambda o, node, logs, targets, inputs: losses.ctc_loss(logs, targets)
    ),
    ForecastOutput: LossKind(_known_numbers, _forecast_loss),
    FramesOutput: LossKind(_known_numbers, _frames_loss),
}


def states_before(
    model: Model, reset: Tensor, carried: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """The states before a window: first states in the lanes `reset` `[B]`, where a sequence begins,
    else those `carried` from the window before it (None before the first)."""
    first = model.first_states(len(reset))
    if carried is None:
        return first
    return {
        name: torch.where(reset[:, None], value, carried[name].to(value.dtype))
        for name, value in first.items()
    }
