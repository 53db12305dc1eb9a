"""Cells of text: words and characters as the exported graph makes them."""

from __future__ import annotations

import sys
from functools import cache
from itertools import repeat
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decode.cells import described
from rnnspec.errors import DataError

MOST_STEPS = 100_000
"""Steps of a row of training or validation; an exported model takes rows of any length."""


def text(cell: object) -> str:
    """A text that survives as UTF-8."""
    if not isinstance(cell, str):
        raise DataError(f"{described(cell)}, expected a text")
    if "\0" in cell:
        raise DataError("holds the character U+0000; remove it")
    if not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            code = ord(cell[error.start])
            raise DataError(
                f"holds half of a surrogate pair, U+{code:04X}, which is no character; remove it"
            ) from error
    return cell


def text_of_words(cell: object) -> str:
    """A text that a row of training or validation may hold, read word by word."""
    value = text(cell)
    if value.count(" ") >= MOST_STEPS:
        check_length(len(words(value)))
    return value


def text_of_chars(cell: object) -> str:
    """A text that a row of training or validation may hold, read character by character."""
    value = text(cell)
    check_length(len(value))
    return value


def are_plain(cells: list[object], most: int) -> TypeGuard[list[str]]:
    """Whether `text` takes all cells as they are and none has more than `most` characters; quick to
    say of many at once."""
    try:
        joined = "".join(cells)  # type: ignore[arg-type]
        joined.encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return "\0" not in joined and max(map(len, cells), default=0) <= most  # type: ignore[arg-type]


def check_length(steps: int) -> None:
    """Raises DataError for a row that no machine could train on: a batch is as long as its longest
    row, and the values of every step are kept for the gradient."""
    if steps > MOST_STEPS:
        raise DataError(
            f"has {steps:,} steps, and a row may have {MOST_STEPS:,}; cut it into shorter rows"
        )


def words(text: str) -> list[str]:
    """The text split by one or more U+0020, and by nothing else.

    Equal to the ONNX operator StringSplit without a delimiter as onnxruntime runs it.
    """
    return [word for word in text.split(" ") if word]


def fold(char: str) -> str:
    """The lower case of one code point where that is one code point, else the code point itself.

    Goes by code point, not by context, so that a lookup table in the exported graph does the same:
    `Σ` is `σ` even at the end of a word, `İ` stays as it is.
    """
    lower = char.lower()
    return lower if len(lower) == 1 else char


def words_of(texts: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """`words` of every text, one after the other, and how many each has: the same, but fast."""
    joined = " ".join(texts)
    if joined and "  " not in joined and joined[0] != " " and joined[-1] != " ":  # as most are
        gaps = np.fromiter(map(str.count, texts, repeat(" ")), np.int64, len(texts))
        return joined.split(" "), gaps + 1
    flat = [word for word in joined.split(" ") if word]
    ended = np.frombuffer("\0".join([*texts, ""]).encode(), np.uint8)
    gap = (ended == ord(" ")) | (ended == 0)
    starts = ~gap
    starts[1:] &= gap[:-1]
    so_far = np.cumsum(starts)[ended == 0]
    return flat, np.diff(so_far, prepend=0).astype(np.int64)


@cache
def folds() -> dict[int, int]:
    """The code points that `fold` changes, each with what it becomes."""
    changed = [char for char in map(chr, range(sys.maxunicode + 1)) if char.lower() != char]
    return {ord(char): ord(fold(char)) for char in changed if fold(char) != char}
