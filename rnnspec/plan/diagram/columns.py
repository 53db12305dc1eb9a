"""The middle of each spot of a layout, from left to right.

Spots that can stand exactly below each other form blocks, so that chains are straight; the blocks
are packed once to the left and once to the right, of which the mean is taken, as Brandes and Köpf
(2001, Fast and Simple Horizontal Coordinate Assignment) do with their four packings. Lines that
pass then move towards the boxes they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from math import inf

from rnnspec.plan.diagram.ranks import Ranks, Spot


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
