"""Columns of an encoded file as arrays of a batch. All are maps of the disk: see `Dataset`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID

Lengths = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.floating]
SKIPPED = -1
"""The number of a class that is missing, or past a row's length."""
NEW = SKIPPED - 1
"""The number of a class that no training row has, of the first one: those of others follow below.
They are answers that there are, and that cannot be right."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a batch takes of the rows of a file, each `[B]`.

    `rows` are places in columns of one value a row. Steps `starts` to `starts + lengths` of the
    columns of steps are taken, out of sequences that end at `ends`.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: Lengths
    ends: NDArray[np.int64]


class View(Protocol):
    """A column; `batch` gives its part of a batch (see `Batch`), with the lengths."""

    def batch(self, cut: Cut) -> tuple[Values, Lengths]: ...


def gathered(
    values: NDArray[Any], starts: NDArray[np.int64], lengths: Lengths, filler: float
) -> NDArray[Any]:
    """`values[starts[i]:starts[i] + lengths[i]]`, padded with `filler`: `[B, T, ...]`, T the
    largest length and at least 1."""
    steps = np.arange(max(1, int(lengths.max(initial=0))))
    real = steps < lengths[:, None]
    found = np.full((*real.shape, *values.shape[1:]), filler, values.dtype)
    found[real] = values[(starts[:, None] + steps)[real]]
    return found


def _ones(rows: NDArray[np.int64]) -> Lengths:
    return np.ones(len(rows), np.int64)


def _no_pairs() -> NDArray[np.int64]:
    return np.zeros((0, 2), np.int64)


def _placed(
    pairs: NDArray[np.int64], starts: NDArray[np.int64], lengths: Lengths
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of `pairs` of places and values, rising by place, those from `starts` on, `lengths` places
    each: the row of each, how far it is from the start, and the value."""
    first = np.searchsorted(pairs[:, 0], starts)
    count = np.searchsorted(pairs[:, 0], starts + lengths) - first
    rows = np.repeat(np.arange(len(starts)), count)
    found = pairs[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
    return rows, found[:, 0] - starts[rows], found[:, 1]


@dataclass(frozen=True, slots=True)
class PerRow:
    """One value a row: `[rows]` or `[rows, W]`."""

    values: NDArray[Any]

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        return _wide(self.values[cut.rows]), _ones(cut.rows)


@dataclass(frozen=True, slots=True)
class Steps:
    """One value a step: `[steps]` or `[steps, W]`; `filler` past a row's length."""

    values: NDArray[Any]
    filler: float

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        return _wide(gathered(self.values, cut.starts, cut.lengths, self.filler)), cut.lengths


@dataclass(frozen=True, slots=True)
class NextSteps:
    """The number of the next step, END_ID after the last of the sequence; SKIPPED past the length.

    `values` `[steps]`.
    """

    values: NDArray[Any]

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        reach = np.minimum(cut.lengths, cut.ends - cut.starts - 1).clip(0)
        found = np.full((len(reach), max(1, int(cut.lengths.max(initial=0)))), SKIPPED, np.int64)
        found[np.arange(found.shape[1]) < cut.lengths[:, None]] = END_ID
        ahead = gathered(self.values, cut.starts + 1, reach, 0)
        known = np.arange(ahead.shape[1]) < reach[:, None]
        found[:, : ahead.shape[1]][known] = ahead[known]
        return found, cut.lengths


@dataclass(frozen=True, slots=True)
class NextFrames:
    """The numbers of the next step, NaN at the last one of the sequence and past the length.

    `values` `[steps, W]`.
    """

    values: NDArray[np.floating]

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        reach = np.minimum(cut.lengths, cut.ends - cut.starts - 1).clip(0)
        ahead = gathered(self.values, cut.starts + 1, reach, np.nan)
        missing = max(1, int(cut.lengths.max(initial=0))) - ahead.shape[1]
        return np.pad(ahead, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan), cut.lengths


@dataclass(frozen=True, slots=True)
class KeySteps:
    """Labels that are on at each step, as bits `[steps, ceil(size / 8)]` on disk and as 0 and 1
    `[B, T, size]` in a batch; `filler` past a row's length.

    With `ahead`, those of the next step, NaN at the last step of the sequence.
    """

    values: NDArray[np.uint8]
    size: int
    filler: float
    ahead: bool = False
    new: NDArray[np.int64] = field(default_factory=_no_pairs)
    """`[n, 2]`: steps and numbers of labels that no training row has, rising by step."""

    def new_of(self, cut: Cut) -> NDArray[np.int64]:
        """Those of a batch, `[m, 3]`: row, step, number of the label."""
        reach = cut.lengths
        if self.ahead:
            reach = np.minimum(reach, cut.ends - cut.starts - 1).clip(0)
        row, at, number = _placed(self.new, cut.starts + self.ahead, reach)
        return np.stack([row, at, number], axis=1)

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        lengths = cut.lengths
        if self.ahead:
            lengths = np.minimum(lengths, cut.ends - cut.starts - 1).clip(0)
        bits = gathered(self.values, cut.starts + self.ahead, lengths, 0)
        longest = max(1, int(cut.lengths.max(initial=0)))
        found = np.full((len(lengths), longest, self.size), self.filler, np.float32)
        real = np.arange(bits.shape[1]) < lengths[:, None]
        on = np.unpackbits(bits[real], axis=-1, count=self.size)
        found[:, : bits.shape[1]][real] = on
        return found, cut.lengths


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Labels that are on in each row, as bits `[rows, ceil((size + 1) / 8)]` of which the last says
    that the answer is missing; 0 and 1 in a batch `[B, size]`, a row of NaN where missing."""

    values: NDArray[np.uint8]
    size: int
    new: NDArray[np.int64] = field(default_factory=_no_pairs)
    """`[n, 2]`: rows and numbers of labels that no training row has, rising by row."""

    def new_of(self, cut: Cut) -> NDArray[np.int64]:
        """Those of a batch, `[m, 2]`: row, number of the label."""
        row, _, number = _placed(self.new, cut.rows, np.ones_like(cut.rows))
        return np.stack([row, number], axis=1)

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        on = np.unpackbits(self.values[cut.rows], axis=-1, count=self.size + 1).astype(np.float32)
        on[on[:, -1] == 1] = np.nan
        return on[:, :-1].copy(), _ones(cut.rows)


@dataclass(frozen=True, slots=True)
class Characters:
    """The characters of each step: step i has `values[offsets[i]:offsets[i + 1]]`.

    `[B, T, C]` in a batch, with lengths `[B, T]`.
    """

    values: NDArray[np.integer]
    offsets: NDArray[np.int64]

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        starts = gathered(self.offsets[:-1], cut.starts, cut.lengths, 0)
        ends = gathered(self.offsets[1:], cut.starts, cut.lengths, 0)
        lengths = ends - starts
        found = gathered(self.values, starts.ravel(), lengths.ravel(), 0)
        return _wide(found.reshape(*lengths.shape, -1)), lengths


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts to be answered: the numbers of row i are `values[offsets[i]:offsets[i + 1]]`; in a
    batch END_ID follows them, and SKIPPED that."""

    values: NDArray[np.integer]
    offsets: NDArray[np.int64]

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        starts, lengths = self.offsets[cut.rows], self.lengths(cut.rows) - 1
        found = np.full((len(lengths), int(lengths.max(initial=0)) + 1), SKIPPED, np.int64)
        texts = gathered(self.values, starts, lengths, 0)[:, : found.shape[1] - 1]
        real = np.arange(texts.shape[1]) < lengths[:, None]
        found[:, : texts.shape[1]][real] = texts[real]
        found[np.arange(len(lengths)), lengths] = END_ID
        return found, lengths + 1

    def lengths(self, rows: NDArray[np.int64]) -> Lengths:
        """Tokens of each of `rows`, and the end mark: `[B]`."""
        found: Lengths = self.offsets[rows + 1] - self.offsets[rows] + 1
        return found


@dataclass(frozen=True, slots=True)
class Future:
    """The `horizon` values after the steps of a row, out of `values` `[steps]`: `[B, horizon]`, or
    `[B, horizon, 1]` if `wide`. The sequence goes on at least as long."""

    values: NDArray[np.floating]
    horizon: int
    wide: bool

    def batch(self, cut: Cut) -> tuple[Values, Lengths]:
        first = cut.starts + cut.lengths
        found = self.values[first[:, None] + np.arange(self.horizon)]
        return found[..., None] if self.wide else found, np.full(len(first), self.horizon, np.int64)


def _wide(values: NDArray[Any]) -> Values:
    """Numbers of tokens and classes as int64."""
    return values.astype(np.int64) if values.dtype.kind in "iu" else values
