"""Metrics of outputs that write texts, by their token numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from rnnspec.evaluate.metrics.classes import no_numbers
from rnnspec.plan.facts import END_ID, UNKNOWN_ID

NOTHING = -1
"""Stands for a true token that no answer can equal."""


@dataclass(slots=True)
class TextMetrics:
    """Share of texts that are right to the last token, and the rate of wrong tokens.

    `error_rate` is the least number of tokens to insert, delete or change to make the answers the
    true texts (Levenshtein), divided by the tokens of these, at least 1: of characters, words or
    phonemes, as the output writes them. `token_accuracy` and `perplexity` are those of each token
    after the true ones before it, the end of the text included.

    Numbers stand for tokens one to one, but for the unknown, which stands for any token that is not
    in the vocabulary: it equals nothing, not even itself, so that a true token that the model
    cannot write is always wrong. In the perplexity such a token counts with the probability of the
    unknown. A true text without tokens is right where the answer has none, and each token of the
    answer is one to delete.
    """

    texts: int = 0
    right: int = 0
    """Texts that are right to the last token."""
    edits: int = 0
    length: int = 0
    """Tokens of the true texts."""
    surprise: float = 0.0
    """Sum of -ln p of the true tokens, the end mark included."""
    hits: int = 0
    tokens: int = 0
    """True tokens with the end marks."""
    lost: int = 0
    """Tokens, or whole texts, whose scores are NaN: nothing can be chosen by them, and all metrics
    are NaN."""

    def add_scores(self, scores: Tensor, targets: Tensor) -> None:
        """Scores `[B, U, size]` after the true tokens, and targets `[B, U]`, below 0 past the
        end."""
        known = targets >= 0
        of_known, numbers = scores[known], targets[known]
        self.lost += no_numbers(of_known)
        each = F.cross_entropy(of_known, numbers, reduction="none")
        self.surprise += each.double().sum().item()
        self.hits += int(((of_known.argmax(-1) == numbers) & (numbers != UNKNOWN_ID)).sum())
        self.tokens += len(numbers)

    def add_texts(self, answers: Sequence[Sequence[int]], targets: Tensor) -> None:
        """The token numbers of each row's answer, and targets `[B, U]`."""
        for answer, row in zip(answers, targets.tolist(), strict=True):
            found, true = list(answer), true_numbers(row)
            self.texts += 1
            self.right += same(found, true)
            self.length += len(true)
            self.edits += distance(found, [n if n != UNKNOWN_ID else NOTHING for n in true])

    def values(self) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.tokens:
            found["perplexity"] = exp(min(self.surprise / self.tokens, 700.0))
            found["token_accuracy"] = self.hits / self.tokens
        if self.texts:
            found["exact_match"] = self.right / self.texts
            found["error_rate"] = self.edits / max(1, self.length)
        return dict.fromkeys(found, float("nan")) if self.lost else found


def same(answer: Sequence[int], true: Sequence[int]) -> bool:
    """Whether an answer is right: the same tokens, none of which is unknown."""
    return list(answer) == list(true) and UNKNOWN_ID not in true


def true_numbers(row: Sequence[int]) -> list[int]:
    """The token numbers of a row of targets, without the end mark and what follows it."""
    numbers = [number for number in row if number >= 0]
    return numbers[: numbers.index(END_ID)] if END_ID in numbers else numbers


def distance(one: list[int], other: list[int]) -> int:
    """Least number of insertions, deletions and changes from `one` to `other` (Levenshtein 1966).

    A row of the table at a time: insertions along a row are a running minimum.
    """
    if one == other:
        return 0
    target = np.array(other, np.int64)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for number, token in enumerate(one, start=1):
        change = row[:-1] + (target != token)
        new = np.concatenate([[number], np.minimum(change, row[1:] + 1)])
        row = np.minimum.accumulate(new - places) + places
    return int(row[-1])
