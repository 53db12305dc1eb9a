"""A data file to arrays, once: later calls with the same content and settings map the arrays."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.cache import Column, Writer, new_folder, open_folder
from rnnspec.data.counting import CODE_POINTS, code_points
from rnnspec.data.dataset import Dataset, Ragged
from rnnspec.data.lines import check_file, unreadable
from rnnspec.data.readers import BadRows, Chunk, Format, format_of, read
from rnnspec.data.split import validation_mask
from rnnspec.errors import DataError
from rnnspec.plan.facts import UNKNOWN_ID, ClassFacts, Facts, TextFacts, Vocabulary
from rnnspec.plan.nodes import (
    ClassOutput,
    FramesInput,
    Input,
    NumericOutput,
    Output,
    Plan,
    TokensInput,
    VectorInput,
)
from rnnspec.source.problems import did_you_mean

VERSION = 1
"""Of the encoding; to be raised with any change of what stands in the arrays."""

Part = Literal["all", "train", "valid"]
Append = Callable[[Chunk, BadRows], None]


def encode(
    plan: Plan,
    facts: Facts,
    file: Path,
    format: Format,
    cache: Path,
    rows: Part = "all",
    share: float = 0.0,
) -> Dataset:
    """The rows of `file` as the plan's inputs and targets.

    `rows`: every row, or of a file from which `share` of the rows is kept for validation the
    "train" or the "valid" part. The arrays lie in a folder of `cache` named by a hash of the
    file's content and of everything else that they depend on.

    Raises DataError: see `read` and `rnnspec.data.decode`; for a label that is not in `facts`,
    for vectors of another width than the plan's, for a part without rows, and where the cache
    cannot be written. A word or character that is not in `facts` is encoded as unknown.
    """
    assert (rows == "all") == (share == 0), "a share goes with a part"
    check_file(file)
    format = format_of(file, format)
    before = file.stat()
    folder = cache / _key(plan, facts, file, format, rows, share)
    arrays = open_folder(folder)
    if arrays is None:
        with new_folder(folder) as writer:
            _write(plan, facts, file, format, rows, share, writer)
            after = file.stat()
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise DataError(f"{file}: the file changed while it was read; try again")
        arrays = open_folder(folder)
        assert arrays is not None, f"{folder} was just written"
    return _dataset(plan, arrays, folder.name)


def _dataset(plan: Plan, arrays: dict[str, NDArray[Any]], key: str) -> Dataset:
    inputs: dict[str, Ragged] = {}
    vectors: dict[str, NDArray[np.float32]] = {}
    for index, node in enumerate(plan.inputs):
        values = arrays[f"input.{index}"]
        if isinstance(node, VectorInput):
            vectors[node.column] = values
        else:
            inputs[node.column] = Ragged(values, arrays[f"input.{index}.offsets"])
    targets = {node.column: arrays[f"output.{index}"] for index, node in enumerate(plan.outputs)}
    return Dataset(inputs, targets, arrays["lines"], key, vectors)


def _key(plan: Plan, facts: Facts, file: Path, format: Format, rows: Part, share: float) -> str:
    """A hash of all that the arrays depend on."""
    columns = [_settings(node, facts) for node in (*plan.inputs, *plan.outputs)]
    settings = json.dumps([VERSION, format, rows, share, columns])
    try:
        with open(file, "rb") as stream:
            content = hashlib.file_digest(stream, "sha256")
    except OSError as error:
        raise unreadable(file, error) from error
    content.update(settings.encode())
    return content.hexdigest()[:32]


def _settings(node: Input | Output, facts: Facts) -> list[object]:
    """What the arrays of a column depend on, but for the file."""
    match node:
        case TokensInput(column=column, kind=kind, fold_case=fold_case):
            unicode = unicodedata.unidata_version if fold_case else ""
            return [column, kind, unicode, _vocabulary(node, facts).entries]
        case FramesInput(column=column, width=width, elapsed=elapsed):
            return [column, "frames", width, elapsed]
        case VectorInput(column=column, width=width):
            return [column, "numeric", width, False]
        case ClassOutput(column=column):
            return [column, "class", _labels(node, facts)]
        case NumericOutput(column=column, width=width, single=single):
            return [column, "numeric", width, single]


def _vocabulary(node: TokensInput, facts: Facts) -> Vocabulary:
    known = facts.inputs[node.column]
    assert isinstance(known, TextFacts)
    return known.vocabulary


def _labels(node: ClassOutput, facts: Facts) -> tuple[str, ...]:
    known = facts.outputs[node.column]
    assert isinstance(known, ClassFacts)
    return known.labels


def _write(
    plan: Plan,
    facts: Facts,
    file: Path,
    format: Format,
    rows: Part,
    share: float,
    writer: Writer,
) -> None:
    columns = [
        _appender(node, f"{side}.{index}", facts, writer)
        for side, nodes in (("input", plan.inputs), ("output", plan.outputs))
        for index, node in enumerate(nodes)
    ]
    lines = writer.column("lines", np.int64)
    bad = BadRows(file)
    for chunk in read(file, [n.column for n in (*plan.inputs, *plan.outputs)], format, bad):
        used = _part(chunk, rows, share)
        lines.append(np.array(used.lines, np.int64))
        for append in columns:
            append(used, bad)
    if not lines.count:
        name = "validation" if rows == "valid" else "training"
        raise DataError(
            f"{file}: no row falls to {name} with a validation share of {share:g}; "
            "set data.valid to another share or to a file"
        )


def _part(chunk: Chunk, rows: Part, share: float) -> Chunk:
    if rows == "all":
        return chunk
    mask = validation_mask(chunk.first, len(chunk), share)
    return chunk.only((mask if rows == "valid" else ~mask).tolist())


def _appender(node: Input | Output, name: str, facts: Facts, writer: Writer) -> Append:
    """What encodes a chunk's cells of one column and writes them."""
    match node:
        case TokensInput():
            return _tokens(node, _vocabulary(node, facts), _RaggedColumn.new(writer, name, "<i4"))
        case FramesInput():
            return _frames(node, _RaggedColumn.new(writer, name, "<f4", node.width))
        case ClassOutput():
            return _classes(node, _labels(node, facts), writer.column(name, "<i8"))
        case NumericOutput() | VectorInput():
            return _numbers(node, writer.column(name, "<f4", node.width))


