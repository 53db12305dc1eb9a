"""Columns of one label a row or a step: classes, categories, tags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rnnspec import spec
from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import SKIPPED, BatchColumn, Future, NextSteps, PerRow, Steps
from rnnspec.data.columns.base import (
    Arrays,
    ColumnKind,
    Encoding,
    Lengths,
    RaggedWriter,
    lengths_of,
    not_stored,
)
from rnnspec.data.columns.new_labels import NewLabels
from rnnspec.data.columns.weights import weights_of
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.schemes import NO_SCHEME, SchemeCheck
from rnnspec.data.series import Table
from rnnspec.data.statistics import WordCounts
from rnnspec.errors import DataError
from rnnspec.plan.facts import PAD_ID, UNKNOWN_ID, ClassFacts, TextFacts, Vocabulary
from rnnspec.plan.nodes import CategoriesInput, CategoryInput, ChainOutput, ClassOutput, TokensInput
from rnnspec.source.problems import did_you_mean

MOST_LABELS = 1 << 20


@dataclass(slots=True)
class ClassCollector:
    """Collects the facts of a class, or of tags with `steps`; of labels with an `order`, these
    alone. `weight` names the column of the weights of rows, by which labels are balanced; `weighed`
    are their sums. `factors`: labels that have a weight of their own in the spec."""

    column: str
    steps: bool
    skips: bool
    scheme: SchemeCheck = field(default_factory=lambda: SchemeCheck(NO_SCHEME))
    counts: Counter[str] = field(default_factory=Counter)
    longest: int = 1
    order: tuple[str, ...] = ()
    weight: str | None = None
    weighed: dict[str, float] = field(default_factory=dict)
    factors: tuple[str, ...] = ()

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        if self.steps:
            rows = tags_of(self.column, self.scheme, chunk, bad, self.order)
            lengths = lengths_of(rows)
            self.longest = max(self.longest, int(lengths.max(initial=0)))
            self.counts.update(tag for row in rows for tag in row if tag is not None)
            self._weigh(rows, chunk, bad)
        else:
            found = classes_of(self.column, self.skips, chunk, bad, self.scheme, self.order)
            self.counts.update(label for label in found if label is not None)
            self._weigh([[label] for label in found], chunk, bad)
        check_most(self.column, self.counts, bad)
        return lengths if self.steps else None

    def _weigh(self, rows: Iterable[Iterable[str | None]], chunk: Chunk, bad: BadRows) -> None:
        if self.weight is None:
            return
        for labels, weight in zip(rows, weights_of(self.weight, chunk, bad), strict=False):
            for label in labels:  # of bad rows nothing is kept: the file ends in an error
                if label is not None:
                    self.weighed[label] = self.weighed.get(label, 0.0) + weight

    def facts(self) -> ClassFacts:
        found = self._of_labels()
        if self.weight is None:
            return found
        sums = tuple(self.weighed.get(label, 0.0) for label in found.labels)
        return replace(found, weighed=sums)

    def _of_labels(self) -> ClassFacts:
        if len(self.counts) < 2:
            only = f"one label only, {next(iter(self.counts))!r}" if self.counts else "no label"
            raise DataError(f"{only}; a classifier needs at least two")
        self.scheme.check_whole()
        for label in self.factors:
            if label not in self.counts and label not in self.order:
                near = did_you_mean(label, self.counts) or "remove it, or add rows of it"
                raise DataError(
                    f"no {label[:40]!r} in any training row, and class_weights has a factor for it;"
                    f" {near}"
                )
        if self.order:
            counts = tuple(self.counts[label] for label in self.order)
            return ClassFacts(self.order, counts, self.longest, ordered=True)
        return class_facts(self.counts, self.longest)


def classes_of(
    column: str,
    skips: bool,
    chunk: Chunk,
    bad: BadRows,
    scheme: SchemeCheck | None = None,
    order: Sequence[str] = (),
) -> list[str | None]:
    """The label of each row, checked by `scheme`, and of labels with an `order` one of these; None,
    if `skips`, where it is missing."""

    def decoded(cell: object) -> str | None:
        found = None if skips and decode.is_missing(cell, chunk.textual) else decode.label(cell)
        if scheme is not None:
            scheme.check(found)
        if order and found is not None:
            check_ordered(found, order)
        return found

    return bad.decoded(chunk, column, decoded)


def check_ordered(label: str, order: Iterable[str]) -> None:
    """Raises DataError for a label that is none of those with an order."""
    known = tuple(order)
    if label not in known:
        near = did_you_mean(label, known) or "add it to them at its place, or correct the cell"
        raise DataError(f"is {label[:40]!r}, none of the labels {', '.join(known)}; {near}")


def tags_of(
    column: str, scheme: SchemeCheck, chunk: Chunk, bad: BadRows, order: Sequence[str] = ()
) -> list[list[str | None]]:
    """The label of each step of each row, checked by `scheme`, and of labels with an `order` one of
    these; None for no label."""

    def decoded(cell: object) -> list[str | None]:
        found = decode.labels_of_steps(cell, chunk.textual)
        scheme.check_steps(found)
        for label in found if order else ():
            if label is not None:
                check_ordered(label, order)
        return found

    return bad.decoded(chunk, column, decoded)


def check_most(column: str, counts: Counter[str], bad: BadRows) -> None:
    """Raises DataError for more labels than can be meant."""
    if len(counts) > MOST_LABELS:
        raise DataError(
            f"{bad.file}: column {column!r} has more than {MOST_LABELS:,} different labels; "
            "read it as a number, or name another column"
        )


def class_facts(counts: Counter[str], longest: int = 1, most: int = 1) -> ClassFacts:
    labels = tuple(sorted(counts))
    return ClassFacts(labels, tuple(counts[name] for name in labels), longest, most)


@dataclass(slots=True)
class CategoryCollector:
    """Collects the facts of a category, of rows or of the steps of series: its vocabulary."""

    column: spec.CategoryInput | spec.CategoriesInput
    counts: WordCounts = field(default_factory=WordCounts)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        found = classes_of(self.column.column, True, chunk, bad)
        self.counts.add([label for label in found if label is not None])

    def facts(self) -> TextFacts:
        entries = self.counts.entries(self.column.min_count, None)
        if not entries:
            least = self.column.min_count
            raise DataError(f"no label that occurs {least} times; set min_count lower")
        return TextFacts(Vocabulary(entries), 1, 1.0)


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """The `numbers` of the labels of the training rows of a target column, and the `new` labels of
    another file. Labels are checked by `scheme`."""

    column: str
    numbers: dict[str, int]
    new: NewLabels
    scheme: SchemeCheck = field(default_factory=lambda: SchemeCheck(NO_SCHEME))
    ordered: bool = False

    def number(self, label: str) -> int:
        """The class number of a label; a new label is counted."""
        found = self.numbers.get(label)
        if found is not None:
            return found
        self.scheme.check(label)
        if self.ordered:
            check_ordered(label, self.numbers)
        return self.new.class_number(label)


def numbers_of(labels: Sequence[str]) -> dict[str, int]:
    return {label: number for number, label in enumerate(labels)}


def class_numbers(known: KnownLabels, skips: bool, chunk: Chunk, bad: BadRows) -> NDArray[np.int64]:
    """The number of each row's label; SKIPPED, if `skips`, where it is missing."""

    def decoded(cell: object) -> int:
        if skips and decode.is_missing(cell, chunk.textual):
            return SKIPPED
        return known.number(decode.label(cell))

    return np.array(bad.decoded(chunk, known.column, decoded), np.int64)


