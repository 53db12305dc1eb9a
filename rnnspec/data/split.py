"""Which rows a validation share takes: by a hash of the row's number, the same everywhere.

A row belongs to validation if its own number of the sequence splitmix64 (seed 0; row 0 has the
first), read as a fraction of 2**64, is below the share. So a share takes about, not exactly, that
part of the rows; rows added at the end of the file leave the split of the others as it was; and
every row that a smaller share takes is also taken by a larger one. A single plain text that is read
whole is split by position: its end, up to the share of its bytes, is for validation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.rows import Chunk


def held_out(chunk: Chunk, share: float) -> NDArray[np.bool_]:
    """Whether each row of a chunk belongs to validation; of one plain text its end does."""
    if chunk.held_out is not None:
        return np.full(len(chunk), chunk.held_out)
    return validation_mask(chunk.first, len(chunk), share)


def in_validation(row: int, share: float) -> bool:
    """Whether row number `row` (from 0) belongs to validation."""
    return bool(validation_mask(row, 1, share)[0])


def validation_mask(first: int, count: int, share: float) -> NDArray[np.bool_]:
    """`in_validation` of the rows `first` to `first + count - 1`."""
    rows = np.arange(first, first + count, dtype=np.uint64)
    # 53 bits: both sides of the comparison are then exact in float64.
    fractions = (splitmix64(rows) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fractions < share


def splitmix64(index: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Entries `index` (from 0) of splitmix64 with seed 0 (Steele, Lea and Flood 2014)."""
    x = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
