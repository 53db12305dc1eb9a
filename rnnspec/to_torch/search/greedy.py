"""The most probable token at each step."""

from __future__ import annotations

from rnnspec.to_torch.search.path import follow
from rnnspec.to_torch.search.task import Task
from rnnspec.to_torch.search.texts import Texts


def greedy(task: Task) -> Texts:
    """Ties go to the lower number, as argmax has it."""
    return follow(task, lambda _, chances: chances.argmax(dim=-1))
