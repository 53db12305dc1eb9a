"""Sounds and pictures with what was read along them, on one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from math import isfinite

from rnnspec.report.chart import LETTERS, at, figure, svg, text
from rnnspec.report.html import NOTHING, Html, address, join, scroll, span, tag, words
from rnnspec.report.model import AlignedExample, AlignedExamples, Stretch
from rnnspec.report.scale import Scale, scale
from rnnspec.report.sections.examples import Unit, compared
from rnnspec.report.words import cut, number, token, visible, width

_WIDE, _WIDEST = 264.0, 2400.0
"""Width of a picture, and of one that many tokens were read along."""
_SOUND = 84.0
"""Height of a spectrogram."""
_ZOOM, _ZOOMED = 4.0, 24.0
"""Most pixels that one of a picture is drawn in, and where its tokens need room."""
_TOP, _BAR, _GAP, _LANE, _LANES = 6.0, 9.0, 5.0, 14.0, 3
"""Space above, height of the stretches, space between, height and most of the lines of tokens."""
_LEFT, _RIGHT = 10.0, 14.0
"""Space between the names at the left and the axis, and right of it."""
_LONGEST = 12
"""Most characters of a token that are drawn."""
_TITLE = 40
"""Most tokens that are told to who does not see the picture."""


Mark = tuple[Stretch, str]
"""A token, or some in one place, and its style: `found`, `off` or `missed`."""


@dataclass(frozen=True, slots=True)
class Label:
    """A token at the middle of its stretch, moved where it would stand out of the picture or in
    another one's place: `lane` 0 is the first line."""

    text: str
    x: float
    lane: int


def aligned_examples(section: AlignedExamples) -> Html:
    if not section.examples:
        return words("No row was looked at.")
    figures = (_figure(one, section) for one in section.examples)
    return join([_key(), tag("div", {"class": "maps"}, *figures)])


def _key() -> Html:
    kinds = (("found", "read"), ("off", "✗ not expected"), ("missed", "true, and not read"))
    parts = []
    for style, name in kinds:
        box = tag("rect", {"class": f"stretch {style}", **at(x=2, y=1, width=22, height=10)})
        sample = {"class": "sample", "viewBox": "0 0 26 12", "aria-hidden": "true"}
        parts.append(tag("span", {}, tag("svg", sample, box), words(name)))
    return tag("p", {"class": "key"}, *parts)


def _figure(one: AlignedExample, section: AlignedExamples) -> Html:
    _check(one)
    answered = section.joint.join(each.token for each in one.answered)
    expected = section.joint.join(one.expected)
    unit: Unit = "words" if section.joint else "characters"
    true_text, text_read = compared(expected, answered, unit)
    verdict = span("better", "✓ ") if expected == answered else span("worse", "✗ ")
    caption = [verdict, text_read]
    if expected != answered:
        caption += [words(" · true: "), true_text]
    if one.place:
        caption += [words(" · "), span("quiet", one.place)]
    if one.length <= 0:
        return figure(tag("span", {}, *caption), words("There is nothing to read."))
    drawn = scroll(
        f"What was read in {one.place or 'a row'}", _drawing(one, section.unit, section.joint)
    )
    return figure(tag("span", {}, *caption), drawn)


def _check(one: AlignedExample) -> None:
    """Raises ValueError where something lies beyond the axis."""
    places = [place for each in (*one.answered, *one.true) for place in (each.start, each.end)]
    if not all(isfinite(place) and 0 <= place <= one.length for place in places):
        raise ValueError(f"alignment of {one.place or 'a row'}: a token is not on its axis")


def _drawing(one: AlignedExample, unit: str, joint: str) -> Html:
    wrong = unmatched([each.token for each in one.answered], one.expected)
    missed = unmatched([each.token for each in one.true], [s.token for s in one.answered])
    rows = [("read", marks(one.answered, wrong, "off", joint))]
    if one.true:
        rows.append(("true", marks(one.true, missed, "missed", joint)))
    names = [*(name for name, _ in rows), one.low, one.high, unit]
    left = max(width(name, LETTERS) for name in names) + _LEFT + 2
    axis = _axis(one, left, [found for _, found in rows])
    wide, tall = axis.end - axis.start, _height(one, axis)
    parts = [*_picture(one, axis, tall), *_shades(rows[0][1], axis, tall)]
    y = _TOP + tall + _GAP
    for name, found in rows:
        parts.append(text(name, left - _LEFT, y + _BAR, "quiet", "end"))
        drawn, y = _row(found, axis, y, unit)
        parts.append(drawn)
    parts.append(_ticks(axis, y, unit))
    return svg(_title(one, unit), *parts, size=(left + wide + _RIGHT, y + 24), style="heat aligned")


def marks(stretches: Sequence[Stretch], odd: set[int], style: str, joint: str) -> list[Mark]:
    """What is drawn of a row: its tokens, those at `odd` places in that style; of tokens that
    follow each other in one place, as a transducer writes them, one mark."""
    styled = [(each, style if n in odd else "found") for n, each in enumerate(stretches)]
    found = []
    for (start, end, look), run in groupby(styled, lambda m: (m[0].start, m[0].end, m[1])):
        together = joint.join(each.token for each, _ in run)
        found.append((Stretch(together, start, end), look))
    return found


