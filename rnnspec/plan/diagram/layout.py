"""Where boxes and lines go on a page: ranks from top to bottom, few crossings, straight lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnspec.plan.diagram.columns import centres
from rnnspec.plan.diagram.ranks import Ranks, Spot

GAP = 28.0
"""Between neighbours of a rank."""
RANK_GAP = 34.0
"""Between ranks, where all lines go straight down."""
BENT_RANK_GAP = 54.0
"""Between ranks, where some line changes its column."""
_PORT_GAP = 26.0
"""Between lines that reach or leave the same edge of a box."""
_PASSING = 12.0
"""Width of a line's spot in a rank that it passes."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box stands: left edge, upper edge, size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Line:
    """From the lower edge of `source` to the upper edge of `target`, which reads it.

    `points` go down; where two in a row differ in x, the line bends between them.
    """

    source: str
    target: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Places and lines from (0, 0) to (`width`, `height`)."""

    places: Mapping[str, Place]
    lines: tuple[Line, ...]
    width: float
    height: float


def layout(
    sources: Mapping[str, Sequence[str]], sizes: Mapping[str, tuple[float, float]]
) -> Layout:
    """Places of boxes of `sizes` (width, height), in reading order, that read their `sources`.

    Boxes do not overlap, and no line runs through a box.
    """
    ranks = Ranks(sources)
    width = {spot: sizes[spot[0]][0] if ranks.is_box(spot) else _PASSING for spot in ranks.above}
    middle = centres(ranks, width, GAP)
    bands = _bands(ranks, middle, sizes)
    places = {
        name: Place(middle[name, rank] - sizes[name][0] / 2, bands[rank][0], *sizes[name])
        for name, rank in ranks.rank.items()
    }
    lines = tuple(
        _line(ranks, middle, bands, places, source, name)
        for name, read in ranks.sources.items()
        for source in read
    )
    right = max(x + width[spot] / 2 for spot, x in middle.items())
    return Layout(places, lines, right, bands[-1][1])


def _bands(
    ranks: Ranks, middle: Mapping[Spot, float], sizes: Mapping[str, tuple[float, float]]
) -> list[Point]:
    """Upper and lower edge of each rank."""
    bands: list[Point] = []
    top = 0.0
    for rank in ranks.order:
        height = max(sizes[name][1] for name, _ in rank if ranks.is_box((name, rank[0][1])))
        bands.append((top, top + height))
        bent = any(middle[spot] != middle[lower] for spot in rank for lower in ranks.below[spot])
        top += height + (BENT_RANK_GAP if bent else RANK_GAP)
    return bands


def _line(
    ranks: Ranks,
    middle: Mapping[Spot, float],
    bands: Sequence[Point],
    places: Mapping[str, Place],
    source: str,
    target: str,
) -> Line:
    path = ranks.path(source, target)
    first = middle[path[0]] + _port(middle, path[0], ranks.below[path[0]], path[1], places[source])
    last = middle[path[-1]] + _port(
        middle, path[-1], ranks.above[path[-1]], path[-2], places[target]
    )
    points = [(first, places[source].y + places[source].height), (first, bands[path[0][1]][1])]
    for spot in path[1:-1]:
        points += [(middle[spot], edge) for edge in bands[spot[1]]]
    points.append((last, places[target].y))
    return Line(source, target, tuple(dict.fromkeys(points)))


def _port(
    middle: Mapping[Spot, float], box: Spot, linked: Sequence[Spot], to: Spot, place: Place
) -> float:
    """How far from the middle of its edge a line to `to` meets the box.

    The line straight above or below meets it in the middle, the others at that side of it on which
    they come, the nearest innermost.
    """
    if len(linked) == 1:
        return 0.0
    x = middle[box]
    straight = any(middle[other] == x for other in linked)
    left = sorted((o for o in linked if middle[o] < x), key=lambda o: -middle[o])
    right = sorted((o for o in linked if middle[o] > x), key=lambda o: middle[o])
    step = min(_PORT_GAP, 0.8 * place.width / (2 * max(len(left), len(right)) + 1))
    start = step if straight else step / 2
    if to in left:
        return -(start + step * left.index(to))
    return start + step * right.index(to) if to in right else 0.0
