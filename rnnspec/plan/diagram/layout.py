"""Where boxes and lines go on a page: ranks from top to bottom, few crossings, straight lines.

1. Every box gets a rank below everything it reads; a line that passes a rank gets a spot in it; the
   spots of a rank are ordered so that few lines cross (Sugiyama, Tagawa and Toda 1981).
2. Spots that can stand exactly below each other form blocks, so that chains are straight. The
   blocks are packed once to the left and once to the right, and their mean is taken, as Brandes and
   Köpf (2001, Fast and Simple Horizontal Coordinate Assignment) do with four packings. Passing
   lines then move towards the boxes they belong to.
3. Ranks are stacked from top to bottom, and lines are drawn between the edges of the boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from math import inf

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
_SWEEPS = 6
"""How often the order of the ranks is improved, downwards and upwards in turn."""

Point = tuple[float, float]
Spot = tuple[str, int]
"""A place in a rank: a box and its rank, or the box a line comes from and the rank it passes."""


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


# ---------------------------------------------------------------- ranks


class Ranks:
    """Boxes and passing lines in ranks, linked from one rank to the next.

    `above` and `below` hold the spots that a spot is linked to in the rank before and after it.
    """

    def __init__(self, sources: Mapping[str, Sequence[str]]) -> None:
        self.sources = {name: tuple(dict.fromkeys(read)) for name, read in sources.items()}
        self.rank = _ranks(self.sources)
        boxes = list(self.rank.items())
        self.above: dict[Spot, list[Spot]] = {box: [] for box in boxes}
        for name, read in self.sources.items():
            for source in read:
                path = self.path(source, name)
                for upper, lower in pairwise(path):
                    links = self.above.setdefault(lower, [])
                    if upper not in links:
                        links.append(upper)
        self.below: dict[Spot, list[Spot]] = {spot: [] for spot in self.above}
        for lower, uppers in self.above.items():
            for upper in uppers:
                self.below[upper].append(lower)
        self.order = self._ordered()

    def path(self, source: str, target: str) -> list[Spot]:
        """From a box to one that reads it; all lines from a box share the spots they pass."""
        first, last = self.rank[source], self.rank[target]
        return [*((source, rank) for rank in range(first, last)), (target, last)]

    def is_box(self, spot: Spot) -> bool:
        return self.rank[spot[0]] == spot[1]

    def _ordered(self) -> list[list[Spot]]:
        """The spots of each rank from left to right."""
        ranks: list[list[Spot]] = [[] for _ in range(max(self.rank.values()) + 1)]
        for spot in self.above:  # boxes in reading order, then passing lines
            ranks[spot[1]].append(spot)
        best = ranks
        for sweep in range(_SWEEPS):
            ranks = self._swept(ranks, down=sweep % 2 == 0)
            if self._crossings(ranks) < self._crossings(best):
                best = ranks
        return best

    def _swept(self, ranks: list[list[Spot]], down: bool) -> list[list[Spot]]:
        """Each rank sorted by the mean place of what its spots are linked to."""
        links = self.above if down else self.below
        swept = [list(rank) for rank in ranks]
        for index in range(len(swept)) if down else reversed(range(len(swept))):
            beside = index - 1 if down else index + 1
            if not 0 <= beside < len(swept):
                continue
            place = {spot: number for number, spot in enumerate(swept[beside])}
            own = {spot: number for number, spot in enumerate(swept[index])}

            def mean(
                spot: Spot, place: Mapping[Spot, int] = place, own: Mapping[Spot, int] = own
            ) -> float:
                linked = [place[other] for other in links[spot]]
                return sum(linked) / len(linked) if linked else own[spot]

            swept[index].sort(key=mean)
        return swept

    def _crossings(self, ranks: list[list[Spot]]) -> int:
        place = {spot: number for rank in ranks for number, spot in enumerate(rank)}
        return sum(
            (place[a] - place[c]) * (place[b] - place[d]) < 0
            for rank in ranks
            for (a, b), (c, d) in combinations(
                [(upper, lower) for lower in rank for upper in self.above[lower]], 2
            )
        )


def _ranks(sources: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """One more than the highest rank read; what reads nothing stands just above its readers."""
    rank: dict[str, int] = {}
    for name, read in sources.items():
        rank[name] = max((rank[source] + 1 for source in read), default=0)
    for name, read in sources.items():
        readers = [rank[other] for other, others in sources.items() if name in others]
        if not read and readers:
            rank[name] = min(readers) - 1
    return rank


# ---------------------------------------------------------------- columns


def centres(ranks: Ranks, width: Mapping[Spot, float], gap: float) -> dict[Spot, float]:
    """The middle of every spot; neighbours of a rank keep `gap` between their edges."""
    block = _blocks(ranks)
    least: dict[tuple[Spot, Spot], float] = {}  # distance of the middles of two blocks
    for rank in ranks.order:
        for left, right in pairwise(rank):
            pair = block[left], block[right]
            needed = (width[left] + width[right]) / 2 + gap
            least[pair] = max(least.get(pair, 0.0), needed)
    reach: dict[Spot, float] = {}
    for spot, head in block.items():
        reach[head] = max(reach.get(head, 0.0), width[spot] / 2)

    @cache
    def packed_left(head: Spot) -> float:
        bounds = [packed_left(one) + far for (one, other), far in least.items() if other == head]
        return max([reach[head], *bounds])

    total = max(packed_left(head) + reach[head] for head in reach)

    @cache
    def packed_right(head: Spot) -> float:
        bounds = [packed_right(other) - far for (one, other), far in least.items() if one == head]
        return min([total - reach[head], *bounds])

    middle = {head: (packed_left(head) + packed_right(head)) / 2 for head in reach}
    _draw_in(ranks, block, least, middle)
    return {spot: middle[head] for spot, head in block.items()}


def _draw_in(
    ranks: Ranks,
    block: Mapping[Spot, Spot],
    least: Mapping[tuple[Spot, Spot], float],
    middle: dict[Spot, float],
) -> None:
    """Move each passing line as near to the boxes at its ends as its neighbours let it."""
    for head in middle:
        spots = [spot for spot, of in block.items() if of == head]
        linked = [other for spot in spots for other in (*ranks.above[spot], *ranks.below[spot])]
        ends = [middle[block[other]] for other in linked if block[other] != head]
        if any(map(ranks.is_box, spots)) or not ends:
            continue
        lowest = max(
            (middle[one] + d for (one, other), d in least.items() if other == head), default=-inf
        )
        highest = min(
            (middle[other] - d for (one, other), d in least.items() if one == head), default=inf
        )
        middle[head] = min(max(sum(ends) / len(ends), lowest), highest)


def _blocks(ranks: Ranks) -> dict[Spot, Spot]:
    """Each spot to the uppermost one of its block.

    A box stands below a box it reads rather than below a passing line; links in blocks never cross.
    """
    place = {spot: number for rank in ranks.order for number, spot in enumerate(rank)}
    taken: dict[Spot, Spot] = {}  # upper to lower
    block: dict[Spot, Spot] = {}
    for boxes in (2, 0, 1):  # chains of boxes, then lines that pass, then what links the two
        for rank in ranks.order:
            for lower in rank:
                if lower in taken.values():
                    continue
                for upper in _preferred(ranks.above[lower], place):
                    if ranks.is_box(upper) + ranks.is_box(lower) != boxes or upper in taken:
                        continue
                    if not _crosses(taken, upper, lower, place):
                        taken[upper] = lower
                        break
    for rank in ranks.order:
        for spot in rank:
            above = next((upper for upper, lower in taken.items() if lower == spot), None)
            block[spot] = spot if above is None else block[above]
    return block


def _preferred(uppers: list[Spot], place: Mapping[Spot, int]) -> list[Spot]:
    """The middle one first if there is one, then the others in the order in which they are read."""
    ordered = sorted(uppers, key=place.__getitem__)
    middle = [ordered[len(ordered) // 2]] if len(ordered) % 2 else []
    return [*middle, *(upper for upper in uppers if upper not in middle)]


def _crosses(
    taken: Mapping[Spot, Spot], upper: Spot, lower: Spot, place: Mapping[Spot, int]
) -> bool:
    return any(
        one[1] == upper[1] and (place[one] - place[upper]) * (place[other] - place[lower]) < 0
        for one, other in taken.items()
    )
