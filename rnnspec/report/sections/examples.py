"""Single rows: expected and answered texts, tags of each token, generated texts, and plain notes.

Wrong answers show where they differ from what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

from rnnspec.report.html import (
    NOTHING,
    Html,
    data,
    join,
    lines,
    picture,
    scroll,
    span,
    table,
    tag,
    words,
)
from rnnspec.report.model import (
    Example,
    Examples,
    Generated,
    Generation,
    Marked,
    Note,
    TagExample,
    TagExamples,
)
from rnnspec.report.words import TITLE, cut, number, plural

_INPUT, _ANSWER = 240, 240
"""Most characters shown of an input, and of what is expected and answered."""
_COMPARED = 2000
"""Longest texts whose differences are looked for; that takes the square of their length."""
_BEFORE = 40
"""Characters shown before the first difference of texts that are too long."""
_AROUND = 20
"""Most tokens shown on either side of what is marked."""
_TOKENS = 80
"""Most tokens drawn of a row with tags."""
_GENERATED = 4000
"""Most characters shown of a generated text."""

Unit = Literal["characters", "words", "nothing"]
Part = tuple[str, bool]
"""A part of a text, and whether the other text has it."""


def examples(section: Examples) -> Html:
    if not section.examples:
        return words("No row was looked at.")
    wrong = [one for one in section.examples if not _right(one)]
    right = [one for one in section.examples if _right(one)]
    parts = []
    if wrong:
        if section.differ != "nothing" or any(one.marked for one in wrong):
            parts.append(_examples_key())
        parts.append(_table(section, wrong, "✗ Wrong answers"))
    if right:
        parts.append(_table(section, right, "✓ Right answers"))
    return join(parts)


def _right(one: Example) -> bool:
    return one.expected == one.answered if one.right is None else one.right


def _examples_key() -> Html:
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
        expected, answered = compared(one.expected, one.answered, section.differ)
        line = [_input(one), expected, answered]
        line += [words(number(one.score))] * scored
        line += [span("quiet", one.place)] * placed
        cells.append(line)
    numeric = (3,) if scored else ()
    style = "examples wrong" if caption.startswith("✗") else "examples"
    style += " whole" if section.differ == "nothing" else ""
    return scroll(caption, table(caption, head, cells, numeric, style, named=True))


def _input(one: Example) -> Html:
    text = data(one.input, _INPUT) if one.marked is None else marked(one.marked)
    return join([picture(one.picture, one.input), text]) if one.picture else text


def marked(one: Marked) -> Html:
    """The tokens round what is expected and answered, marked where both agree, and where they do
    not."""
    ends = [(each.first, each.end) for each in (one.expected, one.answered) if each is not None]
    if any(not 0 <= first < end <= len(one.tokens) for first, end in ends):
        raise ValueError("a place that is not within its tokens")
    start = max(0, min((first for first, _ in ends), default=0) - _AROUND)
    stop = min(len(one.tokens), max((end for _, end in ends), default=0) + _AROUND)
    inside = [_where(one, at) for at in range(start, stop)]
    parts, at = [words("… ")] if start else [], start
    for style, run in groupby(inside):
        end = at + len(list(run))
        text = cut(one.joint.join(one.tokens[at:end]), _ANSWER)
        parts.append(_mark(text, style) if style else words(text))
        parts.append(words(one.joint if end < stop else ""))
        at = end
    parts.append(words(" …") if stop < len(one.tokens) else NOTHING)
    text = tag("bdi", {}, *parts)
    return join([tag("p", {}, data(one.beside, _INPUT)), text]) if one.beside else text


def _where(one: Marked, at: int) -> str:
    """How the token at a place is marked, "" if it is not."""
    expected, answered = (
        each is not None and each.first <= at < each.end for each in (one.expected, one.answered)
    )
    if expected and answered:
        return "found"
    return "missed" if expected else "off" if answered else ""


def compared(expected: str, answered: str, differ: Unit) -> tuple[Html, Html]:
    """Both texts, marked where they differ."""
    short = max(len(expected), len(answered)) <= _COMPARED
    if differ == "nothing" or expected == answered or not short:
        return data(expected, _ANSWER), data(answered, _ANSWER)
    if differ == "words":
        units = [re.findall(r"\s+|\S+", text) for text in (expected, answered)]
    else:
        units = [list(expected), list(answered)]
    missed, off = shared_parts(units[0], units[1])
    return _marked(missed, "missed", expected), _marked(off, "off", answered)


def shared_parts(expected: Sequence[str], answered: Sequence[str]) -> tuple[list[Part], list[Part]]:
    """Both texts in parts: what they share, and what only one of them has."""
    found: tuple[list[Part], list[Part]] = [], []
    matcher = SequenceMatcher(None, expected, answered, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        shared = kind == "equal"
        for side, part in zip(
            found, (expected[start:end], answered[other_start:other_end]), strict=True
        ):
            if part:
                side.append(("".join(part), shared))
    return found


def _marked(parts: list[Part], style: str, whole: str) -> Html:
    """The parts as one text; of a long one, what stands round the first difference."""
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
    """A marked part. Spaces at its ends are left out of the mark, unless it has nothing else."""
    inside = part.strip(" ")
    if not inside:
        return tag("mark", {"class": style}, words("␣" * len(part)))
    before, _, after = part.partition(inside)
    return join([words(before), tag("mark", {"class": style}, words(inside)), words(after)])


# ---------------------------------------------------------------- tags


def tag_examples(section: TagExamples) -> Html:
    if not section.examples:
        return words("No row was looked at.")
    right = tag("span", {"class": "tag"}, words("tag"))
    wrong = tag("span", {"class": "tag off"}, words("✗ answered"))
    true = tag("span", {"class": "tag missed"}, words("true"))
    parts = (right, words("right"), wrong, true, words("wrong: the answer, then the true tag"))
    key = tag("p", {"class": "key"}, *(tag("span", {}, part) for part in parts))
    return join([key, *map(_tagged, section.examples)])


def _tagged(example: TagExample) -> Html:
    lengths = {len(example.tokens), len(example.true), len(example.answered)}
    if len(lengths) > 1:
        raise ValueError(f"tags of {example.place or 'a row'}: not one for each token")
    pairs = list(zip(example.tokens, example.true, example.answered, strict=True))
    wrong = sum(true != answered for _, true, answered in pairs)
    said = f"{wrong:,} of {plural(len(pairs), 'tokens')} wrong" if wrong else "all right"
    verdict = span("worse" if wrong else "better", f"{'✗' if wrong else '✓'} {said}")
    place = join([words(" · "), span("quiet", example.place)]) if example.place else NOTHING
    tokens = [_token(*of_token) for of_token in pairs[:_TOKENS]]
    if len(pairs) > _TOKENS:
        more = plural(len(pairs) - _TOKENS, "tokens")
        tokens.append(tag("li", {}, span("none", f"… {more} more")))
    listed = tag("ol", {"class": "tokens"}, *tokens)
    return tag("article", {"class": "row"}, tag("p", {}, verdict, place), listed)


def _token(token: str, true: str, answered: str) -> Html:
    word = tag("span", {"class": "token"}, data(token, 40))
    if true == answered:
        return tag("li", {}, word, tag("span", {"class": "tag"}, data(true, 30)))
    off = tag("span", {"class": "tag off"}, words("✗ "), data(answered, 30))
    missed = tag("span", {"class": "tag missed"}, data(true, 30))
    return tag("li", {"class": "wrong"}, word, off, missed)


# ---------------------------------------------------------------- texts


def generated(section: Generated) -> Html:
    if not section.generations:
        return words("Nothing was generated.")
    key = tag(
        "p",
        {"class": "key"},
        tag("span", {}, span("prompt", "prompt"), words("what the model wrote")),
    )
    return join([key, *map(_generation, section.generations)])


def _generation(one: Generation) -> Html:
    prompt = tag("span", {"class": "prompt"}, lines(cut(one.prompt, _GENERATED)))
    written = lines(cut(one.text, _GENERATED)) if one.text else span("none", "(nothing)")
    how = tag("p", {"class": "quiet"}, words(one.how)) if one.how else NOTHING
    more = len(one.text) - _GENERATED
    left = span("none", f" {plural(more, 'characters')} more") if more > 0 else NOTHING
    parts = (left, written, prompt) if one.before else (prompt, written, left)
    text = tag("p", {"class": "text", "dir": "auto"}, *parts)
    return tag("article", {"class": "row"}, how, text)


def note(section: Note) -> Html:
    if section.fixed:
        return tag("pre", {"tabindex": "0"}, lines(section.text))
    parts = re.split(r"\n\s*\n", section.text.replace("\r\n", "\n").strip())
    return join(tag("p", {"dir": "auto"}, lines(part)) for part in parts)
