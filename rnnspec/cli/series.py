"""Rows for `rnnspec run` from a table whose rows are the steps of series: one for each series.

Where each step is answered, every row is one. Of a forecast, the *future* of a series is the block
of its last rows in which the target, the column that is forecast, is empty; everything before is
its past, and an empty target that a filled one follows is a missing number of the past. What is
answered are the steps after the past. A model that reads values known ahead takes them from the
rows of the future, which have to be there; of those, cells of other columns are not looked at.
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
    from rnnspec.spec.formats import Quoting

FUTURE = ".future"


@dataclass(frozen=True, slots=True)
class Steps:
    """A table as it was read: its series, and the cells of each column by the row of the file."""

    table: Table
    cells: dict[str, list[object]]
    textual: bool
    bad: BadRows

    def place(self, row: int) -> str:
        """Where a row stands in its file."""
        return self.bad.place(int(self.table.lines[row]))


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a table: its rows of the past and of the future, numbers of rows of the file,
    each in order."""

    name: str
    past: list[int]
    future: list[int]


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


def is_table(model: Model, files: Shards, quoting: Quoting) -> bool:
    """Whether each row of the files is one step: the first one holds a number, and no list, of the
    series. Raises DataError."""
    from rnnspec.data.readers import read

    column = next(each.column for each in model.inputs if each.kind == "series")
    for chunk in read(files, [column], quoting=quoting):
        first = chunk.cells[column][0]
        return not (isinstance(first, list) or (isinstance(first, str) and first[:1] == "["))
    return False


def from_table(model: Model, files: Shards, reading: SeriesReading, quoting: Quoting) -> TableRows:
    """The series of a table, each with the row that it makes. Raises DataError."""
    steps = _read(model, files, reading, quoting)
    table, target = steps.table, reading.target
    bounds = zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)
    found = []
    for name, (start, end) in zip(table.names, bounds, strict=True):
        rows = table.order[start:end].tolist()
        ahead = 0 if target is None else _empty_at_the_end(steps, target, rows)
        found.append(Series(name, rows[: len(rows) - ahead], rows[len(rows) - ahead :]))
    known = [column_of(each) for each in model.inputs if each.kind == "future"]
    if target is not None:
        for series in found:
            _check_future(steps, series, target, reading.horizon, known)
    return TableRows(model, reading, steps, found, bool(known))


@dataclass(frozen=True, slots=True)
class TableRows:
    """The series of a table, and the rows that they make."""

    model: Model
    reading: SeriesReading
    steps: Steps
    series: list[Series]
    known: bool
    """Whether values that are known ahead are read."""

    def rows(self) -> Iterator[Row]:
        """The row of each series. Raises DataError for cells that cannot be read."""
        for series in self.series:
            yield {each.column: self._cell(each, series) for each in self.model.inputs}

    def _cell(self, column: InputColumn, series: Series) -> object:
        past = series.past[-self.reading.history :]  # with 0 all of them
        match column.kind:
            case "series":
                return _numbers(self.steps, column.column, past, column.missing)
            case "future":
                ahead = series.future[: self.reading.horizon]
                return _numbers(self.steps, column_of(column), ahead, column.missing)
        return _one(self.steps, column, past, series)

    def notes(self) -> Iterator[str]:
        """What there is to say of the table beside its answers."""
        horizon = self.reading.horizon
        longer = [each for each in self.series if horizon and len(each.future) > horizon]
        if longer:
            first = longer[0]
            others = f" and of {len(longer) - 1} more series" if len(longer) > 1 else ""
            yield (
                f"{self.steps.place(first.future[0])}: the future of {named(self.steps, first)}"
                f"{others} has more than the {_steps(horizon)} that the model answers, the first"
                " ones are answered"
            )


def column_of(column: InputColumn) -> str:
    """The column of the table that an input is read from."""
    name = column.column
    return name.removesuffix(FUTURE) if column.kind == "future" else name


def _empty_at_the_end(steps: Steps, target: str, rows: list[int]) -> int:
    """How many of the last of `rows` have no target."""
    from rnnspec.data.decode import is_gap

    cells, count = steps.cells[target], 0
    while count < len(rows) and is_gap(cells[rows[-1 - count]], steps.textual):
        count += 1
    return count


def _check_future(
    steps: Steps, series: Series, target: str, horizon: int, known: list[str]
) -> None:
    """Raises DataError for a series without a past, or without what is known ahead."""
    count, name = len(series.future), named(steps, series)
    if not series.past:
        raise DataError(
            f"{steps.place(series.future[0])}: {name} has no past, for {target!r} is empty in all"
            " of its rows; put rows before them in which it is filled"
        )
    if not known or count >= horizon:
        return
    columns = " and ".join(map(repr, known))
    if not count:
        raise DataError(
            f"{steps.place(series.past[-1])}: {name} ends with this row, in which {target!r} is"
            f" filled, so that nothing says what {columns} will be in the {_steps(horizon)} to be"
            f" answered; add {_rows(horizon)} for them, with {columns} filled and {target!r} empty"
        )
    raise DataError(
        f"{steps.place(series.future[-1])}: {name} ends with {_rows(count)} of its future, where"
        f" {target!r} is empty, and the model answers {_steps(horizon)}; add"
        f" {_rows(horizon - count)} after it, with {columns} filled and {target!r} empty"
    )


def named(steps: Steps, series: Series) -> str:
    """A series in words."""
    from rnnspec.data.series import ONE

    return ONE if steps.table.names == (ONE,) else f"series {series.name!r}"


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def _one(steps: Steps, column: InputColumn, past: list[int], series: Series) -> object:
    """The value of a column that is read once for all steps. Raises DataError where it changes."""
    from rnnspec.data.unchanging import changed, value_of

    kind, name = column.kind, column.column
    assert kind in ("category", "number", "vector"), f"{kind} is no input of whole rows"
    cells, textual = steps.cells[name], steps.textual
    values = [value_of(kind, cells[row], textual) for row in past]
    for row, before, value in zip(past[1:], values[:-1], values[1:], strict=True):
        if value != before:
            of = "" if len(steps.table.names) == 1 else named(steps, series)
            raise DataError(f"{steps.place(row)}: {changed(name, kind, of)}")
    return cells[past[-1]]


def _numbers(steps: Steps, column: str, rows: list[int], missing: bool) -> list[float]:
    from rnnspec.data.decode import real

    found = []
    for row in rows:
        try:
            found.append(real(steps.cells[column][row], steps.textual, missing))
        except DataError as error:
            raise DataError(f"{steps.place(row)}: column {column!r} {error}") from error
    return found


def _read(model: Model, files: Shards, reading: SeriesReading, quoting: Quoting) -> Steps:
    from rnnspec.data.readers import BadRows, read
    from rnnspec.data.series import TableBuilder

    builder, bad = TableBuilder(reading), BadRows(files)
    columns = [column_of(each) for each in model.inputs]
    needed = list(dict.fromkeys([*columns, *builder.columns]))
    cells: dict[str, list[object]] = {column: [] for column in needed}
    textual = False
    for chunk in read(files, needed, bad=bad, quoting=quoting):
        builder.add(chunk, bad)
        bad.close()
        textual = chunk.textual
        for column, values in cells.items():
            values.extend(chunk.cells[column])
    return Steps(builder.table(bad), cells, textual, bad)