def _axis(one: AlignedExample, left: float, rows: Sequence[Sequence[Mark]]) -> Scale:
    """The axis, wide enough for the tokens."""
    needed = max(sum(width(_shown(*each), LETTERS) + 5 for each in row) for row in rows) / 2
    wide = _WIDE
    if one.height:
        wide = min(wide, _ZOOM * one.length)
        needed = min(needed, _ZOOMED * one.length)
    wide = min(_WIDEST, max(wide, needed))
    ticks = scale([0.0, one.length], left, left + wide, most=5, zero=True).ticks
    within = tuple(each for each in ticks if each[0] <= one.length)
    return Scale(0.0, one.length, left, left + wide, within)


def _height(one: AlignedExample, axis: Scale) -> float:
    return one.height * (axis.end - axis.start) / one.length if one.height else _SOUND


def _picture(one: AlignedExample, axis: Scale, tall: float) -> Iterator[Html]:
    wide = axis.at(min(one.extent, one.length)) - axis.start
    box = at(x=axis.start, y=_TOP, width=axis.end - axis.start, height=tall)
    if one.picture:
        share = max(1.0, one.extent / one.length)
        placed = at(x=axis.start, y=_TOP, width=wide * share, height=tall)
        style = "pixels" if one.height else "sound"
        shown = {"class": style, "href": address(one.picture), "preserveAspectRatio": "none"}
        yield tag("image", {**shown, **placed})
    yield tag("rect", {"class": "outline", **box})
    yield text(one.high, axis.start - _LEFT, _TOP + 10, "quiet", "end") if one.high else NOTHING
    yield text(one.low, axis.start - _LEFT, _TOP + tall, "quiet", "end") if one.low else NOTHING


def _shades(found: Sequence[Mark], axis: Scale, tall: float) -> Iterator[Html]:
    """The stretches over the picture itself."""
    for one, style in found:
        start, end = axis.at(one.start), axis.at(one.end)
        box = at(x=start, y=_TOP, width=max(1.0, end - start), height=tall)
        yield tag("rect", {"class": f"shade {style}", **box})


def _row(found: Sequence[Mark], axis: Scale, y: float, unit: str) -> tuple[Html, float]:
    """The stretches and their tokens below `y`; and where they end."""
    middles = [axis.at((one.start + one.end) / 2) for one, _ in found]
    placed = labels([_shown(*each) for each in found], middles, axis)
    parts = []
    for (one, style), label in zip(found, placed, strict=True):
        start, end = axis.at(one.start), axis.at(one.end)
        tip = tag("title", {}, words(f"{token(one.token)}: {_range(one, unit)}"))
        box = at(x=start, y=y, width=max(2.0, end - start), height=_BAR)
        parts.append(tag("rect", {"class": f"stretch {style}", **box}, tip))
        baseline = y + _BAR + (label.lane + 1) * _LANE - 1
        if label.lane:
            middle = (start + end) / 2
            ends = at(x1=middle, y1=y + _BAR, x2=label.x, y2=baseline - 11)
            parts.append(tag("line", {"class": "grid", **ends}))
        parts.append(text(label.text, label.x, baseline, f"token-{style}", "middle"))
    deepest = max((label.lane for label in placed), default=0)
    return tag("g", {}, *parts), y + _BAR + (deepest + 1) * _LANE + _GAP


def labels(names: Sequence[str], middles: Sequence[float], axis: Scale) -> list[Label]:
    """Where tokens are written: in the first line that has room at their middle."""
    ends = [axis.start - 1.0] * _LANES
    found = []
    for name, middle in zip(names, middles, strict=True):
        half = width(name, LETTERS) / 2 + 1
        x = min(max(middle, axis.start + half), max(axis.end + _RIGHT - half, axis.start + half))
        lane = next((n for n, end in enumerate(ends) if x - half >= end), _LANES - 1)
        ends[lane] = x + half
        found.append(Label(name, x, lane))
    return found


def unmatched(tokens: Sequence[str], others: Sequence[str]) -> set[int]:
    """The places of tokens that `others` do not have in this order."""
    matcher = SequenceMatcher(None, tokens, others, autojunk=False)
    kept = {block.a + n for block in matcher.get_matching_blocks() for n in range(block.size)}
    return set(range(len(tokens))) - kept


def _shown(one: Stretch, style: str) -> str:
    mark = {"off": "✗", "missed": "+"}.get(style, "")
    return mark + visible(cut(token(one.token), _LONGEST))


def _range(one: Stretch, unit: str) -> str:
    return f"{number(one.start, 3)}–{number(one.end, 3)} {unit}"


def _title(one: AlignedExample, unit: str) -> str:
    told = (f"{token(each.token)} at {_range(each, unit)}" for each in one.answered[:_TITLE])
    more = "; …" if len(one.answered) > _TITLE else ""
    return f"{number(one.length, 3)} {unit}, read as: {'; '.join(told) or 'nothing'}{more}"


def _ticks(axis: Scale, y: float, unit: str) -> Html:
    parts = [
        tag("line", {"class": "axis", **at(x1=axis.start, y1=y, x2=axis.end, y2=y)}),
        text(unit, axis.start - _LEFT, y + 17, "quiet", "end"),
    ]
    for value, name in axis.ticks:
        x, half = axis.at(value), width(name, LETTERS) / 2
        parts.append(tag("line", {"class": "axis", **at(x1=x, y1=y, x2=x, y2=y + 4)}))
        parts.append(text(name, min(x, axis.end + _RIGHT - half), y + 17, "quiet", "middle"))
    return tag("g", {}, *parts)
