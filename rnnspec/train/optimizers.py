"""Optimizers of a spec as torch's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnspec.spec import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop
from rnnspec.to_torch import Model

Groups = Iterable[nn.Parameter] | Sequence[dict[str, Any]]
KINDS: dict[type[Optimizer], type[torch.optim.Optimizer]] = {
    Adam: torch.optim.Adam,
    AdamW: torch.optim.AdamW,
    NAdam: torch.optim.NAdam,
    RAdam: torch.optim.RAdam,
    SGD: torch.optim.SGD,
    RMSprop: torch.optim.RMSprop,
    Adagrad: torch.optim.Adagrad,
}
FUSED = (Adam, AdamW, SGD, Adagrad)
"""Those that torch has as one call a step; of the others each operation is one for all weights."""


def optimizer_of(chosen: Optimizer, weights: Groups) -> torch.optim.Optimizer:
    """The optimizer over weights, or groups of them that differ in a setting.

    The settings of a spec have torch's names.
    """
    settings: dict[str, Any] = {key: getattr(chosen, key) for key in type(chosen).model_fields}
    del settings["weight_decay_on"]  # which is in the groups
    settings["fused" if isinstance(chosen, FUSED) else "foreach"] = True
    return KINDS[type(chosen)](weights, **settings)


def entries_of(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that an optimizer remembers, as `NUMBER.KEY` of the number of a weight and a name."""
    return {
        f"{number}.{key}": torch.as_tensor(value)
        for number, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
        if value is not None
    }


def load_entries(optimizer: torch.optim.Optimizer, entries: Mapping[str, Tensor]) -> None:
    """Take back what `entries_of` gave. Raises ValueError or RuntimeError if it does not fit."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in entries.items():
        place, _, key = name.partition(".")
        state.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, weight in enumerate(weights):
        if "mu_product" in state.get(number, {}):
            # NAdam's, a number on the CPU: torch gives it the type and device of the weight.
            optimizer.state[weight]["mu_product"] = state[number]["mu_product"]


def groups_of(chosen: Optimizer, model: Model) -> list[dict[str, Any]]:
    """The trained weights by how they decay; biases, norms, embeddings and first states do not if
    `weight_decay_on` is "matrices"."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    if chosen.weight_decay_on == "all":
        return [{"params": trained, "weight_decay": chosen.weight_decay}]
    matrices = list(model.decaying())
    decaying = {id(weight) for weight in matrices}
    others = [weight for weight in trained if id(weight) not in decaying]
    groups = [(matrices, chosen.weight_decay), (others, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
