"""Which rows belong to a validation share: drawn from `train.seed`, the same on every machine.

With a class among the outputs (the first one in the spec) the split is stratified. The rows of each
label, in file order, are divided into blocks of 1 / share rows; in each block one row, drawn by the
seed, belongs to validation, but never the first row of a label. So each label has its share of rows
in validation, to within one, and no label is in validation only. Rows without a label count as a
label of their own.

Without a class a row belongs to validation if its number in the sequence splitmix64 (row 0 has the
first, 2**32 * seed further on), as a fraction of 2**64, is below the share: about, not exactly,
that share of the rows.

A fold is one of K parts. With a class each block of K rows of a label has one row of each part, so
that a label of one row is in one part alone, and never learned where that is measured; without,
part k has the rows whose fraction is from (k - 1) / K to below k / K.

Either way, rows appended to the files do not change the split of the others, and memory grows with
the labels, not with the rows. Two kinds of data are split by position, whatever the seed: of series
the share is the end of each (`rnnspec.data.series`); of a single plain text that is read whole it
is its end, by bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.rows import Chunk
from rnnspec.errors import DataError

FINEST = 10**9
"""Largest denominator of a share of the rows of a label."""


@dataclass(slots=True)
class _Stratum:
    """The rows of one label so far; of the block that ends at `end`, row `chosen` is taken."""

    key: int
    rows: int = 0
    end: int = 0
    chosen: int = -1

    def takes(self, share: Fraction) -> bool:
        """Whether the next row belongs to validation."""
        row = self.rows
        if row == self.end:
            block = row * share.numerator // share.denominator
            self.end = -(-(block + 1) * share.denominator // share.numerator)
            first = max(row, 1)
            drawn = splitmix64(np.array([(self.key + block) % 2**64], np.uint64))
            self.chosen = first + int(drawn[0]) % (self.end - first)
        self.rows = row + 1
        return row == self.chosen

    def fold(self, of: int) -> int:
        """The part of the next row, from 1: in each block of so many rows, each part once."""
        block, place = divmod(self.rows, of)
        start = self.key + block * of
        drawn = splitmix64(np.array([(start + n) % 2**64 for n in range(of)], np.uint64))
        self.rows += 1
        return 1 + int(np.argsort(np.argsort(drawn))[place])


@dataclass(slots=True)
class Split:
    """Decides, chunk by chunk in file order, which rows belong to validation: a `share` above 0 and
    up to 0.5, stratified by the labels of column `stratum`, if given."""

    share: float
    seed: int = 0
    stratum: str | None = None
    fold: int | None = None
    """Which of 1 / share parts belongs to validation, from 1; None where there is a share alone."""
    labels: dict[str | None, _Stratum] = field(default_factory=dict)
    last: bool = False
    """Whether the last row so far belongs to validation."""

    def part(self, chunk: Chunk, valid: bool = False) -> Chunk:
        """The rows of the next chunk that belong to training, or else to validation."""
        mask = self.mask(chunk)
        return chunk.only((mask if valid else ~mask).tolist())

    def mask(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Whether each row of the next chunk belongs to validation: `[rows]`."""
        if chunk.held_out is not None:
            if self.fold is not None:
                raise DataError(
                    "a whole text has no folds; set data.documents to paragraph or line"
                )
            return np.full(len(chunk), chunk.held_out)
        if self.stratum is None and self.fold is not None:
            parts = round(1 / self.share)
            before, until = (
                validation_mask(chunk.first, len(chunk), number / parts, self.seed)
                for number in (self.fold - 1, self.fold)
            )
            return np.asarray(until & ~before)
        if self.stratum is None:
            return validation_mask(chunk.first, len(chunk), self.share, self.seed)
        share = Fraction(str(self.share)).limit_denominator(FINEST)
        found = [self.last] if chunk.continued else []
        cells = chunk.cells[self.stratum][len(found) :]
        strata = (self._of(_label(cell, chunk.textual)) for cell in cells)
        if self.fold is None:
            found += [stratum.takes(share) for stratum in strata]
        else:
            parts = round(1 / self.share)
            found += [stratum.fold(parts) == self.fold for stratum in strata]
        self.last = found[-1] if found else self.last
        return np.array(found, np.bool_)

    def _of(self, label: str | None) -> _Stratum:
        found = self.labels.get(label)
        if found is None:
            name = b"" if label is None else b"=" + label.encode("utf-8", "surrogatepass")
            digest = blake2b(name, digest_size=8, key=self.seed.to_bytes(8, "little")).digest()
            found = self.labels[label] = _Stratum(int.from_bytes(digest, "little"))
        return found


def _label(cell: object, textual: bool) -> str | None:
    """None for no label, or one that cannot be read: the reader of the column reports that."""
    try:
        return None if decode.is_missing(cell, textual) else decode.label(cell)
    except DataError:
        return None


def validation_mask(first: int, count: int, share: float, seed: int = 0) -> NDArray[np.bool_]:
    """Which of the rows `first` to `first + count - 1` (from 0) belong to validation, if no class
    is answered."""
    rows = np.arange(first, first + count, dtype=np.uint64) + np.uint64(seed << 32)
    # 53 bits: both sides of the comparison are then exact in float64.
    fractions = (splitmix64(rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fractions < share


def splitmix64(index: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Entries `index` (from 0) of splitmix64 with seed 0 (Steele, Lea and Flood 2014)."""
    x = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
