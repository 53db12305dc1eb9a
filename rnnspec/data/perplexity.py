"""A text as a language model is measured on it: the numbers of its tokens, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.columns.subwords import subword_numbers
from rnnspec.data.columns.texts import char_table, word_numbers
from rnnspec.data.statistics import code_points
from rnnspec.errors import DataError
from rnnspec.plan.facts import UNKNOWN_ID, Vocabulary
from rnnspec.plan.text_rule import TextRule

CHUNK = 1000
"""Tokens that are answered at once, where states are carried on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a language model reads a text: as in `plan.nodes.TokensInput`, with the vocabulary of
    what is answered, and the tokenizer of subwords as JSON."""

    column: str
    kind: str
    rule: TextRule
    vocabulary: Vocabulary
    fold_case: bool = False
    or_lower: bool = False
    tokenizer: str = ""
    reverse: bool = False

    def pieces(self, text: str) -> list[str]:
        """The texts of the tokens, of words and characters."""
        return self.rule.tokens(self.kind, text)

    def numbers(self, text: str) -> NDArray[np.int64]:
        """The number of each token of a text in the order of reading, `[n]`. Raises DataError for a
        model that reads no plain text."""
        found = self._numbers(text)
        return found[::-1].copy() if self.reverse else found

    def _numbers(self, text: str) -> NDArray[np.int64]:
        match self.kind:
            case "words":
                words = self.pieces(text)
                found = word_numbers(self.vocabulary, self.fold_case, self.or_lower, words)
            case "chars":
                table = char_table(self.vocabulary, self.fold_case)
                return table[code_points(self.rule.normalized(text))].astype(np.int64)
            case "bytes":
                return np.frombuffer(text.encode(), np.uint8).astype(np.int64) + 2
            case "subwords":
                (found,) = subword_numbers(self.tokenizer, [text])
            case _:
                raise DataError(
                    f"{self.column!r} is read as {self.kind}, and a plain text is none; measure"
                    " rows with --data"
                )
        return np.array(found, np.int64)


@dataclass(frozen=True, slots=True)
class Perplexity:
    """What a text costs a language model: `nats`, the sum of -ln p of each of the `tokens` that are
    answered, which are all but the first that is read. `unknown` of them have the probability of
    the unknown. `characters` and `bytes` are of the whole text, in code points and in UTF-8."""

    nats: float
    tokens: int
    unknown: int
    characters: int
    bytes: int

    def values(self) -> dict[str, float]:
        """The perplexity of a token, and bits for a token, a character and a byte."""
        bits = self.nats / log(2)
        return {
            "perplexity": exp(min(self.nats / self.tokens, 700.0)),
            "bits_per_token": bits / self.tokens,
            "bits_per_character": bits / self.characters,
            "bits_per_byte": bits / self.bytes,
        }


def read_text(path: Path) -> str:
    """A file of UTF-8. Raises DataError for one that is missing or is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is not UTF-8; convert the file to UTF-8"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def measured(text: str, numbers: NDArray[np.int64], costs: Iterator[float]) -> Perplexity:
    """What a text with these tokens costs, part by part. Raises DataError for less than two
    tokens."""
    if len(numbers) < 2:
        raise DataError(
            f"the text has {len(numbers)} token{'s' if len(numbers) != 1 else ''}, and each is"
            " answered from those before it; give a longer one"
        )
    unknown = int((numbers[1:] == UNKNOWN_ID).sum())
    return Perplexity(math.fsum(costs), len(numbers) - 1, unknown, len(text), len(text.encode()))
