"""Rows in memory: lists of dicts, data frames, arrays. One way in for all, and answers alike.

Frames of any library come through narwhals, which imports none of them. 200,000 rows of five
columns take 0.7 s of pandas and 0.5 s of polars so, and 1.7 s and 1.2 s through Arrow's C stream,
which needs pyarrow and does not lead back to the frame's own library.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.rows import no_column
from rnnspec.errors import DataError
from rnnspec.files import make_folder, written

if TYPE_CHECKING:
    import narwhals as nw

Row = dict[str, Any]
MIDNIGHT = time()
FORMS = (
    "a list with a dict for each row, a frame of pandas, polars or pyarrow, a dict with an array"
    " for each column, or an array of the only column"
)

MISSING = ("NAType", "NaTType")
"""What pandas has for a missing cell beside None and NaN. NaT is a date by its type."""


@dataclass(frozen=True, slots=True)
class MemoryRows:
    """Rows in memory.

    `rows()` gives each as a dict of cells, once. `like(answers, outputs)` gives answers, a dict for
    each row, in the form that the rows came in; `outputs` are the columns that are answered.
    """

    rows: Callable[[], Iterator[Row]]
    like: Callable[[Sequence[Row], Sequence[str]], Any]


def memory_rows(rows: Any, columns: Sequence[str]) -> MemoryRows:
    """The rows in `rows`, of which `columns` are read.

    Raises DataError for what holds no rows, for columns of unequal length or that are not there,
    and for rows without names where several columns are read.
    """
    if isinstance(rows, Mapping):
        return _of_columns(rows, columns)
    if isinstance(rows, np.ndarray):
        return _of_array(rows, _only(columns))
    if isinstance(rows, str | bytes | int | float):
        raise DataError(f"{type(rows).__name__} where rows are expected: {FORMS}")
    if isinstance(rows, Sequence | Iterator):
        return _of_iterable(rows, columns)
    return _of_frame(rows, columns)


def _only(columns: Sequence[str]) -> str:
    """The one column that rows without names are of. Raises DataError."""
    if len(columns) != 1:
        named = ", ".join(map(repr, columns))
        raise DataError(f"rows without names, and the columns {named} are read; give {FORMS}")
    return columns[0]


def _of_iterable(rows: Iterable[Any], columns: Sequence[str]) -> MemoryRows:
    """Dicts, or values of the only column."""
    several = iter(rows)
    first = list(next(([each] for each in several), []))
    every = chain(first, several)
    if not first or isinstance(first[0], Mapping):
        return MemoryRows(lambda: _dicts(every), lambda answers, outputs: list(answers))
    column = _only(columns)

    def like(answers: Sequence[Row], outputs: Sequence[str]) -> list[Any]:
        return [each[outputs[0]] for each in answers] if len(outputs) == 1 else list(answers)

    return MemoryRows(lambda: ({column: _cell(value)} for value in every), like)


def _dicts(rows: Iterable[Any]) -> Iterator[Row]:
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"row {number}: is no dict, as the rows before it; give {FORMS}")
        yield {name: _cell(value) for name, value in row.items()}


def _of_array(values: NDArray[Any], column: str) -> MemoryRows:
    if not values.ndim:
        raise DataError(f"an array without an axis of rows; give {FORMS}")

    def like(answers: Sequence[Row], outputs: Sequence[str]) -> Any:
        found = {name: _array([each[name] for each in answers]) for name in outputs}
        return found[outputs[0]] if len(outputs) == 1 else found

    return MemoryRows(lambda: ({column: _cell(value)} for value in values), like)


def _of_columns(found: Mapping[str, Any], columns: Sequence[str]) -> MemoryRows:
    """A mapping of columns to arrays or lists, all as long."""
    _check_columns(columns, list(found))
    for name in columns:
        if isinstance(found[name], str | bytes | Mapping) or not hasattr(found[name], "__len__"):
            kind = type(found[name]).__name__
            raise DataError(
                f"column {name!r} is one {kind}, and columns are lists or arrays; give a row as a"
                " list with one dict"
            )
    counts = {name: len(found[name]) for name in columns}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name!r} {count:,}" for name, count in counts.items())
        raise DataError(f"the columns have unequal numbers of rows: {told}")
    arrays = any(isinstance(value, np.ndarray) for value in found.values())

    def like(answers: Sequence[Row], outputs: Sequence[str]) -> dict[str, Any]:
        listed = _by_column(answers, outputs)
        return {name: _array(cells) for name, cells in listed.items()} if arrays else listed

    return MemoryRows(lambda: _zipped({name: found[name] for name in columns}), like)


def _of_frame(rows: Any, columns: Sequence[str]) -> MemoryRows:
    """A frame, or a column apart. Raises DataError for anything else."""
    import narwhals as nw

    try:
        found = nw.from_native(rows, eager_only=True, allow_series=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"columns of the frame have the same name ({_one_line(error)})") from error
    if isinstance(found, nw.Series):
        series, column = found, _only(columns)
        return MemoryRows(
            lambda: _zipped({column: _cells(series)}),
            lambda answers, outputs: _native(answers, outputs, series),
        )
    if not isinstance(found, nw.DataFrame):
        lazy = "; call its collect() first" if hasattr(rows, "collect") else ""
        raise DataError(f"{type(rows).__name__} where rows are expected{lazy}: {FORMS}")
    frame: nw.DataFrame[Any] = found
    _check_columns(columns, frame.columns)
    return MemoryRows(
        lambda: _zipped({name: _cells(frame[name]) for name in columns}),
        lambda answers, outputs: _native(answers, outputs, frame),
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _cells(column: nw.Series[Any]) -> list[Any]:
    """The cells of a column, None for what its library calls missing."""
    missing = column.is_null()
    cells = column.to_list()
    if not missing.any():
        return cells
    return [None if none else cell for cell, none in zip(cells, missing.to_list(), strict=True)]


def _native(
    answers: Sequence[Row], outputs: Sequence[str], given: nw.DataFrame[Any] | nw.Series[Any]
) -> Any:
    """A frame or column of the library of `given`, with its index where it has one and there is an
    answer for each row."""
    import narwhals as nw

    if isinstance(given, nw.Series) and len(outputs) == 1:
        cells = [each[outputs[0]] for each in answers]
        found: Any = nw.new_series(outputs[0], cells, backend=given.implementation).to_native()
    else:
        by_column = _by_column(answers, outputs)
        found = nw.from_dict(by_column, backend=given.implementation).to_native()
    index = nw.maybe_get_index(given)
    if index is not None and len(answers) == len(given):
        found.index = index
    return found


def _by_column(answers: Sequence[Row], outputs: Sequence[str]) -> dict[str, list[Any]]:
    """All keys of the answers in the order of their appearance."""
    names = dict.fromkeys(chain.from_iterable(answers)) if answers else dict.fromkeys(outputs)
    return {name: [each.get(name) for each in answers] for name in names}


def _check_columns(columns: Sequence[str], there: Sequence[str]) -> None:
    for column in columns:
        if column not in there:
            raise DataError(no_column(column, there))


def _zipped(cells: Mapping[str, Any]) -> Iterator[Row]:
    for row in zip(*cells.values(), strict=True):
        yield dict(zip(cells, map(_cell, row), strict=True))


def _array(values: list[Any]) -> NDArray[Any]:
    """Values of equal shape as one array, others as an array of objects."""
    try:
        return np.array(values)
    except ValueError:
        found = np.empty(len(values), object)
        found[:] = values
        return found


def _cell(value: Any) -> Any:
    """A cell as plain Python has it; an array of pixels stays as it is."""
    match value:
        case str() | int() | float() | None:
            return value
        case list() | tuple():
            nested = any(isinstance(each, np.ndarray | np.generic | tuple) for each in value)
            return [_cell(each) for each in value] if nested else list(value)
        case np.ndarray() if value.dtype == object or value.dtype.kind in "mM":
            return [_cell(each) for each in value]
        case np.ndarray():
            return value if value.dtype == np.uint8 and value.ndim > 1 else value.tolist()
        case np.datetime64() | np.timedelta64() if np.isnat(value):
            return None
        case np.datetime64() | np.timedelta64():
            kind = "m" if isinstance(value, np.timedelta64) else "M"
            return value.astype(f"{kind}8[us]").item()  # finer ones become whole numbers
        case np.generic():
            return value.item()
        case Decimal():
            return float(value)
        case _ if type(value).__name__ in MISSING:
            return None
        case date():  # read from files alone
            return value
    import narwhals as nw

    if isinstance(found := nw.from_native(value, allow_series=True, pass_through=True), nw.Series):
        return found.to_list()  # polars gives lists so
    return _of_another_library(value) if hasattr(value, "__array__") else value


def _of_another_library(value: Any) -> Any:
    """A tensor or a frame in a cell, as lists. Raises DataError where it gives no array."""
    try:
        return _cell(np.asarray(value))
    except (TypeError, RuntimeError, ValueError) as error:
        raise DataError(f"a {type(value).__name__} in a cell gives no array: {error}") from error


# ---------------------------------------------------------------- as files


def written_rows(rows: Iterable[Row], folder: Path, name: str, paths: Collection[str] = ()) -> Path:
    """A file of JSON lines in `folder`, named by `name` and its content, so that the same rows are
    written once. Relative paths in the columns `paths` are those of the working folder.

    Raises DataError for a cell that JSON has no form for, with the number of its row from 1, and
    OutputError where the file cannot be written.
    """
    content, whole = hashlib.sha256(), folder / f"{name}.jsonl"
    make_folder(whole)
    with written(whole) as file:
        for number, row in enumerate(rows, start=1):
            line = _line(row, number, paths)
            content.update(line)
            file.write(line)
    return whole.replace(folder / f"{name}-{content.hexdigest()[:12]}.jsonl")


def _line(row: Row, number: int, paths: Collection[str]) -> bytes:
    for column in paths:
        if isinstance(path := row.get(column), str | os.PathLike):
            row = {**row, column: os.path.abspath(path)}
    try:
        return json.dumps(row, ensure_ascii=False, default=_json).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise DataError(f"row {number}: {error}") from error


def _json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, date):
        whole = isinstance(value, datetime) and not value.tzinfo and value.time() == MIDNIGHT
        return value.isoformat()[:10] if whole else value.isoformat()
    raise TypeError(f"holds a value of the type {type(value).__name__}, which no column reads")


@contextmanager
def told_by_row(files: Mapping[Path, str]) -> Iterator[None]:
    """Inside, a DataError names rows of `files`, which were in memory, by their names and numbers
    from 1."""
    try:
        yield
    except DataError as error:
        told = str(error)
        for file, name in files.items():
            told = re.sub(rf"{re.escape(str(file))}:(\d+)", rf"{name}: row \1", told)
            told = told.replace(str(file), name)
        if told == str(error):
            raise
        raise type(error)(told) from error