@dataclass(slots=True)
class _RaggedColumn:
    values: Column
    offsets: Column
    end: int = 0

    @staticmethod
    def new(writer: Writer, name: str, dtype: str, *entry: int) -> _RaggedColumn:
        offsets = writer.column(f"{name}.offsets", "<i8")
        offsets.append(np.zeros(1, np.int64))
        return _RaggedColumn(writer.column(name, dtype, *entry), offsets)

    def append(self, values: NDArray[Any], lengths: NDArray[np.int64]) -> None:
        """Adds rows of `lengths`, whose steps follow each other in `values`."""
        self.offsets.append(self.end + np.cumsum(lengths))
        self.values.append(values)
        self.end += len(values)


def _lengths(rows: Sequence[Sized]) -> NDArray[np.int64]:
    return np.fromiter(map(len, rows), np.int64, len(rows))


def _tokens(node: TokensInput, vocabulary: Vocabulary, column: _RaggedColumn) -> Append:
    chars = node.kind == "chars"
    table = _char_table(vocabulary, node.fold_case) if chars else None
    read_cell = decode.text_of_chars if chars else decode.text_of_words

    def append(chunk: Chunk, bad: BadRows) -> None:
        texts = bad.decoded(chunk, node.column, read_cell)
        if table is not None:
            column.append(table[code_points("".join(texts))], _lengths(texts))
            return
        words, lengths = decode.words_of(texts)
        column.append(np.array(vocabulary.numbers(words), np.int32), lengths)

    return append


def _char_table(vocabulary: Vocabulary, fold_case: bool) -> NDArray[np.int32]:
    """The number of every code point."""
    table = np.full(CODE_POINTS, UNKNOWN_ID, np.int32)
    known = np.array([ord(entry) for entry in vocabulary.entries], np.int64)
    table[known] = vocabulary.numbers(vocabulary.entries)
    if fold_case:
        table[list(decode.folds())] = table[list(decode.folds().values())]
    return table


def _frames(node: FramesInput, column: _RaggedColumn) -> Append:
    def append(chunk: Chunk, bad: BadRows) -> None:
        def decoded(cell: object) -> decode.Floats:
            steps = decode.frames(cell, chunk.textual)
            decode.check_length(len(steps))
            if not len(steps):
                return empty
            if node.elapsed is not None:
                decode.check_elapsed(_as_wide(steps, node.width), node.elapsed)
            return _as_wide(steps, node.width)

        rows = bad.decoded(chunk, node.column, decoded)
        column.append(np.concatenate([empty, *rows]), _lengths(rows))

    empty = np.zeros((0, node.width), np.float32)
    return append


def _numbers(node: NumericOutput | VectorInput, column: Column) -> Append:
    single = isinstance(node, NumericOutput) and node.single
    read_cell = decode.number if single else decode.vector

    def append(chunk: Chunk, bad: BadRows) -> None:
        def decoded(cell: object) -> decode.Floats:
            return _as_wide(read_cell(cell, chunk.textual)[None], node.width)

        empty = np.zeros((0, node.width), np.float32)
        column.append(np.concatenate([empty, *bad.decoded(chunk, node.column, decoded)]))

    return append


def _as_wide(steps: decode.Floats, width: int) -> decode.Floats:
    if steps.shape[1] != width:
        raise DataError(f"has width {steps.shape[1]}, the training rows have width {width}")
    return steps


def _classes(node: ClassOutput, labels: tuple[str, ...], column: Column) -> Append:
    numbers = {label: number for number, label in enumerate(labels)}

    def decoded(cell: object) -> int:
        label = decode.label(cell)
        if label not in numbers:
            near = did_you_mean(label, labels) or f"the labels are: {', '.join(labels[:20])}"
            raise DataError(f"has the label {label!r}, which no training row has; {near}")
        return numbers[label]

    def append(chunk: Chunk, bad: BadRows) -> None:
        column.append(np.array(bad.decoded(chunk, node.column, decoded), np.int64))

    return append
