"""Attention: which source token each target token was written from."""

from __future__ import annotations

from rnnspec.report.chart import LETTERS, at, figure, svg, text
from rnnspec.report.html import Html, data, join, scroll, span, tag, words
from rnnspec.report.model import Attention, AttentionMap
from rnnspec.report.scale import drawable
from rnnspec.report.words import fitted, number, plural, token, width

_SOURCE, _TARGET = 120, 80
"""Most tokens drawn of either side."""
_CELL = 19.0
_LABEL = 90.0
"""Greatest width of a token in pixels."""
_LEAST = 0.004
"""Weights below are not drawn."""
_HEAD = 22.0


def attention(section: Attention) -> Html:
    if not section.maps:
        return words("No row was looked at.")
    key = (
        "Each row is a token that was written; the stronger a colour, the more was read from the "
        "source token above. A frame marks the greatest weight of a row."
    )
    maps = (_figure(one) for one in section.maps)
    return join([tag("p", {"class": "quiet"}, words(key)), tag("div", {"class": "maps"}, *maps)])


def _figure(one: AttentionMap) -> Html:
    source = one.source or _numbered(one)
    if len(one.weights) != len(one.target) or any(len(r) != len(source) for r in one.weights):
        sizes = f"{len(one.target)} by {len(source)}, as its tokens are"
        raise ValueError(f"attention {one.name!r}: weights are not {sizes}")
    name = one.name or (" " * any(len(t) > 1 for t in one.target)).join(one.target)
    if not source or not one.target:
        return figure(data(name, 80), words("There is nothing to read or to write."))
    drawn = scroll(f"Attention of {name}", _heat_map(one, source[:_SOURCE], one.target[:_TARGET]))
    left = (len(source) - _SOURCE, "source"), (len(one.target) - _TARGET, "target")
    unseen = [f"{plural(count, f'{side} token')} more" for count, side in left if count > 0]
    note = span("quiet", f"not drawn: {' and '.join(unseen)}") if unseen else words("")
    return figure(data(name, 80), drawn, note)


def _numbered(one: AttentionMap) -> tuple[str, ...]:
    return tuple(str(n + 1) for n in range(max(map(len, one.weights), default=0)))


def _heat_map(one: AttentionMap, source: tuple[str, ...], target: tuple[str, ...]) -> Html:
    above, before = list(map(token, source)), list(map(token, target))
    upright = all(width(name, LETTERS) <= _CELL for name in above)
    tall = LETTERS + 4 if upright else min(_LABEL, max(width(n, LETTERS) for n in above)) + 6
    wide = min(_LABEL, max(width(name, LETTERS) for name in before)) + 8
    left, top = _HEAD + wide, _HEAD + tall
    size = (left + _CELL * len(source) + 2, top + _CELL * len(target) + 2)
    parts = [
        text("source", left, 13, "quiet"),
        text("written", 13, size[1], "quiet", turn=-90),
    ]
    for place, name in enumerate(above):
        x, shown = left + (place + 0.5) * _CELL, fitted(name, LETTERS, _LABEL)
        turned = text(shown, x + 4, top - 5, turn=-90)
        parts.append(text(shown, x, top - 5, anchor="middle") if upright else turned)
    for place, name in enumerate(before):
        shown, y = fitted(name, LETTERS, _LABEL), top + (place + 0.5) * _CELL + 4
        parts.append(text(shown, left - 7, y, anchor="end"))
        parts += _row(one.weights[place][: len(source)], above, name, (left, top + place * _CELL))
    box = at(x=left, y=top, width=_CELL * len(source), height=_CELL * len(target))
    parts.append(tag("rect", {"class": "outline", **box}))
    title = f"Attention from {plural(len(source), 'source token')} to {' '.join(before)}"
    return svg(title, size, *parts, style="heat")


def _row(
    weights: tuple[float, ...], source: list[str], target: str, corner: tuple[float, float]
) -> list[Html]:
    known = [weight for weight in weights if drawable(weight)]
    largest = max(known, default=0.0)
    parts = []
    for place, weight in enumerate(weights):
        if drawable(weight) and weight < _LEAST:
            continue
        x, y = corner[0] + place * _CELL, corner[1]
        box = at(x=x + 0.5, y=y + 0.5, width=_CELL - 1, height=_CELL - 1)
        told = tag("title", {}, words(f"{target} from {source[place]}: {number(weight, 3)}"))
        if not drawable(weight):
            cross = {"class": "cross", "d": f"M{x + 5:.1f} {y + 5:.1f}l9 9m-9 0l9 -9"}
            parts.append(tag("path", cross, told))
            continue
        kind = "right most" if weight == largest else "right"
        shade = f"{max(0.05, min(1.0, weight)):.2f}"
        parts.append(tag("rect", {"class": kind, "fill-opacity": shade, **box}, told))
    return parts
