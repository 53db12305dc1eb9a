"""Series of a table that are read whole, with an answer at each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.columns.labels import KnownLabels, class_numbers
from rnnspec.data.decode import MOST_STEPS
from rnnspec.data.reading import SeriesReading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import ONE, Part, SeriesColumn, Table, Windows, training_end
from rnnspec.data.views import SKIPPED
from rnnspec.errors import DataError


class RowTaker(Protocol):
    """Takes in one value a row of a table, and holds them."""

    def add(self, chunk: Chunk, bad: BadRows) -> None: ...

    def values(self, table: Table) -> NDArray[Any]:
        """Those of all steps, series by series: `[places, ...]`."""
        ...


@dataclass(slots=True)
class SeriesLabels:
    """Takes in one label a row as the number of its class, SKIPPED where there is none."""

    known: KnownLabels
    found: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        numbers = class_numbers(self.known, True, chunk, bad)
        self.found.append(numbers.astype(np.int32))

    def values(self, table: Table) -> NDArray[np.int32]:
        return table.values(np.concatenate(self.found), SKIPPED)


@dataclass(slots=True)
class SeriesFrames:
    """Takes in one number a row, NaN where there is none: frames of one number."""

    numbers: SeriesColumn

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.numbers.add(chunk, bad)

    def values(self, table: Table) -> NDArray[np.floating]:
        return table.values(np.concatenate(self.numbers.found), np.nan)[:, None]


def whole_series(
    table: Table, reading: SeriesReading, part: Part, share: float, bad: BadRows
) -> Windows:
    """The steps of each series that belong to a part, as one window: those of `valid` are the last
    `share` of them, read from states of their own.

    Raises DataError for a share that leaves validation without a step, and for a series of more
    steps than a row may have, unless it is read window by window.
    """
    first, end = table.offsets[:-1], table.offsets[1:]
    lengths = np.array([training_end(int(n), reading, share) for n in end - first], np.int64)
    trained = first + lengths
    starts = trained if part == "valid" else first
    ends = trained if part == "train" else end
    kept = ends > starts
    if not kept.any():
        raise DataError(
            f"{bad.file}: a validation share of {share:g} takes no step of any series; "
            "set data.valid to a larger share or to a file"
        )
    longest = int(np.argmax(ends - starts))
    steps = int((ends - starts)[longest])
    if steps > MOST_STEPS and not reading.stream:
        line = int(table.lines[table.order[starts[longest]]])
        what = f"series {table.names[longest]!r}" if table.names != (ONE,) else ONE
        raise DataError(
            f"{bad.place(line)}: {what} has {steps:,} steps, and a row may have {MOST_STEPS:,}; "
            "read it window by window, with train.window"
        )
    return Windows(starts[kept], ends[kept], first[kept], np.flatnonzero(kept))
