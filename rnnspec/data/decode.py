"""Raw cells to values. Every function raises DataError without a place, which the reader adds.

What the formats leave open is settled here:

- null is an error everywhere, and so is an empty CSV or TSV field where a label, a number or a
  list is expected. An empty text is a sequence of length 0 and so is the list `[]`.
- Strings must reach onnxruntime as they are: a lone surrogate, which is not UTF-8, and U+0000,
  which ends a string in C, are errors.
- In CSV and TSV (`textual`) numbers are read from decimal text, and lists from JSON in a cell.
  Elsewhere a text never counts as a number, nor does true or false.
- Numbers are stored as float32; NaN, infinities and what overflows float32 are errors.
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import DataError

Floats = NDArray[np.float32]

MOST_STEPS = 100_000
"""Steps of a row of training or validation; an exported model takes rows of any length."""

_NUMBER = re.compile(r"[ \t]*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[ \t]*")
_LARGEST = float(np.finfo(np.float32).max)


def text(cell: object) -> str:
    """A text that survives as UTF-8."""
    if not isinstance(cell, str):
        raise DataError(f"{_is(cell)}, expected a text")
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
    flat = [word for word in " ".join(texts).split(" ") if word]
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


def label(cell: object) -> str:
    """A label: a text as it is, a whole number as its decimal text, true and false by name."""
    match cell:
        case bool():
            return "true" if cell else "false"
        case int():
            return str(cell)
        case float():
            raise DataError(
                f"{_is(cell)}, expected a label: a text, a whole number or true and false"
            )
        case "":
            raise DataError("is empty, expected a label")
        case str():
            return text(cell)
    raise DataError(f"{_is(cell)}, expected a label")


def number(cell: object, textual: bool = False) -> Floats:
    """One finite number, `[1]`."""
    if textual and isinstance(cell, str):
        cell = _parsed_number(cell)
    if type(cell) is not float and type(cell) is not int:
        raise DataError(f"{_is(cell)}, expected a number{_unquote(cell)}")
    return _stored([cell])


def vector(cell: object, textual: bool = False) -> Floats:
    """A list of finite numbers, `[W]`, W at least 1."""
    values = _list(cell, textual, "a list of numbers")
    if not values:
        raise DataError("is an empty list, expected at least one number")
    _check_numbers(values, "")
    return _stored(values)


def frames(cell: object, textual: bool = False) -> Floats:
    """A list of equally long lists of finite numbers, `[T, W]`; `[0, 0]` for an empty list."""
    steps = _list(cell, textual, "a list of lists of numbers")
    kinds = set(map(type, steps))
    if kinds - {list}:
        at = next(i for i, step in enumerate(steps) if not isinstance(step, list))
        hint = "; for one number per step write [[1], [2], …]" if kinds <= {int, float} else ""
        raise DataError(f"step {at + 1} {_is(steps[at])}, expected a list of numbers{hint}")
    widths = set(map(len, steps))
    if len(widths) > 1:
        at = next(i for i, step in enumerate(steps) if len(step) != len(steps[0]))
        raise DataError(
            f"has {len(steps[0])} numbers in step 1 but {len(steps[at])} in step {at + 1}; "
            "give every step the same number of features"
        )
    if widths == {0}:
        raise DataError("has steps of no numbers, expected at least one in each")
    flat = list(chain.from_iterable(steps))
    if set(map(type, flat)) - {int, float}:
        for at, step in enumerate(steps):
            _check_numbers(step, f"step {at + 1}, ")
    return _stored(flat, width=len(steps[0]) if steps else 0).reshape(
        len(steps), len(steps[0]) if steps else 0
    )


def check_elapsed(steps: Floats, index: int) -> None:
    """Element `index` of each of `steps` `[T, W]` is a time since the step before."""
    backwards = steps[:, index] < 0
    if backwards.any():
        at = int(np.argmax(backwards))
        raise DataError(
            f"has in step {at + 1}, number {index + 1}, {steps[at, index]:g}, a negative time since"
            " the step before; data.input.elapsed says which number is the time"
        )


def _stored(values: list[Any], width: int = 0) -> Floats:
    """The numbers as float32; `width` numbers to a step, 0 where there are no steps."""
    try:
        exact = np.fromiter(values, np.float64, len(values))
    except OverflowError:
        exact = np.array([_finite(value) for value in values])
    within = np.abs(exact) <= _LARGEST
    if not within.all():
        at = int(np.argmin(within))
        place = f"has in step {at // width + 1}, number {at % width + 1}, " if width else "holds "
        if not width and len(values) == 1:
            place = "is "
        raise DataError(f"{place}{_odd(values[at])}; only finite numbers can be learned from")
    return exact.astype(np.float32)


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _odd(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "an infinity"
    return f"a number beyond {_LARGEST:.2g}, the largest of float32"


def _check_numbers(values: list[Any], place: str) -> None:
    for at, value in enumerate(values):
        if type(value) is not float and type(value) is not int:
            raise DataError(f"{place}number {at + 1} {_is(value)}, expected a number")


def _list(cell: object, textual: bool, expected: str) -> list[Any]:
    if textual and isinstance(cell, str):
        if not cell.strip():
            raise DataError(f"is empty, expected {expected} as JSON")
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError) as error:
            raise DataError(f"is not JSON, expected {expected}: {error}") from error
    if not isinstance(cell, list):
        raise DataError(f"{_is(cell)}, expected {expected}")
    return cell


def _parsed_number(cell: str) -> float:
    if _NUMBER.fullmatch(cell):
        return float(cell)
    if not cell.strip():
        raise DataError("is empty, expected a number")
    hint = ""
    if _NUMBER.fullmatch(cell.replace(",", ".", 1)):
        hint = "; write the decimal point as '.'"
    elif cell.strip().lstrip("+-").lower() in ("nan", "inf", "infinity"):
        hint = "; only finite numbers can be learned from"
    raise DataError(f"{_is(cell)}, expected a number{hint}")


def _unquote(cell: object) -> str:
    quoted = isinstance(cell, str) and _NUMBER.fullmatch(cell)
    return "; write it without quotes" if quoted else ""


def _is(cell: object) -> str:
    """What a cell is, in plain words, with the value itself where that helps."""
    match cell:
        case None:
            return "is null"
        case bool():
            return f"is {str(cell).lower()}"
        case int():
            return f"is the number {cell}" if -(10**18) < cell < 10**18 else "is a very long number"
        case float():
            return f"is the number {cell}"
        case str():
            return f"is the text {_short(cell)!r}"
        case list():
            return "is a list"
        case dict():
            return "is an object"
    return f"is of the type {type(cell).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
