"""Bytes as a text: UTF-8, in which what is broken becomes U+FFFD.

By the Unicode Standard (section 3.9, "U+FFFD Substitution of Maximal Subparts", as in Python's
`errors="replace"`): a lead byte with the following bytes that fit, but too few, is one U+FFFD, and
so is each byte that no sequence has. Whether bytes fit depends on the lead byte, and for the first
of those that follow on a range of its own (table 3-7).
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.plan.facts import UNKNOWN_ID

BROKEN = "\ufffd"
LEADS: Sequence[tuple[range, int, tuple[int, int]]] = (
    (range(0x80), 1, (1, 0)),
    (range(0xC2, 0xE0), 2, (0x80, 0xBF)),
    (range(0xE0, 0xE1), 3, (0xA0, 0xBF)),
    (range(0xE1, 0xED), 3, (0x80, 0xBF)),
    (range(0xED, 0xEE), 3, (0x80, 0x9F)),
    (range(0xEE, 0xF0), 3, (0x80, 0xBF)),
    (range(0xF0, 0xF1), 4, (0x90, 0xBF)),
    (range(0xF1, 0xF4), 4, (0x80, 0xBF)),
    (range(0xF4, 0xF5), 4, (0x80, 0x8F)),
)
"""Lead bytes, the length of their sequences, and what the second byte may be. No other byte is a
lead; 0x80 to 0xBF may follow."""
LONGEST = 4
"""The most bytes of a character."""


def text_of(numbers: Sequence[int]) -> str:
    """The text of bytes by their numbers, 2 and more; the unknown is no byte, and broken."""
    return bytes(n - 2 if n > UNKNOWN_ID else 0xFF for n in numbers).decode("utf-8", "replace")
