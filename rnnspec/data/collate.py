"""Columns of an encoded file collated into arrays of a batch; see `Dataset`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID, UNKNOWN_ID

Lengths = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.floating] | NDArray[np.uint8]
SKIPPED = -1
"""Class number of a target that is missing, or past a row's length."""
NEW = SKIPPED - 1
"""Class number of the first label that no training row has; the next ones count down from it. Such
a target exists, and no answer to it can be right."""


@dataclass(frozen=True, slots=True)
class RowSlices:
    """Which part of each row of a file is in a batch, each `[B]`.

    `rows` are places in columns of one value a row. Of columns of steps it is the steps `starts` to
    `starts + lengths`, of sequences that end at `ends`.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: Lengths
    ends: NDArray[np.int64]

    @property
    def longest(self) -> int:
        """The steps of the batch."""
        return max(1, int(self.lengths.max(initial=0)))

    @property
    def ahead(self) -> Lengths:
        """How many of the steps have a next step, `[B]`."""
        found: Lengths = np.minimum(self.lengths, self.ends - self.starts - 1).clip(0)
        return found


class BatchColumn(Protocol):
    """A column; `batch` gives its arrays of a batch (see `Batch`): values and lengths."""

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]: ...


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
    """The entries of `pairs` (place and value, rising by place) that lie in the ranges of `lengths`
    places from `starts` on: the row of each, its distance from the start, and its value."""
    first = np.searchsorted(pairs[:, 0], starts)
    count = np.searchsorted(pairs[:, 0], starts + lengths) - first
    rows = np.repeat(np.arange(len(starts)), count)
    found = pairs[np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)]
    return rows, found[:, 0] - starts[rows], found[:, 1]


@dataclass(frozen=True, slots=True)
class PerRow:
    """One value a row: `[rows]` or `[rows, W]`."""

    values: NDArray[Any]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        return _wide(self.values[slices.rows]), _ones(slices.rows)


@dataclass(frozen=True, slots=True)
class Steps:
    """One value a step: `[steps]` or `[steps, W]`; `filler` past a row's length."""

    values: NDArray[Any]
    filler: float

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        return _wide(
            gathered(self.values, slices.starts, slices.lengths, self.filler)
        ), slices.lengths


@dataclass(frozen=True, slots=True)
class ReverseSteps:
    """One number a step, of rows that are read from their ends: `values` `[steps]` are those of the
    file from the last to the first, and slices count from there. In a batch the steps of a slice
    are in the order of the file, 0 past a row's length."""

    values: NDArray[np.integer]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        lengths = slices.lengths
        steps = np.arange(slices.longest)
        real = steps < lengths[:, None]
        places = (slices.starts + lengths - 1)[:, None] - steps
        found = np.zeros(real.shape, np.int64)
        found[real] = self.values[places[real]]
        return found, lengths


@dataclass(frozen=True, slots=True)
class ByteSteps:
    """Bytes of each step, `[steps, ...]`: they stay bytes in a batch; 0 past a row's length."""

    values: NDArray[np.uint8]

    def batch(self, slices: RowSlices) -> tuple[NDArray[Any], Lengths]:
        return gathered(self.values, slices.starts, slices.lengths, 0), slices.lengths


@dataclass(frozen=True, slots=True)
class NextSteps:
    """The number of the next step, END_ID at the last one of a sequence; SKIPPED past the length.

    `values` `[steps]`. A number from `size` on, of a word that is read but not answered, is the
    unknown.
    """

    values: NDArray[Any]
    size: int

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        reach = slices.ahead
        found = np.full((len(reach), slices.longest), SKIPPED, np.int64)
        found[np.arange(found.shape[1]) < slices.lengths[:, None]] = END_ID
        ahead = gathered(self.values, slices.starts + 1, reach, 0)
        known = np.arange(ahead.shape[1]) < reach[:, None]
        found[:, : ahead.shape[1]][known] = np.where(ahead < self.size, ahead, UNKNOWN_ID)[known]
        return found, slices.lengths


