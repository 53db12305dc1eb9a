"""A stream file in onnxruntime: states in, states out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.run.feeds import Feeds
from rnnspec.run.interface import StreamColumns
from rnnspec.run.session import Arrays

States = dict[str, NDArray[Any]]


class Answering(Protocol):
    """A session of a file, or what answers as one does."""

    def run(self, feeds: Feeds, /) -> Arrays:
        """Every output by name."""


@dataclass(frozen=True, slots=True)
class StreamSession:
    """A session of a stream file. It keeps nothing itself: the caller holds the states."""

    session: Answering
    columns: StreamColumns

    def first(self, rows: int) -> States:
        """The states of rows that begin: 0."""
        return {
            state.name: np.zeros((rows, *state.shape), state.kind) for state in self.columns.states
        }

    def run(
        self,
        feeds: Feeds,
        states: Mapping[str, NDArray[Any]],
        end: NDArray[np.bool_],
        write: NDArray[np.int64] | None = None,
    ) -> tuple[Arrays, States]:
        """The answers to a chunk, and the states after it. `end` `[B]` says which rows end with
        it, `write` `[B]` how many tokens are written after it, where the file writes on. Raises
        ModelFileError for feeds that onnxruntime refuses."""
        fed = {**feeds, **states}
        if self.columns.end:
            fed[self.columns.end] = end
        if self.columns.write:
            fed[self.columns.write] = np.zeros(len(end), np.int64) if write is None else write
        found = self.session.run(fed)
        after = {state.name: found.pop(state.after) for state in self.columns.states}
        return found, after
