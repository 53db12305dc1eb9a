"""What training makes small: the loss of each output on a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.data import Batch
from rnnspec.objective import losses
from rnnspec.objective.settings import LossSettings
from rnnspec.plan.nodes import (
    ClassOutput,
    CopyMix,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.forecast import ForecastOutput as ForecastPart
from rnnspec.to_torch.outputs import NumericOutput as NumericPart
from rnnspec.to_torch.tensors import Inputs, tensors

States = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Answered:
    """By output column: losses, scores and targets of a batch; its inputs, and the states after
    it."""

    losses: dict[str, Tensor]
    scores: dict[str, Tensor]
    targets: dict[str, Tensor]
    inputs: Inputs
    after: dict[str, Tensor]


class Objective:
    """The losses of a model's outputs, each the mean over what its `counts` count, times the
    output's weight.

    `forcing` is the share of steps of a decoder that are given the true token before them.
    """

    def __init__(
        self, model: Model, settings: Train, loss_settings: LossSettings | None = None
    ) -> None:
        self.model, self.loss_settings = model, loss_settings or LossSettings()
        self.outputs: Mapping[str, Output] = {out.column: out for out in model.plan.outputs}
        self.loss, self.smoothing = settings.loss, settings.label_smoothing
        self.forcing = 1.0
        self.copies = any(isinstance(node, CopyMix) for node in model.plan.every_node())

    def counts(self, batch: Batch) -> dict[str, float]:
        """Of each output, how many answers its mean loss is over: those weigh alike wherever rows
        are split, among pieces of a step or among processes."""
        return {
            column: losses.count_of(node, batch.targets[column])
            for column, node in self.outputs.items()
        }

    def __call__(
        self,
        batch: Batch,
        precision: Precision,
        states: States | None = None,
        reset: Tensor | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The loss of each output, and the states after the batch if those before it are given."""
        found = self.answered(batch, precision, states, reset)
        return found.losses, found.after

    def answered(
        self,
        batch: Batch,
        precision: Precision,
        states: States | None = None,
        reset: Tensor | None = None,
    ) -> Answered:
        """As a call, with the scores and the targets that they are held against.

        `reset` `[B]` says in which rows a sequence begins, where the states before are given.
        Outside of training no label is smoothed and every true token is given.
        """
        inputs, targets = precision.placed(tensors(batch))
        counts = self.counts(batch)
        with precision.mixed():
            after: dict[str, Tensor] = {}
            if states is None:
                forcing = self.forcing if self.model.training else 1.0
                scores = self.model(inputs, targets, forcing)
            else:
                scores, after = self.model.run(inputs, states, reset)
            scores = {column: value.to(precision.weights) for column, value in scores.items()}
            found = {
                column: self._loss(node, scores[column], targets[column], inputs)
                / max(1.0, counts[column])
                for column, node in self.outputs.items()
            }
        return Answered(found, scores, targets, inputs, after)

    def _loss(self, node: Output, scores: Tensor, targets: Tensor, inputs: Inputs) -> Tensor:
        """The weighted loss of one output, summed over its answers."""
        output_loss = self.loss_settings.of(node.column)
        smoothing = self.smoothing if self.model.training else 0.0
        match node:
            case TextOutput() if self.copies:
                total = losses.log_probability_loss(scores, targets)
            case ClassOutput() | TextOutput():
                total = losses.class_loss(scores, targets, output_loss, smoothing)
            case LabelsOutput():
                total = losses.labels_loss(scores, targets)
            case NumericOutput():
                part = self.model.output(node.column)
                assert isinstance(part, NumericPart)
                scaled, known = part.scale(targets), ~targets.isnan()
                total = losses.numeric_loss(scores, scaled, self.loss, known)
            case ForecastOutput():
                total = self._of_forecast(node, scores, targets, inputs)
        return total if output_loss.weight == 1.0 else output_loss.weight * total

    def _of_forecast(
        self, node: ForecastOutput, scores: Tensor, targets: Tensor, inputs: Inputs
    ) -> Tensor:
        part = self.model.output(node.column)
        assert isinstance(part, ForecastPart)
        moments = self.model.moments(node.column, inputs)
        _, scale = part.scaling(scores, moments)
        if part.counts:
            parameters = part.answer(scores, moments)
        else:
            parameters, targets = part.standard(scores), part.to_scale(targets, moments)
        return losses.forecast_loss(node, parameters, scale, targets, self.loss)


def states_before(
    model: Model, reset: Tensor, carried: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """The states before a window: those after the one before it (None: it is the first), or those
    of a new sequence in the lanes `reset` `[B]`."""
    first = model.first_states(len(reset))
    if carried is None:
        return first
    return {
        name: torch.where(reset[:, None], value, carried[name].to(value.dtype))
        for name, value in first.items()
    }


def forecast(model: Model, node: ForecastOutput, raw: Tensor, inputs: Inputs) -> Tensor:
    """Parameters `[B, H, k]` in the units of the data."""
    part = model.output(node.column)
    assert isinstance(part, ForecastPart)
    return part.answer(raw, model.moments(node.column, inputs))
