"""Charts as inline SVG: axes, lines, bands, and columns with their values as tooltips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rnnspec.report.html import NOTHING, Html, tag, words
from rnnspec.report.model import Value
from rnnspec.report.scale import Scale, drawable
from rnnspec.report.words import fitted, width

WIDTH, HEIGHT = 440.0, 250.0
"""Size of a chart; a page draws it larger or smaller as a whole."""
TOP, RIGHT = 26.0, WIDTH - 12
BOTTOM = HEIGHT - 40
LETTERS = 12.0
"""Height of the letters in a chart, in pixels."""
STYLES = ("front", "other", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
"""Looks of lines that are compared, the most important first; each has its own dashes."""

Point = tuple[float, float]


def svg(title: str, *children: Html, size: Point = (WIDTH, HEIGHT), style: str = "chart") -> Html:
    """A picture with a title for those who do not see it. `size` is width and height."""
    wide, high = map(coordinate, size)
    frame = {"class": style, "role": "img", "viewBox": f"0 0 {wide} {high}"}
    if style != "chart":  # a chart fills its column; anything else keeps its size
        frame |= {"width": wide, "height": high}
    return tag("svg", frame, tag("title", {}, words(title)), *children)


def look(place: int) -> str:
    """The style of the line of that number."""
    return STYLES[place % len(STYLES)]


def coordinate(value: float) -> str:
    """To a tenth of a pixel, as short as it can be written."""
    written = f"{value:.1f}".removesuffix(".0")
    return "0" if written == "-0" else written


def at(**places: float) -> dict[str, str]:
    """Coordinates as attributes."""
    return {name: coordinate(value) for name, value in places.items()}


def text(
    content: str, x: float, y: float, style: str = "", anchor: str = "start", turn: float = 0
) -> Html:
    """Words at a baseline, turned by `turn` degrees round their anchor."""
    more: Mapping[str, str] = {"class": style} if style else {}
    more = {**more, "text-anchor": anchor} if anchor != "start" else more
    place = at(x=x, y=y)
    if turn:
        turned = f"translate({place['x']} {place['y']}) rotate({coordinate(turn)})"
        return tag("text", {**more, "transform": turned}, words(content))
    return tag("text", {**place, **more}, words(content))


def margin(y: Scale) -> float:
    """Where the plot starts, right of the names of the ticks of `y`."""
    return 14 + max((width(name, LETTERS) for _, name in y.ticks), default=0.0)


def axes(x: Scale, y: Scale, x_label: str, y_label: str) -> Html:
    """Grid, ticks and their names; the name of the y axis stands above it."""
    parts = []
    for value, name in y.ticks:
        place = y.at(value)
        style = "axis" if value == 0 else "grid"
        parts.append(tag("line", {"class": style, **at(x1=x.start, y1=place, x2=x.end, y2=place)}))
        parts.append(text(name, x.start - 6, place + 4, "quiet", "end"))
    for value, name in x.ticks:
        place = x.at(value)
        ends = at(x1=place, y1=y.start, x2=place, y2=y.start + 4)
        parts.append(tag("line", {"class": "axis", **ends}))
        name = fitted(name, LETTERS, WIDTH / 3)
        half = width(name, LETTERS) / 2
        middle = min(max(place, half), max(WIDTH - half, place - half))
        parts.append(text(name, middle, y.start + 17, "quiet", "middle"))
    parts.append(tag("line", {"class": "axis", **at(x1=x.start, y1=y.start, x2=x.end, y2=y.start)}))
    parts.append(text(x_label, x.end, y.start + 34, "quiet", "end") if x_label else NOTHING)
    parts.append(text(fitted(y_label, LETTERS, WIDTH - 8), 4, 13, "quiet") if y_label else NOTHING)
    return tag("g", {}, *parts)


def line(points: Iterable[tuple[float, Value]], x: Scale, y: Scale, style: str) -> Html:
    """A line through points, with gaps where a value cannot be drawn; a lone point is a dot."""
    parts, dots = [], []
    for run in _runs(points):
        placed = [(x.at(place), y.at(value)) for place, value in run]
        if len(placed) == 1:
            ((cx, cy),) = placed
            dots.append(tag("circle", {"class": f"dot {style}", **at(cx=cx, cy=cy, r=3)}))
        else:
            parts.append("M" + _path(placed))
    drawn = tag("path", {"class": f"line {style}", "d": "".join(parts)}) if parts else NOTHING
    return tag("g", {}, drawn, *dots)


def band(
    points: Sequence[tuple[float, Value, Value]], x: Scale, y: Scale, style: str = "band"
) -> Html:
    """The area between two values at each place; gaps as in `line`."""
    parts = []
    uppers = _runs(((place, high if drawable(low) else None) for place, low, high in points))
    lower = {place: low for place, low, _ in points if drawable(low)}
    for run in uppers:
        there = [(x.at(place), y.at(value)) for place, value in run]
        back = [(x.at(place), y.at(lower[place])) for place, _ in reversed(run)]
        parts.append("M" + _path(there + back) + "z")
    return tag("path", {"class": style, "d": "".join(parts)}) if parts else NOTHING


def columns(places: Sequence[float], x: Scale, y: Scale, tooltip: Callable[[int], str]) -> Html:
    """A column over each place, with `tooltip(its number)`."""
    if not places:
        return NOTHING
    half = abs(x.at(places[1]) - x.at(places[0])) / 2 if len(places) > 1 else 20.0
    parts = []
    for position, place in enumerate(places):
        left, right = max(x.start, x.at(place) - half), min(x.end, x.at(place) + half)
        box = at(x=left, y=y.end, width=max(0.0, right - left), height=y.start - y.end)
        parts.append(tag("rect", box, tag("title", {}, words(tooltip(position)))))
    return tag("g", {"class": "columns"}, *parts)


def cross(place: float, x: Scale, y: Scale, style: str) -> Html:
    """A mark at the upper edge, for a value that has no place on the axis."""
    centre = x.at(place)
    path = f"M{coordinate(centre - 4)} {coordinate(y.end - 4)}l8 8m-8 0l8 -8"
    return tag("path", {"class": f"cross {style}", "d": path})


def upright(place: float, x: Scale, y: Scale, style: str) -> Html:
    """A line from the lower to the upper edge."""
    centre = x.at(place)
    return tag("line", {"class": style, **at(x1=centre, y1=y.start, x2=centre, y2=y.end)})


def key(items: Iterable[tuple[str, str]]) -> Html:
    """What the lines mean: (style, words) of each."""
    parts = []
    for style, name in items:
        shape = tag("rect", {"class": style, **at(x=0, y=1, width=26, height=10)})
        if style.split()[-1] not in ("band", "bars"):
            shape = tag("path", {"class": f"line {style}", "d": "M1 6H25"})
        sample = {"class": "sample", "viewBox": "0 0 26 12", "aria-hidden": "true"}
        parts.append(tag("span", {}, tag("svg", sample, shape), words(name)))
    return tag("p", {"class": "key"}, *parts)


def figure(caption: Html, *children: Html, style: str = "") -> Html:
    described = (tag("figcaption", {}, caption), *children)
    return tag("figure", {"class": style} if style else {}, *described)


def _runs(points: Iterable[tuple[float, Value]]) -> list[list[tuple[float, float]]]:
    """Points in a row that can be drawn."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place, value in points:
        if drawable(value):
            runs[-1].append((place, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(points: Iterable[Point]) -> str:
    return "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points)
