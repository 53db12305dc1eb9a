"""Facts of the training rows, in one pass over the file: what a plan needs to know of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from rnnspec.data.counting import CharCounts, Moments, WordCounts
from rnnspec.data.decode import (
    Floats,
    check_length,
    frames,
    label,
    number,
    text_of_chars,
    text_of_words,
    vector,
    words_of,
)
from rnnspec.data.readers import BadRows, Chunk, read
from rnnspec.data.split import validation_mask
from rnnspec.errors import DataError
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, NumericFacts, TextFacts, Vocabulary
from rnnspec.spec import (
    CharsInput,
    ClassOutput,
    FramesInput,
    Input,
    NumberOutput,
    Output,
    Spec,
    VectorOutput,
    WordsInput,
)
from rnnspec.spec.encoder import given_columns

MOST_LABELS = 1 << 20


class Gatherer(Protocol):
    """Gathers the facts of one column, chunk by chunk."""

    def add(self, chunk: Chunk, bad: BadRows) -> None: ...

    def facts(self) -> ColumnFacts:
        """Raises DataError, without the place, where the rows seen are not enough."""
        ...


def survey(spec: Spec, train: Path) -> Facts:
    """The facts of the training rows of `train`, without those of a validation share.

    Raises DataError: see `read` and `rnnspec.data.decode`; for vectors of different widths, for
    fewer than two labels, for no steps at all, for a split that leaves one side empty, and for a
    vocabulary beyond bounds (`WordCounts`).
    """
    share = spec.data.valid if isinstance(spec.data.valid, float) else 0.0
    inputs = {spec.data.input.column: _gatherer(spec.data.input)}
    inputs |= {column: Numbers(column, _vector) for column in given_columns(spec.encoder.layers)}
    outputs = {spec.data.output.column: _gatherer(spec.data.output)}
    bad, rows, kept_out = BadRows(train), 0, 0
    gatherers = [*inputs.values(), *outputs.values()]
    for chunk in read(train, [*inputs, *outputs], spec.data.format, bad):
        used = _training_rows(chunk, share) if share else chunk
        rows += len(used)
        kept_out += len(chunk) - len(used)
        for gatherer in gatherers:
            gatherer.add(used, bad)
    _check_split(train, rows, kept_out, share)
    return Facts(rows, _facts(train, inputs), _facts(train, outputs))


def _facts(train: Path, gatherers: Mapping[str, Gatherer]) -> dict[str, ColumnFacts]:
    found = {}
    for column, gatherer in gatherers.items():
        try:
            found[column] = gatherer.facts()
        except DataError as error:
            raise DataError(f"{train}: column {column!r} has {error}") from error
    return found


def _training_rows(chunk: Chunk, share: float) -> Chunk:
    keep = (~validation_mask(chunk.first, len(chunk), share)).tolist()
    return chunk.only(keep)


def _check_split(train: Path, rows: int, kept_out: int, share: float) -> None:
    if share and not kept_out:
        raise DataError(
            f"{train}: a validation share of {share:g} takes none of the {rows} rows; "
            "set data.valid to a larger share or to a file"
        )
    if not rows:
        raise DataError(
            f"{train}: a validation share of {share:g} takes all of the {kept_out} rows; "
            "set data.valid to a smaller share or to a file"
        )


def _gatherer(column: Input | Output) -> Gatherer:
    match column:
        case WordsInput():
            return Words(column)
        case CharsInput():
            return Chars(column)
        case FramesInput():
            return Numbers(column.column, _frames)
        case VectorOutput():
            return Numbers(column.column, _vector)
        case NumberOutput():
            return Numbers(column.column, _number)
        case ClassOutput():
            return Labels(column)


@dataclass(slots=True)
class Words:
    column: WordsInput
    counts: WordCounts = field(default_factory=WordCounts)
    longest: int = 0

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        words, lengths = words_of(bad.decoded(chunk, self.column.column, text_of_words))
        self.counts.add(words)
        self.longest = max(self.longest, int(lengths.max(initial=0)))

    def facts(self) -> TextFacts:
        entries = self.counts.entries(self.column.min_count, self.column.max_size)
        return _text_facts(entries, self.longest, "word", self.column.min_count)


@dataclass(slots=True)
class Chars:
    column: CharsInput
    counts: CharCounts = field(default_factory=CharCounts)
    longest: int = 0

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        texts = bad.decoded(chunk, self.column.column, text_of_chars)
        self.counts.add(texts)
        self.longest = max(self.longest, max(map(len, texts), default=0))

    def facts(self) -> TextFacts:
        column = self.column
        entries = self.counts.entries(column.min_count, column.max_size, column.fold_case)
        return _text_facts(entries, self.longest, "character", column.min_count)


def _text_facts(entries: tuple[str, ...], longest: int, what: str, min_count: int) -> TextFacts:
    if not longest:
        raise DataError(f"no {what} in any training row")
    if not entries:
        raise DataError(f"no {what} that occurs {min_count} times; set min_count lower")
    return TextFacts(Vocabulary(entries), longest)


def _frames(cell: object, textual: bool) -> Floats:
    steps = frames(cell, textual)
    check_length(len(steps))
    return steps


def _vector(cell: object, textual: bool) -> Floats:
    return vector(cell, textual)[None]


def _number(cell: object, textual: bool) -> Floats:
    return number(cell, textual)[None]


@dataclass(slots=True)
class Numbers:
    """Frames, vectors and single numbers; the first row that has steps sets the width.

    `decode` makes a cell `[T, width]`.
    """

    column: str
    decode: Callable[[object, bool], Floats]
    width: int = 0
    longest: int = 0
    moments: Moments = field(default_factory=Moments)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        def decoded(cell: object) -> Floats:
            return self._checked(self.decode(cell, chunk.textual))

        rows = bad.decoded(chunk, self.column, decoded)
        if not self.width:  # nothing but empty rows so far
            return
        self.moments.add(np.concatenate([row for row in rows if len(row)] or [_none(self.width)]))
        self.longest = max(self.longest, max(map(len, rows), default=0))

    def _checked(self, steps: Floats) -> Floats:
        if len(steps):
            self.width = self.width or steps.shape[1]
            if steps.shape[1] != self.width:
                raise DataError(
                    f"has width {steps.shape[1]}, the rows before have width {self.width}"
                )
        return steps

    def facts(self) -> NumericFacts:
        if not self.width:
            raise DataError("no step in any training row")
        return NumericFacts(self.width, self.moments.mean(), self.moments.deviation(), self.longest)


@dataclass(slots=True)
class Labels:
    column: ClassOutput
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.counts.update(bad.decoded(chunk, self.column.column, label))
        if len(self.counts) > MOST_LABELS:
            raise DataError(
                f"{bad.file}: column {self.column.column!r} has more than {MOST_LABELS:,} "
                "different labels; read it as a number, or name another column"
            )

    def facts(self) -> ClassFacts:
        if len(self.counts) < 2:
            (only,) = self.counts
            raise DataError(f"one label only, {only!r}; a classifier needs at least two")
        labels = tuple(sorted(self.counts))
        return ClassFacts(labels, tuple(self.counts[name] for name in labels))


def _none(width: int) -> Floats:
    return np.zeros((0, width), np.float32)
