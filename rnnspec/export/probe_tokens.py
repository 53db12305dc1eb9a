"""Tokens and bytes of which the texts of probes are made, and the numbers that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnspec.data.columns.texts import word_numbers
from rnnspec.data.decode import WHITE_SPACE, fold
from rnnspec.plan import TextFacts, nodes
from rnnspec.plan.facts import UNKNOWN_ID

UNKNOWN_SHARE = 0.1
"""Share of tokens and labels that stand in no vocabulary."""
COPIED_SHARE, FOREIGN = 0.4, 3
"""The share of tokens that no vocabulary has, where they may be copied, and how many there are."""
GAPS = (*WHITE_SPACE, *" " * len(WHITE_SPACE))
"""What stands between words: half of it U+0020, the rest any white space there is."""
BYTES = ("a", "\n", "é", "字", "\uffff", "😀", "\U0010fffd")
"""Characters of one to four bytes."""


def unknown(entries: Sequence[str]) -> str:
    """A character, of a private plane, that is in no vocabulary of texts with a meaning."""
    return unknowns(entries, 1)[0]


def unknowns(entries: Sequence[str], count: int) -> list[str]:
    """Several such characters."""
    return list(islice((c for c in map(chr, range(0xF0000, 0xFFFFE)) if c not in entries), count))


def looked_up(node: nodes.TokensInput, known: TextFacts, row: list[str]) -> NDArray[np.int64]:
    found = word_numbers(known.vocabulary, node.fold_case, node.or_lower, row)
    return np.array(found, np.int64)


def drawn_row(
    node: nodes.TokensInput,
    entries: Sequence[str],
    length: int,
    draw: Generator,
    foreign: Sequence[str],
) -> list[str]:
    """Tokens, some of them unknown, some in upper case if case is folded."""
    share = COPIED_SHARE if foreign else UNKNOWN_SHARE
    lacking, tokens = foreign or [unknown(entries)], list[str]()
    for _ in range(length):
        token = lacking[int(draw.integers(len(lacking))) if foreign else 0]
        if entries and draw.random() >= share:
            token = entries[int(draw.integers(len(entries)))]
        if node.fold_case and draw.random() < 0.5 and fold(token.upper()) == token:
            token = token.upper()
        tokens.append(token)
    return tokens


def written(node: nodes.TokensInput, tokens: Sequence[str], draw: Generator) -> str:
    if node.kind == "chars":
        return "".join(tokens)
    gaps = ["".join(draw.choice(GAPS, draw.integers(1, 3))) for _ in tokens]
    return "".join(token + gap for token, gap in zip(tokens, gaps, strict=True))


def text_of_bytes(length: int, draw: Generator) -> str:
    """A text of so many bytes."""
    text, left = "", length
    while left:
        fitting = [char for char in BYTES if len(char.encode()) <= left]
        text += fitting[draw.integers(len(fitting))]
        left = length - len(text.encode())
    return text


def numbers_of_bytes(text: str) -> NDArray[np.int64]:
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64) + UNKNOWN_ID + 1
