"""Optimizers of a spec: torch's own steps, and what they remember of each weight.

The steps are the functions behind torch's classes of the same names. The classes are not used:
the first one that is made imports torch's compiler (1.6 s of CPU, 74 MB).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.nadam import nadam
from torch.optim.radam import radam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from rnnspec.spec import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop
from rnnspec.to_torch import Model

Entries = dict[str, Tensor]
"""What is remembered of one weight, by torch's names."""


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that decay alike."""

    weights: Sequence[nn.Parameter]
    weight_decay: float


@dataclass(frozen=True, slots=True)
class Stepped:
    """The weights of a group that have a gradient, and what is remembered of them, in one order."""

    weights: list[Tensor]
    gradients: list[Tensor]
    entries: list[Entries]
    lr: float
    weight_decay: float

    def all_of(self, name: str) -> list[Tensor]:
        """One entry of all weights; empty if it is not remembered."""
        return [each[name] for each in self.entries if name in each]


@dataclass(slots=True)
class Updates:
    """An optimizer at work: `lr` is the rate of the next step."""

    chosen: Optimizer
    groups: Sequence[Group]
    entries: dict[nn.Parameter, Entries] = field(default_factory=dict)
    lr: float = 0.0

    def __post_init__(self) -> None:
        self.lr = self.chosen.lr

    @property
    def weights(self) -> list[nn.Parameter]:
        """All weights; their places here number them in a checkpoint."""
        return [weight for group in self.groups for weight in group.weights]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The weights as `torch.amp.GradScaler` reads them."""
        return [{"params": list(group.weights)} for group in self.groups]

    @torch.no_grad()
    def step(self) -> None:
        """Change every weight that has a gradient."""
        for group in self.groups:
            weights = [weight for weight in group.weights if weight.grad is not None]
            for weight in weights:
                if weight not in self.entries:
                    self.entries[weight] = first_entries(self.chosen, weight)
            if weights:
                gradients = [weight.grad for weight in weights if weight.grad is not None]
                entries = [self.entries[weight] for weight in weights]
                stepped = Stepped([*weights], gradients, entries, self.lr, group.weight_decay)
                KINDS[type(self.chosen)].step(self.chosen, stepped)


def _adam(chosen: Adam | AdamW, of: Stepped) -> None:
    beta1, beta2 = chosen.betas
    adam(
        of.weights, of.gradients, of.all_of("exp_avg"), of.all_of("exp_avg_sq"), [],
        of.all_of("step"), fused=True, amsgrad=False, beta1=beta1, beta2=beta2, lr=of.lr,
        weight_decay=of.weight_decay, eps=chosen.eps, maximize=False,
        decoupled_weight_decay=isinstance(chosen, AdamW),
    )  # fmt: skip


def _nadam(chosen: NAdam, of: Stepped) -> None:
    beta1, beta2 = chosen.betas
    nadam(
        of.weights, of.gradients, of.all_of("exp_avg"), of.all_of("exp_avg_sq"),
        of.all_of("mu_product"), of.all_of("step"), foreach=True, beta1=beta1, beta2=beta2,
        lr=of.lr, weight_decay=of.weight_decay, momentum_decay=chosen.momentum_decay,
        eps=chosen.eps,
    )  # fmt: skip


def _radam(chosen: RAdam, of: Stepped) -> None:
    beta1, beta2 = chosen.betas
    radam(
        of.weights, of.gradients, of.all_of("exp_avg"), of.all_of("exp_avg_sq"),
        of.all_of("step"), foreach=True, beta1=beta1, beta2=beta2, lr=of.lr,
        weight_decay=of.weight_decay, eps=chosen.eps,
    )  # fmt: skip


def _sgd(chosen: SGD, of: Stepped) -> None:
    buffers: list[Tensor | None] = [each.get("momentum_buffer") for each in of.entries]
    sgd(
        of.weights, of.gradients, buffers, fused=True, weight_decay=of.weight_decay,
        momentum=chosen.momentum, lr=of.lr, dampening=0.0, nesterov=chosen.nesterov, maximize=False,
    )  # fmt: skip


def _rmsprop(chosen: RMSprop, of: Stepped) -> None:
    rmsprop(
        of.weights, of.gradients, of.all_of("square_avg"), of.all_of("grad_avg"),
        of.all_of("momentum_buffer"), of.all_of("step"), foreach=True, lr=of.lr,
        alpha=chosen.alpha, eps=chosen.eps, weight_decay=of.weight_decay,
        momentum=chosen.momentum, centered=chosen.centered,
    )  # fmt: skip


