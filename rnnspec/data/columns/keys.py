"""Multi-label columns, of a row or of each step: bits on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import KeySteps, LabelSets
from rnnspec.data.columns.base import Arrays, ColumnKind, Encoding, Lengths, lengths_of
from rnnspec.data.columns.labels import check_most, class_facts, numbers_of
from rnnspec.data.columns.new_labels import NewLabelPlaces, NewLabels
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError, MissingCell
from rnnspec.plan.facts import ClassFacts
from rnnspec.plan.nodes import KeysInput, LabelsOutput

Sets = list[list[str]]


@dataclass(slots=True)
class LabelSetCollector:
    """Collects the facts of several labels a row, or a step with `steps`."""

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
    """The labels of each step of each row; in a `stream` rows may have any number of steps."""
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
            raise MissingCell("is empty, expected a list of labels; write [] for none")
    return decode.label_set(cell, textual, separator)


@dataclass(frozen=True, slots=True)
class KeysWriter:
    """Writes the known labels of each step, and beside them the new ones."""

    column: str
    labels: tuple[str, ...]
    stream: bool
    values: Column
    beside: NewLabelPlaces

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        rows = key_steps_of(self.column, self.stream, chunk, bad)
        steps = [step for row in rows for step in row]
        numbers = numbers_of(self.labels)
        self.beside.append(self.values.count, _new(steps, numbers))
        self.values.append(_bits(_known(steps, numbers), len(self.labels)))
        return lengths_of(rows)


@dataclass(frozen=True, slots=True)
class LabelSetWriter:
    """Writes the known labels of each row and whether they are missing, and beside them the new
    labels."""

    column: str
    labels: tuple[str, ...]
    skips: bool
    separator: str | None
    values: Column
    beside: NewLabelPlaces

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        found = label_sets_of(self.column, self.skips, self.separator, chunk, bad)
        sets = [labels or [] for labels in found]
        numbers, missing = numbers_of(self.labels), len(self.labels)
        self.beside.append(self.values.count, _new(sets, numbers))
        rows = _known(sets, numbers)
        for at, labels in enumerate(found):
            if labels is None:
                rows[at] = [missing]
        self.values.append(_bits(rows, missing + 1))


def _known(sets: Sets, numbers: dict[str, int]) -> list[list[int]]:
    return [[numbers[label] for label in labels if label in numbers] for labels in sets]


def _new(sets: Sets, numbers: dict[str, int]) -> Sets:
    return [[label for label in labels if label not in numbers] for labels in sets]


def _bits(rows: list[list[int]], size: int) -> NDArray[np.uint8]:
    """Bits `numbers` of each row set: `[rows, ceil(size / 8)]`."""
    found = np.zeros((len(rows), -(-size // 8)), np.uint8)
    flat = np.array([number for row in rows for number in row], np.int64)
    at = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    np.bitwise_or.at(found, (at, flat // 8), (128 >> (flat % 8)).astype(np.uint8))
    return found


def _beside(writer: Writer, name: str) -> NewLabelPlaces:
    return NewLabelPlaces(NewLabels.written(writer, name), writer.column(f"{name}.new", "<i8", 2))


def _keys_encoder(
    encoding: Encoding, node: KeysInput | LabelsOutput, name: str, writer: Writer
) -> KeysWriter:
    labels, stream = encoding.labels(node), encoding.reading.stream
    values = writer.column(name, "u1", -(-len(labels) // 8))
    return KeysWriter(node.column, labels, stream, values, _beside(writer, name))


KEYS = ColumnKind(
    settings=lambda encoding, node: [node.column, "keys", encoding.labels(node)],
    encoder=_keys_encoder,
    batch=lambda encoding, node, name, arrays: KeySteps(arrays[name], node.size, 0),
)


def _labels_settings(encoding: Encoding, node: LabelsOutput) -> list[object]:
    labels = () if node.ahead else encoding.labels(node)
    return [node.column, "labels", node.steps, node.ahead, labels]


def _labels_encoder(
    encoding: Encoding, node: LabelsOutput, name: str, writer: Writer
) -> KeysWriter | LabelSetWriter | None:
    if node.ahead:
        return None
    if node.steps:
        return _keys_encoder(encoding, node, name, writer)
    column, labels = node.column, encoding.labels(node)
    values = writer.column(name, "u1", len(labels) // 8 + 1)
    skips, separator = encoding.skips(node), encoding.reading.separators.get(column)
    return LabelSetWriter(column, labels, skips, separator, values, _beside(writer, name))


def _labels_batch(
    encoding: Encoding, node: LabelsOutput, name: str, arrays: Arrays
) -> KeySteps | LabelSets:
    name = _counted(encoding, node, name)
    if not node.steps:
        return LabelSets(arrays[name], node.labels, arrays[f"{name}.new"])
    return KeySteps(arrays[name], node.labels, np.nan, node.ahead, arrays[f"{name}.new"])


def _counted(encoding: Encoding, node: LabelsOutput, name: str) -> str:
    """The array of the labels; for labels of the next step the array of the input."""
    return encoding.name_of(node.column, KeysInput) if node.ahead else name


LABELS = ColumnKind(_labels_settings, _labels_encoder, _labels_batch, counted=_counted)
