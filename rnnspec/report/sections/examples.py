"""Rows with what was expected and what was answered; wrong answers show where they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from rnnspec.report.html import Html, data, join, scroll, span, table, tag, words
from rnnspec.report.model import Example, Examples
from rnnspec.report.words import TITLE, cut, number

_INPUT, _ANSWER = 240, 240
"""Most characters shown of an input, and of what is expected and answered."""
_COMPARED = 2000
"""Longest texts whose differences are looked for; that takes the square of their length."""
_BEFORE = 40
"""Characters shown before the first difference of texts that are too long."""

Piece = tuple[str, bool]
"""A part of a text, and whether the other text has it."""


def examples(section: Examples) -> Html:
    if not section.examples:
        return words("No row was looked at.")
    wrong = [one for one in section.examples if not _right(one)]
    right = [one for one in section.examples if _right(one)]
    parts = []
    if wrong:
        if section.differ != "nothing":
            parts.append(_key())
        parts.append(_table(section, wrong, "✗ Wrong answers"))
    if right:
        parts.append(_table(section, right, "✓ Right answers"))
    return join(parts)


def _right(one: Example) -> bool:
    return one.expected == one.answered if one.right is None else one.right


def _key() -> Html:
    missed = tag("mark", {"class": "missed"}, words("missing"))
    off = tag("mark", {"class": "off"}, words("not expected"))
    between = words(" from the answer, ")
    return tag(
        "p", {"class": "key"}, tag("span", {}, missed, between, off, words(" in the answer"))
    )


def _table(section: Examples, rows: Sequence[Example], caption: str) -> Html:
    scored = any(one.score is not None for one in rows)
    placed = any(one.place for one in rows)
    head = ["input", "expected", "answered"]
    head += [section.score] * scored + ["where"] * placed
    cells = []
    for one in rows:
        expected, answered = _compared(one, section)
        line = [data(one.input, _INPUT), expected, answered]
        line += [words(number(one.score))] * scored
        line += [span("quiet", one.place)] * placed
        cells.append(line)
    numeric = (3,) if scored else ()
    style = "examples wrong" if caption.startswith("✗") else "examples"
    style += " whole" if section.differ == "nothing" else ""
    return scroll(caption, table(caption, head, cells, numeric, style, named=True))


def _compared(one: Example, section: Examples) -> tuple[Html, Html]:
    short = max(len(one.expected), len(one.answered)) <= _COMPARED
    if section.differ == "nothing" or one.expected == one.answered or not short:
        return data(one.expected, _ANSWER), data(one.answered, _ANSWER)
    if section.differ == "words":
        units = [re.findall(r"\s+|\S+", text) for text in (one.expected, one.answered)]
    else:
        units = [list(one.expected), list(one.answered)]
    expected, answered = pieces(units[0], units[1])
    return _marked(expected, "missed", one.expected), _marked(answered, "off", one.answered)


def pieces(expected: Sequence[str], answered: Sequence[str]) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces: what they share, and what only one of them has."""
    found: tuple[list[Piece], list[Piece]] = [], []
    matcher = SequenceMatcher(None, expected, answered, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        shared = kind == "equal"
        for side, part in zip(
            found, (expected[start:end], answered[other_start:other_end]), strict=True
        ):
            if part:
                side.append(("".join(part), shared))
    return found


def _marked(parts: list[Piece], style: str, whole: str) -> Html:
    """The pieces as one text; of a long one, what stands round the first difference."""
    if not whole:
        return data(whole)
    left, shown = _ANSWER, []
    if len(whole) > _ANSWER and parts[0][1]:
        skipped = max(0, len(parts[0][0]) - _BEFORE)
        shown += [words("…")] if skipped else []
        parts = [(parts[0][0][skipped:], True), *parts[1:]]
    for part, shared in parts:
        if left <= 0:
            shown.append(words("…"))
            break
        text = cut(part, left)
        shown.append(words(text) if shared else _mark(text, style))
        left -= len(part)
    tip = {"title": cut(whole, TITLE)} if len(whole) > _ANSWER else {}
    return tag("bdi", tip, *shown)


def _mark(part: str, style: str) -> Html:
    """A marked piece. Spaces at its ends are left out of the mark, unless it has nothing else."""
    inside = part.strip(" ")
    if not inside:
        return tag("mark", {"class": style}, words("␣" * len(part)))
    before, _, after = part.partition(inside)
    return join([words(before), tag("mark", {"class": style}, words(inside)), words(after)])
