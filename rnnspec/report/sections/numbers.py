"""Numbers against numbers, and how numbers are spread."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from math import ceil

from rnnspec.report import chart as draw
from rnnspec.report.html import NOTHING, Html, span, tag, words
from rnnspec.report.model import Histogram, Scatter
from rnnspec.report.scale import Scale, drawable, scale
from rnnspec.report.words import number, plural, share

_POINTS = 1500
"""Most points that are drawn."""
_BINS = 30
_EXACT = 2.0**52
"""From here on not every whole number is a float."""


def binned(
    values: Iterable[float], edges: tuple[float, ...] = (), most: int = _BINS
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges and counts for a Histogram, at most about `most` bins at round numbers.

    Whole numbers never share a bin in part. Without values there is one bin, with a count of 0;
    what is not finite is left out. `edges` are those of another series to be set beside this one:
    values beyond them count for the first and the last bin.
    """
    seen = [value for value in values if drawable(value)]
    if not edges:
        low, high = (min(seen), max(seen)) if seen else (0.0, 1.0)
        whole = all(float(value).is_integer() and abs(value) < _EXACT for value in seen)
        if whole and high - low < most:
            edges = tuple(float(n) for n in range(int(low), int(high) + 2))
        else:
            edges = tuple(value for value, _ in scale((low, high), 0, 1, most=most).ticks)
    counts = [0] * (len(edges) - 1)
    for value in seen:
        counts[min(len(counts) - 1, max(0, bisect_right(edges, value) - 1))] += 1
    return edges, tuple(counts)


def histogram(section: Histogram) -> Html:
    bins = len(section.edges) - 1
    if any(len(one.counts) != bins for one in section.series):
        raise ValueError(f"{section.title}: counts are not {bins}, one for each bin")
    if not any(any(one.counts) for one in section.series):
        return words("Nothing was counted.")
    several = len(section.series) > 1
    heights = [_heights(one.counts, several) for one in section.series]
    y = scale([height for one in heights for height in one], draw.BOTTOM, draw.TOP, zero=True)
    left = draw.margin(y)
    x = scale(section.edges, left, draw.RIGHT, most=7)
    low, high = section.edges[0], section.edges[-1]
    ticks = tuple((value, name) for value, name in x.ticks if low <= value <= high)
    x = Scale(low, high, left, draw.RIGHT, ticks)
    of = f"% of the {section.of} of each" if several else section.of
    bars = (_bars(section, place, one, (x, y)) for place, one in enumerate(heights))
    names = ", ".join(one.name for one in section.series)
    drawn = draw.svg(f"{section.title}: {names}", draw.axes(x, y, section.axis, of), *bars)
    total = plural(sum(section.series[0].counts), section.of)
    items = [(f"{draw.look(place)} bars", one.name) for place, one in enumerate(section.series)]
    legend, caption = (draw.key(items), NOTHING) if several else (NOTHING, span("name", total))
    return tag("div", {"class": "charts"}, draw.figure(caption, drawn, legend))


def _heights(counts: tuple[int, ...], several: bool) -> list[float]:
    """Counts; of several series, which may hold more and fewer rows, shares in per cent."""
    total = sum(counts) if several else 100
    return [100 * count / total if total else 0.0 for count in counts]


def _bars(section: Histogram, place: int, heights: list[float], axes_: tuple[Scale, Scale]) -> Html:
    """The bars of one series; those of several stand side by side in each bin."""
    one, (x, y) = section.series[place], axes_
    parts = []
    total = sum(one.counts)
    for position, count in enumerate(one.counts):
        low, high = section.edges[position], section.edges[position + 1]
        wide = (x.at(high) - x.at(low)) / len(section.series)
        gap = min(1.0, wide * 0.15)
        left, top = x.at(low) + wide * place, y.at(heights[position])
        box = draw.at(x=left + gap / 2, y=top, width=max(0.3, wide - gap), height=y.start - top)
        tooltip = (
            f"{one.name}, {number(low)} to {number(high)}: {plural(count, section.of)} "
            f"({share(count / total if total else None)})"
        )
        if count:
            parts.append(tag("rect", box, tag("title", {}, words(tooltip))))
    return tag("g", {"class": f"{draw.look(place)} bars"}, *parts)


def scatter(section: Scatter) -> Html:
    if len(section.truth) != len(section.answered):
        raise ValueError(f"{section.title}: {len(section.truth)} true numbers, not as many answers")
    pairs = [
        (true, answer)
        for true, answer in zip(section.truth, section.answered, strict=True)
        if drawable(true) and drawable(answer)
    ]
    if not pairs:
        return words("There are no pairs of numbers.")
    every = ceil(len(pairs) / _POINTS)
    both = [value for pair in pairs for value in pair]
    side = draw.WIDTH - 60
    y = scale(both, side, draw.TOP, most=6, tight=True)
    x = scale(both, draw.margin(y), draw.RIGHT, most=6, tight=True)
    equal = draw.at(x1=x.start, y1=y.start, x2=x.end, y2=y.end)  # both axes span the same values
    unit = f", {section.unit}" if section.unit else ""
    parts = [draw.axes(x, y, f"true{unit}", f"answered{unit}")]
    parts.append(tag("line", {"class": "best", **equal}))
    for true, answer in pairs[::every]:
        tooltip = tag("title", {}, words(f"true {number(true)}, answered {number(answer)}"))
        place = draw.at(cx=x.at(true), cy=y.at(answer), r=3.2)
        parts.append(tag("circle", {"class": "point front", **place}, tooltip))
    title = f"{section.title}: answered against true"
    drawn = draw.svg(title, *parts, size=(draw.WIDTH, side + 40))
    left = len(section.truth) - len(pairs)
    said = plural(len(pairs), "rows") + (f", every {every}th drawn" if every > 1 else "")
    said += f"; {left:,} not finite, not drawn" if left else ""
    return tag("div", {"class": "charts"}, draw.figure(span("name", said), drawn))
