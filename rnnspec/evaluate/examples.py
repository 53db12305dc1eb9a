"""What is kept of single rows while a whole file is measured: a few of many, in bounded memory."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from math import inf, isnan
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The values with the largest keys, at most `most`; of equal keys the first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[float, int, T]] = []
        self._count = 0

    def offer(self, key: float, make: Callable[[], T]) -> None:
        """Keep what `make` makes if the key is among the largest so far; it is called only then.
        A NaN counts as larger than any number."""
        key = inf if isnan(key) else key
        self._count += 1
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, (key, -self._count, make()))
        elif self.most and key > self._heap[0][0]:
            heapq.heapreplace(self._heap, (key, -self._count, make()))

    def values(self) -> tuple[T, ...]:
        """By falling key."""
        return tuple(value for _, _, value in sorted(self._heap, key=lambda e: (-e[0], -e[1])))


class Drawn(Generic[T]):
    """Values drawn at random from all that are offered, each as likely; the same in every run."""

    def __init__(self, most: int, seed: int = 0) -> None:
        self._kept: Kept[T] = Kept(most)
        self._random = random.Random(seed)

    def offer(self, make: Callable[[], T], rank: int = 0) -> None:
        """Those of a higher `rank` are drawn before the others."""
        self._kept.offer(rank + self._random.random(), make)

    def values(self) -> tuple[T, ...]:
        return self._kept.values()
