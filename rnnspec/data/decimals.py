"""Decimal numbers in bytes, many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_POINT, _SPACE, _MINUS, _ZERO = b". -0"
_MOST_DIGITS = 15
"""A whole number of so many digits, and ten to that power, are exact in float64."""
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)


def parsed(text: bytes) -> NDArray[np.float32]:
    """Numbers separated by a space each, which `float` reads. Raises ValueError for others.

    A number without an exponent is its digits as a whole number over a power of ten, which is
    correctly rounded (Clinger 1990); the digits of all numbers are taken place by place. Others are
    read by numpy.
    """
    if not text:
        return np.zeros(0, np.float32)
    chars = np.frombuffer(text, np.uint8)
    spaces = np.flatnonzero(chars == _SPACE)
    starts = np.concatenate([[0], spaces + 1])
    lengths = np.concatenate([spaces, [len(chars)]]) - starts
    negative = chars[np.minimum(starts, len(chars) - 1)] == _MINUS
    starts, lengths = starts + negative, lengths - negative
    whole = np.zeros(len(starts), np.int64)
    digits, after, points = (np.zeros(len(starts), np.int8) for _ in range(3))
    padded = np.append(chars, np.full(_MOST_DIGITS + 1, _SPACE, np.uint8))
    for place in range(min(int(lengths.max()), _MOST_DIGITS + 1)):
        char = padded[starts + place]
        inside = lengths > place
        digit = char - _ZERO
        is_digit = (digit < 10) & inside
        whole = np.where(is_digit, whole * 10 + digit, whole)
        digits += is_digit
        after += is_digit & (points > 0)
        points += (char == _POINT) & inside
    plain = (digits > 0) & (points < 2) & (digits + points == lengths)
    if not plain.all():
        return _slowly(text)
    values = whole / _POWERS[after]
    return np.where(negative, -values, values).astype(np.float32)


def _slowly(text: bytes) -> NDArray[np.float32]:
    numbers = np.array([float(number) for number in text.split(b" ")])
    with np.errstate(over="ignore"):  # infinity, for the caller to refuse
        return numbers.astype(np.float32)
