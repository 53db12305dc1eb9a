"""Columns of sound: samples, stored one row after the other; a step is a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.data import decode
from rnnspec.data.audio import AudioReading, Samples, samples_of
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import Samples as SamplesColumn
from rnnspec.data.columns.base import Arrays, ColumnKind, Encoding, Lengths, RaggedWriter
from rnnspec.data.columns.beside import FILES, stamp, stamped
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import Moments
from rnnspec.errors import DataError
from rnnspec.plan.facts import NumericFacts
from rnnspec.plan.names import steps_in
from rnnspec.plan.nodes import AudioInput
from rnnspec.reference.audio import features


@dataclass(frozen=True, slots=True)
class AudioCells:
    """The samples of each row of a chunk, and the files that they came from."""

    node: AudioInput

    def samples(
        self, chunk: Chunk, bad: BadRows, seen: Callable[[Path], None] = lambda path: None
    ) -> Iterator[Samples]:
        """Rows that cannot be read are noted in `bad` and left out; `seen` is called with each file
        before it is read."""
        node = self.node
        reading = AudioReading(node.rate, node.channels, node.resample)

        def decoded(cell: object, folder: Path) -> Samples:
            if (path := decode.path_of(cell, chunk.textual)) is not None:
                seen(folder / path)
            samples = samples_of(cell, chunk.textual, reading, folder)
            decode.check_length(int(steps_in(node, len(samples))))
            return samples

        return bad.decoded_beside(chunk, node.column, decoded)

    def steps(self, lengths: list[int]) -> Lengths:
        """How many windows rows of `lengths` samples have."""
        return np.asarray(steps_in(self.node, np.array(lengths, np.int64)), np.int64)


@dataclass(slots=True)
class AudioCollector:
    """Mean and deviation of each feature, where the spec asks for them."""

    cells: AudioCells
    longest: int = 0
    moments: Moments = field(default_factory=Moments)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        lengths: list[int] = []
        for samples in self.cells.samples(chunk, bad):
            lengths.append(len(samples))
            if self.cells.node.normalize == "learned":
                self.moments.add(features(self.cells.node, samples.astype(np.float64)))
        steps = self.cells.steps(lengths)
        self.longest = max(self.longest, int(steps.max(initial=0)))
        return steps

    def facts(self) -> NumericFacts:
        width = self.cells.node.features
        if not self.longest:
            raise DataError("no sample in any training row")
        if self.cells.node.normalize != "learned":
            return NumericFacts(width, (0.0,) * width, (1.0,) * width, self.longest)
        self.moments.check()
        return NumericFacts(width, self.moments.mean(), self.moments.deviation(), self.longest)


@dataclass(slots=True)
class AudioWriter:
    """Writes the samples of each row, and which files they came from."""

    cells: AudioCells
    values: RaggedWriter
    files: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths:
        stamps: list[str] = []
        lengths: list[int] = []
        for samples in self.cells.samples(chunk, bad, lambda path: stamps.append(stamp(path))):
            lengths.append(len(samples))
            self.values.append(samples, np.array(lengths[-1:]))
        self.files.append(stamped(stamps))
        return self.cells.steps(lengths)


@dataclass(frozen=True, slots=True)
class PathWriter:
    """Writes the path in each cell, nothing for samples, so that a report can name the file."""

    column: str
    values: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if bad.found:  # the file ends in an error
            return
        cells = chunk.cells[self.column]
        self.values.append_texts([decode.path_of(cell, chunk.textual) or "" for cell in cells])


def _settings(encoding: Encoding, node: AudioInput) -> list[object]:
    return [node.column, "audio", node.rate, node.hop, node.channels, node.resample]


def _encoder(encoding: Encoding, node: AudioInput, name: str, writer: Writer) -> AudioWriter:
    values = RaggedWriter.new(writer, name, "<f4")
    return AudioWriter(AudioCells(node), values, writer.column(f"{name}{FILES}", "u1"))


def _batch(encoding: Encoding, node: AudioInput, name: str, arrays: Arrays) -> Any:
    return SamplesColumn(arrays[name], arrays[f"{name}.offsets"])


AUDIO = ColumnKind(
    settings=_settings,
    encoder=_encoder,
    batch=_batch,
    raw=lambda node, values: PathWriter(node.column, values),
    beside=True,
)
