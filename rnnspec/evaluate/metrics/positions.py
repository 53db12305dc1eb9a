"""Metrics of answers that are steps of the row: a position, or the ends of a span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def overlap_f1(answers: Tensor, targets: Tensor) -> Tensor:
    """F1 `[n]` of the steps that spans `[n, 2]` have in common, none (0) being a span of its own
    (Rajpurkar et al. 2016, SQuAD, section 6.1; of no answer: Rajpurkar et al. 2018, by its
    evaluation script): 2 common / (answered + true steps)."""
    none = (answers[:, 0] == 0) | (targets[:, 0] == 0)
    first = torch.maximum(answers[:, 0], targets[:, 0])
    last = torch.minimum(answers[:, 1], targets[:, 1])
    common = (last - first + 1).clamp(min=0).double()
    both = (answers[:, 1] - answers[:, 0] + targets[:, 1] - targets[:, 0] + 2).double()
    same = (answers == targets).all(1).double()
    return torch.where(none, same, 2 * common / both)


@dataclass(slots=True)
class PositionMetrics:
    """Of positions the accuracy; of spans (`marks` 2) the share that is right at both ends, and
    the mean F1 of their steps. `first` counts the rows whose true first step is step 0."""

    marks: int
    rows: int = 0
    right: int = 0
    first: int = 0
    f1: float = 0.0
    not_finite: int = 0
    """Rows with a probability that is NaN, where there is a true answer."""

    def add(self, answers: Tensor, targets: Tensor, broken: Tensor) -> None:
        """Choices `[B, marks]`: 0 is none, j + 1 is step j; targets below 0 are left out. `broken`
        `[B]`: which rows have a probability that is NaN."""
        known = (targets >= 0).all(1)
        answers, targets = answers[known].cpu(), targets[known].cpu()
        self.not_finite += int(broken[known].sum())
        self.rows += len(targets)
        self.right += int((answers == targets).all(1).sum())
        self.first += int((targets[:, 0] == 1).sum())
        if self.marks == 2:
            self.f1 += float(overlap_f1(answers, targets).sum())

    def values(self) -> dict[str, float]:
        right = self.right / self.rows if self.rows and not self.not_finite else float("nan")
        if self.marks == 1:
            return {"accuracy": right}
        f1 = self.f1 / self.rows if self.rows and not self.not_finite else float("nan")
        return {"exact_match": right, "token_f1": f1}


@dataclass(slots=True)
class PointerMetrics:
    """Of lists of steps the share that is right as a whole, and the share of the places of the true
    lists that hold the right step."""

    rows: int = 0
    right: int = 0
    places: int = 0
    hits: int = 0
    not_finite: int = 0
    """Rows with a score that is NaN."""

    def add(
        self, answers: Sequence[Sequence[int]], targets: Tensor, broken: Sequence[bool]
    ) -> None:
        """Answers as numbers without the end; targets `[B, U]`: numbers, 0, then -1. `broken`:
        which rows have a score that is NaN."""
        self.not_finite += sum(broken)
        for answer, target in zip(answers, targets.tolist(), strict=True):
            true = [number for number in target if number > 0]
            pairs = zip(answer, true, strict=False)
            self.rows += 1
            self.right += list(answer) == true
            self.places += len(true)
            self.hits += sum(one == other for one, other in pairs)

    def values(self) -> dict[str, float]:
        nothing = float("nan")
        if not self.rows or self.not_finite:
            return {"exact_match": nothing, "place_accuracy": nothing}
        places = self.hits / self.places if self.places else nothing
        return {"exact_match": self.right / self.rows, "place_accuracy": places}
