"""Columns of a table of series that hold one value for a whole window, not one a step.

A category, a number or a vector is read once for what is answered. Where its cells differ within
the steps that are read, no one of them is the value of the window, and picking one would be silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import ONE, Table, Windows
from rnnspec.errors import DataError

WholeKind = Literal["category", "number", "vector"]


@dataclass(slots=True)
class Unchanging:
    """Takes in one cell a row of a column `as: KIND`, and holds which are equal: 4 bytes each."""

    column: str
    kind: WholeKind
    numbers: dict[object, int] = field(default_factory=dict)
    found: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        cells = (value_of(self.kind, cell, chunk.textual) for cell in chunk.cells[self.column])
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
        name = "" if table.names == (ONE,) else f"series {table.names[series]!r}"
        line = int(table.lines[table.order[at]])
        raise DataError(f"{bad.place(line)}: {changed(self.column, self.kind, name)}")


def value_of(kind: WholeKind, cell: object, textual: bool) -> object:
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


def changed(column: str, kind: WholeKind, series: str) -> str:
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
