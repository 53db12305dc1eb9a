"""Metrics of outputs that answer one label of several, or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnspec.data.collate import NEW
from rnnspec.plan.facts import UNKNOWN_ID

MOST_CONFUSED = 1000
"""Most classes for which every pair is counted."""


def nan_count(answers: Tensor) -> int:
    """How many of the answers `[n, k]` hold a NaN."""
    return int(answers.isnan().any(-1).sum())


def surprise_of(logits: Tensor, true: Tensor) -> Tensor:
    """-ln p of what is true of each label, in float64: softplus(-s) where it is on, else
    softplus(s)."""
    return F.softplus(torch.where(true, -logits, logits).double())


def with_new(targets: Tensor, classes: int) -> Tensor:
    """Class numbers where labels that no training row has (`NEW` and below) come after the
    `classes`; SKIPPED stays below 0."""
    return torch.where(targets <= NEW, classes + NEW - targets, targets)


class ClassMetrics:
    """Accuracy, and F1 averaged over the classes that occur or are answered (macro F1).

    F1 of a class is 2 hits / (rows of the class + rows answered as the class). Answers are
    probabilities `[..., classes]`, targets class numbers `[...]`, of which SKIPPED are left out.
    There may be `new` classes that no training row has: they are never answered, and count as any
    class that is never hit. Of next tokens (`perplexity`) also exp of the mean of -ln p of the true
    class, and the same in bits: a token that is not in the vocabulary counts there with the
    probability of the unknown, and is never a hit, for the unknown stands for many tokens. Where a
    probability is NaN no class is the likeliest: all metrics are NaN. Of `ordered` classes also
    `ordinal_metrics`.
    """

    def __init__(
        self, classes: int, perplexity: bool = False, new: int = 0, ordered: bool = False
    ) -> None:
        self.known, self.ordered = classes, ordered
        classes += new
        self.hits = torch.zeros(classes, dtype=torch.int64)
        self.true = torch.zeros(classes, dtype=torch.int64)
        """Rows of each class."""
        self.answered = torch.zeros(classes, dtype=torch.int64)
        """Rows answered as each class."""
        size = classes if classes <= MOST_CONFUSED else 0
        self.confusion = torch.zeros(size, size, dtype=torch.int64)
        """Rows by true class (first axis) and answered class (second); `[0, 0]` of too many."""
        self.perplexity = perplexity
        self.surprise = 0.0
        """Sum of -ln p of the true class."""
        self.not_finite = 0
        """Answers with a probability that is NaN, where there is a true one."""

    def add(self, answers: Tensor, targets: Tensor) -> None:
        classes = len(self.hits)
        targets = with_new(targets.reshape(-1), self.known)
        answers, known = answers.reshape(-1, self.known), targets >= 0
        answers, true = answers[known], targets[known].cpu()
        self.not_finite += nan_count(answers)
        best = answers.argmax(dim=-1).cpu()
        ones = torch.ones_like(true)
        right = best == true
        if self.perplexity:
            right &= true != UNKNOWN_ID
        self.hits.index_add_(0, true, right.long())
        self.true.index_add_(0, true, ones)
        self.answered.index_add_(0, best, ones)
        if len(self.confusion):
            self.confusion.view(-1).index_add_(0, true * classes + best, ones)

    def add_logits(self, logits: Tensor, targets: Tensor) -> None:
        """For the perplexity, the logits `[..., classes]` that the probabilities were made of: the
        logarithm of a probability that is 0 in float32 is known from them alone."""
        if self.perplexity:
            flat, true = logits.reshape(-1, len(self.hits)).double(), targets.reshape(-1)
            known = true >= 0
            each = F.cross_entropy(flat[known], true[known], reduction="sum")
            self.surprise += each.item()

    def values(self) -> dict[str, float]:
        count = int(self.true.sum())
        if not count or self.not_finite:
            return dict.fromkeys(self.names(), float("nan"))
        hits = self.hits.double()
        occurring = (self.true + self.answered).double()
        accuracy = (hits.sum() / count).item()
        if self.perplexity:
            mean = self.surprise / count
            perplexity = exp(min(mean, 700.0))
            return {"perplexity": perplexity, "bits": mean / log(2), "accuracy": accuracy}
        macro_f1 = (2 * hits / occurring)[occurring > 0].mean().item()
        found = {"accuracy": accuracy, "macro_f1": macro_f1}
        return found | (ordinal_metrics(self.confusion) if self.ordered else {})

    def names(self) -> tuple[str, ...]:
        """The names of the metrics."""
        if self.perplexity:
            return ("perplexity", "bits", "accuracy")
        return ("accuracy", "macro_f1", *(("rank_error", "kappa") if self.ordered else ()))


def ordinal_metrics(confusion: Tensor) -> dict[str, float]:
    """Of rows by true and by answered class, in their order: how many places the answer is off on
    average, and kappa with quadratic weights (Cohen 1968), which is NaN where one class alone is
    true and answered."""
    counts = confusion.double()
    places = torch.arange(len(counts), dtype=torch.float64)
    off = places[:, None] - places
    rows = counts.sum()
    by_chance = counts.sum(1)[:, None] * counts.sum(0) / rows
    squares = (off.square() * counts).sum(), (off.square() * by_chance).sum()
    return {
        "rank_error": ((off.abs() * counts).sum() / rows).item(),
        "kappa": (1 - squares[0] / squares[1]).item(),
    }


class LabelsMetrics:
    """Several labels at once: F1 over all labels together (micro) and averaged over those that
    occur or are answered (macro), and the share of rows or steps of which every label is right.

    Answers are probabilities `[..., labels]`, targets 0 and 1 of the same shape; those of a row or
    step that is NaN are left out. There may be `new` labels that no training row has: they are
    never answered, so that a row with one is wrong. `nll` is the mean over rows or steps of the
    sum over the labels that there are in training of -ln p of what is true. Where a probability is
    NaN it is neither above the threshold nor below: all metrics are NaN.
    """

    def __init__(self, labels: int, threshold: float | Sequence[float], new: int = 0) -> None:
        """`threshold` of all labels, or one of each."""
        self.threshold, self.known = torch.tensor(threshold, dtype=torch.float64), labels
        labels += new
        self.hits = torch.zeros(labels, dtype=torch.int64)
        self.true = torch.zeros(labels, dtype=torch.int64)
        self.answered = torch.zeros(labels, dtype=torch.int64)
        self.rows = self.right = 0
        self.surprise = 0.0
        self.not_finite = 0
        """Rows or steps with a probability that is NaN, where there is a true answer."""

    def add(self, answers: Tensor, targets: Tensor, new: NDArray[np.int64] | None = None) -> None:
        """`new` `[m, 2]` or `[m, 3]`: new labels of rows, or of steps, by place and number."""
        labels = self.known
        wrong = self._add_new(targets, new)
        answers, targets = answers.reshape(-1, labels), targets.reshape(-1, labels)
        known = ~targets.isnan().any(-1)
        answers, true = answers[known], targets[known] > 0.5
        self.not_finite += nan_count(answers)
        on = answers > self.threshold.to(answers.device)
        self.hits[:labels] += (on & true).sum(0).cpu()
        self.true[:labels] += true.sum(0).cpu()
        self.answered[:labels] += on.sum(0).cpu()
        self.rows += len(true)
        self.right += int(((on == true).all(-1) & ~wrong[known]).sum())

    def add_logits(self, logits: Tensor, targets: Tensor) -> None:
        """For `nll`, the logits `[..., labels]` that the probabilities were made of: 1 - p has no
        digits left where p is near 1."""
        labels = self.known
        flat, true = logits.reshape(-1, labels), targets.reshape(-1, labels)
        known = ~true.isnan().any(-1)
        self.surprise += surprise_of(flat[known], true[known] > 0.5).sum().item()

    def _add_new(self, targets: Tensor, new: NDArray[np.int64] | None) -> Tensor:
        """Whether each row, or step, has a new label."""
        found = torch.zeros(targets.shape[:-1], dtype=torch.bool, device=targets.device)
        if new is not None:
            *places, numbers = torch.from_numpy(new).unbind(1)
            found[tuple(places)] = True
            self.true += torch.bincount(self.known + numbers, minlength=len(self.true))
        return found.flatten()

    def values(self) -> dict[str, float]:
        if not self.rows or self.not_finite:
            return dict.fromkeys(("nll", "micro_f1", "macro_f1", "exact_match"), float("nan"))
        occurring = (self.true + self.answered).double()
        micro = 2 * self.hits.sum().item() / max(1.0, occurring.sum().item())
        shares = (2 * self.hits.double() / occurring)[occurring > 0]
        return {
            "nll": self.surprise / self.rows,
            "micro_f1": micro,
            "macro_f1": shares.mean().item() if len(shares) else 0.0,
            "exact_match": self.right / self.rows,
        }
