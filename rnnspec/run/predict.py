"""Answers to rows in memory, in the form that the rows came in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnspec.data.how import How
from rnnspec.data.memory import Row, memory_rows, told_by_row, written_rows
from rnnspec.data.reading import SeriesReading
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.run.model import Model
from rnnspec.run.results import Answer
from rnnspec.run.series import column_of, from_table, series_of

NAME = "the rows"
"""What rows in memory are called in messages."""


def predict(model: Model, rows: Any, batch: int = 64, seed: int = 0) -> Any:
    """The answers to `rows`, in their form: see `rnnspec.run.opened.OpenModel.predict`.

    Rows of a model that reads series may be the steps of a table: then each answered step is a row
    of the answer, with the name of its series and its time.
    """
    rows = list(rows) if isinstance(rows, Iterator) else rows
    outputs = [output.column for output in model.outputs]
    reading = series_of(model)
    if reading is not None and _are_steps(model, rows):
        columns = [column_of(each) for each in model.inputs]
        columns += filter(None, (reading.id, reading.time))
        found, given = memory_rows(rows, list(dict.fromkeys(columns))), list[Row]()
        given.extend(found.rows())
        steps = _of_steps(model, given, reading, batch, seed)
        if reading.time is not None and given:
            steps = map(_dates_like(given[0].get(reading.time), reading.time), steps)
        return found.like(list(steps), outputs)
    found = memory_rows(rows, [column.column for column in model.inputs])
    return found.like(list(model.answer(found.rows(), batch, seed=seed)), outputs)


def _are_steps(model: Model, rows: Any) -> bool:
    """Whether each row is one step of a series: the first has a number, and no list, of it."""
    column = next(each.column for each in model.inputs if each.kind == "series")
    first = next(memory_rows(rows, [column]).rows(), {}).get(column, [])
    return not isinstance(first, list)


def _of_steps(
    model: Model, rows: Iterable[Row], reading: SeriesReading, batch: int, seed: int
) -> Iterator[Answer]:
    """The answers to a table of steps, step by step. Raises DataError."""
    with TemporaryDirectory(prefix="rnnspec-") as folder:
        file = written_rows(rows, Path(folder), "rows")
        with told_by_row({file: NAME}):
            table = from_table(model, Shards.of(file), reading, How("jsonl"))
            pairs = list(table.rows())
            answers = model.answers_or_errors((row for _, row in pairs), batch, seed=seed)
            for series, (place, row), answer in zip(table.series, pairs, answers, strict=True):
                if isinstance(answer, DataError):
                    told = str(answer) if answer is row else f"{place}: {answer}"
                    raise DataError(told) from answer
                main = [answer[output.column] for output in model.outputs]
                count = len(main[0]) if isinstance(main[0], list) else None
                yield from _by_step(table.about(series) | answer, count)


def _dates_like(example: object, column: str) -> Callable[[Answer], Answer]:
    """What makes the times of answers what those of the rows are: dates, or as they stand."""
    if not isinstance(example, date):
        return lambda answer: answer
    read = datetime.fromisoformat if isinstance(example, datetime) else date.fromisoformat
    return lambda answer: answer | {column: read(answer[column])}


def _by_step(answer: Answer, count: int | None) -> Iterator[Answer]:
    """The steps of an answer whose lists have an entry for each of `count` steps; the answer itself
    where it is of the whole series."""
    if count is None:
        yield answer
        return
    for step in range(count):
        yield {name: _at(value, step, count) for name, value in answer.items()}


def _at(value: Any, step: int, count: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _at(each, step, count) for name, each in value.items()}
    return value[step] if isinstance(value, list) and len(value) == count else value
