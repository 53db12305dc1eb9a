"""Facts of a model that was trained elsewhere: from the training rows, and from what is told.

What is told comes first: the vocabularies and labels in the order in which the model numbers them.
Without training rows numbers are not scaled: a model from elsewhere has what it needs inside.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import survey
from rnnspec.data.constants import constants_of
from rnnspec.data.shards import find_sources
from rnnspec.errors import BuildError, DataError
from rnnspec.imports.match import BEFORE
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, NumericFacts, TextFacts, Vocabulary
from rnnspec.spec import Spec
from rnnspec.spec.files import absent
from rnnspec.spec.load import LoadedSpec

MARKS = {
    "pad": ("<pad>", "[PAD]", "<PAD>", "PAD", ""),
    "unknown": ("<unk>", "<UNK>", "[UNK]", "<unknown>", "UNK", "<oov>", "<OOV>"),
    "end": ("<end>", "<eos>", "</s>", "<EOS>", "<END>", "[SEP]", "<blank>", "<BLANK>"),
    "start": ("<start>", "<sos>", "<bos>", "<s>", "<SOS>", "<BOS>", "<START>", "[CLS]"),
}
"""How vocabularies name what is no token of a row."""
OPTIONS = {
    "--vocabulary": ("words", "tokens", "chars", "bytes", "subwords", "category"),
    "--labels": ("class", "labels", "tags", "keys"),
    "--width": ("frames", "number", "vector", "series", "audio", "image", "video", "forecast"),
}
"""What tells of a column, by what it holds."""
LONGEST = 32
"""Tokens or steps of the longest row, where no row is known."""


@dataclass(frozen=True, slots=True)
class Told:
    """By column: files of vocabularies and of labels, and numbers of features."""

    vocabularies: Mapping[str, Path] = field(default_factory=dict)
    labels: Mapping[str, Path] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)


Orders = dict[str, NDArray[np.int64]]


def facts_of(loaded: LoadedSpec, told: Told, note: Callable[[str], None]) -> tuple[Facts, Orders]:
    """The facts, and which row of a table in the file each number of a vocabulary has.

    Raises DataError for files that cannot be read; BuildError for a column that the spec lacks,
    that the option is not about, or of which neither the training rows nor the flags tell enough.
    """
    spec, orders = loaded.spec, Orders()
    inputs = [each.column for each in spec.data.inputs]
    outputs = [each.column for each in spec.data.targets]
    _check_columns({*told.vocabularies, *told.labels, *told.widths}, {*inputs, *outputs})
    held = _held(spec)
    _check_options(told, held)
    known = _surveyed(loaded, note)
    found_inputs = {c: _told(c, told, known.inputs.get(c), held[c]) for c in inputs}
    found_outputs = {c: _told(c, told, known.outputs.get(c), held[c]) for c in outputs}
    for column, path in told.vocabularies.items():
        entries = read_vocabulary(path)
        answered = column in found_outputs
        orders |= _orders(column, entries, answered)
    for column, facts in {**found_inputs, **found_outputs}.items():
        if _are_bytes(facts) and column not in orders:
            orders[column] = orders[column + BEFORE] = np.array([-1, -1, *range(256)])
    return Facts(known.rows, found_inputs, found_outputs, known.scales, known.constants), orders


def _check_columns(named: set[str], columns: set[str]) -> None:
    if unknown := sorted(named - columns):
        there = ", ".join(sorted(columns))
        raise BuildError(f"the spec has no column {unknown[0]!r}; its columns are {there}")


def _held(spec: Spec) -> dict[str, set[str]]:
    """What each column holds, as the spec says it."""
    held: dict[str, set[str]] = {}
    for each in (*spec.data.inputs, *spec.data.targets):
        held.setdefault(each.column, set()).add(each.as_)
    return held


def _check_options(told: Told, held: Mapping[str, set[str]]) -> None:
    given = (told.vocabularies, told.labels, told.widths)
    for option, columns in zip(OPTIONS, given, strict=True):
        for column in columns:
            if not held[column] & {*OPTIONS[option], "next"}:
                kinds = " and ".join(sorted(held[column]))
                raise BuildError(
                    f"{option} {column}: the column is read as {kinds}, and {option} is about"
                    f" {', '.join(OPTIONS[option])}; {_cure(column, held[column])}"
                )


def _cure(column: str, kinds: set[str]) -> str:
    """The option that tells of a column which holds `kinds`."""
    told = {
        "--vocabulary": f"give its vocabulary with --vocabulary {column}=FILE",
        "--labels": f"give its labels with --labels {column}=FILE",
        "--width": f"give its number of features with --width {column}=N",
    }
    fitting = [told[option] for option in OPTIONS if kinds & {*OPTIONS[option]}]
    return " or ".join(fitting) or "give training rows"


def _surveyed(loaded: LoadedSpec, note: Callable[[str], None]) -> Facts:
    """The facts of the training rows, or none where their file is not there."""
    spec, folder = loaded.spec, loaded.path.parent
    if missing := absent(spec.data.train_files, folder):
        note(f"no training rows ({missing[0]}): columns are as the flags tell, numbers not scaled")
        return Facts(0, {}, {}, constants=constants_of(spec, folder))
    return survey(spec, find_sources(spec.data, folder).train, folder=folder)


def _told(column: str, told: Told, known: ColumnFacts | None, kinds: set[str]) -> ColumnFacts:
    if column in told.vocabularies:
        entries = read_vocabulary(told.vocabularies[column])
        marks = {mark for names in MARKS.values() for mark in names}
        vocabulary = Vocabulary(tuple(each for each in entries if each not in marks))
        if isinstance(known, TextFacts):
            return replace(known, vocabulary=vocabulary, vectors=None)
        return TextFacts(vocabulary, LONGEST, LONGEST / 2)
    if column in told.labels:
        labels = tuple(read_vocabulary(told.labels[column]))
        return (
            replace(known, labels=labels, counts=())
            if isinstance(known, ClassFacts)
            else (ClassFacts(labels, longest=LONGEST))
        )
    if column in told.widths:
        width = told.widths[column]
        if isinstance(known, NumericFacts) and known.width != width:
            raise BuildError(
                f"column {column!r} has {known.width} features in the training rows, and {width}"
                " where the answers were given"
            )
        return known or NumericFacts(width, (0.0,) * width, (1.0,) * width, LONGEST)
    if known is None:
        raise BuildError(
            f"nothing is known of column {column!r}: there are no training rows;"
            f" {_cure(column, kinds)}"
        )
    return known


def _are_bytes(facts: ColumnFacts) -> bool:
    return isinstance(facts, TextFacts) and facts.vocabulary.entries == tuple(
        f"{byte:02x}" for byte in range(256)
    )


def _orders(column: str, entries: list[str], answered: bool) -> Orders:
    """The row of each number: of the pad (or of the end or the start), of the unknown, and of each
    entry."""
    marks = {mark for names in MARKS.values() for mark in names}
    own = [row for row, entry in enumerate(entries) if entry not in marks]
    unknown = _row_of("unknown", entries)
    if not answered:
        return {column: np.array([-1, unknown, *own])}
    end, start = _row_of("end", entries), _row_of("start", entries)
    return {
        column: np.array([end, unknown, *own]),
        column + BEFORE: np.array([end if start < 0 else start, unknown, *own]),
    }


def _row_of(mark: str, entries: list[str]) -> int:
    return next((row for row, entry in enumerate(entries) if entry in MARKS[mark]), -1)


def _lines(text: str) -> list[str]:
    """Lines end with a line break alone, which `read_text` has made of those of Windows: U+2028 and
    the like are tokens."""
    return text.removesuffix("\n").split("\n") if text else []


def read_vocabulary(path: Path) -> list[str]:
    """The entries by number: a text with one a line, a JSON list, or a JSON object of numbers by
    entry (as the tokenizers of Keras and torchtext's `stoi`). Raises DataError."""
    try:
        text = path.read_text("utf-8-sig")
        found = json.loads(text) if path.suffix == ".json" else _lines(text)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if isinstance(found, dict):
        numbers = list(found.values())
        if not all(isinstance(n, int) and 0 <= n < 1 << 24 for n in numbers):
            raise DataError(f"{path}: is no object of numbers from 0 by entry")
        by_number = {number: entry for entry, number in found.items()}
        return [by_number.get(number, "") for number in range(max(numbers, default=-1) + 1)]
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise DataError(f"{path}: is neither a list of texts nor an object of numbers by text")
    seen = dict[str, int]()
    for number, entry in enumerate(found, start=1):
        if entry and entry in seen:
            raise DataError(f"{path}: {entry!r} stands in entries {seen[entry]} and {number}")
        seen[entry] = number
    if not found:
        raise DataError(f"{path}: is empty")
    return found
