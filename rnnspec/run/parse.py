"""Cells of rows to values: what each kind of input column may hold. Raises DataError without a
place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.decode import json_list
from rnnspec.errors import DataError
from rnnspec.run.interface import STEPS, InputColumn

Cell = Any
"""A cell as a reader or a caller gives it; NumPy arrays count as lists."""
Integers = NDArray[np.int64]


def read_cell(column: InputColumn, cell: object, textual: bool) -> Any:
    """The value of a cell; `textual` cells hold lists and numbers as text, as CSV does."""
    if isinstance(cell, np.ndarray | np.generic):
        cell = cell.tolist()
    return _READERS[column.kind](column, cell, textual)


def steps_of(column: InputColumn, value: Any) -> int | None:
    """How many steps a value has; None of what stands for a whole row."""
    if column.kind not in STEPS:
        return None
    match column.kind:
        case "words":
            return len(decode.words(value))
        case "bytes":
            return len(value.encode())
    return len(value)


def _text(column: InputColumn, cell: object, textual: bool) -> str:
    return decode.text(cell)


def _tokens(column: InputColumn, cell: object, textual: bool) -> list[str]:
    return decode.tokens(cell, textual)


def _category(column: InputColumn, cell: object, textual: bool) -> str:
    return "" if decode.is_missing(cell, textual) else decode.label(cell)


def _keys(column: InputColumn, cell: object, textual: bool) -> list[list[str]]:
    return decode.key_steps(cell, textual)


def _frames(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    assert column.width is not None
    values = decode.frames(cell, textual, column.missing)
    if column.missing and values.shape[1] == 0:  # every step is missing
        values = np.full((len(values), column.width), np.nan)
    if len(values) and values.shape[1] != column.width:
        raise DataError(
            f"has {values.shape[1]} numbers in each step, the model reads {column.width}"
        )
    values = values.reshape(-1, column.width)
    if column.elapsed is not None:
        decode.check_elapsed(values, column.elapsed)
    return values


def _number(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    return decode.number(cell, textual, column.missing)


def _vector(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    assert column.width is not None
    values = decode.vector(cell, textual, column.missing)
    if column.missing and not len(values):
        return np.full(column.width, np.nan)
    if len(values) != column.width:
        raise DataError(f"has {len(values)} numbers, the model reads {column.width}")
    return values


def _series(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    if _is_empty(cell, textual):
        return np.zeros(0)
    return decode.vector(cell, textual, column.missing)


def _ids(column: InputColumn, cell: object, textual: bool) -> Integers:
    return _checked(column, decode.vector(cell, textual) if not _is_empty(cell, textual) else [])


def _copies(column: InputColumn, cell: object, textual: bool) -> Integers:
    """Numbers of a `CopiesInput` (`rnnspec.plan.nodes`), as `InputColumn` says."""
    values = np.asarray([] if _is_empty(cell, textual) else decode.vector(cell, textual))
    assert column.width is not None
    most = column.width + len(values) - 1
    wrong = (values < ~most) | (values > most) | (values != np.floor(values))
    if wrong.any():
        raise DataError(
            f"holds {values[wrong][0]:g}, expected whole numbers from {~most} to {most}: those of"
            f" the answer's vocabulary, and from {column.width} on those of {len(values)} steps"
        )
    return values.astype(np.int64)


def _id(column: InputColumn, cell: object, textual: bool) -> Integers:
    return _checked(column, decode.number(cell, textual))


def _id_lists(column: InputColumn, cell: object, textual: bool) -> list[Integers]:
    """A list of token or label numbers for each step."""
    return [_ids(column, step, False) for step in json_list(cell, textual, _LISTS)]


_LISTS = "a list of lists of numbers"


def _is_empty(cell: object, textual: bool) -> bool:
    return cell == [] or (textual and isinstance(cell, str) and cell.strip() == "[]")


def _checked(column: InputColumn, values: Any) -> Integers:
    found = np.asarray(values, np.float64)
    assert column.width is not None
    wrong = (found < 0) | (found >= column.width) | (found != np.floor(found))
    if wrong.any():
        raise DataError(
            f"holds {found[wrong][0]:g}, expected whole numbers from 0 to {column.width - 1}"
        )
    return found.astype(np.int64)


_READERS: Mapping[str, Callable[[InputColumn, object, bool], Any]] = {
    "words": _text,
    "chars": _text,
    "bytes": _text,
    "tokens": _tokens,
    "ids": _ids,
    "copies": _copies,
    "subwords": _ids,
    "characters": _id_lists,
    "category": _category,
    "category_id": _id,
    "keys": _keys,
    "key_ids": _id_lists,
    "frames": _frames,
    "series": _series,
    "future": _vector,
    "number": _number,
    "vector": _vector,
}
