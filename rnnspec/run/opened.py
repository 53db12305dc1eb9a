"""A model file as a program in Python asks it: `rnnspec.open`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from rnnspec.run.interface import InputColumn, OutputColumn
from rnnspec.run.model import Model, Row
from rnnspec.run.perplexity import perplexity_of
from rnnspec.run.predict import predict
from rnnspec.run.results import Answer
from rnnspec.run.session import Device
from rnnspec.run.stream import Stream


class OpenModel:
    """A model file that `rnnspec export` wrote, ready to answer without torch."""

    def __init__(self, path: Path, threads: int | None = None, device: Device = "cpu") -> None:
        """See `rnnspec.open`."""
        self.model = Model.load(path, threads, device)

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        """The columns that a row has."""
        return self.model.inputs

    @property
    def outputs(self) -> tuple[OutputColumn, ...]:
        """The columns of an answer."""
        return self.model.outputs

    def predict(self, rows: Any, *, batch: int = 64, seed: int = 0) -> Any:
        """The answers to `rows`, one for each, in order and in the form of the rows:

        - a list (or iterator) of dicts: a list of dicts, each with the answer to every output
          column and what stands beside it (`rnnspec.run.results`), as `kind.probabilities`;
        - a frame of pandas, polars or pyarrow: such a frame with these keys as columns, of pandas
          with the index of the rows;
        - a dict of arrays or lists, one for each column: such a dict;
        - of a model that reads one column, a list, a column of a frame, or an array `[rows, …]` of
          values: the answers alone, of several outputs by column.

        A cell holds what `InputColumn` says; dates may be `datetime`. Rows of a model of series may
        be the steps of a table, with a number of the series in each: then the rows of the answer
        are the answered steps, with the name of their series and their times.

        `batch` rows are answered together. Drawn answers to row i, from 0, have the seed `seed` +
        i. Raises DataError for a row that lacks a column or holds something else in it, with the
        number of the row, from 1.
        """
        return predict(self.model, rows, batch, seed)

    def answer(self, rows: Iterable[Row], batch: int = 64, seed: int = 0) -> Iterator[Answer]:
        """The answer to each row, in order, `batch` rows at a time; rows are read as answers are
        asked for. A row maps each input column to its value (`InputColumn`), an answer each output
        column to its answer, with more beside it (`rnnspec.run.results`). Drawn answers to row i,
        from 0, have the seed `seed` + i.

        Raises DataError for a row that lacks a column or holds something else in it.
        """
        return self.model.answer(rows, batch, seed=seed)

    def perplexity(self, text: str) -> dict[str, float]:
        """The perplexity of a text, of a language model, and bits for each token, character and
        byte; each token but the first by all before it. Raises ModelFileError for a file that
        answers no next token of a text, and DataError for a text of less than two tokens."""
        return perplexity_of(self.model, text).values()

    def stream(self, seed: int = 0) -> Stream:
        """A stream, which answers rows chunk by chunk, of a file exported with --stream. Raises
        ModelFileError for a file that answers whole rows."""
        return Stream(self.model, seed)

    def __repr__(self) -> str:
        read = ", ".join(f"{each.column} ({each.kind})" for each in self.inputs)
        answered = ", ".join(f"{each.column} ({each.kind})" for each in self.outputs)
        how = ", chunk by chunk" if self.model.chunks is not None else ""
        return f"<{self.model.path} reads {read} and answers {answered}{how}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        columns: list[tuple[object, ...]] = [
            ("reads", each.column, each.kind, each.width or "") for each in self.inputs
        ]
        columns += [("answers", each.column, each.kind, each.width) for each in self.outputs]
        body = "".join(_line("td", *each) for each in columns)
        table = f"<table>{_line('th', '', 'column', 'kind', 'width')}{body}</table>"
        return f"<p><b>{escape(str(self.model.path))}</b></p>{table}"


def _line(tag: str, *cells: object) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
