"""Rows that come chunk by chunk: answers out, and the states from one chunk to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import DataError, ModelFileError
from rnnspec.plan.names import SEED
from rnnspec.run.chunks import States, StreamSession
from rnnspec.run.model import Model
from rnnspec.run.parse import nothing_of
from rnnspec.run.results import Answer
from rnnspec.run.seeds import checked_seed


class Stream:
    """Rows that come chunk by chunk, each answered with what its chunks before have left.

    `states` are arrays `[rows, …]` by name. They may be kept, and set again: a stream goes on from
    there.

        stream = rnnspec.open("voice-stream.onnx").stream()
        for samples in microphone:
            print(stream.answer({"audio": samples}))
        print(stream.answer({}, end=True))
    """

    def __init__(self, model: Model, seed: int = 0) -> None:
        """Begins rows. Drawn answers to the row that begins as number i, from 0, have the seed
        `seed` + i. Raises ModelFileError for a file that answers whole rows."""
        if model.chunks is None:
            raise ModelFileError(
                f"{model.path}: answers whole rows and keeps no states; export the build again with"
                " --stream"
            )
        self._model, self._session = model, StreamSession(model.session, model.chunks)
        self._numbers = count(checked_seed(seed))
        self._rows: list[_Row] = []
        self.states: States = {}
        self._left = self.states

    def answer(
        self, chunk: Mapping[str, object], end: bool = False, write: int | None = None
    ) -> Answer:
        """The answer to the next chunk of one row, `Model.answer` says in which form: of each step
        those that are known now, of the row the answer to all chunks so far; of a text what the
        chunk adds. A chunk maps each input column to a value with any number of steps, none
        included. A column of the whole row may be left out once it has been given. With `end` the
        row ends: what waits for later steps is answered, and the next chunk begins another row;
        `{}` ends it without further steps (and answers nothing, of a file that takes single
        steps).

        A language model that was exported with --generate writes `write` tokens after the chunk, 1
        if that is left out, and reads them before the next one; `{}` lets it write on.

        Raises DataError for a chunk that lacks a column or holds something else in it, and
        ModelFileError where chunks of several rows came before, where `states` were set to what no
        stream of the file left, or for `write` with a file that does not write on. The row then
        goes on as if there had been no such chunk.
        """
        return self.answers([chunk], [end], () if write is None else [write])[0]

    def answers(
        self,
        chunks: Sequence[Mapping[str, object]],
        end: Sequence[bool] = (),
        write: Sequence[int] = (),
    ) -> list[Answer]:
        """The answers to chunks of several rows side by side, the same ones in each call; `end`
        says which rows end, `write` how many tokens each writes. See `answer`."""
        ends = np.array(end or [False] * len(chunks), np.bool_)
        if len(ends) != len(chunks):
            raise ModelFileError(
                f"{self._model.path}: {len(chunks)} rows have chunks, and 'end' speaks of"
                f" {len(ends)}"
            )
        written = self._written(write, len(chunks))
        if self.states is not self._left:
            self._check_set()
        self._check_rows(len(chunks))
        if self._session.columns.step and ends.all() and not any(chunks):
            self.states, self._rows = {}, []
            return [{} for _ in chunks]
        whole = [self._whole(*each) for each in zip(self._rows, chunks, ends, strict=True)]
        rows = [self._model.values(chunk) for chunk in whole]
        if self._session.columns.step and any(row.steps != 1 for row in rows):
            count = next(row.steps for row in rows if row.steps != 1)
            raise DataError(
                f"the chunk has {count} steps, and {self._model.path} takes one step of each row at"
                " a time, as it was exported with --step; give it step by step, or export the build"
                " without --step"
            )
        feeds = self._model.feeds(rows)
        if self._model.draws:
            feeds[SEED] = np.array([row.seed for row in self._rows], np.int64)
        states = self.states or self._session.first(len(rows))
        found, after = self._session.run(feeds, states, ends, written)
        if not self._session.columns.end:
            after = {name: _begun_anew(value, ends) for name, value in after.items()}
        self.states = self._left = after
        for at, chunk in enumerate(whole):
            self._rows[at] = self._new_row() if ends[at] else replace(self._rows[at], chunk=chunk)
        return self._model.answers(found, [row.steps for row in rows])

    def _check_set(self) -> None:
        """Reads states that somebody set, arrays or lists. Raises ModelFileError for what is no
        state of this file: of one row instead of all, onnxruntime would give it to each row."""
        given: dict[str, Any] = dict(self.states)
        first = self._session.first(len(next(iter(given.values()), ())))
        known = {name: _kind(value) for name, value in first.items() if given}
        for name, value in given.items():
            if isinstance(value, list) and name in known:  # as of JSON
                given[name] = np.array(value, known[name][0])
        kinds = {name: _kind(np.asarray(value)) for name, value in given.items()}
        if wrong := [name for name in {**known, **kinds} if known.get(name) != kinds.get(name)]:
            raise ModelFileError(
                f"{self._model.path}: the state {wrong[0]!r} that was set is"
                f" {_said(kinds.get(wrong[0]))}, expected {_said(known.get(wrong[0]))}; set all"
                " states as a stream of this file left them, or {} to begin anew"
            )
        self.states = self._left = given

    def _written(self, write: Sequence[int], rows: int) -> NDArray[np.int64]:
        """How many tokens each row writes. Raises ModelFileError for what is no such number, and
        where nothing is written on."""
        if write and not self._session.columns.write:
            raise ModelFileError(
                f"{self._model.path}: writes nothing on after a chunk; leave out 'write', or export"
                " a language model with --generate and --stream"
            )
        if (write and len(write) != rows) or any(each < 0 for each in write):
            raise ModelFileError(
                f"{self._model.path}: 'write' is {list(write)}, expected a number of tokens, 0 or"
                f" more, for each of {rows} row{'s' if rows != 1 else ''}"
            )
        return np.array(write or [1] * rows, np.int64)

    def _check_rows(self, rows: int) -> None:
        kept = len(next(iter(self.states.values()), self._rows))
        if kept not in (0, rows):
            raise ModelFileError(
                f"{self._model.path}: the stream has chunks of {kept} rows side by side, not of"
                f" {rows}; give a row that has nothing this time a chunk of no steps"
            )
        if len(self._rows) != rows:
            self._rows = [self._new_row() for _ in range(rows)]

    def _new_row(self) -> _Row:
        return _Row(next(self._numbers), {})

    def _whole(self, row: _Row, chunk: Mapping[str, object], end: bool) -> Mapping[str, object]:
        """The chunk with what may be left out of it."""
        found = dict(chunk)
        for column in self._model.inputs:
            nothing, name = nothing_of(column), column.column
            if nothing is None and name in row.chunk:
                found.setdefault(name, row.chunk[name])
            elif nothing is not None and (end or self._session.columns.write) and not chunk:
                found[name] = nothing
        return found


@dataclass(frozen=True, slots=True)
class _Row:
    """A row whose chunks come: the seed of its draws, and its last chunk."""

    seed: int
    chunk: Mapping[str, object]


_Kind = tuple[str, tuple[int, ...]]


def _kind(value: NDArray[Any]) -> _Kind:
    return str(value.dtype), value.shape


def _said(kind: _Kind | None) -> str:
    return "none" if kind is None else f"{kind[0]} {list(kind[1])}"


def _begun_anew(value: NDArray[Any], ends: NDArray[np.bool_]) -> NDArray[Any]:
    """A state, 0 in rows that end."""
    if not ends.any():
        return value
    return np.where(ends.reshape(-1, *[1] * (value.ndim - 1)), np.zeros((), value.dtype), value)
