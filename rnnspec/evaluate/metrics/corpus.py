"""BLEU and chrF of written texts, by sacrebleu."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import cast

from rnnspec.plan.nodes import TextKind

MOST_REFERENCES = 50
"""Most true texts that an answer is held against: the first ones of its input."""
SHORTEST = 4
"""BLEU counts runs of up to so many words: of texts with fewer on average it says nothing."""
GAP = "␣"
"""Stands for white space within a token: between tokens there are spaces."""


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
            found["bleu"] = bleu.corpus_score(self.answers, references).score / 100
        found["chrf"] = CHRF().corpus_score(self.answers, references).score / 100
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
