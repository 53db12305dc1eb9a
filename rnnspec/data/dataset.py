"""An encoded file: arrays mapped from disk, and batches made of their rows or windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.batches import RowLengths
from rnnspec.data.cache import MemoryMaps
from rnnspec.data.collate import (
    BatchColumn,
    KeySteps,
    LabelSets,
    Lengths,
    PerRow,
    Ragged,
    RowSlices,
    Texts,
    Values,
)
from rnnspec.data.lanes import Order, count_windows, document_slices, lane_slices
from rnnspec.data.naive import Naive, Season, naive
from rnnspec.data.raw import Raw, RawRows

Places = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Where the steps of each row begin and end, `[rows]` each, in the columns of an axis."""


class RowData(RowLengths, Protocol):
    """Rows that are read whole; implemented by `Dataset`."""

    def collate(self, indices: NDArray[np.integer[Any]]) -> Batch:
        """The rows `indices` as one batch."""


class StreamData(Protocol):
    """Long sequences, read side by side in lanes and window by window; implemented by `Dataset`."""

    @property
    def new(self) -> Mapping[str, Mapping[str, int]]:
        """The target labels that no training row has: see `Dataset`."""

    def windows(self, batch: int, window: int) -> int:
        """How many windows `lanes` gives."""

    def lanes(
        self, batch: int, window: int, start: int = 0, order: Order | None = None
    ) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
        """Windows of at most `window` steps of `batch` lanes from number `start` on, always the
        same ones for an `order`.

        Row i of each batch continues row i of the batch before, except where `reset` `[batch]` is
        true: there a new sequence begins. A lane that has ended has rows of no steps.
        """

    def documents(
        self, batch: int, window: int
    ) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.bool_]]]:
        """Windows of at most `batch` lanes, each sequence in one lane from first step to last.

        With each batch `[B]` the rising numbers of its lanes, and whether a new sequence begins.
        """


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, padded to the longest of them and to at least one step.

    `inputs` by the key of the node, values and lengths:

    - tokens `[B, T]` int64, frames `[B, T, W]` and series `[B, T, 1]` of numbers (NaN for a missing
      one), keys `[B, T, size]` float32 of 0 and 1, with lengths `[B]`; all of one axis as long in
      each row;
    - what may be copied of tokens `[B, T]` int64 with lengths `[B]`;
    - characters of tokens `[B, T, C]` int64 with lengths `[B, T]`;
    - categories `[B]` int64 and vectors `[B, W]` of numbers, with lengths of 1;
    - values ahead of a series `[B, H, 1]`, with lengths of H.

    Past a row's length stands 0, which is PAD_ID. The next tokens of a text that is read from its
    end stand in the order of reading, the inputs in that of the text.

    `targets` by column, with -1 or NaN for no target: classes `[B]` or `[B, T]` int64; multi-label
    `[B, L]` or `[B, T, L]` float32 of 0 and 1; numbers `[B, W]` or `[B, T, W]`; frames that a
    decoder writes `[B, U, W]`; texts `[B, U]` int64, each ended by END_ID; forecasts `[B, H]`.
    Numbers are float32, or float64 where the node is `double`. `raw` has the raw cells, of whole
    rows that are measured; `slices` says which steps of which rows of the file these are.

    `weights` `[B]` say how much each row counts in the loss, None that all count the same. Of
    series `step_weights` say by column how much each step does that is answered: `[B, T]`, of
    forecasts `[B, H]`, 0 past a row's length.

    Labels that no training row has (`Dataset.new`) are in no loss. Number k of them is the class
    NEW - k, below -1. In multi-label columns they are not among the L; `new` has, by column, their
    rows and numbers `[m, 2]`, or rows, steps and numbers `[m, 3]`.

    Of windows of streams for somebody's own loop `reset` `[B]` says where a sequence begins.
    """

    inputs: dict[str, tuple[Values, Lengths]]
    targets: dict[str, Values]
    raw: RawRows | None = None
    weights: NDArray[np.float64] | None = None
    step_weights: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    slices: RowSlices | None = None
    new: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    reset: NDArray[np.bool_] | None = None

    def weights_of(self, column: str) -> NDArray[np.float64] | None:
        """How much each answer in a target column counts in the loss: by row `[B]`, or by step
        `[B, T]` or `[B, H]`; None that all count the same."""
        return self.step_weights.get(column, self.weights)


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """The series of a file by `names`; for each row the place where its series begins, `first`
    `[rows]`, and the number of its series, `of_rows` `[rows]`."""

    names: tuple[str, ...]
    first: NDArray[np.int64]
    of_rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of one file or several (or of their training or validation part), encoded.

    - `inputs` by the key of the node, `targets` by column. The steps of row i are `starts[i]` to
      `ends[i]` of the columns of steps.
    - `lines` `[rows]`: where each row is in the file: its line, for Parquet its row, counted from
      1; with several files its location (`rnnspec.data.shards`). For a series read whole, of its
      first step; for a window, of the first step answered.
    - `of_rows` `[rows]`: the place of each row in columns of one value a row; None for row numbers.
    - `seasons`, by column of numbers answered ahead.
    - `maps`: all arrays are memory-mapped and take no more memory than `MemoryMaps` says.
    - `key` identifies this content, encoded this way.
    - `raw`: the raw cells of rows that are measured.
    - `series`, where rows are steps or windows of series; `filled`: how many steps have no row.
    - `new`, by target column: how often each label occurs that no training row has.
    - `own`: where the steps of rows are on further time axes, by axis; `axes` has the axis of each
      input that is on one, `of_targets` of each target.
    - `weights` of the rows in the loss, None where all count the same; of series `step_weights` of
      the steps that are answered, by target column.
    """

    inputs: Mapping[str, BatchColumn]
    targets: Mapping[str, BatchColumn]
    lines: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    key: str = ""
    of_rows: NDArray[np.int64] | None = None
    seasons: Mapping[str, Season] = field(default_factory=dict)
    maps: MemoryMaps = field(default_factory=lambda: MemoryMaps(()))
    raw: Raw | None = None
    series: SeriesRows | None = None
    filled: int = 0
    new: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    own: Mapping[str, Places] = field(default_factory=dict)
    axes: Mapping[str, str] = field(default_factory=dict)
    of_targets: Mapping[str, str] = field(default_factory=dict)
    weights: PerRow | None = None
    step_weights: Mapping[str, BatchColumn] = field(default_factory=dict)

    @property
    def is_weighted(self) -> bool:
        """Whether some answers count more than others."""
        return self.weights is not None or bool(self.step_weights)

    @property
    def rows(self) -> int:
        return len(self.lines)

    def lengths(self, rows: NDArray[np.int64]) -> Lengths:
        """Steps of each of `rows` (`[B]`, from 0), on the axis with most of them, or of its longest
        target text, or target frames, if that has more: `[B]`."""
        longest = self.ends[rows] - self.starts[rows]
        for starts, ends in self.own.values():
            longest = np.maximum(longest, ends[rows] - starts[rows])
        for view in self.targets.values():
            if isinstance(view, Texts | Ragged):
                longest = np.maximum(longest, view.lengths(rows))
        self.maps.read(len(rows))
        return longest

    def collate(self, indices: NDArray[np.integer]) -> Batch:
        """The rows `indices` (`[B]`, from 0) as one batch."""
        starts, ends = self.starts[indices], self.ends[indices]
        rows = indices.astype(np.int64)
        found = self.batch_of(RowSlices(rows, starts, ends - starts, ends))
        return found if self.raw is None else replace(found, raw=RawRows(self.raw, rows))

    def part(self, rows: NDArray[np.int64]) -> Dataset:
        """Some of the rows, by their numbers, without their raw cells."""
        of_rows = rows if self.of_rows is None else self.of_rows[rows]
        series = self.series and SeriesRows(
            self.series.names, self.series.first[rows], self.series.of_rows[rows]
        )
        return replace(
            self,
            lines=self.lines[rows],
            starts=self.starts[rows],
            ends=self.ends[rows],
            of_rows=of_rows,
            raw=None,
            series=series,
        )

    def batch_of(self, slices: RowSlices) -> Batch:
        """The steps of `slices`, whose `rows` are row numbers, as one batch."""
        placed = slices if self.of_rows is None else replace(slices, rows=self.of_rows[slices.rows])
        own = {axis: self._own_steps(axis, placed) for axis in self.own}
        inputs = {
            key: view.batch(own.get(self.axes.get(key, ""), placed))
            for key, view in self.inputs.items()
        }
        targets = {
            column: view.batch(own.get(self.of_targets.get(column, ""), placed))[0]
            for column, view in self.targets.items()
        }
        new = {
            column: view.new_of(own.get(self.of_targets.get(column, ""), placed))
            for column, view in self.targets.items()
            if isinstance(view, KeySteps | LabelSets) and len(view.new)
        }
        self.maps.read(len(slices.rows))
        weights = None if self.weights is None else self.weights.values[placed.rows]
        of_steps = {
            column: view.batch(placed)[0].astype(np.float64, copy=False)
            for column, view in self.step_weights.items()
        }
        return Batch(
            inputs, targets, slices=slices, new=new, weights=weights, step_weights=of_steps
        )

    def _own_steps(self, axis: str, slices: RowSlices) -> RowSlices:
        """All steps on a further axis of the rows of `slices`."""
        starts, ends = (each[slices.rows] for each in self.own[axis])
        return RowSlices(slices.rows, starts, ends - starts, ends)

    def lanes(
        self, batch: int, window: int, start: int = 0, order: Order | None = None
    ) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
        """All steps as `batch` streams side by side: see `StreamData` and `lane_slices`."""
        for slices, reset in lane_slices(self.starts, self.ends, batch, window, start, order):
            yield self.batch_of(slices), reset

    def documents(
        self, batch: int, window: int
    ) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.bool_]]]:
        """All steps in windows, each row of the file in one lane: see `StreamData` and
        `document_slices`."""
        for slices, lanes, reset in document_slices(self.starts, self.ends, batch, window):
            yield self.batch_of(slices), lanes, reset

    def windows(self, batch: int, window: int) -> int:
        """How many windows `lanes` gives."""
        return count_windows(self.starts, self.ends, batch, window)

    def naive(self, batch: Batch) -> dict[str, Naive]:
        """The naive forecasts for a batch of this file, by column."""
        slices = batch.slices
        assert slices is not None
        first, numbers = self.starts[slices.rows], self.series_of(batch)
        if self.series is not None:
            first = self.series.first[slices.rows]
        return {name: naive(of, slices, first, numbers) for name, of in self.seasons.items()}

    def series_of(self, batch: Batch) -> NDArray[np.int64] | None:
        """The number of the series of each row of a batch, `[B]`."""
        if self.series is None or batch.slices is None:
            return None
        return self.series.of_rows[batch.slices.rows]
