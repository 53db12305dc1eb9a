"""What training makes small: the loss of each output on a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from rnnspec.data import Batch
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.train.devices import Numbers
from rnnspec.train.evaluate import tensors
from rnnspec.train.losses import loss_of

States = Mapping[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Answered:
    """By output column: losses, scores and targets of a batch; and the states after it."""

    losses: dict[str, Tensor]
    scores: dict[str, Tensor]
    targets: dict[str, Tensor]
    after: dict[str, Tensor]


class Objective:
    """The losses of a model's outputs, each the mean over what its `counts` count."""

    def __init__(self, model: Model, settings: Train) -> None:
        self.model = model
        self.losses: dict[str, Loss] = {
            out.column: loss_of(out, model.output(out.column), settings.loss)
            for out in model.plan.outputs
        }

    def counts(self, batch: Batch) -> dict[str, float]:
        """Of each output, how many answers its mean loss is over: those weigh alike wherever rows
        are split, among pieces of a step or among processes."""
        return {column: float(len(batch.targets[column])) for column in self.losses}

    def __call__(
        self, batch: Batch, numbers: Numbers, states: States | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The loss of each output, and the states after the batch if those before it are given."""
        found = self.answered(batch, numbers, states)
        return found.losses, found.after

    def answered(self, batch: Batch, numbers: Numbers, states: States | None = None) -> Answered:
        """As a call, with the scores and the targets that they are held against."""
        inputs, targets = numbers.placed(tensors(batch))
        with numbers.mixed():
            after: dict[str, Tensor] = {}
            if states is None:
                scores = self.model(inputs)
            else:
                scores, after = self.model.run(inputs, states)
            scores = {column: value.to(numbers.weights) for column, value in scores.items()}
            losses = {
                column: loss(scores[column], targets[column])
                for column, loss in self.losses.items()
            }
        return Answered(losses, scores, targets, after)
