"""Columns of series: their past, what lies ahead of it, and static columns.

A static column, a category, a number or a vector, is read once for a whole window of series. Where
its cells differ within the steps that are read, no one of them is the value of the window, and
picking one would be silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.collate import Future, Steps
from rnnspec.data.columns.base import Arrays, ColumnKind, Encoding, StaticKind, not_stored
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import ONLY_SERIES, Table, Windows
from rnnspec.errors import DataError


def _values(encoding: Encoding, column: str, arrays: Arrays) -> NDArray[np.floating]:
    """The values of the series in a column, `[places]`."""
    return arrays[encoding.series()[column]]


SERIES = ColumnKind(
    settings=lambda encoding, node: [
        node.column,
        "series",
        node.missing != "error",
        node.double,
        *encoding.rule_of(node.column),
    ],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Steps(
        _values(encoding, node.column, arrays)[:, None], 0
    ),
)
FUTURE = ColumnKind(
    settings=lambda encoding, node: [node.column, "ahead"],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Future(
        _values(encoding, node.column, arrays), node.horizon, wide=True
    ),
)
CLOCK = "clock"
"""The array of the times of all steps, by place, as seconds."""
CALENDAR = ColumnKind(
    settings=lambda encoding, node: [node.column, "calendar"],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Steps(arrays[CLOCK], 0),
)
CALENDAR_FUTURE = ColumnKind(
    settings=lambda encoding, node: [node.column, "calendar ahead"],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Future(arrays[CLOCK], node.horizon, wide=False),
)
FORECAST = ColumnKind(
    settings=lambda encoding, node: [node.column, "ahead"],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Future(
        _values(encoding, node.column, arrays), node.horizon, wide=False
    ),
)


@dataclass(slots=True)
class StaticColumn:
    """Holds which cells of a column `as: KIND` are equal: 4 bytes a row."""

    column: str
    kind: StaticKind
    numbers: dict[object, int] = field(default_factory=dict)
    found: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        cells = (static_value(self.kind, cell, chunk.textual) for cell in chunk.cells[self.column])
        known = [self.numbers.setdefault(value, len(self.numbers)) for value in cells]
        self.found.append(np.array(known, np.int32))

    def check(self, table: Table, windows: Windows, bad: BadRows) -> None:
        """Raises DataError, with the line, at the first change within a window."""
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


def static_value(kind: StaticKind, cell: object, textual: bool) -> object:
    """The value of a cell, to compare; None if it is missing or cannot be read, which the encoder
    of the column reports."""
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


def changed_message(column: str, kind: StaticKind, series: str) -> str:
    """The message for a static column that changes; `series` is "" for the only one."""
    of = f" of {series}" if series else ""
    cure = {
        "category": "read it 'as: categories'",
        "number": "read it 'as: series'",
        "vector": "make columns of numbers of it, each 'as: series'",
    }[kind]
    return (
        f"column {column!r} is read 'as: {kind}', once for all steps, and changes here within the"
        f" steps that are read{of}; {cure}, or fill in one value in all rows of a series"
    )
