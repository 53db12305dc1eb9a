"""A model file as a program in Python asks it: `rnnspec.open`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from rnnspec.run.interface import InputColumn, OutputColumn
from rnnspec.run.model import Model, Row
from rnnspec.run.results import Answer
from rnnspec.run.stream import Stream


class OpenModel:
    """A model file that `rnnspec export` wrote, ready to answer without torch."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        """See `rnnspec.open`."""
        self.model = Model.load(path, threads)

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        """The columns that a row has."""
        return self.model.inputs

    @property
    def outputs(self) -> tuple[OutputColumn, ...]:
        """The columns of an answer."""
        return self.model.outputs

    def answer(self, rows: Iterable[Row], batch: int = 64, seed: int = 0) -> Iterator[Answer]:
        """The answer to each row, in order, `batch` rows at a time; rows are read as answers are
        asked for. A row maps each input column to its value (`InputColumn`), an answer each output
        column to its answer, with more beside it (`rnnspec.run.results`). Drawn answers to row i,
        from 0, have the seed `seed` + i.

        Raises DataError for a row that lacks a column or holds something else in it.
        """
        return self.model.answer(rows, batch, seed=seed)

    def stream(self, seed: int = 0) -> Stream:
        """A stream, which answers rows chunk by chunk, of a file exported with --stream. Raises
        ModelFileError for a file that answers whole rows."""
        return Stream(self.model, seed)
