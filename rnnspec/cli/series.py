"""Rows for `rnnspec run` from a table whose rows are the steps of series: one for each series.

The answer is what follows the last row of a series, or one for each of its rows. Where a model
reads values that are known ahead, the last rows of each series, as many as are answered, hold
those; their other cells are not looked at and may be empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnspec.errors import DataError

if TYPE_CHECKING:
    from rnnspec.cli.rows import Row
    from rnnspec.data.reading import SeriesReading
    from rnnspec.data.rows import BadRows
    from rnnspec.data.series import Table
    from rnnspec.data.shards import Shards
    from rnnspec.run import InputColumn, Model


@dataclass(frozen=True, slots=True)
class Steps:
    """A table as it was read: its series, and the cells of each column by the row of the file."""

    table: Table
    cells: dict[str, list[object]]
    textual: bool
    bad: BadRows


def reading_of(model: Model) -> SeriesReading | None:
    """How the spec of a model makes series of a table; None if it reads no series."""
    if all(column.kind != "series" for column in model.inputs):
        return None
    from rnnspec.data.reading import Reading
    from rnnspec.run.interface import SPEC
    from rnnspec.source.text import Source
    from rnnspec.spec.load import load_source

    source = Source.of(model.metadata[SPEC], f"{model.path}: {SPEC}")
    return Reading.of(load_source(source, model.path).spec).series


def is_table(model: Model, files: Shards) -> bool:
    """Whether each row of the files is one step: the first one holds a number, and no list, of the
    series. Raises DataError."""
    from rnnspec.data.readers import read

    column = next(each.column for each in model.inputs if each.kind == "series")
    for chunk in read(files, [column]):
        first = chunk.cells[column][0]
        return not (isinstance(first, list) or (isinstance(first, str) and first[:1] == "["))
    return False


def from_table(model: Model, files: Shards, reading: SeriesReading) -> Iterator[tuple[str, Row]]:
    """The name of each series, and the row that it makes. Raises DataError."""
    steps = _read(model, files, reading)
    table, ahead = steps.table, 0
    if any(column.kind == "future" for column in model.inputs):
        ahead = reading.horizon
    bounds = zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)
    for name, (start, end) in zip(table.names, bounds, strict=True):
        places = table.order[start:end].tolist()
        if len(places) <= ahead:
            raise DataError(
                f"{files}: series {name!r} has {len(places)} rows, and its last {ahead} are the"
                " values that are known ahead; put rows of its past before them"
            )
        past = places[: len(places) - ahead][-reading.history :]  # with 0 all of them
        coming = places[len(places) - ahead :]
        row: Row = {}
        for column in model.inputs:
            row[column.column] = _cell(steps, column, past, coming)
        yield name, row


def _cell(steps: Steps, column: InputColumn, past: list[int], coming: list[int]) -> object:
    match column.kind:
        case "series":
            return _numbers(steps, column.column, past, column.missing)
        case "future":
            return _numbers(steps, column.column.removesuffix(".future"), coming, False)
    return steps.cells[column.column][past[-1]]  # of the whole row: as the last step has it


def _numbers(steps: Steps, column: str, places: list[int], missing: bool) -> list[float]:
    from rnnspec.data.decode import real

    found = []
    for place in places:
        try:
            found.append(real(steps.cells[column][place], steps.textual, missing))
        except DataError as error:
            line = int(steps.table.lines[place])
            raise DataError(f"{steps.bad.place(line)}: column {column!r} {error}") from error
    return found


def _read(model: Model, files: Shards, reading: SeriesReading) -> Steps:
    from rnnspec.data.readers import BadRows, read
    from rnnspec.data.series import TableBuilder

    builder, bad = TableBuilder(reading), BadRows(files)
    columns = [each.column.removesuffix(".future") for each in model.inputs]
    needed = list(dict.fromkeys([*columns, *builder.columns]))
    cells: dict[str, list[object]] = {column: [] for column in needed}
    textual = False
    for chunk in read(files, needed, bad=bad):
        builder.add(chunk, bad)
        bad.close()
        textual = chunk.textual
        for column, values in cells.items():
            values.extend(chunk.cells[column])
    return Steps(builder.table(bad), cells, textual, bad)
