"""One sequence into another: columns of a file to pairs, training, and the rates of error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from twins.fitting import Fitted, Recipe, fit
from twins.pairs import Pairs, Tokens, edits, read_tsv, token_loss
from twins.search import beam, greedy
from twins.seq2seq import Seq2Seq, Shape

Search = Callable[[Seq2Seq, Tensor, Tensor, int], list[list[int]]]


@dataclass(frozen=True)
class Task:
    """source: None for frames, whose mean and deviation over training then are given."""

    train: Pairs
    valid: Pairs
    target: Tokens
    source: Tokens | None = None
    mean: Tensor | None = None
    std: Tensor | None = None


@dataclass(frozen=True)
class Setting:
    """A model and its training. width: of the beam that chooses the best epoch and is reported
    beside greedy search, 1 for none; power: of the length that its scores are divided by."""

    shape: Shape
    recipe: Recipe
    smoothing: float = 0.0
    width: int = 1
    power: float = 1.0


def tsv_task(train: Path, valid: Path, split: Callable[[str], list[str]]) -> Task:
    """Two files of two columns; ``split`` cuts the source, spaces part the target's tokens."""
    parts = [
        [(split(source), target.split()) for source, target in read_tsv(path)]
        for path in (train, valid)
    ]
    source = Tokens.of(pair[0] for pair in parts[0])
    target = Tokens.of(pair[1] for pair in parts[0])
    first, second = (
        Pairs([source.encode(x) for x, _ in part], [target.encode(y) for _, y in part])
        for part in parts
    )
    return Task(first, second, target, source)


def answers(model: Seq2Seq, valid: Pairs, search: Search, max_steps: int) -> list[list[int]]:
    found: list[list[int]] = []
    for batch in valid.in_order(250):
        found += search(model, batch.x, batch.lengths, max_steps)
    return found


def exact(found: list[list[int]], wanted: list[Tensor]) -> float:
    """Share of answers without any error; unknown tokens are never written, so never right."""
    pairs = zip(found, wanted, strict=True)
    return sum(answer == target.tolist() for answer, target in pairs) / len(wanted)


def token_errors(found: list[list[int]], wanted: list[Tensor]) -> float:
    """Edits over the number of wanted tokens: the phoneme or character error rate."""
    pairs = zip(found, wanted, strict=True)
    wrong = sum(edits(answer, target.tolist()) for answer, target in pairs)
    return wrong / sum(len(target) for target in wanted)


def train(setting: Setting, task: Task, seed: int, *, show: bool = False) -> tuple[Fitted, Seq2Seq]:
    """Keeps the epoch with the most exact answers by the setting's own search."""
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    source = len(task.source) if task.source else 0
    shape = replace(setting.shape, source=source, target=len(task.target))
    model = Seq2Seq(shape, mean=task.mean, std=task.std)
    steps = max_steps(task)

    def score_of() -> float:
        return exact(answers(model, task.valid, search_of(setting), steps), task.valid.y)

    found = fit(
        model,
        setting.recipe,
        lambda: task.train.shuffled(setting.recipe.batch, order),
        lambda batch: token_loss(model, batch, setting.smoothing),
        score_of,
        higher=True,
        show=show,
    )
    model.eval()
    return found, model


def search_of(setting: Setting) -> Search:
    if setting.width == 1:
        return greedy

    def search(model: Seq2Seq, x: Tensor, lengths: Tensor, steps: int) -> list[list[int]]:
        return beam(model, x, lengths, steps, setting.width, setting.power)

    return search


def max_steps(task: Task) -> int:
    return max(len(y) for y in task.train.y) + 5


@torch.no_grad()
def figures(setting: Setting, task: Task, seed: int) -> dict[str, float]:
    """Rates of wrong answers and of wrong tokens, by greedy search and by the beam."""
    with torch.enable_grad():
        fitted, model = train(setting, task, seed)
    steps = max_steps(task)
    found = answers(model, task.valid, greedy, steps)
    result = {
        "exact": exact(found, task.valid.y),
        "wrong": 1 - exact(found, task.valid.y),
        "token errors": token_errors(found, task.valid.y),
    }
    if setting.width > 1:
        found = answers(model, task.valid, search_of(setting), steps)
        result[f"wrong, beam {setting.width}"] = 1 - exact(found, task.valid.y)
        result["token errors, beam"] = token_errors(found, task.valid.y)
    return result | {"parameters": fitted.parameters, "CPU s": fitted.seconds}