def _adagrad(chosen: Adagrad, of: Stepped) -> None:
    adagrad(
        of.weights, of.gradients, of.all_of("sum"), of.all_of("step"), fused=True, lr=of.lr,
        weight_decay=of.weight_decay, lr_decay=chosen.lr_decay, eps=chosen.eps, maximize=False,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """How an optimizer steps, and what it remembers: `like` the weight, zeros at first, and the
    number of steps, which stands on the device of the weight where a step is one `fused` call."""

    step: Callable[[Any, Stepped], None]
    like: Callable[[Any], tuple[str, ...]]
    fused: bool = False
    counted: bool = True


KINDS: dict[type[Optimizer], Kind] = {
    Adam: Kind(_adam, lambda chosen: ("exp_avg", "exp_avg_sq"), fused=True),
    AdamW: Kind(_adam, lambda chosen: ("exp_avg", "exp_avg_sq"), fused=True),
    NAdam: Kind(_nadam, lambda chosen: ("exp_avg", "exp_avg_sq")),
    RAdam: Kind(_radam, lambda chosen: ("exp_avg", "exp_avg_sq")),
    SGD: Kind(_sgd, lambda chosen: _momentum(chosen), fused=True, counted=False),
    RMSprop: Kind(
        _rmsprop,
        lambda chosen: ("square_avg", *_momentum(chosen), *("grad_avg",) * chosen.centered),
    ),
    Adagrad: Kind(_adagrad, lambda chosen: ("sum",), fused=True),
}
"""Of every optimizer. Of those that are not fused, each operation is one for all weights."""


def _momentum(chosen: SGD | RMSprop) -> tuple[str, ...]:
    return ("momentum_buffer",) if chosen.momentum else ()


def first_entries(chosen: Optimizer, weight: nn.Parameter) -> Entries:
    """What is remembered of a weight before the first step."""
    kind = KINDS[type(chosen)]
    entries = {name: torch.zeros_like(weight.detach()) for name in kind.like(chosen)}
    if kind.counted:
        entries["step"] = torch.zeros((), device=weight.device if kind.fused else "cpu")
    if isinstance(chosen, NAdam):
        entries["mu_product"] = torch.ones(())
    return entries


def entries_of(updates: Updates) -> dict[str, Tensor]:
    """All that is remembered, as `NUMBER.KEY` of the number of a weight and a name."""
    return {
        f"{number}.{key}": value
        for number, weight in enumerate(updates.weights)
        for key, value in updates.entries.get(weight, {}).items()
    }


def load_entries(updates: Updates, entries: Mapping[str, Tensor]) -> None:
    """Take back what `entries_of` gave. Raises ValueError if it does not fit."""
    told: dict[int, dict[str, Tensor]] = {}
    for name, value in entries.items():
        place, _, key = name.partition(".")
        told.setdefault(int(place), {})[key] = value
    weights = updates.weights
    if told and max(told) >= len(weights):
        raise ValueError(f"weight {max(told)} of {len(weights)} weights")
    updates.entries = {
        weights[number]: _taken(first_entries(updates.chosen, weights[number]), values)
        for number, values in told.items()
    }


def _taken(first: Entries, values: Mapping[str, Tensor]) -> Entries:
    """`values` with the types and devices of `first`."""
    fits = {key: tuple(value.shape) for key, value in first.items()}
    found = {key: tuple(value.shape) for key, value in values.items()}
    if fits != found:
        raise ValueError(f"entries {found} in the place of {fits}")
    return {key: values[key].to(value.device, value.dtype) for key, value in first.items()}


def groups_of(chosen: Optimizer, model: Model) -> list[Group]:
    """The trained weights by how they decay; biases, norms, embeddings and first states do not if
    `weight_decay_on` is "matrices"."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if chosen.weight_decay_on == "all":
        return [Group(trained, chosen.weight_decay)]
    matrices = list(model.decaying())
    decaying = {id(weight) for weight in matrices}
    others = [weight for weight in trained if id(weight) not in decaying]
    groups = [Group(matrices, chosen.weight_decay), Group(others, 0.0)]
    return [group for group in groups if group.weights]
