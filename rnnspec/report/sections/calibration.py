"""Probabilities against the shares that are right: a reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from rnnspec.report import chart as draw
from rnnspec.report.html import Html, span, tag, words
from rnnspec.report.model import Calibration, CalibrationBin
from rnnspec.report.scale import Scale, drawable, scale
from rnnspec.report.words import plural, share

SMALLEST, LARGEST = 2.0, 7.0
"""Radius of a dot, by the square root of how many answers it stands for."""


def calibration(section: Calibration) -> Html:
    bins = [each for each in section.bins if drawable(each.probability) and drawable(each.right)]
    if not bins:
        return words("There are no probabilities.")
    side = draw.WIDTH - 60
    y = scale((0.0, 1.0), side, draw.TOP, most=6)
    x = scale((0.0, 1.0), draw.margin(y), draw.RIGHT, most=6)
    equal = draw.at(x1=x.at(0), y1=y.at(0), x2=x.at(1), y2=y.at(1))
    points = [(_inside(each.probability), _inside(each.right)) for each in bins]
    drawn = draw.svg(
        f"{section.title}: shares that are right against probabilities",
        draw.axes(x, y, "probability", "share that is right"),
        tag("line", {"class": "best", **equal}),
        draw.line(points, x, y, "front"),
        *_dots(section.of, bins, x, y),
        size=(draw.WIDTH, side + 40),
    )
    total = plural(sum(each.count for each in section.bins), section.of)
    said = f"{total}; probabilities are {share(section.error)} off on average"
    return tag("div", {"class": "charts"}, draw.figure(span("name", said), drawn))


def _inside(value: float | None) -> float:
    return min(1.0, max(0.0, value or 0.0))


def _dots(of: str, bins: Sequence[CalibrationBin], x: Scale, y: Scale) -> list[Html]:
    """A dot for each bin, larger for more answers."""
    most = max(1, max(each.count for each in bins))
    dots = []
    for each in bins:
        radius = SMALLEST + (LARGEST - SMALLEST) * sqrt(max(0, each.count) / most)
        said = f"{plural(each.count, of)} of about {share(each.probability)}: "
        tooltip = tag("title", {}, words(f"{said}{share(each.right)} right"))
        place = draw.at(cx=x.at(_inside(each.probability)), cy=y.at(_inside(each.right)), r=radius)
        dots.append(tag("circle", {"class": "dot front", **place}, tooltip))
    return dots
