"""Answers from a model file, without torch: Python rows in, Python values out, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, cast, get_args

import numpy as np
from pydantic import TypeAdapter

from rnnspec.data.decode import text
from rnnspec.errors import DataError, ModelFileError, OtherForm
from rnnspec.files import digest
from rnnspec.plan.names import SEED, TOKENIZER_FILE
from rnnspec.run.bulk import Values, answers_in_order
from rnnspec.run.chunks import StreamSession
from rnnspec.run.feeds import Feeds
from rnnspec.run.fields import ATTENTION, Field, fields_of
from rnnspec.run.interface import (
    COLUMNS,
    QUOTING,
    SPEC,
    TOKENIZER,
    InputColumn,
    Interface,
    OutputColumn,
    StreamColumns,
    read_interface,
    read_stream,
)
from rnnspec.run.parse import INPUT_KINDS, copied_numbers, feeds_of, length_of, parse_cell, steps_of
from rnnspec.run.results import Answer, Results, answers_of
from rnnspec.run.seeds import checked_seed
from rnnspec.run.session import Device, Session
from rnnspec.spec.files import Quoting

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that `rnnspec export` wrote, ready to answer."""

    path: Path
    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]
    metadata: Mapping[str, str]
    session: Session
    tokenizer: str = ""
    """The tokenizer of subwords, as JSON; empty if it is not beside the file."""
    chunks: StreamColumns | None = None
    """The states of a stream file; None of a file that answers whole rows."""
    top: int = 0
    """How many labels the probabilities are of (`rnnspec.run.results.answers_of`)."""

    @classmethod
    def load(cls, path: Path, threads: int | None = None, device: Device = "cpu") -> Model:
        """Open the file. Raises ModelFileError if it is missing, not ONNX, of a version that
        onnxruntime does not know, or not written by rnnspec, or if there is no such device."""
        found = cls.of(Session(path, threads, device), path)
        if any(column.kind == "subwords" for column in found.inputs):
            written = found.metadata.get(TOKENIZER, "")
            return replace(found, tokenizer=_tokenizer_beside(path, written))
        return found

    @classmethod
    def of(cls, session: Session, path: Path, tokenizer: str = "") -> Model:
        """The model in an open session; `path` is its name in messages. Raises ModelFileError."""
        metadata = session.metadata
        found = _interface(path, metadata)
        _check_names(path, found, session)
        chunks = _stream(path, metadata)
        return cls(path, found.inputs, found.outputs, metadata, session, tokenizer, chunks)

    @property
    def quoting(self) -> Quoting:
        """What quotes are in CSV and TSV. Raises ModelFileError where the metadata is damaged."""
        found = self.metadata.get(QUOTING, "auto")
        known = next((each for each in get_args(Quoting) if each == found), None)
        if known is None:
            raise ModelFileError(
                f"{self.path}: its metadata has {found!r} for {QUOTING!r}; export it again"
            )
        return cast(Quoting, known)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of CoNLL files. Raises ModelFileError where the metadata is
        damaged."""
        found = self.metadata.get(COLUMNS, "[]")
        try:
            return TypeAdapter(tuple[str, ...]).validate_json(found, strict=True)
        except ValueError as error:
            raise ModelFileError(
                f"{self.path}: its metadata has {found!r} for {COLUMNS!r}; export it again"
            ) from error

    @property
    def draws(self) -> bool:
        """Whether answers are drawn, and so depend on a seed."""
        return any(output.drawn for output in self.outputs)

    def answer(
        self, rows: Iterable[Row], batch: int = 64, textual: bool = False, seed: int = 0
    ) -> Iterator[Answer]:
        """The answer to each row, in the order of the rows, which are read a window at a time.

        A row maps each input column to a value of its kind (`InputColumn`); other columns are
        ignored. `textual` rows hold lists as JSON text, as CSV does. An answer maps each output
        column to its answer, and has more beside it: see `rnnspec.run.results`. Drawn answers to
        row i, from 0, have the seed `seed` + i.

        Raises DataError, with the number of the row from 1, for a row that lacks a column or holds
        something else in it, or whose sequences differ in length, after the answers to the rows
        before it.
        """
        for number, found in enumerate(self.answers_or_errors(rows, batch, textual, seed), start=1):
            if isinstance(found, DataError):
                raise DataError(f"row {number}: {found}") from found
            yield found

    def answers_or_errors(
        self,
        rows: Iterable[Row | DataError],
        batch: int = 64,
        textual: bool = False,
        seed: int = 0,
        threads: int = 0,
    ) -> Iterator[Answer | DataError]:
        """As `answer`, with a row's error in place of its answer. An error given in place of a row
        is returned unchanged.

        So many `threads` answer batches side by side, while rows are read ahead; with 0, the
        calling thread does. The session is then best loaded with one thread of its own.
        """
        if batch < 1:
            raise ModelFileError(f"a batch of {batch} rows cannot be answered; use 1 or more")
        batch, seed = min(batch, self.session.batch or batch), checked_seed(seed)
        read = (self._values_or_error(row, textual) for row in rows)
        return answers_in_order(read, self._answers, batch, threads, seed)

    def _values_or_error(self, row: Row | DataError, textual: bool) -> Values | DataError:
        try:
            return row if isinstance(row, DataError) else self.values(row, textual)
        except DataError as error:
            return error

    def values(self, row: Row, textual: bool = False) -> Values:
        """The values of one row, checked, by the columns of the model."""
        found: list[Any] = []
        axes: dict[str, _Steps] = {}
        for column in self.inputs:
            try:
                if column.column not in row:
                    there = ", ".join(map(repr, row)) or "none"
                    raise DataError(f"is missing; the row has the columns {there}")
                cell = row[column.column]
                if column.kind == "subwords":
                    cell = self._numbers(cell, textual)
                value = parse_cell(column, cell, textual)
                if column.after:
                    known_values = zip(self.inputs, found, strict=False)
                    before = sum(len(v) for c, v in known_values if c.column in column.after)
                    value = copied_numbers(column, value, before)
                count = steps_of(column, value)
                if count is not None:
                    known = axes.get(column.axis)
                    if known is not None and count != known.steps:
                        raise DataError(
                            f"has {_count(count)}, and {known.column!r} has {known.steps}; the"
                            " model reads them step by step together"
                        )
                    length = length_of(column, value, count)
                    axes[column.axis] = _Steps(column.column, count, length)
            except DataError as error:
                what = error.what if isinstance(error, OtherForm) else error
                raise DataError(f"column {column.column!r} {what}") from error
            found.append(value)
        steps = next((each.steps for each in axes.values()), 0)
        lengths = {axis: each.length for axis, each in axes.items()}
        own = {axis: each.steps for axis, each in axes.items()} if len(axes) > 1 else {}
        return Values(found, steps, lengths, own)

    def _numbers(self, cell: object, textual: bool) -> object:
        """The numbers of a text's subwords; a list of numbers is returned unchanged."""
        if not isinstance(cell, str) or (textual and cell.lstrip().startswith("[")):
            return cell
        if not self.tokenizer:
            beside = self.path.parent / TOKENIZER_FILE
            raise DataError(
                f"is a text, and {beside}, which makes numbers of it, is not there; put it beside"
                " the model, or give a list of token numbers"
            )
        from rnnspec.data.columns.subwords import subword_numbers

        return subword_numbers(self.tokenizer, [text(cell)])[0]

    def _answers(self, rows: Sequence[Values], seeds: Sequence[int]) -> list[Answer]:
        """The answers to one batch of rows."""
        feeds = self.feeds(rows)
        if self.draws:
            feeds[SEED] = np.array(seeds, np.int64)
        results = self._results(feeds, len(rows))
        axes = {axis: [row.on_axes[axis] for row in rows] for axis in rows[0].on_axes}
        return self.answers(results, [row.steps for row in rows], axes)

    @property
    def fields(self) -> dict[str, Field]:
        """The keys of an answer, and what they hold."""
        return fields_of(self.outputs, self.session.outputs, self.top)

    def feeds(self, rows: Sequence[Values]) -> Feeds:
        """The graph inputs of rows, without seeds and states."""
        found: Feeds = {}
        for number, column in enumerate(self.inputs):
            found |= feeds_of(column, [row.cells[number] for row in rows])
        for axis, name in self._lengths.items():
            found[name] = np.array([row.lengths[axis] for row in rows], np.int64)
        return found

    def answers(
        self,
        results: Results,
        steps: Sequence[int],
        on_axes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    ) -> list[Answer]:
        """The answers in the graph's outputs, of rows of so many steps: on the first time axis, and
        on each."""
        found: list[Answer] = [{} for _ in steps]
        later = {} if self.chunks is None else self.chunks.answered
        for output in self.outputs:
            name = later.get(output.column)
            known = on_axes.get(output.axis, steps) if name is None else results[name].tolist()
            values = answers_of(output, results, known, self.top)
            for answer, value in zip(found, values, strict=True):
                answer |= value
            _cut_attention(output, found, on_axes)
        return found

    def _results(self, feeds: Feeds, rows: int) -> Results:
        """The graph's outputs; a stream file reads whole rows as one chunk."""
        if self.chunks is None:
            return self.session.run(feeds)
        asked = StreamSession(self.session, self.chunks)
        if self.chunks.step or self.chunks.write:
            how = "answers one step at a time, not whole rows" if self.chunks.step else "writes on"
            raise ModelFileError(f"{self.path}: {how}; use it as a stream")
        return asked.run(feeds, asked.first(rows), np.full(rows, True))[0]

    @property
    def _lengths(self) -> dict[str, str]:
        """The graph inputs with the lengths of the time axes, by axis."""
        found: dict[str, str] = {}
        for each in self.inputs:
            name = f"{each.column}.lengths"
            if INPUT_KINDS[each.kind].steps and name in self.session.inputs:
                found.setdefault(each.axis, name)
        return found


