"""Running statistics over a stream: counts of words and characters, lengths, moments."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decode import Floats, fold
from rnnspec.errors import DataError

CODE_POINTS = 0x110000
BLOCK = 1 << 18
"""How many numbers are merged into the moments at once."""
NOISE = 1e-13
"""Relative error of a float64 number that counts as rounding: some hundred roundings."""
MOST_WORDS = 1 << 21
"""Different words counted at once; beyond it the rarest half is dropped (`WordCounts`)."""


@dataclass(slots=True)
class WordCounts:
    """Counts of words, exact for up to MOST_WORDS different ones.

    Beyond that, lossy counting bounds memory: when the table is full, words with the lowest counts
    are dropped until it is half empty. A count may then be too low by at most `error`. Words that
    occur more than `error` times are never missed, so a vocabulary may only have words counted more
    than `error` times; one that would need more is an error.
    """

    most: int = MOST_WORDS
    error: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, words: list[str]) -> None:
        self.counts.update(words)
        if len(self.counts) > self.most:
            self._prune()

    def _prune(self) -> None:
        by_count = sorted(self.counts.values(), reverse=True)
        cut = by_count[self.most // 2]
        self.error += cut
        self.counts = Counter({word: n for word, n in self.counts.items() if n > cut})

    def entries(self, min_count: int, max_size: int | None) -> tuple[str, ...]:
        """Words by falling count, then by text. Raises DataError (see the class)."""
        return _entries(self.sure(min_count, max_size), max_size)

    def sure(self, min_count: int, max_size: int | None) -> dict[str, int]:
        """Words counted at least `min_count` times and more than `error` times."""
        least = max(min_count, self.error + 1)
        found = {word: count for word, count in self.counts.items() if count >= least}
        if least > min_count and (max_size is None or len(found) < max_size):
            raise DataError(
                f"more than {self.most:,} different words; set min_count to {least} or more, "
                f"or max_size to {len(found)} or less"
            )
        return found


@dataclass(slots=True)
class CharCounts:
    """Counts of code points, exact, in a table of fixed size."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(CODE_POINTS, np.int64))

    def add(self, texts: list[str]) -> None:
        points = code_points("".join(texts))
        if len(points):
            seen = np.bincount(points)
            self.counts[: len(seen)] += seen

    def entries(self, min_count: int, max_size: int | None, fold_case: bool) -> tuple[str, ...]:
        """Characters by falling count, then by code point; folded ones count together."""
        found: Counter[str] = Counter()
        for point in np.flatnonzero(self.counts).tolist():
            char = fold(chr(point)) if fold_case else chr(point)
            found[char] += int(self.counts[point])
        return _entries({c: n for c, n in found.items() if n >= min_count}, max_size)


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text without surrogates."""
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))


def _entries(found: dict[str, int], max_size: int | None) -> tuple[str, ...]:
    ordered = sorted(found, key=lambda entry: (-found[entry], entry))
    return tuple(ordered[:max_size])


@dataclass(slots=True)
class LengthStatistics:
    """Longest, mean and population standard deviation of the rows' lengths, exactly."""

    rows: int = 0
    steps: int = 0
    squares: int = 0
    longest: int = 0
    last: int = 0
    """Length of the last row, which may continue."""

    def add(self, lengths: NDArray[np.int64], continued: bool = False) -> None:
        """Adds rows of these lengths, `[N]`; `continued`: the first continues the last one."""
        if not len(lengths):
            return
        if continued:
            self.rows -= 1
            self.steps -= self.last
            self.squares -= self.last**2
            lengths = lengths.copy()
            lengths[0] += self.last
        self.rows += len(lengths)
        self.steps += int(lengths.sum())
        longest = int(lengths.max())
        fits = longest**2 * len(lengths) < 1 << 63  # not of a document of 3 GB
        self.squares += int((lengths**2).sum()) if fits else sum(n**2 for n in lengths.tolist())
        self.longest = max(self.longest, longest)
        self.last = int(lengths[-1])

    def mean(self) -> float:
        return self.steps / self.rows if self.rows else 0.0

    def deviation(self) -> float:
        spread = self.squares * self.rows - self.steps**2
        return math.sqrt(spread) / self.rows if self.rows else 0.0