@dataclass(frozen=True, slots=True)
class NextFrames:
    """The numbers of the next step, NaN at the last one of the sequence and past the length.

    `values` `[steps, W]`.
    """

    values: NDArray[np.floating]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        reach = slices.ahead
        ahead = gathered(self.values, slices.starts + 1, reach, np.nan)
        missing = slices.longest - ahead.shape[1]
        return np.pad(ahead, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan), slices.lengths


@dataclass(frozen=True, slots=True)
class KeySteps:
    """Labels that are on at each step, as bits `[steps, ceil(size / 8)]` on disk and as 0 and 1
    `[B, T, size]` in a batch; `filler` past a row's length.

    With `ahead`, the labels of the next step, NaN at the last step of the sequence.
    """

    values: NDArray[np.uint8]
    size: int
    filler: float
    ahead: bool = False
    new: NDArray[np.int64] = field(default_factory=_no_pairs)
    """`[n, 2]`: steps and numbers of labels that no training row has, rising by step."""

    def new_of(self, slices: RowSlices) -> NDArray[np.int64]:
        """The new labels in a batch, `[m, 3]`: row, step, number of the label."""
        reach = slices.ahead if self.ahead else slices.lengths
        row, at, number = _placed(self.new, slices.starts + self.ahead, reach)
        return np.stack([row, at, number], axis=1)

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        lengths = slices.ahead if self.ahead else slices.lengths
        bits = gathered(self.values, slices.starts + self.ahead, lengths, 0)
        longest = slices.longest
        found = np.full((len(lengths), longest, self.size), self.filler, np.float32)
        real = np.arange(bits.shape[1]) < lengths[:, None]
        on = np.unpackbits(bits[real], axis=-1, count=self.size)
        found[:, : bits.shape[1]][real] = on
        return found, slices.lengths


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Labels that are on in each row, as bits `[rows, ceil((size + 1) / 8)]`; bit `size` says that
    the target is missing. In a batch 0 and 1 `[B, size]`, a row of NaN where missing."""

    values: NDArray[np.uint8]
    size: int
    new: NDArray[np.int64] = field(default_factory=_no_pairs)
    """`[n, 2]`: rows and numbers of labels that no training row has, rising by row."""

    def new_of(self, slices: RowSlices) -> NDArray[np.int64]:
        """The new labels in a batch, `[m, 2]`: row, number of the label."""
        row, _, number = _placed(self.new, slices.rows, np.ones_like(slices.rows))
        return np.stack([row, number], axis=1)

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        on = np.unpackbits(self.values[slices.rows], axis=-1, count=self.size + 1).astype(
            np.float32
        )
        on[on[:, -1] == 1] = np.nan
        return on[:, :-1].copy(), _ones(slices.rows)


@dataclass(frozen=True, slots=True)
class Characters:
    """The characters of each step: step i has `values[offsets[i]:offsets[i + 1]]`.

    `[B, T, C]` in a batch, with lengths `[B, T]`.
    """

    values: NDArray[np.integer]
    offsets: NDArray[np.int64]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        starts = gathered(self.offsets[:-1], slices.starts, slices.lengths, 0)
        ends = gathered(self.offsets[1:], slices.starts, slices.lengths, 0)
        lengths = ends - starts
        found = gathered(self.values, starts.ravel(), lengths.ravel(), 0)
        return _wide(found.reshape(*lengths.shape, -1)), lengths


@dataclass(frozen=True, slots=True)
class ReverseCharacters:
    """The characters of each step of rows that are read from their ends, in the order of the file;
    slices count from the end of it, as those of `ReverseSteps`."""

    of: Characters

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        steps = len(self.of.offsets) - 1
        return self.of.batch(replace(slices, starts=steps - slices.starts - slices.lengths))


@dataclass(frozen=True, slots=True)
class Nested:
    """The tokens of each step: step i has `values[offsets[i]:offsets[i + 1]]`. In a batch
    `[B, T, E]`, 0 past the end of a step and of a row.

    With several `offsets`, the first say which sequences of the second are in each step, and so on:
    `[B, T, S, E]`, and -k past the end of a sequence whose elements have k levels inside.
    """

    values: NDArray[np.integer]
    offsets: tuple[NDArray[np.int64], ...]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        starts, lengths = slices.starts, slices.lengths
        pasts: list[NDArray[np.bool_]] = []
        for offsets in self.offsets:
            first = gathered(offsets[:-1], starts.ravel(), lengths.ravel(), 0)
            ends = gathered(offsets[1:], starts.ravel(), lengths.ravel(), 0)
            starts = first.reshape(*lengths.shape, -1)
            lengths = ends.reshape(starts.shape) - starts
            pasts.append(np.arange(max(1, int(lengths.max(initial=0)))) >= lengths[..., None])
        flat = gathered(self.values, starts.ravel(), lengths.ravel(), 0)
        found: NDArray[np.int64] = flat.astype(np.int64).reshape(pasts[-1].shape)
        for inside, past in enumerate(pasts[-2::-1], start=1):
            found[past] = -inside
        return found, slices.lengths


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of sound: row i has `values[offsets[i]:offsets[i + 1]]`. In a batch `[B, S]`,
    0 past a row's length."""

    values: NDArray[np.floating]
    offsets: NDArray[np.int64]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        starts = self.offsets[slices.rows]
        lengths = self.offsets[slices.rows + 1] - starts
        return gathered(self.values, starts, lengths, 0), lengths


