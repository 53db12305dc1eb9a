"""Each kind of input column: cells to values, and values to graph inputs.

Raises DataError without a place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode, pictures
from rnnspec.data.audio import samples_of
from rnnspec.data.clock import seconds
from rnnspec.errors import DataError
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.run import feeds
from rnnspec.run.feeds import Feeds
from rnnspec.run.interface import InputColumn, InputKind

Integers = NDArray[np.int64]


def parse_cell(column: InputColumn, cell: object, textual: bool) -> Any:
    """The value of a cell; `textual` cells hold lists and numbers as text, as CSV does."""
    if isinstance(cell, np.ndarray | np.generic) and column.kind not in ("image", "video"):
        cell = cell.tolist()
    return INPUT_KINDS[column.kind].parse(column, cell, textual)


def steps_of(column: InputColumn, value: Any) -> int | None:
    """How many steps a value has; None if it stands for a whole row."""
    count = INPUT_KINDS[column.kind].steps
    return None if count is None else count(column, value)


def nothing_of(column: InputColumn) -> object:
    """A cell of no steps; None for a column that stands for a whole row."""
    if column.kind in ("words", "chars", "bytes"):
        return ""
    kind = INPUT_KINDS[column.kind]
    return None if kind.steps is None and kind.lengths is None else []


def length_of(column: InputColumn, value: Any, steps: int) -> int:
    """What the graph takes as the length of a value of so many steps: these, or its samples."""
    return len(value) if column.kind == "audio" else steps


def feeds_of(column: InputColumn, values: Sequence[Any]) -> Feeds:
    """The graph inputs for one column of a batch, padded; without the lengths of the time axis."""
    kind = INPUT_KINDS[column.kind]
    found = {column.feed: kind.feed(column, values)}
    if kind.lengths is not None:
        found[f"{column.feed}.lengths"] = kind.lengths(values)
    if column.levels > 1:
        found |= feeds.inner_counts(column.column, values, column.levels)
    return found


def _text(column: InputColumn, cell: object, textual: bool) -> str:
    return decode.text(cell)


def _tokens(column: InputColumn, cell: object, textual: bool) -> list[str]:
    return decode.tokens(cell, textual)


def _category(column: InputColumn, cell: object, textual: bool) -> str:
    return "" if decode.is_missing(cell, textual) else decode.label(cell)


def _categories(column: InputColumn, cell: object, textual: bool) -> list[str]:
    """A label a step, "" for none."""
    found = list[str]()
    for at, label in enumerate(decode.json_list(cell, textual, _LABELS), start=1):
        try:
            found.append(_category(column, label, False))
        except DataError as error:
            raise DataError(f"step {at} {error}") from error
    _check_horizon(column, len(found))
    return found


_LABELS = "a list of labels"


def _category_ids(column: InputColumn, cell: object, textual: bool) -> Integers:
    """The number of a label a step; none is the unknown."""
    cells = decode.json_list(cell, textual, _LABELS)
    _check_horizon(column, len(cells))
    return _ids(column, [UNKNOWN_ID if number is None else number for number in cells], False)


def _check_horizon(column: InputColumn, count: int) -> None:
    """Raises DataError for other than as many steps ahead as are read."""
    if column.horizon and count != column.horizon:
        raise DataError(f"has {count} labels, the model reads {column.horizon}")


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


def _samples(column: InputColumn, cell: object, textual: bool) -> NDArray[np.float32]:
    """Paths are relative to the working folder."""
    assert column.audio is not None
    return samples_of(cell, textual, column.audio, Path())


def _image(column: InputColumn, cell: object, textual: bool) -> pictures.Bytes:
    assert column.picture is not None
    return pictures.steps_of(cell, textual, Path(), column.picture)


def _pictures(column: InputColumn, values: Sequence[pictures.Bytes]) -> pictures.Bytes:
    """`[B, height, width, channels]`, of frames `[B, T, …]`, 0 past the steps of each picture."""
    assert column.picture is not None
    return np.ascontiguousarray(pictures.in_place(feeds.padded(values), column.picture))


def _number(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    return decode.number(cell, textual, column.missing)


def _vector(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    assert column.width is not None
    values = decode.vector(cell, textual, column.missing)
    if column.missing and not len(values):
        return np.full(column.width, np.nan)
    if len(values) != column.width:
        raise DataError(f"has {len(values)} numbers, the model reads {column.width}")
    return _above_0(column, values)


def _series(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    if _is_empty(cell, textual):
        return np.zeros(0)
    return _above_0(column, decode.vector(cell, textual, column.missing))


def _above_0(column: InputColumn, values: decode.Floats) -> decode.Floats:
    cure = "leave the number out" if column.missing else "the model reads numbers above 0"
    for value in values.tolist() if column.positive else ():
        decode.above_0(value, cure)
    return values


def _ids(column: InputColumn, cell: object, textual: bool) -> Integers:
    return _checked(column, decode.vector(cell, textual) if not _is_empty(cell, textual) else [])


def _copies(column: InputColumn, cell: object, textual: bool) -> Integers:
    """Numbers of a `CopiesInput` (`rnnspec.plan.nodes`)."""
    values = np.asarray([] if _is_empty(cell, textual) else decode.vector(cell, textual))
    if column.after:  # how many steps come before is not known yet
        return values.astype(np.int64) if (values == np.floor(values)).all() else values
    return copied_numbers(column, values, 0)


def copied_numbers(column: InputColumn, values: NDArray[Any], before: int) -> Integers:
    """The numbers of a `CopiesInput` with so many steps `before` it, checked."""
    assert column.width is not None
    steps = before + len(values)
    most = column.width + steps - 1
    wrong = (values < ~most) | (values > most) | (values != np.floor(values))
    if wrong.any():
        raise DataError(
            f"holds {values[wrong][0]:g}, expected whole numbers from {~most} to {most}: those of"
            f" the answer's vocabulary, and from {column.width} on those of {steps} steps"
        )
    return values.astype(np.int64)


def _id(column: InputColumn, cell: object, textual: bool) -> Integers:
    return _checked(column, decode.number(cell, textual))


def _id_lists(column: InputColumn, cell: object, textual: bool) -> list[Integers]:
    """A list of token or label numbers for each step."""
    return [_ids(column, step, False) for step in decode.json_list(cell, textual, _LISTS)]


_LISTS = "a list of lists of numbers"


def _nested_ids(column: InputColumn, cell: object, textual: bool) -> list[Any]:
    """Token numbers of each step, none of them 0, which is past the end of a step."""
    if column.levels > 1:
        inside = replace(column, levels=column.levels - 1)
        steps = decode.json_list(cell, textual, "a list of " + _LISTS.removeprefix("a "))
        return [_nested_ids(inside, step, False) for step in steps]
    found = _id_lists(column, cell, textual)
    for at, step in enumerate(found):
        if not step.all():
            raise DataError(f"step {at + 1} holds 0, which stands past the end of a step")
    return found


def _times(column: InputColumn, cell: object, textual: bool) -> Integers:
    found = seconds(decode.json_list(cell, textual, _TIMES), column.zone)
    if column.width is not None and len(found) != column.width:
        raise DataError(f"has {len(found)} times, the model reads {column.width}")
    return found


_TIMES = "a list of times"


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


def _objects(column: InputColumn, values: Sequence[Any]) -> NDArray[Any]:
    return np.array(values, object)


def _numbers(column: InputColumn, values: Sequence[Any]) -> NDArray[Any]:
    return feeds.padded(values)


def _floats(column: InputColumn, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as precise as the graph takes them."""
    return values.astype(np.float64 if column.double else np.float32, copy=False)