@dataclass(slots=True)
class Moments:
    """Mean and population standard deviation of each feature, in one pass, without missing numbers.

    Blocks are merged as in Chan, Golub and LeVeque (1983), relative to the first number seen: this
    keeps float64 accurate far from 0, and a constant feature has a deviation of exactly 0. Blocks
    have a fixed number of steps, whatever the chunks: the same rows give the same bits from any
    format and any number of files.
    """

    count: NDArray[np.int64] | int = 0
    """Numbers so far, of each feature."""
    origin: NDArray[np.float64] | None = None
    shift: NDArray[np.float64] | float = 0.0
    """Mean of the numbers so far, less `origin`."""
    squares: NDArray[np.float64] | float = 0.0
    """Sum of squared distances from the mean."""
    rounding: NDArray[np.float64] | float = 0.0
    """Sum of the squared float32 rounding errors."""
    held: list[Floats] = field(default_factory=list)
    """Steps that do not make a block yet."""

    def add(self, steps: Floats) -> None:
        """Adds steps `[N, W]`, NaN for a missing number."""
        if not len(steps):
            return
        self.held.append(steps)
        size = max(1, BLOCK // max(1, steps.shape[1]))
        if sum(map(len, self.held)) < size:
            return
        held = np.concatenate(self.held)
        whole = len(held) // size * size
        for start in range(0, whole, size):
            self._merge(held[start : start + size])
        self.held = [held[whole:].copy()]

    def _finish(self) -> None:
        if self.held and len(last := np.concatenate(self.held)):
            self._merge(last)
        self.held = []

    def _merge(self, steps: Floats) -> None:
        values = steps.copy()
        known = ~np.isnan(values)
        values -= self._set_origin(values, known)
        values[~known] = 0
        count = known.sum(axis=0)
        mean = values.sum(axis=0) / np.maximum(count, 1)
        values -= mean
        values[~known] = 0
        total, distance = self.count + count, mean - self.shift
        some = np.maximum(total, 1)
        self.squares += (values**2).sum(axis=0) + distance**2 * (self.count * (count / some))
        self.rounding += (np.where(known, rounded_off(steps), 0) ** 2).sum(axis=0)
        self.shift += distance * (count / some)
        self.count = total

    def _set_origin(
        self, values: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The origin, with the first number of each feature that had none so far."""
        first = values[np.argmax(known, axis=0), np.arange(values.shape[1])]
        first[~known.any(axis=0)] = 0
        if self.origin is None:
            self.origin = first
        else:
            unseen = self.count == 0
            self.origin[unseen] = first[unseen]
        return self.origin

    def check(self) -> None:
        """Raises DataError for a feature without a number."""
        self._finish()
        if np.any(self.count == 0):
            count = np.atleast_1d(self.count)
            which = f" at place {int(np.argmin(count)) + 1}" if len(count) > 1 else ""
            raise DataError(f"no number{which} in any training row, only missing ones")

    def check_size(self) -> None:
        """Raises DataError for a feature that is not 0 throughout, and whose deviation float32
        cannot tell from 0: it could not be scaled."""
        deviation, mean = self._spread(), np.abs(np.array(self.mean()))
        size = np.where(deviation <= NOISE * mean, mean, deviation)
        small = (size > 0) & (size < np.finfo(np.float32).tiny)
        if np.any(small):
            place = int(np.argmax(small))
            which = f" at place {place + 1}" if len(size) > 1 else ""
            raise DataError(
                f"numbers{which} of about {size[place]:.0e}, which float32 cannot tell from 0; give"
                " them in a smaller unit, multiplied by 1e30, say"
            )

    def mean(self) -> tuple[float, ...]:
        self._finish()
        assert self.origin is not None, "no step was added"
        return tuple((self.origin + self.shift).tolist())

    def deviation(self) -> tuple[float, ...]:
        """The deviation; of a feature that is constant up to float64 rounding its own size, so that
        its unit does not matter; 1 if float32 cannot tell it from 0."""
        mean = np.abs(np.array(self.mean()))
        deviation = self._spread()
        found = np.where(deviation <= NOISE * mean, mean, deviation)
        return tuple(np.where(found < np.finfo(np.float32).tiny, 1.0, found).tolist())

    def _spread(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.sqrt(np.asarray(self.squares) / np.maximum(self.count, 1))
        return found

    def lost(self) -> tuple[float, ...]:
        """The root mean square of the float32 rounding errors over the deviation; empty if 0."""
        if not np.any(self.rounding):
            return ()
        deviation = np.array(self.deviation())
        rounding = np.sqrt(np.asarray(self.rounding) / np.maximum(self.count, 1))
        return tuple((rounding / deviation).tolist())


def rounded_off(values: Floats) -> Floats:
    """The rounding errors of `values` in float32."""
    found: Floats = values - values.astype(np.float32)
    return found
