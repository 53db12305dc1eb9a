"""Columns of several labels at once, of a row or of each step: bits on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column
from rnnspec.data.columns.base import Lengths, lengths_of
from rnnspec.data.columns.labels import check_most, class_facts, numbers_of, unknown_label
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.plan.facts import ClassFacts

Sets = list[list[str]]


@dataclass(slots=True)
class LabelSets:
    """Facts of several labels a row, or a step with `steps`."""

    column: str
    steps: bool
    skips: bool = False
    stream: bool = False
    separator: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    longest: int = 1
    most: int = 1

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        lengths = None
        if self.steps:
            rows = key_steps_of(self.column, self.stream, chunk, bad)
            lengths = lengths_of(rows)
            self.longest = max(self.longest, int(lengths.max(initial=0)))
            sets = [step for row in rows for step in row]
        else:
            found = label_sets_of(self.column, self.skips, self.separator, chunk, bad)
            sets = [labels for labels in found if labels is not None]
        self.counts.update(label for labels in sets for label in labels)
        self.most = max(self.most, max(map(len, sets), default=0))
        check_most(self.column, self.counts, bad)
        return lengths

    def facts(self) -> ClassFacts:
        if not self.counts:
            raise DataError("no label in any training row")
        return class_facts(self.counts, self.longest, self.most)


def key_steps_of(column: str, stream: bool, chunk: Chunk, bad: BadRows) -> list[Sets]:
    """The labels of each step of each row, which of a `stream` may have any number of them."""
    return bad.decoded(chunk, column, lambda cell: _key_steps(cell, chunk.textual, stream))


def _key_steps(cell: object, textual: bool, stream: bool) -> Sets:
    found = decode.key_steps(cell, textual)
    if not stream:
        decode.check_length(len(found))
    return found


def label_sets_of(
    column: str, skips: bool, separator: str | None, chunk: Chunk, bad: BadRows
) -> list[list[str] | None]:
    """The labels of each row; None, if `skips`, where they are missing."""

    def decoded(cell: object) -> list[str] | None:
        return _label_set(cell, chunk.textual, skips, separator)

    return bad.decoded(chunk, column, decoded)


def _label_set(cell: object, textual: bool, skips: bool, separator: str | None) -> list[str] | None:
    if decode.is_missing(cell, textual):
        if skips:
            return None
        if cell == "":
            raise DataError("is empty, expected a list of labels; write [] for none")
    return decode.label_set(cell, textual, separator)


@dataclass(frozen=True, slots=True)
class KeysWriter:
    """Writes the labels of each step. `answers`: one that is new is an error, else left out."""

    column: str
    labels: tuple[str, ...]
    answers: bool
    stream: bool
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        numbers = numbers_of(self.labels)

        def decoded(cell: object) -> list[list[int]]:
            rows = []
            for at, step in enumerate(_key_steps(cell, chunk.textual, self.stream)):
                try:
                    rows.append(self._numbers(step, numbers))
                except DataError as error:
                    raise DataError(f"step {at + 1} {error}") from error
            return rows

        rows = bad.decoded(chunk, self.column, decoded)
        steps = [step for row in rows for step in row]
        self.values.append(_bits(steps, len(self.labels)))
        return lengths_of(rows)

    def _numbers(self, step: list[str], numbers: dict[str, int]) -> list[int]:
        if self.answers:
            return _known(step, numbers, self.labels)
        return [numbers[label] for label in step if label in numbers]


@dataclass(frozen=True, slots=True)
class LabelSetWriter:
    """Writes the labels of each row, and whether they are missing."""

    column: str
    labels: tuple[str, ...]
    skips: bool
    separator: str | None
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        numbers = numbers_of(self.labels)
        missing = len(self.labels)

        def decoded(cell: object) -> list[int]:
            found = _label_set(cell, chunk.textual, self.skips, self.separator)
            return [missing] if found is None else _known(found, numbers, self.labels)

        rows = bad.decoded(chunk, self.column, decoded)
        self.values.append(_bits(rows, missing + 1))


def _known(found: list[str], numbers: dict[str, int], labels: tuple[str, ...]) -> list[int]:
    new = next((label for label in found if label not in numbers), None)
    if new is not None:
        raise unknown_label(new, labels)
    return [numbers[label] for label in found]


def _bits(rows: list[list[int]], size: int) -> NDArray[np.uint8]:
    """Bits `numbers` of each row set: `[rows, ceil(size / 8)]`."""
    found = np.zeros((len(rows), -(-size // 8)), np.uint8)
    flat = np.array([number for row in rows for number in row], np.int64)
    at = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    np.bitwise_or.at(found, (at, flat // 8), (128 >> (flat % 8)).astype(np.uint8))
    return found
