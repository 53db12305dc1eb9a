"""An encoded file: arrays mapped from disk, and batches cut from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.lanes import Order, count_windows, cut_documents, cut_lanes
from rnnspec.data.maps import Maps
from rnnspec.data.naive import Naive, Season, naive
from rnnspec.data.raw import Raw, RawRows
from rnnspec.data.views import Cut, KeySteps, LabelSets, Lengths, Texts, Values, View

__all__ = ["Batch", "Dataset", "SeriesThere"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, padded to the longest of them and to at least one step.

    `inputs` by the key of the node, values and lengths:

    - tokens `[B, T]` int64, frames `[B, T, W]` and series `[B, T, 1]` of numbers (NaN for a missing
      one), keys `[B, T, size]` float32 of 0 and 1, with lengths `[B]`; all as long in each row;
    - what may be copied of tokens `[B, T]` int64 with lengths `[B]`;
    - characters of tokens `[B, T, C]` int64 with lengths `[B, T]`;
    - categories `[B]` int64 and vectors `[B, W]` of numbers, with lengths of 1;
    - values ahead of a series `[B, H, 1]`, with lengths of H.

    Past a row's length stands 0, which is PAD_ID. `targets` by column; -1, or NaN, stands where
    there is nothing to answer: classes `[B]` or `[B, T]` int64; several labels `[B, L]` or
    `[B, T, L]` float32 of 0 and 1; numbers `[B, W]` or `[B, T, W]`; texts `[B, U]` int64, each
    ended by END_ID; forecasts `[B, H]`. Numbers are float32, or float64 where the node is `double`.
    `raw` has the cells behind them, of whole rows that are measured; `taken` says which steps of
    which rows of the file these are.

    Labels that no training row has (`Dataset.new`) are in no loss: number k of them is the class
    NEW - k, below -1; of several labels they are not among the L, and `new` has, by column, their
    rows and numbers `[m, 2]`, or rows, steps and numbers `[m, 3]`.
    """

    inputs: dict[str, tuple[Values, Lengths]]
    targets: dict[str, Values]
    raw: RawRows | None = None
    taken: Cut | None = None
    new: dict[str, NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeriesThere:
    """The series of a file by `names`; of each row the place where its series begins, `first`
    `[rows]`, and its number, `of_rows` `[rows]`."""

    names: tuple[str, ...]
    first: NDArray[np.int64]
    of_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of one file or several (or of their training or validation part), encoded.

    `inputs` by the key of the node, `targets` by column; the steps of row i are `starts[i]` to
    `ends[i]` of the columns of steps. `lines` `[rows]` holds where the file has each row: its line,
    for Parquet its row, counted from 1, of several files its location (`rnnspec.data.shards`); of a
    series read whole, of its first step, and of a window over one, of the first step answered.
    `of_rows` `[rows]` are the places of each row in the columns of one value a row, None where they
    are the numbers of the rows. `seasons` by column of numbers answered ahead. All arrays are
    mapped from disk (`maps`): they take no memory that the system cannot take back, and no more
    than `Maps` says. `key` tells this content, encoded this way, from any other. `raw` holds what
    stands in the file, of rows that are measured; `series` what rows are steps of, where they are;
    `filled` how many steps have no row. `new` by column of answers: how often each label occurs
    that no training row has, by number.
    """

    inputs: Mapping[str, View]
    targets: Mapping[str, View]
    lines: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    key: str = ""
    of_rows: NDArray[np.int64] | None = None
    seasons: Mapping[str, Season] = field(default_factory=dict)
    maps: Maps = field(default_factory=lambda: Maps(()))
    raw: Raw | None = None
    series: SeriesThere | None = None
    filled: int = 0
    new: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.lines)

    def lengths(self, rows: NDArray[np.int64]) -> Lengths:
        """Steps of each of `rows` (`[B]`, from 0), or of its longest text to be answered if that
        has more: `[B]`."""
        longest = self.ends[rows] - self.starts[rows]
        for view in self.targets.values():
            if isinstance(view, Texts):
                longest = np.maximum(longest, view.lengths(rows))
        self.maps.read(len(rows))
        return longest

    def collate(self, indices: NDArray[np.integer]) -> Batch:
        """The rows `indices` (`[B]`, from 0) as one batch."""
        starts, ends = self.starts[indices], self.ends[indices]
        rows = indices.astype(np.int64)
        found = self.cut(Cut(rows, starts, ends - starts, ends))
        return found if self.raw is None else replace(found, raw=RawRows(self.raw, rows))

    def cut(self, cut: Cut) -> Batch:
        """The steps that `cut`, which has the numbers of rows, takes as one batch."""
        placed = cut if self.of_rows is None else replace(cut, rows=self.of_rows[cut.rows])
        inputs = {key: view.batch(placed) for key, view in self.inputs.items()}
        targets = {column: view.batch(placed)[0] for column, view in self.targets.items()}
        new = {
            column: view.new_of(placed)
            for column, view in self.targets.items()
            if isinstance(view, KeySteps | LabelSets) and len(view.new)
        }
        self.maps.read(len(cut.rows))
        return Batch(inputs, targets, taken=cut, new=new)

    def lanes(
        self, batch: int, window: int, start: int = 0, order: Order | None = None
    ) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
        """All steps as `batch` streams side by side, in windows from number `start` on: see
        `cut_lanes`.

        For each window the batch, and `[batch]` whether the states of a lane start anew with it.
        """
        for cut, reset in cut_lanes(self.starts, self.ends, batch, window, start, order):
            yield self.cut(cut), reset

    def documents(
        self, batch: int, window: int
    ) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.bool_]]]:
        """All steps in windows, each row of the file in one lane: see `cut_documents`.

        For each window the batch, `[B]` the numbers of its lanes and whether their states start
        anew with it.
        """
        for cut, lanes, reset in cut_documents(self.starts, self.ends, batch, window):
            yield self.cut(cut), lanes, reset

    def windows(self, batch: int, window: int) -> int:
        """How many windows `lanes` gives."""
        return count_windows(self.starts, self.ends, batch, window)

    def naive(self, batch: Batch) -> dict[str, Naive]:
        """The naive forecasts for a batch of this file, by column."""
        cut = batch.taken
        assert cut is not None
        first, numbers = self.starts[cut.rows], self.series_of(batch)
        if self.series is not None:
            first = self.series.first[cut.rows]
        return {name: naive(of, cut, first, numbers) for name, of in self.seasons.items()}

    def series_of(self, batch: Batch) -> NDArray[np.int64] | None:
        """The number of the series of each row of a batch, `[B]`."""
        if self.series is None or batch.taken is None:
            return None
        return self.series.of_rows[batch.taken.rows]
