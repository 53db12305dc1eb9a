"""Texts of unknown origin for printing: without control characters, and their width."""

from __future__ import annotations

import unicodedata

_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that change the direction of the text after them."""
_NOT_IN_XML = "\ufffe\uffff"


def shown(text: str) -> str:
    """`text` on one line: a tab as a space, and U+FFFD for characters that control a terminal,
    break the line, change the direction of text or are not allowed in XML."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return "\ufffd" if hidden or character in _TURNING + _NOT_IN_XML else character


def display_width(text: str) -> int:
    """Width in cells of a terminal: a wide character takes two, an accent none."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)