def _vectors(column: InputColumn, values: Sequence[Any]) -> NDArray[Any]:
    return _floats(column, np.stack(values))


def _steps(column: InputColumn, values: Sequence[Any]) -> NDArray[Any]:
    return _floats(column, feeds.padded(values))


def _count(column: InputColumn, value: Any) -> int:
    return len(value)


def _windows(column: InputColumn, value: NDArray[np.float32]) -> int:
    assert column.width is not None
    return -(-len(value) // column.width)


def _token_count(column: InputColumn, value: str) -> int:
    return len(column.rule.tokens(column.kind, value))


@dataclass(frozen=True, slots=True)
class InputFunctions:
    """How a kind of input column is parsed and fed. `steps` counts the steps of a value on the time
    axis; None for a value of a whole row. `lengths` of a second axis, if there is one."""

    parse: Callable[[InputColumn, object, bool], Any]
    feed: Callable[[InputColumn, Sequence[Any]], NDArray[Any]]
    steps: Callable[[InputColumn, Any], int] | None = None
    lengths: Callable[[Sequence[Any]], NDArray[np.int64]] | None = None


INPUT_KINDS: Mapping[InputKind, InputFunctions] = {
    "words": InputFunctions(_text, _objects, _token_count),
    "chars": InputFunctions(_text, _objects, _token_count),
    "bytes": InputFunctions(_text, _objects, lambda column, value: len(value.encode())),
    "tokens": InputFunctions(_tokens, lambda column, values: feeds.padded_texts(values), _count),
    "ids": InputFunctions(_ids, _numbers, _count),
    "copies": InputFunctions(_copies, _numbers, _count),
    "subwords": InputFunctions(_ids, _numbers, _count),
    "characters": InputFunctions(
        _id_lists,
        lambda column, values: feeds.padded_lists(values, 0, np.int64),
        lengths=feeds.character_counts,
    ),
    "nested_texts": InputFunctions(
        lambda column, cell, textual: decode.nested(cell, textual, False, column.levels),
        lambda column, values: feeds.padded_nested(values, column.levels, "", object),
        _count,
    ),
    "nested_tokens": InputFunctions(
        lambda column, cell, textual: decode.nested(cell, textual, True, column.levels),
        lambda column, values: feeds.padded_nested(values, column.levels + 1, "", object),
        _count,
    ),
    "nested_ids": InputFunctions(
        _nested_ids,
        lambda column, values: feeds.padded_nested(values, column.levels + 1, 0, np.int64),
        _count,
    ),
    "category": InputFunctions(_category, _objects),
    "category_id": InputFunctions(_id, lambda column, values: np.array(values).reshape(-1)),
    "categories": InputFunctions(
        _categories, lambda column, values: feeds.padded_texts(values), _count
    ),
    "categories_ahead": InputFunctions(
        _categories, lambda column, values: feeds.padded_texts(values)
    ),
    "category_ids": InputFunctions(_category_ids, _numbers, _count),
    "category_ids_ahead": InputFunctions(_category_ids, lambda column, values: np.stack(values)),
    "keys": InputFunctions(
        _keys, lambda column, values: feeds.padded_lists(values, "", object), _count
    ),
    "key_ids": InputFunctions(
        _id_lists, lambda column, values: feeds.flags(values, column.width or 0), _count
    ),
    "frames": InputFunctions(_frames, _steps, _count),
    "image": InputFunctions(_image, _pictures, _count),
    "video": InputFunctions(_image, _pictures, _count),
    "series": InputFunctions(_series, _steps, _count),
    "audio": InputFunctions(_samples, _steps, _windows),
    "future": InputFunctions(_vector, _vectors),
    "times": InputFunctions(_times, _numbers, _count),
    "times_ahead": InputFunctions(_times, lambda column, values: np.stack(values)),
    "number": InputFunctions(
        _number, lambda column, values: _floats(column, np.array(values)).reshape(-1)
    ),
    "vector": InputFunctions(_vector, _vectors),
}