@dataclass(frozen=True, slots=True)
class ClassWriter:
    """Writes the number of each row's class."""

    known: KnownLabels
    skips: bool
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.values.append(class_numbers(self.known, self.skips, chunk, bad))


@dataclass(frozen=True, slots=True)
class TagWriter:
    """Writes the number of each step's tag, SKIPPED for no tag."""

    known: KnownLabels
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        numbers, known = self.known.numbers, self.known

        def decoded(cell: object) -> list[int]:
            found = decode.labels_of_steps(cell, chunk.textual)
            try:
                return [SKIPPED if tag is None else numbers[tag] for tag in found]
            except KeyError:
                known.scheme.check_steps(found)
                return [SKIPPED if tag is None else known.number(tag) for tag in found]

        rows = bad.decoded(chunk, known.column, decoded)
        self.values.append(np.array([number for row in rows for number in row], np.int32))
        return lengths_of(rows)


@dataclass(frozen=True, slots=True)
class CategoryWriter:
    """Writes the number of each row's label; the unknown for a missing or new one."""

    column: str
    vocabulary: Vocabulary
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.values.append(category_numbers(self.column, self.vocabulary, chunk, bad))


@dataclass(slots=True)
class SeriesCategories:
    """Holds the number of the label of each row; the unknown for a missing or new one."""

    column: str
    vocabulary: Vocabulary
    found: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.found.append(category_numbers(self.column, self.vocabulary, chunk, bad))

    def values(self, table: Table) -> NDArray[np.int32]:
        return table.labels(np.concatenate(self.found), UNKNOWN_ID)


