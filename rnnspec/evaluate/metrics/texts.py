"""Metrics of outputs that write texts: by their token numbers, and BLEU and chrF by sacrebleu."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, cast

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from rnnspec.evaluate.metrics.classes import nan_count
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import TextKind

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

NOTHING = -1
"""Stands for a true token that no answer can equal."""
MOST_REFERENCES = 50
"""Most true texts that an answer is held against: the first ones of its input."""
SHORTEST = 4
"""BLEU counts runs of up to so many words: of texts with fewer on average it says nothing."""
GAP = "␣"
"""Stands for white space within a token: between tokens there are spaces."""
BLOCK = 32
"""Texts whose n-grams are in memory together while BLEU and chrF are counted."""


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
    not_finite: int = 0
    """Tokens, or whole texts, whose logits are NaN: nothing can be chosen by them, and all metrics
    are NaN."""

    def add_logits(self, logits: Tensor, targets: Tensor) -> None:
        """Scores `[B, U, size]` after the true tokens, and targets `[B, U]`, below 0 past the
        end."""
        known = targets >= 0
        of_known, numbers = logits[known], targets[known]
        self.not_finite += nan_count(of_known)
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
        return dict.fromkeys(found, float("nan")) if self.not_finite else found


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


class CorpusScores:
    """BLEU (Papineni et al. 2002) and chrF (Popović 2015) of all texts together, from 0 to 1.

    An answer is held against the true texts of all rows that have the same input: whose cells are
    equal, in all columns that are read. True texts are those of the file, with tokens that no
    answer can have. Words and tokens are taken as they are; texts written by characters are split
    by sacrebleu's own rule, `13a`. A true text may be empty. Where true texts have less than 4
    words on average there is no BLEU.
    """

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self.answers: list[str] = []
        self.inputs: list[Hashable] = []
        self.true: dict[Hashable, dict[str, None]] = {}
        self.words = 0
        """Of the true texts."""

    def add(self, answer: tuple[str, ...], true: tuple[str, ...], asked: Hashable) -> None:
        """A row: the tokens of its answer and of its true text, and what its input is known by."""
        text = self._joined(true)
        self.answers.append(self._joined(answer))
        self.inputs.append(asked)
        self.true.setdefault(asked, {})[text] = None
        self.words += len(text.split())

    def known(self, asked: Hashable, answer: tuple[str, ...]) -> bool:
        """Whether some row with this input has this very text."""
        return self._joined(answer) in self.true.get(asked, ())

    def values(self) -> dict[str, float]:
        """`bleu` and `chrf`; empty without any text."""
        if not self.answers:
            return {}
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        references = cast(Sequence[Sequence[str]], self._references())  # None: there is none
        found: dict[str, float] = {}
        if self.words >= SHORTEST * len(self.answers):
            bleu = BLEU(tokenize="13a" if self.kind == "chars" else "none", force=True)
            found["bleu"] = _of_all(bleu, self.answers, references) / 100
        found["chrf"] = _of_all(CHRF(), self.answers, references) / 100
        return found

    def _references(self) -> list[list[str | None]]:
        """The first true text of every answer, then the second of those that have one, and so
        on."""
        each = [list(self.true[asked])[:MOST_REFERENCES] for asked in self.inputs]
        most = max(map(len, each))
        return [[texts[n] if n < len(texts) else None for texts in each] for n in range(most)]

    def _joined(self, tokens: tuple[str, ...]) -> str:
        if self.kind == "chars":
            return "".join(tokens)
        return " ".join(re.sub(r"\s", GAP, token) for token in tokens)


def _of_all(metric: Metric, answers: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """What `corpus_score` gives of all texts together, from 0 to 100. That holds the n-grams of all
    references at once, some hundred kilobytes for each text that has many; here those of `BLOCK`
    texts are held."""
    counts = []
    for start in range(0, len(answers), BLOCK):
        some = slice(start, start + BLOCK)
        true = [each[some] for each in references]
        counts += metric._extract_corpus_statistics(answers[some], true)
    score: float = metric._aggregate_and_compute(counts).score
    return score
