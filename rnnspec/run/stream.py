"""Rows that come chunk by chunk: answers out, and the states from one chunk to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ModelFileError
from rnnspec.run.chunks import States, StreamSession
from rnnspec.run.model import Model
from rnnspec.run.results import Answer


class Stream:
    """Rows that come chunk by chunk, each answered with what its chunks before have left.

    `states` are arrays `[rows, …]` by name. They may be kept, and set again: a stream goes on from
    there.

        stream = Stream(Model.load(Path("voice-stream.onnx")))
        for samples in microphone:
            print(stream.answer({"audio": samples}))
        print(stream.answer({"audio": []}, end=True))
    """

    def __init__(self, model: Model) -> None:
        """Begins rows. Raises ModelFileError for a file that answers whole rows."""
        if model.chunks is None:
            raise ModelFileError(
                f"{model.path}: answers whole rows and keeps no states; export the build again with"
                " --stream"
            )
        self._model, self._session = model, StreamSession(model.session, model.chunks)
        self.states: States = {}

    def answer(self, chunk: Mapping[str, object], end: bool = False) -> Answer:
        """The answer to the next chunk of one row, `Model.answer` says in which form: of each step
        those that are known now, of the row the answer to all chunks so far; of a text what the
        chunk adds. A chunk maps each input column to a value with any number of steps, none
        included. With `end` the row ends: what waits for later steps is answered, and the next
        chunk begins another row.

        Raises DataError for a chunk that lacks a column or holds something else in it, and
        ModelFileError where chunks of several rows came before.
        """
        return self.answers([chunk], [end])[0]

    def answers(
        self, chunks: Sequence[Mapping[str, object]], end: Sequence[bool] = ()
    ) -> list[Answer]:
        """The answers to chunks of several rows side by side, the same ones in each call; `end`
        says which rows end. See `answer`."""
        rows = [self._model.values(chunk) for chunk in chunks]
        if self._session.columns.step and any(row.steps != 1 for row in rows):
            raise ModelFileError(
                f"{self._model.path}: takes one step of each row at a time (it was exported with"
                " --step)"
            )
        states = self.states or self._session.first(len(rows))
        kept = len(next(iter(states.values()), rows))
        if kept != len(rows):
            raise ModelFileError(
                f"{self._model.path}: the stream has chunks of {kept} rows side by side, not of"
                f" {len(rows)}; give a row that has nothing this time a chunk of no steps"
            )
        ends = np.array(end or [False] * len(rows), np.bool_)
        found, after = self._session.run(self._model.feeds(rows), states, ends)
        if not self._session.columns.end:
            after = {name: _begun_anew(value, ends) for name, value in after.items()}
        self.states = after
        return self._model.answers(found, [row.steps for row in rows])


def _begun_anew(value: NDArray[Any], ends: NDArray[np.bool_]) -> NDArray[Any]:
    """A state, 0 in rows that end."""
    if not ends.any():
        return value
    return np.where(ends.reshape(-1, *[1] * (value.ndim - 1)), np.zeros((), value.dtype), value)