def category_numbers(
    column: str, vocabulary: Vocabulary, chunk: Chunk, bad: BadRows
) -> NDArray[np.int32]:
    """The number of each row's label; the unknown for a missing or new one."""
    found = classes_of(column, True, chunk, bad)
    known = iter(vocabulary.numbers([label for label in found if label is not None]))
    filled = [UNKNOWN_ID if label is None else next(known) for label in found]
    return np.array(filled, np.int32)


@dataclass(slots=True)
class SeriesLabels:
    """Holds the class number of the label of each row, SKIPPED for no label."""

    known: KnownLabels
    found: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        numbers = class_numbers(self.known, True, chunk, bad)
        self.found.append(numbers.astype(np.int32))

    def values(self, table: Table) -> NDArray[np.int32]:
        return table.values(np.concatenate(self.found), SKIPPED)


@dataclass(frozen=True, slots=True)
class RawLabelWriter:
    """Writes the label of each row, nothing where it is missing; after all other columns, as
    `RawTextWriter`."""

    column: str
    rows: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if not bad.found:
            found = classes_of(self.column, True, chunk, bad)
            self.rows.append_texts([label or "" for label in found])


def _category_encoder(
    encoding: Encoding, node: CategoryInput, name: str, writer: Writer
) -> CategoryWriter:
    vocabulary = encoding.text(node).vocabulary
    return CategoryWriter(node.column, vocabulary, writer.column(name, "<i4"))


CATEGORY = ColumnKind(
    settings=lambda encoding, node: [
        node.column,
        "category",
        encoding.text(node).vocabulary.entries,
    ],
    encoder=_category_encoder,
    batch=lambda encoding, node, name, arrays: PerRow(arrays[name]),
    raw=lambda node, rows: RawLabelWriter(node.column, rows),
    apart=lambda node: True,
    static=lambda node: "category",
)


CATEGORIES = ColumnKind(
    settings=lambda encoding, node: [
        node.column,
        "categories",
        encoding.text(node).vocabulary.entries,
    ],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Steps(arrays[name], PAD_ID),
    table=lambda encoding, node: SeriesCategories(node.column, encoding.text(node).vocabulary),
)
CATEGORIES_FUTURE = ColumnKind(
    settings=lambda encoding, node: [node.column, "categories ahead"],
    encoder=not_stored,
    batch=lambda encoding, node, name, arrays: Future(
        arrays[encoding.name_of(node.column, CategoriesInput)], node.horizon, wide=False
    ),
)


def _class_settings(encoding: Encoding, node: ClassOutput | ChainOutput) -> list[object]:
    labels = () if node.ahead else encoding.labels(node)
    return [node.column, "class", node.steps, node.ahead, labels]


def _known_labels(
    encoding: Encoding, node: ClassOutput | ChainOutput, new: NewLabels
) -> KnownLabels:
    numbers = numbers_of(encoding.labels(node))
    scheme = SchemeCheck(encoding.reading.schemes.get(node.column, NO_SCHEME))
    ordered = isinstance(node, ClassOutput) and node.ordered
    return KnownLabels(node.column, numbers, new, scheme, ordered)


def _class_encoder(
    encoding: Encoding, node: ClassOutput | ChainOutput, name: str, writer: Writer
) -> ClassWriter | TagWriter | None:
    if node.ahead:
        return None
    known = _known_labels(encoding, node, NewLabels.written(writer, name))
    if node.steps:
        return TagWriter(known, writer.column(name, "<i4"))
    return ClassWriter(known, encoding.skips(node), writer.column(name, "<i8"))


def _class_table(encoding: Encoding, node: ClassOutput | ChainOutput) -> SeriesLabels | None:
    answered = node.steps and not node.ahead
    return SeriesLabels(_known_labels(encoding, node, NewLabels())) if answered else None


def _class_batch(
    encoding: Encoding, node: ClassOutput | ChainOutput, name: str, arrays: Arrays
) -> BatchColumn:
    if node.ahead:
        tokens = arrays[encoding.name_of(node.column, TokensInput)]
        reverse = isinstance(node, ClassOutput) and node.reverse
        return NextSteps(tokens[::-1] if reverse else tokens, node.classes)
    return Steps(arrays[name], SKIPPED) if node.steps else PerRow(arrays[name])


CLASS = ColumnKind(
    settings=_class_settings,
    encoder=_class_encoder,
    batch=_class_batch,
    table=_class_table,
    counted=lambda encoding, node, name: None if node.ahead else name,
)
