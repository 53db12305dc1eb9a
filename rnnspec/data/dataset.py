"""An encoded file: arrays mapped from disk, and batches cut from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import PAD_ID

Lengths = NDArray[np.int64]
Values = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, padded, by column.

    `inputs`: values `[B, T]` int64 (token numbers), `[B, T, W]` float32 (frames) or `[B, W]`
    float32 (vectors), and lengths `[B]` int64, 1 for vectors; T is the length of the longest row,
    at least 1; past a row's length stands PAD_ID or 0. `targets`: class numbers `[B]` int64, or
    numbers `[B, W]` float32. `naive`, of a forecast: the seasonal-naive forecast `[B, H]`, and its
    mean absolute error over the training rows of the same series `[B]`.
    """

    inputs: dict[str, tuple[Values, Lengths]]
    targets: dict[str, Values]
    naive: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences one after the other: row i is `values[offsets[i]:offsets[i + 1]]`.

    `values` is `[steps]` int32 or `[steps, W]` float32, `offsets` `[rows + 1]` int64.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @property
    def lengths(self) -> Lengths:
        """`[rows]`, computed anew at each call."""
        return np.diff(self.offsets)

    def padded(self, rows: NDArray[np.integer]) -> tuple[Values, Lengths]:
        """The rows, padded to the longest: see `Batch`."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        longest = max(1, int(lengths.max(initial=0)))
        steps = np.arange(longest)
        real = steps < lengths[:, None]
        shape = (len(lengths), longest, *self.values.shape[1:])
        tokens = self.values.dtype.kind == "i"
        padded = np.full(shape, PAD_ID if tokens else 0, np.int64 if tokens else np.float32)
        padded[real] = self.values[(starts[:, None] + steps)[real]]
        return padded, lengths


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of one file (or of its training or validation part), encoded.

    `inputs` and `targets` by column, and `vectors` `[rows, W]`, inputs without steps; `lines`
    `[rows]` int64 holds where the file has each row: its line, for Parquet its row, counted from 1.
    The arrays are mapped from disk: they take no memory that the system cannot take back. `key`
    tells this content, encoded this way, from any other.
    """

    inputs: Mapping[str, Ragged]
    targets: Mapping[str, NDArray[Any]]
    lines: NDArray[np.int64]
    key: str = ""
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.lines)

    @property
    def lengths(self) -> Lengths:
        """`[rows]`: steps of each row, of its longest input; computed anew at each call."""
        first, *others = (ragged.lengths for ragged in self.inputs.values())
        for lengths in others:
            first = np.maximum(first, lengths)
        return first

    def collate(self, indices: NDArray[np.integer]) -> Batch:
        """The rows `indices` (`[B]`, from 0) as one batch."""
        inputs = {column: ragged.padded(indices) for column, ragged in self.inputs.items()}
        ones = np.ones(len(indices), np.int64)
        inputs |= {column: (values[indices], ones) for column, values in self.vectors.items()}
        return Batch(
            inputs,
            {column: values[indices] for column, values in self.targets.items()},
        )
