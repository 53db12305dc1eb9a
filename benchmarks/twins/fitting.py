"""One training loop for every twin that is not a classifier: a recipe, a loss and a score.

The recipe holds nothing that a spec could not name: optimizer, learning rate and its schedule,
weight decay, clipping, batch, epochs, and which epoch's weights are kept.
"""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Item = TypeVar("Item")


@dataclass(frozen=True)
class Recipe:
    """How a twin is trained.

    schedule: ``constant``; ``cosine`` (half a period from ``lr`` to 0 over all steps, Loshchilov
    and Hutter 2017, without restarts); ``step`` (times ``factor`` every ``every`` epochs);
    ``plateau`` (times ``factor`` after an epoch that did not better the best score).
    warmup: optimizer steps in which the rate grows linearly from 0, whatever the schedule.
    bf16: the forward pass under bfloat16 autocast, weights and optimizer in float32.
    """

    epochs: int
    batch: int = 32
    lr: float = 1e-3
    optimizer: str = "adam"
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    schedule: str = "constant"
    factor: float = 0.5
    every: int = 1
    warmup: int = 0
    bf16: bool = False


@dataclass(frozen=True)
class Fitted:
    """score: of the best epoch, whose weights the model now has; history: of every epoch;
    seconds: CPU time, scoring included; epoch: CPU seconds of an epoch's training alone, the median
    over epochs."""

    score: float
    history: list[float]
    seconds: float
    parameters: int
    epoch: float


OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def rate(recipe: Recipe, step: int, per_epoch: int, plateau: float) -> float:
    """The learning rate of optimizer step ``step`` (from 0); ``plateau`` is the factor so far."""
    lr = recipe.lr * plateau
    if recipe.warmup and step < recipe.warmup:
        return lr * (step + 1) / recipe.warmup
    if recipe.schedule == "cosine":
        total = recipe.epochs * per_epoch - recipe.warmup
        lr *= (1 + math.cos(math.pi * (step - recipe.warmup) / total)) / 2
    if recipe.schedule == "step":
        lr *= float(recipe.factor ** (step // per_epoch // recipe.every))
    return lr


@dataclass(frozen=True)
class Learner(Generic[Item]):
    """A twin to be trained: its model and recipe, the batch of some rows, the mean loss of one."""

    model: nn.Module
    recipe: Recipe
    batch: Callable[[Tensor], Item]
    loss: Callable[[Item], Tensor]

    def stepping(self) -> Callable[[Tensor], None]:
        """One step of the optimizer on the rows of these numbers."""
        weights = list(self.model.parameters())
        optimizer = OPTIMIZERS[self.recipe.optimizer](
            weights, lr=self.recipe.lr, weight_decay=self.recipe.weight_decay
        )
        self.model.train()

        def step(rows: Tensor) -> None:
            optimizer.zero_grad()
            loss = self.loss(self.batch(rows))
            loss.backward()
            nn.utils.clip_grad_norm_(weights, self.recipe.clip_norm)
            optimizer.step()
            loss.item()

        return step


def fit(
    model: nn.Module,
    recipe: Recipe,
    epoch_of: Callable[[], Iterable[Item]],
    loss_of: Callable[[Item], Tensor],
    score_of: Callable[[], float],
    *,
    higher: bool,
    show: bool = False,
) -> Fitted:
    """Trains ``model`` and leaves it with the weights of its best epoch.

    epoch_of: the batches of a fresh epoch; loss_of: the mean loss of a batch, model in training
    mode; score_of: the validation score, model in evaluation mode and without gradients; higher:
    whether a higher score is better; show: a line per epoch.
    """
    started = time.process_time()
    weights = list(model.parameters())
    # The rate is set before each step.
    optimizer = OPTIMIZERS[recipe.optimizer](
        weights, lr=recipe.lr, weight_decay=recipe.weight_decay
    )
    history: list[float] = []
    trained: list[float] = []
    best, kept, plateau, step = 0, copy.deepcopy(model.state_dict()), 1.0, 0
    for epoch in range(recipe.epochs):
        begun = time.process_time()
        model.train()
        batches = list(epoch_of())
        total = 0.0
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = rate(recipe, step, len(batches), plateau)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
                loss = loss_of(batch)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, recipe.clip_norm)
            optimizer.step()
            step += 1
            total += loss.item()
        trained.append(time.process_time() - begun)
        model.eval()
        with torch.no_grad():
            history.append(score_of())
        better = history[epoch] > history[best] if higher else history[epoch] < history[best]
        if epoch == 0 or better:
            best, kept = epoch, copy.deepcopy(model.state_dict())
        elif recipe.schedule == "plateau":
            plateau *= recipe.factor
        if show:
            seconds = time.process_time() - started
            mean = total / len(batches)
            print(f"{epoch + 1:>4}  {mean:8.4f}  {history[epoch]:8.4f}  {seconds:7.1f}", flush=True)
    model.load_state_dict(kept)
    size = sum(weight.numel() for weight in weights)
    seconds = time.process_time() - started
    return Fitted(history[best], history, seconds, size, statistics.median(trained))