@dataclass(frozen=True, slots=True)
class Ragged:
    """Target frames: row i has `values[offsets[i]:offsets[i + 1]]`, of `values` `[steps, W]`. In a
    batch NaN past a row's end."""

    values: NDArray[np.floating]
    offsets: NDArray[np.int64]

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        lengths = self.lengths(slices.rows)
        return gathered(self.values, self.offsets[slices.rows], lengths, np.nan), lengths

    def lengths(self, rows: NDArray[np.int64]) -> Lengths:
        """Frames of each of `rows`: `[B]`."""
        found: Lengths = self.offsets[rows + 1] - self.offsets[rows]
        return found


@dataclass(frozen=True, slots=True)
class Texts:
    """Target texts: the numbers of row i are `values[offsets[i]:offsets[i + 1]]`. In a batch they
    are followed by END_ID and padded with SKIPPED. A row of `left_out` `[rows]` is all SKIPPED."""

    values: NDArray[np.integer]
    offsets: NDArray[np.int64]
    left_out: NDArray[np.bool_] | None = None

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        starts, lengths = self.offsets[slices.rows], self.lengths(slices.rows) - 1
        found = np.full((len(lengths), int(lengths.max(initial=0)) + 1), SKIPPED, np.int64)
        texts = gathered(self.values, starts, lengths, 0)[:, : found.shape[1] - 1]
        real = np.arange(texts.shape[1]) < lengths[:, None]
        found[:, : texts.shape[1]][real] = texts[real]
        found[np.arange(len(lengths)), lengths] = END_ID
        if self.left_out is not None:
            found[self.left_out[slices.rows]] = SKIPPED
        return found, lengths + 1

    def lengths(self, rows: NDArray[np.int64]) -> Lengths:
        """Tokens of each of `rows`, and the end mark: `[B]`."""
        found: Lengths = self.offsets[rows + 1] - self.offsets[rows] + 1
        return found


@dataclass(frozen=True, slots=True)
class Future:
    """The `horizon` values after the steps of a row, out of `values` `[steps]`: `[B, horizon]`, or
    `[B, horizon, 1]` if `wide`. The sequence has at least that many more steps."""

    values: NDArray[Any]
    horizon: int
    wide: bool

    def batch(self, slices: RowSlices) -> tuple[Values, Lengths]:
        first = slices.starts + slices.lengths
        found = _wide(self.values[first[:, None] + np.arange(self.horizon)])
        return found[..., None] if self.wide else found, np.full(len(first), self.horizon, np.int64)


def _wide(values: NDArray[Any]) -> Values:
    """Token and class numbers as int64; floats unchanged."""
    return values.astype(np.int64) if values.dtype.kind in "iu" else values