def _cut_attention(
    output: OutputColumn, answers: Sequence[Answer], on_axes: Mapping[str, Sequence[int]]
) -> None:
    """Leaves of the weights of attention to each of several encoders those of a row's own steps."""
    for axis, counts in on_axes.items():
        name = f"{output.column}{ATTENTION}.{axis.partition('.')[2]}"
        for answer, count in zip(answers, counts, strict=True):
            if name in answer:
                answer[name] = [weights[:count] for weights in answer[name]]


class _Steps(NamedTuple):
    """How many steps a row has on a time axis, by the last column read, and their length."""

    column: str
    steps: int
    length: int


def _tokenizer_beside(path: Path, written: str) -> str:
    """The tokenizer beside a model, "" if there is none; `written` is its digest."""
    file = path.parent / TOKENIZER_FILE
    try:
        content = file.read_bytes() if file.exists() else b""
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read ({error}); export the model again") from error
    if content and digest(content) != written:
        raise ModelFileError(
            f"{file}: is not the tokenizer that {path.name} was trained with; put that one beside"
            " it, or export the model again into a folder of its own"
        )
    return content.decode()


def _check_names(path: Path, found: Interface, session: Session) -> None:
    """Raises ModelFileError if the graph lacks an input or output that the metadata names."""
    read = [column.feed for column in found.inputs]
    answered = [column.answer for column in found.outputs if column.kind != "ids"]
    lacking = [name for name in read if name not in session.inputs]
    lacking += [name for name in answered if name not in session.outputs]
    if lacking:
        raise ModelFileError(
            f"{path}: its metadata names {lacking[0]!r}, which the graph does not have; export it"
            " again"
        )


def _count(steps: int) -> str:
    return f"{steps} step" if steps == 1 else f"{steps} steps"


def _stream(path: Path, metadata: Mapping[str, str]) -> StreamColumns | None:
    try:
        return read_stream(metadata)
    except ValueError as error:
        raise ModelFileError(
            f"{path}: its metadata does not say what it keeps from chunk to chunk; export it again"
            " with this version of rnnspec"
        ) from error


def _interface(path: Path, metadata: Mapping[str, str]) -> Interface:
    if SPEC not in metadata:
        raise ModelFileError(
            f"{path}: was not written by rnnspec (its metadata has no {SPEC!r});"
            " write a model file with `rnnspec export --onnx`"
        )
    try:
        return read_interface(metadata)
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path}: its metadata does not say what it reads and answers; export it again with"
            " this version of rnnspec"
        ) from error
