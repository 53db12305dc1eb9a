"""Series of a table that are read whole, with an answer at each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.collate import SKIPPED
from rnnspec.data.columns.labels import KnownLabels, class_numbers
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import ONLY_SERIES, Table, Windows
from rnnspec.errors import DataError


class TableEncoder(Protocol):
    """Takes in one value a row of a table, and holds them."""

    def add(self, chunk: Chunk, bad: BadRows) -> None: ...

    def values(self, table: Table) -> NDArray[Any]:
        """Those of all steps, series by series: `[places, ...]`."""
        ...


@dataclass(slots=True)
class SeriesColumn:
    """Takes in one number a row, and holds them, in `dtype`: 4 or 8 bytes each. NaN where missing,
    if allowed."""

    column: str
    missing: bool
    dtype: str = "<f4"
    found: list[NDArray[np.floating]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        def decoded(cell: object) -> float:
            return decode.real(cell, chunk.textual, self.missing)

        self.found.append(np.array(bad.decoded(chunk, self.column, decoded), self.dtype))

    def values(self, table: Table) -> NDArray[np.floating]:
        """Those of all steps, series by series: `[places]`."""
        return table.numbers(np.concatenate(self.found))


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


WholeKind = Literal["category", "number", "vector"]


@dataclass(slots=True)
class StaticColumn:
    """Takes in one cell a row of a column `as: KIND`, and holds which are equal: 4 bytes each."""

    column: str
    kind: WholeKind
    numbers: dict[object, int] = field(default_factory=dict)
    found: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        cells = (static_value(self.kind, cell, chunk.textual) for cell in chunk.cells[self.column])
        known = [self.numbers.setdefault(value, len(self.numbers)) for value in cells]
        self.found.append(np.array(known, np.int32))

    def check(self, table: Table, windows: Windows, bad: BadRows) -> None:
        """Raises DataError, with the line, at the first change within the steps that a window
        reads."""
        values = np.concatenate(self.found)[table.order]
        inside = np.zeros(len(values) + 1, np.int64)
        np.add.at(inside, windows.starts, 1)
        np.add.at(inside, windows.ends - 1, -1)  # from the last step on nothing more is read
        changes = np.flatnonzero((np.cumsum(inside)[:-2] > 0) & (values[1:] != values[:-1])) + 1
        if not len(changes):
            return
        at = int(changes[0])
        series = int(np.searchsorted(table.offsets, at, side="right")) - 1
        name = "" if table.names == (ONLY_SERIES,) else f"series {table.names[series]!r}"
        line = int(table.lines[table.order[at]])
        raise DataError(f"{bad.place(line)}: {changed_message(self.column, self.kind, name)}")


def static_value(kind: WholeKind, cell: object, textual: bool) -> object:
    """What a cell holds, equal for cells that read alike; None for one that is missing or that
    cannot be read, which is told elsewhere."""
    if decode.is_missing(cell, textual):
        return None
    try:
        match kind:
            case "category":
                return decode.label(cell)
            case "number":
                return decode.real(cell, textual)
            case "vector":
                return decode.vector(cell, textual, True).tobytes()
    except DataError:
        return None


def changed_message(column: str, kind: WholeKind, series: str) -> str:
    """What is wrong with a column that changes, and the ways out; `series`: "" for the only one."""
    of = f" of {series}" if series else ""
    cure = {
        "category": "make columns of numbers of it, 1 where a label holds and else 0, each",
        "number": "read it",
        "vector": "make columns of numbers of it, each",
    }[kind]
    return (
        f"column {column!r} is read 'as: {kind}', once for all steps, and changes here within the"
        f" steps that are read{of}; {cure} 'as: series', or fill in one value in all rows of a"
        " series"
    )
