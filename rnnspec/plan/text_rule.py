"""How a cell of text becomes tokens: one rule for data, files, prompts and copies."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, assert_never

from rnnspec.spec.inputs import CharsInput, TokenInput, TokensInput, WordsInput
from rnnspec.spec.text_options import RegexSplit

Form = Literal["nfc", "nfd", "nfkc", "nfkd"]
FORMS: Mapping[Form, Literal["NFC", "NFD", "NFKC", "NFKD"]] = {
    "nfc": "NFC", "nfd": "NFD", "nfkc": "NFKC", "nfkd": "NFKD"
}  # fmt: skip
"""The names that `unicodedata` has for them."""
Split = Literal["whitespace", "punctuation", "regex"]


@dataclass(frozen=True, slots=True)
class TextRule:
    """What happens to a text before its tokens are looked up.

    First `normalize`, a normal form of Unicode as `unicodedata.normalize` has it, or "none". Then,
    for words, `split`:

    - `whitespace`: at white space, as `str.split`.
    - `punctuation`: runs of letters, digits, marks and underscores (of `\\w` of `re`, and of the
      categories M), and each other character alone; white space is left out.
    - `regex`: the matches of `pattern`, as `re.findall`.
    """

    normalize: Form | Literal["none"] = "none"
    split: Split = "whitespace"
    pattern: str = ""

    def __str__(self) -> str:
        form = "" if self.normalize == "none" else f"{self.normalize}, "
        return f"{form}{self.split}" + (f" {self.pattern!r}" if self.pattern else "")

    def normalized(self, text: str) -> str:
        """The text in the normal form."""
        if self.normalize == "none" or text.isascii():
            return text
        return unicodedata.normalize(FORMS[self.normalize], text)

    def words(self, text: str) -> list[str]:
        """The words of a text that has been normalized."""
        match self.split:
            case "whitespace":
                return text.split()
            case "punctuation":
                return punctuation().findall(text)
            case "regex":
                return re.findall(self.pattern, text)
            case _:
                assert_never(self.split)

    def tokens(self, kind: str, cell: Any) -> list[str]:
        """The tokens of a cell of `words`, `chars` or `tokens`."""
        if kind == "tokens":
            return list(map(self.normalized, cell))
        text = self.normalized(cell)
        return self.words(text) if kind == "words" else list(text)

    def expression(self) -> str:
        """What `split` finds, unless it is white space, as a regular expression of `re`."""
        return self.pattern or definition()


PLAIN = TextRule()
"""The rule of a column that states none."""


def rule_of(source: TokenInput) -> TextRule:
    """How the cells of an input become tokens."""
    match source:
        case WordsInput(normalize=form, split=split):
            pattern = split.value if isinstance(split, RegexSplit) else ""
            return TextRule(form, split.name, pattern)
        case TokensInput(normalize=form) | CharsInput(normalize=form):
            return TextRule(form)
        case _:
            return PLAIN


@cache
def marks() -> str:
    """All characters of the categories M."""
    every = map(chr, range(sys.maxunicode + 1))
    return "".join(char for char in every if unicodedata.category(char)[0] == "M")


def definition() -> str:
    """The regular expression that states `split: punctuation`."""
    return rf"[\w{marks()}]+|[^\w\s{marks()}]"


@cache
def punctuation() -> re.Pattern[str]:
    """What finds the same as the definition, twenty times as fast: `re` goes through classes with
    characters beyond U+FFFF one by one."""
    low = "".join(char for char in marks() if char <= "\uffff")
    high = "".join(char for char in marks() if char > "\uffff")
    beyond = f"(?=[\U00010000-\U0010ffff])[{high}]"
    return re.compile(rf"(?:\w+|[{low}]+|{beyond})+|[^\w\s]")
