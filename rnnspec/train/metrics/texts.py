"""Metrics of outputs that write texts, by their token numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID


@dataclass(slots=True)
class TextMetrics:
    """Share of texts that are right to the last token, and the rate of wrong tokens.

    `error_rate` is the least number of tokens to insert, delete or change to make the answers the
    true texts, divided by the tokens of these (Levenshtein): of characters, words or phonemes, as
    the output writes them. `token_accuracy` and `perplexity` are those of each token after the true
    ones before it, the end of the text included.
    """

    answered: list[list[int]] = field(default_factory=list)
    true: list[list[int]] = field(default_factory=list)
    edits: int = 0
    surprise: float = 0.0
    hits: int = 0
    tokens: int = 0

    def add_scores(self, scores: Tensor, targets: Tensor) -> None:
        """Scores `[B, U, size]` after the true tokens, and targets `[B, U]`, below 0 past the
        end."""
        known = targets >= 0
        of_known, numbers = scores[known], targets[known]
        logs = torch.log_softmax(of_known.double(), -1)
        self.surprise -= logs.gather(-1, numbers[:, None]).sum().item()
        self.hits += int((of_known.argmax(-1) == numbers).sum())
        self.tokens += len(numbers)

    def add_texts(self, answers: Sequence[Sequence[int]], targets: Tensor) -> None:
        """The token numbers of each row's answer, and targets `[B, U]`."""
        for answer, row in zip(answers, targets.tolist(), strict=True):
            true = [number for number in row if number >= 0]
            true = true[: true.index(END_ID)] if END_ID in true else true
            self.answered.append(list(answer))
            self.true.append(true)
            self.edits += distance(list(answer), true)

    def values(self) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.tokens:
            found["perplexity"] = float(np.exp(min(self.surprise / self.tokens, 700.0)))
            found["token_accuracy"] = self.hits / self.tokens
        if self.true:
            right = sum(a == t for a, t in zip(self.answered, self.true, strict=True))
            length = sum(map(len, self.true))
            found["exact_match"] = right / len(self.true)
            found["error_rate"] = self.edits / length if length else float(self.edits > 0)
        return found


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
