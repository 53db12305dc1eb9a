"""Attention: which source token each target token was written from."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.report.chart import LETTERS, at, figure, svg, text
from rnnspec.report.html import Html, data, join, scroll, span, tag, words
from rnnspec.report.model import Attention, AttentionMap
from rnnspec.report.scale import drawable
from rnnspec.report.words import fitted, number, plural, token, width

_SOURCE, _FRAMES, _TARGET = 120, 400, 80
"""Most source tokens, source frames and target tokens that are drawn."""
_CELL, _THIN = 19.0, 2.0
"""Side of a cell; width of the cell of a frame where there are many."""
_WIDE = 780.0
"""What frames share among them."""
_LABEL = 90.0
"""Greatest width of a token in pixels."""
_LEAST = 0.03
"""Weights below this share of the greatest are not drawn."""
_HEAD = 22.0


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the cells are: the corner, the width of a cell, and the weight of full colour."""

    left: float
    top: float
    cell: float
    full: float


def attention(section: Attention) -> Html:
    if not section.maps:
        return words("No row was looked at.")
    key = (
        "Each row is a token that was written; the stronger a colour, the more was read from the "
        "source above. A frame marks the greatest weight of a row."
    )
    maps = (_figure(one) for one in section.maps)
    return join([tag("p", {"class": "quiet"}, words(key)), tag("div", {"class": "maps"}, *maps)])


def _figure(one: AttentionMap) -> Html:
    count = len(one.source) or max(map(len, one.weights), default=0)
    if len(one.weights) != len(one.target) or any(len(row) != count for row in one.weights):
        sizes = f"{len(one.target)} by {count}, as its tokens are"
        raise ValueError(f"attention {one.name!r}: weights are not {sizes}")
    name = one.name or (" " * any(len(t) > 1 for t in one.target)).join(one.target)
    if not count or not one.target:
        return figure(data(name, 80), words("There is nothing to read or to write."))
    most = _SOURCE if one.source else _FRAMES
    drawn = scroll(f"Attention of {name}", _heat_map(one, min(count, most)))
    left = (count - most, "source step"), (len(one.target) - _TARGET, "target token")
    unseen = [f"{plural(more, side)} more" for more, side in left if more > 0]
    note = [span("quiet", f"not drawn: {' and '.join(unseen)}")] if unseen else []
    return figure(data(name, 80), drawn, *note)


def _heat_map(one: AttentionMap, count: int) -> Html:
    above = [token(name) for name in one.source[:count]] or [str(n + 1) for n in range(count)]
    before = [token(name) for name in one.target[:_TARGET]]
    cell = _CELL if one.source else max(_THIN, min(_CELL, _WIDE / count))
    upright = not one.source or all(width(name, LETTERS) <= cell for name in above)
    tall = LETTERS + 4 if upright else min(_LABEL, max(width(n, LETTERS) for n in above)) + 6
    wide = min(_LABEL, max(width(name, LETTERS) for name in before)) + 8
    known = [w for row in one.weights for w in row if drawable(w)]
    grid = _Grid(_HEAD + wide, _HEAD + tall, cell, max([1e-9, *known]))
    bottom, right = grid.top + _CELL * len(before), grid.left + cell * count
    parts = [text("source", grid.left, 13, "quiet"), text("written", 13, bottom, "quiet", turn=-90)]
    every = 1 if one.source else _every(max(width(name, LETTERS) for name in above) + 8, cell)
    for place, name in enumerate(above):
        middle = grid.left + (place + 0.5) * cell
        if upright and (place + 1) % every == 0:
            parts.append(text(name, middle, grid.top - 5, anchor="middle"))
        elif not upright:
            shown = fitted(name, LETTERS, _LABEL)
            parts.append(text(shown, middle + 4, grid.top - 5, turn=-90))
    for place, name in enumerate(before):
        baseline = grid.top + (place + 0.5) * _CELL + 4
        parts.append(text(fitted(name, LETTERS, _LABEL), grid.left - 7, baseline, anchor="end"))
        parts += _row(one.weights[place][:count], above, name, grid, grid.top + place * _CELL)
    box = at(x=grid.left, y=grid.top, width=right - grid.left, height=bottom - grid.top)
    parts.append(tag("rect", {"class": "outline", **box}))
    title = f"Attention from {plural(count, 'source step')} to {' '.join(before)}"
    return svg(title, *parts, size=(right + 12, bottom + 2), style="heat")


def _every(room: float, cell: float) -> int:
    """Of how many frames one is numbered, where a number takes `room`."""
    return next(every for every in (1, 2, 5, 10, 20, 50, 100, 200) if every * cell >= room)


def _row(
    weights: tuple[float, ...], source: list[str], target: str, grid: _Grid, y: float
) -> list[Html]:
    """The cells of one target token, those of next to no weight left out."""
    largest = max((weight for weight in weights if drawable(weight)), default=0.0)
    gap = min(1.0, grid.cell / 8)
    parts = []
    for place, weight in enumerate(weights):
        if drawable(weight) and weight < _LEAST * grid.full:
            continue
        x = grid.left + place * grid.cell
        tooltip = tag("title", {}, words(f"{target} from {source[place]}: {number(weight, 3)}"))
        if not drawable(weight):
            cross = {"class": "cross", "d": f"M{x + 5:.1f} {y + 5:.1f}l9 9m-9 0l9 -9"}
            parts.append(tag("path", cross, tooltip))
            continue
        box = at(x=x + gap / 2, y=y + 0.5, width=grid.cell - gap, height=_CELL - 1)
        kind = "right most" if weight == largest else "right"
        shade = f"{(weight / grid.full) ** 0.75:.2f}"
        parts.append(tag("rect", {"class": kind, "fill-opacity": shade, **box}, tooltip))
    return parts
