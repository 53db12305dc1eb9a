"""Averages of the weights over training, evaluated and exported instead of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from rnnspec.spec import Train


class Average:
    """An average of `weights`, which training changes. This one is none: the weights themselves."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.weights = weights

    def after_step(self, steps: int) -> None:
        """The optimizer has made step number `steps`, counted from 1."""

    def after_epoch(self) -> None:
        """The epoch is over."""

    def see(self, cost: float) -> None:
        """What the values were worth on the validation rows, the lower the better."""

    def values(self) -> Sequence[Tensor]:
        """The average of each weight."""
        return self.weights

    def arrays(self) -> dict[str, Tensor]:
        """The arrays that a checkpoint keeps."""
        return {}

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        """Take back what `arrays` gave. Raises KeyError or RuntimeError if it does not fit."""


class MovingAverage(Average):
    """`a = d a + (1 - d) w` after each step.

    d is the `decay`, at step n at most (1 + n) / (10 + n), so that the initial weights are soon
    forgotten (the rule of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        super().__init__(weights)
        self.decay = decay
        self.mean = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def after_step(self, steps: int) -> None:
        decay = min(self.decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(self.mean, [w.detach() for w in self.weights], 1 - decay)

    def values(self) -> Sequence[Tensor]:
        return self.mean

    def arrays(self) -> dict[str, Tensor]:
        return {str(number): value for number, value in enumerate(self.mean)}

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        for number, value in enumerate(self.mean):
            value.copy_(arrays[str(number)])


class LastEpochs(Average):
    """The mean of the weights at the ends of the last `many` epochs (Izmailov et al. 2018,
    Averaging Weights Leads to Wider Optima, equation 1, over a moving window)."""

    def __init__(self, weights: Sequence[Tensor], many: int) -> None:
        super().__init__(weights)
        self.many = many
        self.kept: list[list[Tensor]] = []

    def after_epoch(self) -> None:
        self.kept.append([weight.detach().clone() for weight in self.weights])
        del self.kept[: -self.many]

    def values(self) -> Sequence[Tensor]:
        if not self.kept:
            return self.weights
        return [torch.stack(of_epochs).mean(dim=0) for of_epochs in zip(*self.kept, strict=True)]

    def arrays(self) -> dict[str, Tensor]:
        return {
            f"{epoch}.{number}": value
            for epoch, values in enumerate(self.kept)
            for number, value in enumerate(values)
        }

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        epochs = len(arrays) // max(1, len(self.weights))
        self.kept = [
            [
                arrays[f"{epoch}.{number}"].to(weight).view_as(weight)
                for number, weight in enumerate(self.weights)
            ]
            for epoch in range(epochs)
        ]


class SinceStale(Average):
    """The mean of the weights after each step since the cost of an epoch was above the best of all
    epochs but the last `epochs` ones; the weights themselves until then (NT-ASGD: Merity et al.
    2018, Regularizing and Optimizing LSTM Language Models, algorithm 1)."""

    def __init__(self, weights: Sequence[Tensor], epochs: int) -> None:
        super().__init__(weights)
        self.epochs, self.count = epochs, -1
        self.costs: list[float] = []
        self.mean: list[Tensor] = []

    def see(self, cost: float) -> None:
        earlier = self.costs[: -self.epochs]
        if self.count < 0 and earlier and cost > min(earlier):
            self.count, self.mean = 0, [weight.detach().clone() for weight in self.weights]
        self.costs.append(cost)

    @torch.no_grad()
    def after_step(self, steps: int) -> None:
        if self.count >= 0:
            self.count += 1
            now = [weight.detach() for weight in self.weights]
            torch._foreach_lerp_(self.mean, now, 1 / self.count)

    def values(self) -> Sequence[Tensor]:
        return self.mean if self.count > 0 else self.weights

    def arrays(self) -> dict[str, Tensor]:
        told = {
            "count": torch.tensor(self.count),
            "costs": torch.tensor(self.costs, dtype=torch.float64),
        }
        return {**told, **{str(number): value for number, value in enumerate(self.mean)}}

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        self.count, self.costs = int(arrays["count"]), arrays["costs"].tolist()
        numbers = range(len(self.weights) if self.count >= 0 else 0)
        self.mean = [
            arrays[str(number)].to(self.weights[number]).view_as(self.weights[number]).clone()
            for number in numbers
        ]


def average_of(settings: Train, weights: Sequence[Tensor]) -> Average:
    """The average that a spec asks for."""
    if settings.ema is not None:
        return MovingAverage(weights, settings.ema)
    if settings.average_last is not None:
        return LastEpochs(weights, settings.average_last)
    if settings.average_when_stale is not None:
        return SinceStale(weights, settings.average_when_stale)
    return Average(weights)


@contextmanager
def averaged(average: Average) -> Iterator[None]:
    """While inside, the weights hold their averages."""
    if average.values() is average.weights:
        yield
        return
    weights = list(average.weights)
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        torch._foreach_copy_(weights, list(average.values()))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(weights, before)
