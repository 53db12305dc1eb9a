"""How wide a text is on a page, and how to make it fit there or in a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from rnnspec.source.characters import display_width

Measure = Callable[[str], float]
"""The width of a text, in any unit; of several texts in a row, at most the sum."""

_EMS = {
    0.35: " 'ijl",
    0.4: ",./:;I\\|",
    0.45: "-f",
    0.5: "!()[]`rt",
    0.55: '"*',
    0.6: "J_csz",
    0.65: "?Lx",
    0.7: "$0123456789EFTaekovy",
    0.75: "CPSYZbdghnpqu{}",
    0.8: "ABKRVX",
    0.85: "#+<=>DGHNU^~",
    0.9: "&OQ",
    0.95: "w",
    1.0: "@M",
    1.05: "%m",
    1.15: "W",
}
"""Widths in bold DejaVu Sans, rounded up: the widest of the sans-serif fonts that systems ship."""
_EM = {character: width for width, characters in _EMS.items() for character in characters}
_OTHER_EM = 1.15
"""Any other character, a wide one of East Asia included."""
MONOSPACE_EM = 0.61
"""Every narrow character of a monospaced font."""


def ems(text: str) -> float:
    """Width in em of a sans-serif font, bold or not; an upper bound."""
    return sum(_EM.get(c, 0.0 if unicodedata.combining(c) else _OTHER_EM) for c in text)


def monospace_ems(text: str) -> float:
    """Width in em of a monospaced font; an upper bound."""
    return sum(MONOSPACE_EM if c.isascii() else _OTHER_EM * display_width(c) for c in text)


def shortened(text: str, limit: float, measure: Measure, mark: str = "…") -> str:
    """`text`, or its beginning and end with `mark` between, no wider than `limit`.

    Nothing but the mark is left where the limit is narrower than one character beside it.
    """
    if measure(text) <= limit:
        return text
    for left in range(len(text) - 1, 0, -1):
        head, tail = text[: (left + 1) // 2], text[len(text) - left // 2 :]
        if measure(head + mark + tail) <= limit:
            return head + mark + tail
    return mark


def wrapped(text: str, limit: float, measure: Measure, mark: str = "…") -> list[str]:
    """`text` in lines no wider than `limit`, broken at spaces; longer words are shortened."""
    lines = [""]
    for word in text.split():
        word = shortened(word, limit, measure, mark)
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if measure(longer) <= limit:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
