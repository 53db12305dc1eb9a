"""Rows for a model from a table whose rows are the steps of series: one for each series.

A model that answers each step answers every row. For a forecast, the *future* of a series is the
block of its last rows in which the target, the column that is forecast, is empty. All rows before
are its past; an empty target before a filled one is a missing number of the past. The steps after
the past are answered. A model that reads values known ahead takes them from the rows of the future,
which must exist; other columns of these rows are not read.

Every answer names its series and its times: the times of its rows, and past the end of the table
the times of the steps that follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.data.columns.series import changed_message, static_value
from rnnspec.data.decode import is_gap, is_missing, label, real
from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.data.reading import Reading, SeriesReading
from rnnspec.data.rows import BadRows
from rnnspec.data.series import ONLY_SERIES, Table, TableBuilder, seconds_at, times_at
from rnnspec.data.shards import Shards
from rnnspec.data.times import Times
from rnnspec.errors import DataError
from rnnspec.run.interface import SPEC, InputColumn, InputKind
from rnnspec.run.model import Model
from rnnspec.run.results import Answer
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source

Row = dict[str, object]
FUTURE = ".future"
KNOWN_AHEAD: tuple[InputKind, ...] = ("future", "categories_ahead", "category_ids_ahead")
"""Kinds of columns that the rows of the future are read for."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A table: its series, and the cells of each column by the row of the file."""

    table: Table
    times: Times | None
    cells: dict[str, list[object]]
    textual: bool
    bad: BadRows

    def line(self, place: int) -> str:
        """The place of a step's row in its file."""
        return self.bad.place(int(self.table.lines[self.table.order[place]]))

    def cell(self, column: str, place: int) -> object:
        """The cell of a step that has a row."""
        return self.cells[column][self.table.order[place]]

    def is_filled(self, place: int) -> bool:
        """Whether a step has no row."""
        return self.table.filled is not None and bool(self.table.filled[place])


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a table: the places of its steps of the past and of the future."""

    name: str
    past: range
    future: range


def reading_of(model: Model) -> Reading:
    """How the spec of a model reads files."""
    source = Source.of(model.metadata[SPEC], f"{model.path}: {SPEC}")
    return Reading.of(load_source(source, model.path).spec)


def series_of(model: Model) -> SeriesReading | None:
    """How the spec of a model makes series of a table; None if it reads no series."""
    reads = any(column.kind == "series" for column in model.inputs)
    return reading_of(model).series if reads else None


def is_table(model: Model, files: Shards, how: How) -> bool:
    """Whether each row of the files is one step: the first row has a number of the series, and no
    list. Raises DataError."""
    column = next(each.column for each in model.inputs if each.kind == "series")
    for chunk in read(files, [column], how):
        first = chunk.cells[column][0]
        return not (isinstance(first, list) or (isinstance(first, str) and first[:1] == "["))
    return False


def from_table(model: Model, files: Shards, reading: SeriesReading, how: How) -> TableRows:
    """The series of a table with their rows. Raises DataError for a table that cannot be read,
    since a missing row would be a hole in a series."""
    steps = _read(model, files, reading, how)
    table, target = steps.table, reading.target
    bounds = zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)
    found = []
    for name, (start, end) in zip(table.names, bounds, strict=True):
        today = end if target is None else _end_of_past(steps, target, start, end)
        found.append(Series(name, range(start, today), range(today, end)))
    return TableRows(model, reading, steps, found)


@dataclass(frozen=True, slots=True)
class TableRows:
    """The series of a table, and the rows that they make."""

    model: Model
    reading: SeriesReading
    steps: Steps
    series: list[Series]

    def rows(self) -> Iterator[tuple[str, Row | DataError]]:
        """The place of each series, and its row, or the error of one that cannot be read."""
        for series in self.series:
            place = f"{self.steps.bad.file}: {named(self.steps, series)}"
            try:
                yield place, self._row(series)
            except DataError as error:
                yield place, error

    def about(self, series: Series) -> Answer:
        """What is said with the answer to a series: its name, and the times of the answered
        steps."""
        found: Answer = {}
        if self.reading.id is not None:
            found[self.reading.id] = series.name
        if self.reading.time is not None:
            found[self.reading.time] = self.times(series)
        return found

    def _row(self, series: Series) -> Row:
        self._check(series)
        return {each.column: self._cell(each, series) for each in self.model.inputs}

    def _check(self, series: Series) -> None:
        """Raises DataError for a series without a past, or with a future that is needed and
        missing."""
        if (target := self.reading.target) is not None:
            known = [column_of(each) for each in self.model.inputs if each.kind in KNOWN_AHEAD]
            _check_future(self.steps, series, target, self.reading.horizon, known)

    def _is_whole(self, series: Series) -> bool:
        try:
            self._check(series)
        except DataError:
            return False
        return True

    def _cell(self, column: InputColumn, series: Series) -> object:
        past = series.past[-self.reading.most :]  # with 0 all of them
        match column.kind:
            case "series":
                return _numbers(self.steps, column.column, past, column.missing)
            case "future":
                ahead = series.future[: self.reading.horizon]
                return _numbers(self.steps, column_of(column), ahead, column.missing)
            case "categories" | "category_ids":
                return _labels(self.steps, column, past)
            case "categories_ahead" | "category_ids_ahead":
                return _labels(self.steps, column, series.future[: self.reading.horizon])
            case "times":
                return self._seconds(series, past)
            case "times_ahead":
                first = series.future.start
                return self._seconds(series, range(first, first + self.reading.horizon))
        return _one(self.steps, column, past, series)

    def _seconds(self, series: Series, wanted: range) -> object:
        """The times of some steps as seconds. Raises DataError for a series of one row, which does
        not define a step."""
        steps, every = self.steps, range(series.past.start, series.future.stop)
        assert steps.times is not None, "a calendar without times"
        found = seconds_at(steps.times, steps.table, every, wanted)
        if found is None:
            raise DataError(
                f"{steps.line(every[0])}: {named(steps, series)} has one row, which does not say"
                " when the next steps are; set data.series.every, or add rows"
            )
        return found.tolist()

    def times(self, series: Series) -> list[object] | None:
        """The times of the answered steps; None without a column of times, and for a series of one
        row, which does not define a step."""
        steps, times = self.steps, self.steps.times
        if times is None:
            return None
        every = range(series.past.start, series.future.stop)
        first = series.future.start
        ahead = range(first, first + self.reading.horizon)
        wanted = every if self.reading.whole else ahead
        return times_at(times, steps.table, steps.cells[times.column], every, wanted)

    def notes(self) -> Iterator[str]:
        """Notes on the table."""
        horizon = self.reading.horizon
        longer = [each for each in self.series if horizon and len(each.future) > horizon]
        longer = [each for each in longer if self._is_whole(each)]
        if longer:
            first = longer[0]
            others = f" and of {len(longer) - 1} more series" if len(longer) > 1 else ""
            yield (
                f"{self.steps.line(first.future[0])}: the future of {named(self.steps, first)}"
                f"{others} has more than the {_steps(horizon)} that the model answers, the first"
                " ones are answered"
            )


def titled(name: str, times: list[object] | None) -> str:
    """`Antwerp, 2024-05-04 to 2024-05-17`: a series and the times of the answered steps."""
    if not times:
        return name
    first, last = str(times[0]), str(times[-1])
    return f"{name}, {first}" + (f" to {last}" if len(times) > 1 else "")


def column_of(column: InputColumn) -> str:
    """The column of the table that an input is read from."""
    name = column.column
    ahead = column.kind in (*KNOWN_AHEAD, "times_ahead")
    return name.removesuffix(FUTURE) if ahead else name


def _end_of_past(steps: Steps, target: str, start: int, end: int) -> int:
    """The place of the first of the last steps without a row or a target."""
    while end > start and (
        steps.is_filled(end - 1) or is_gap(steps.cell(target, end - 1), steps.textual)
    ):
        end -= 1
    return end


def _check_future(
    steps: Steps, series: Series, target: str, horizon: int, known: list[str]
) -> None:
    """Raises DataError for a series without a past, or without values that are known ahead."""
    count, name = len(series.future), named(steps, series)
    if not series.past:
        raise DataError(
            f"{steps.line(series.future[0])}: {name} has no past, for {target!r} is empty in all"
            " of its rows; put rows before them in which it is filled"
        )
    if not known:
        return
    empty = next((place for place in series.future if steps.is_filled(place)), None)
    if empty is not None:
        raise DataError(
            f"{steps.line(empty)}: {name} has no row for the step after this one, which is of its"
            f" future, for {target!r} is empty or missing from there on; add it, with"
            f" {' and '.join(map(repr, known))} filled"
        )
    if count >= horizon:
        return
    columns = " and ".join(map(repr, known))
    if not count:
        raise DataError(
            f"{steps.line(series.past[-1])}: {name} ends with this row, in which {target!r} is"
            f" filled, so that nothing says what {columns} will be in the {_steps(horizon)} to be"
            f" answered; add {_rows(horizon)} for them, with {columns} filled and {target!r} empty"
        )
    raise DataError(
        f"{steps.line(series.future[-1])}: {name} ends with {_rows(count)} of its future, where"
        f" {target!r} is empty, and the model answers {_steps(horizon)}; add"
        f" {_rows(horizon - count)} after it, with {columns} filled and {target!r} empty"
    )


def named(steps: Steps, series: Series) -> str:
    """A series in words."""
    return ONLY_SERIES if steps.table.names == (ONLY_SERIES,) else f"series {series.name!r}"


def _rows(count: int) -> str:
    return f"{count} row{'s' * (count != 1)}"


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def _one(steps: Steps, column: InputColumn, past: range, series: Series) -> object:
    """The value of a column of whole rows. Raises DataError where it changes between steps."""
    kind, name = column.kind, column.column
    assert kind in ("category", "number", "vector"), f"{kind} is no input of whole rows"
    values = [static_value(kind, steps.cell(name, place), steps.textual) for place in past]
    for place, before, value in zip(past[1:], values[:-1], values[1:], strict=True):
        if value != before:
            of = "" if len(steps.table.names) == 1 else named(steps, series)
            raise DataError(f"{steps.line(place)}: {changed_message(name, kind, of)}")
    return steps.cell(name, past[-1])


def _numbers(steps: Steps, column: str, places: range, missing: bool) -> list[float]:
    found, fill = list[float](), steps.table.fill
    for place in places:
        if steps.is_filled(place) and fill != "previous":
            found.append(float("nan") if isinstance(fill, str) else fill)
            continue
        try:
            found.append(real(steps.cell(column, place), steps.textual, missing))
        except DataError as error:
            raise DataError(f"{steps.line(place)}: column {column!r} {error}") from error
    return found


def _labels(steps: Steps, column: InputColumn, places: range) -> list[object]:
    """The label of each step, or its number; None for none. A step without a row has by `previous`
    that of the row before."""
    found, name = list[object](), column_of(column)
    ids = column.kind in ("category_ids", "category_ids_ahead")
    for place in places:
        cell = steps.cell(name, place)
        if is_missing(cell, steps.textual) or (
            steps.is_filled(place) and steps.table.fill != "previous"
        ):
            found.append(None)
            continue
        try:
            found.append(real(cell, steps.textual) if ids else label(cell))
        except DataError as error:
            raise DataError(f"{steps.line(place)}: column {name!r} {error}") from error
    return found


def _read(model: Model, files: Shards, reading: SeriesReading, how: How) -> Steps:
    builder, bad = TableBuilder(reading), BadRows(files)
    columns = [column_of(each) for each in model.inputs]
    needed = list(dict.fromkeys([*columns, *builder.columns]))
    cells: dict[str, list[object]] = {column: [] for column in needed}
    textual = False
    for chunk in read(files, needed, how, bad):
        builder.add(chunk, bad)
        bad.close()
        textual = chunk.textual
        for column, values in cells.items():
            values.extend(chunk.cells[column])
    return Steps(builder.table(bad), builder.times, cells, textual, bad)
