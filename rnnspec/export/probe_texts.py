"""Texts on which an exported file must prove itself, where a rule makes their tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.random import Generator

from rnnspec.errors import ExportError
from rnnspec.plan.nodes import TokensInput
from rnnspec.plan.text_rule import FORMS

TRIES = 30
GLUED = 0.3
"""Share of tokens that follow the one before without a gap, if they may."""


@dataclass(frozen=True, slots=True)
class TextDraw:
    """What texts are written from: `token` draws one, `gap` what may stand between words."""

    node: TokensInput
    generator: Generator
    token: Callable[[], str]
    gap: Callable[[], str]

    def row(self, length: int, entries: Sequence[str]) -> Any:
        """A cell of so many tokens: a text, or a list of tokens. Raises ExportError where no text
        has so many."""
        if self.node.kind == "tokens":
            return [self._varied(self.token()) for _ in range(length)]
        text = ""
        for count in range(length):
            longer = (text + more for more in self._pieces(entries))
            text = next((each for each in longer if self._count(each) == count + 1), "")
            if not text:
                raise ExportError(
                    f"found no text of {count + 1} tokens of column {self.node.column!r} to check"
                    " the exported file with; let the regular expression of its split match less"
                )
        return text

    def _count(self, text: str) -> int:
        return len(self.node.rule.tokens(self.node.kind, text))

    def _pieces(self, entries: Sequence[str]) -> Iterator[str]:
        """What may follow, drawn at first, then any there is."""
        apart = self.node.kind == "words"
        for _ in range(TRIES):
            glued = not apart or self.generator.random() < GLUED
            yield ("" if glued else self.gap()) + self._varied(self.token())
        for gap in (" ", "\n", "") if apart else ("",):
            yield from (gap + entry for entry in entries)

    def _varied(self, token: str) -> str:
        """The token as it is, in upper case, or in another normal form."""
        draw = self.generator.random()
        if self.node.fold_case and draw < 0.5:
            return token.upper()
        if self.node.rule.normalize != "none" and draw < 0.75:
            forms = list(FORMS.values())
            return unicodedata.normalize(forms[int(self.generator.integers(len(forms)))], token)
        return token
