"""Cells of text: words and characters as the exported graph makes them."""

from __future__ import annotations

import sys
from functools import cache
from itertools import chain
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decode.cells import described
from rnnspec.errors import DataError

MOST_STEPS = 100_000
"""Steps of a row of training or validation; an exported model takes rows of any length."""

WHITE_SPACE = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What separates words, in data, in exported files and in reports: the characters at which Python's
`str.split` splits, which are Unicode's White_Space and the separators U+001C to U+001F. Characters
of no width, as U+200B and U+FEFF, are no white space."""


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
    if len(value) >= 2 * MOST_STEPS - 1:
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
    """The text split by one or more characters of WHITE_SPACE, and by nothing else."""
    return text.split()


def fold(char: str) -> str:
    """The lower case of one code point where that is one code point, else the code point itself.

    Goes by code point, not by context, so that a lookup table in the exported graph does the same:
    `Σ` is `σ` even at the end of a word, `İ` stays as it is.
    """
    lower = char.lower()
    return lower if len(lower) == 1 else char


def words_of(texts: list[str]) -> tuple[list[str], NDArray[np.int64]]:
    """`words` of every text, one after the other, and how many each has."""
    rows = list(map(str.split, texts))
    return list(chain.from_iterable(rows)), np.fromiter(map(len, rows), np.int64, len(rows))


@cache
def folds() -> dict[int, int]:
    """The code points that `fold` changes, each with what it becomes."""
    changed = [char for char in map(chr, range(sys.maxunicode + 1)) if char.lower() != char]
    return {ord(char): ord(fold(char)) for char in changed if fold(char) != char}
