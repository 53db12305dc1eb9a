"""Searches that follow one answer a row, by a choice of a number at each step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID
from rnnspec.to_torch.search.task import Task
from rnnspec.to_torch.search.texts import Texts, stacked

Choose = Callable[[int, Tensor], Tensor]
"""From a step and log-probabilities `[B, size]`, -inf where excluded, to numbers `[B]`."""


def follow(task: Task, choose: Choose) -> Texts:
    """One answer for each row. A row that has ended goes on idly until all have."""
    previous, states, rules = task.previous, task.states, task.rules
    history = task.prompt if rules.history else None
    length = torch.zeros_like(task.limits)
    score = length.float()
    going = task.limits > 0
    numbers: list[Tensor] = []
    looked: list[Tensor] = []
    step = 0
    while bool(going.any()):
        found = task.body.step(task.reads, previous, states, step)
        true = rules.log_probabilities(found.scores, history)
        chosen = choose(step, rules.choice(true, history, step))
        chosen = torch.where(going, chosen, END_ID)
        score = score + torch.where(going, true.gather(1, chosen[:, None])[:, 0], 0.0)
        goes_on = going & (chosen != END_ID)
        length = length + goes_on
        numbers.append(chosen)
        if found.weights is not None:
            looked.append(found.weights * goes_on[:, None])
        if history is not None:
            history = torch.cat([history, chosen[:, None]], dim=1)
        previous, states, step = chosen, found.states, step + 1
        going = goes_on & (step < task.limits)
    longest = max(1, int(length.max())) if task.rows else 1
    return Texts(
        stacked(numbers, longest, task.limits)[:, None],
        length[:, None],
        score[:, None],
        stacked(looked, longest, score) if looked else None,
    )
