"""From a character of a scalar's value back to its place in the file."""

from __future__ import annotations

import re

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_BREAK = re.compile(r"\r\n|\r|\n")
_ESCAPES = {"x": 4, "u": 6, "U": 10}
_BLANK = " \t\r\n"


def offsets(text: str, start: int, style: str | None, value: str) -> list[int]:
    """The index in `text` of each character of `value`, and of its end.

    `start` is where the scalar starts in `text`, at its anchor or tag if it has one; `style` one
    of `|`, `>`, `'`, `"` and None for a plain scalar.
    """
    properties = _PROPERTIES.match(text, start)
    at = properties.end() if properties else start
    if style == "|":
        return _literal(text, at, value)
    if style == ">":
        line_break = _BREAK.search(text, at)
        return _flowing(text, line_break.end() if line_break else len(text), value, "")
    if style in ("'", '"'):
        return _flowing(text, at + 1, value, style or "")
    return _flowing(text, at, value, "")


def _literal(text: str, header: int, value: str) -> list[int]:
    """A block written with `|`: the value's lines are the file's lines without their indent."""
    places: list[int] = []
    line_break = _BREAK.search(text, header)
    at = line_break.end() if line_break else len(text)
    for line in value.split("\n"):
        line_break = _BREAK.search(text, at)
        end = line_break.start() if line_break else len(text)
        first = max(at, end - len(line))
        places += range(first, first + len(line))
        places.append(end)
        at = line_break.end() if line_break else len(text)
    return places


def _flowing(text: str, at: int, value: str, quote: str) -> list[int]:
    """All other styles: characters keep their order, white space may be folded."""
    places: list[int] = []
    for character in value:
        at = _next(text, at, character, quote)
        places.append(min(at, len(text)))
        if text[at : at + 1] not in ("\r", "\n"):
            at += _width(text, at, quote)
    return [*places, min(at, len(text))]


def _next(text: str, at: int, character: str, quote: str) -> int:
    """Where `character` is written at or after `at`: past folded space and continued lines."""
    while at < len(text):
        here = text[at]
        if quote == '"' and here == "\\" and text[at + 1 : at + 2] in ("\r", "\n"):
            at += 2
            while text[at : at + 1] and text[at] in _BLANK:
                at += 1
        elif (
            here not in _BLANK
            or here == character
            or (character in _BLANK and (here in "\r\n" or not _blank_to_break(text, at)))
        ):
            return at
        else:
            at += 1
    return at


def _blank_to_break(text: str, at: int) -> bool:
    while at < len(text) and text[at] in " \t":
        at += 1
    return text[at : at + 1] in ("\r", "\n")


def _width(text: str, at: int, quote: str) -> int:
    """The number of characters of the file for one character of the value."""
    if quote == '"' and text[at : at + 1] == "\\":
        return _ESCAPES.get(text[at + 1 : at + 2], 2)
    return 2 if quote == "'" and text.startswith("''", at) else 1
