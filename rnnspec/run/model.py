"""Answers from a model file, without torch: Python rows in, Python values out, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.errors import DataError, ModelFileError
from rnnspec.run.interface import SPEC, InputColumn, Interface, OutputColumn, read_interface
from rnnspec.run.session import Session

Row = Mapping[str, object]
Answer = dict[str, Any]

_WINDOW = 16
"""Batches of rows that are looked at together, so that rows of like length share a batch."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that `rnnspec export` wrote, ready to answer."""

    path: Path
    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]
    metadata: Mapping[str, str]
    session: Session

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> Model:
        """Open the file. Raises ModelFileError if it is missing, not ONNX, of a version that
        onnxruntime does not know, or not written by rnnspec."""
        session = Session(path, threads)
        metadata = session.metadata
        found = _interface(path, metadata)
        return cls(path, found.inputs, found.outputs, metadata, session)

    def answer(
        self, rows: Iterable[Row], batch: int = 64, textual: bool = False
    ) -> Iterator[Answer]:
        """The answer to each row, in the order of the rows, which are read a window at a time.

        A row maps each input column to a text, or a list of token numbers, or a list of steps of
        numbers, or a list of numbers; other columns are not looked at. `textual` rows hold lists as
        JSON text, as CSV does. An answer maps each output column to its label, number or list of
        numbers, and `<column>.probabilities` to the probability of each label.

        Raises DataError, with the number of the row from 1, for a row that lacks a column or holds
        something else in it, when its window is reached.
        """
        if batch < 1:
            raise ModelFileError(f"a batch of {batch} rows cannot be answered; use 1 or more")
        waiting, first = iter(rows), 1
        while window := list(islice(waiting, batch * _WINDOW if batch > 1 else 1)):
            columns = [self._values(column, window, first, textual) for column in self.inputs]
            yield from self._answers(columns, len(window), batch)
            first += len(window)

    def _values(
        self, column: InputColumn, rows: Sequence[Row], first: int, textual: bool
    ) -> list[Any]:
        """The values of one column, checked."""
        values = []
        for number, row in enumerate(rows, first):
            try:
                if column.column not in row:
                    there = ", ".join(map(repr, row)) or "none"
                    raise DataError(f"is missing; the row has the columns {there}")
                values.append(_READERS[column.kind](column, row[column.column], textual))
            except DataError as error:
                raise DataError(f"row {number}: column {column.column!r} {error}") from error
        return values

    def _answers(self, columns: list[list[Any]], count: int, batch: int) -> list[Answer]:
        """Answers to `count` rows in batches of like length, in the order of the rows."""
        order = sorted(range(count), key=lambda row: max(len(values[row]) for values in columns))
        found: list[Answer] = [{} for _ in range(count)]
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            feeds: dict[str, NDArray[Any]] = {}
            for column, values in zip(self.inputs, columns, strict=True):
                feeds |= _feed(column, [values[row] for row in chosen])
            results = self.session.run(feeds)
            for output in self.outputs:
                for row, value in zip(chosen, _told(output, results), strict=True):
                    found[row] |= value
        return found


def _interface(path: Path, metadata: Mapping[str, str]) -> Interface:
    if SPEC not in metadata:
        raise ModelFileError(
            f"{path}: was not written by rnnspec (its metadata has no {SPEC!r});"
            " write a model file with `rnnspec export --onnx`"
        )
    try:
        return read_interface(metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"{path}: its metadata does not say what it reads and answers; export it again with"
            " this version of rnnspec"
        ) from error


def _text(column: InputColumn, cell: object, textual: bool) -> str:
    return decode.text(cell)


def _ids(column: InputColumn, cell: object, textual: bool) -> NDArray[np.int64]:
    assert column.width is not None
    cell = cell.tolist() if isinstance(cell, np.ndarray) else cell
    empty = cell == [] or (textual and isinstance(cell, str) and cell.strip() == "[]")
    values = np.zeros(0, np.float32) if empty else decode.vector(cell, textual)
    wrong = (values < 0) | (values >= column.width) | (values != np.floor(values))
    if wrong.any():
        raise DataError(
            f"holds {values[wrong][0]:g}, expected whole numbers from 0 to {column.width - 1}"
        )
    return values.astype(np.int64)


def _frames(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    assert column.width is not None
    values = decode.frames(cell.tolist() if isinstance(cell, np.ndarray) else cell, textual)
    if len(values) and values.shape[1] != column.width:
        raise DataError(
            f"has {values.shape[1]} numbers in each step, the model reads {column.width}"
        )
    return values.reshape(-1, column.width)


def _vector(column: InputColumn, cell: object, textual: bool) -> decode.Floats:
    values = decode.vector(cell.tolist() if isinstance(cell, np.ndarray) else cell, textual)
    if len(values) != column.width:
        raise DataError(f"has {len(values)} numbers, the model reads {column.width}")
    return values


_READERS: Mapping[str, Callable[[InputColumn, object, bool], Any]] = {
    "words": _text,
    "chars": _text,
    "ids": _ids,
    "frames": _frames,
    "vector": _vector,
}


def _feed(column: InputColumn, values: list[Any]) -> dict[str, NDArray[Any]]:
    """The model's inputs for one column of a batch, padded to the longest row."""
    if column.kind in ("words", "chars"):
        return {column.column: np.array(values, object)}
    if column.kind == "vector":
        return {column.column: np.stack(values)}
    name = f"{column.column}.ids" if column.kind == "ids" else column.column
    lengths = np.array([len(value) for value in values], np.int64)
    shape = (len(values), int(lengths.max()), *values[0].shape[1:])
    padded = np.zeros(shape, values[0].dtype)
    for into, value in zip(padded, values, strict=True):
        into[: len(value)] = value
    return {name: padded, f"{column.column}.lengths": lengths}


def _told(output: OutputColumn, results: Mapping[str, NDArray[Any]]) -> Iterator[Answer]:
    """The part of each row's answer that one output gives."""
    values = results[output.column].tolist()
    if output.kind != "class":
        yield from ({output.column: value} for value in values)
        return
    each = f"{output.column}.probabilities"
    for label, shares in zip(values, results[each].tolist(), strict=True):
        probabilities = dict(zip(output.labels, shares, strict=True))
        yield {output.column: label, each: probabilities}
