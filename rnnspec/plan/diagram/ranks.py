"""Ranks of boxes, and the order of what stands in one: the combinatorial half of a layout.

Every box gets a rank below all that it reads; a line that skips ranks gets a spot of its own in
each; the spots of a rank are ordered so that few lines cross (Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

Spot = tuple[str, int]
"""A place in a rank: a box and its rank, or the box a line comes from and the rank it passes."""

_SWEEPS = 6


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
