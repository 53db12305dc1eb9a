"""Columns of pictures: bytes on disk, memory-mapped, as they come into a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import pictures
from rnnspec.data.cache import Column, Writer
from rnnspec.data.collate import ByteSteps
from rnnspec.data.columns.base import ColumnKind, Encoding, Lengths
from rnnspec.data.columns.beside import FILES, stamp, stamped
from rnnspec.data.pictures import Bytes
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.plan.facts import NumericFacts
from rnnspec.plan.nodes import ImageInput, Picture


def _pictures(
    column: str, picture: Picture, chunk: Chunk, bad: BadRows, stamps: list[str]
) -> Iterator[Bytes]:
    """The pictures of a chunk, one at a time; adds the stamp of each file before it is read."""

    def decoded(cell: object, folder: Path) -> Bytes:
        stamps.extend(map(stamp, pictures.files_of(cell, chunk.textual, folder, picture)))
        return pictures.steps_of(cell, chunk.textual, folder, picture)

    return bad.decoded_beside(chunk, column, decoded)


def _none(channels: int) -> NDArray[np.int64]:
    return np.zeros((channels, 256), np.int64)


@dataclass(slots=True)
class PictureCollector:
    """Collects the facts of pictures: how often each channel has each value, so that mean and
    deviation are exact."""

    column: str
    picture: Picture
    invert: bool
    counts: NDArray[np.int64] = field(init=False)
    longest: int = 0

    def __post_init__(self) -> None:
        self.counts = _none(self.picture.channels)

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        steps: list[int] = []
        for row in _pictures(self.column, self.picture, chunk, bad, []):
            steps.append(len(row))
            for channel, counts in enumerate(self.counts):
                counts += np.bincount(row[..., channel].ravel(), minlength=256)
        lengths = np.array(steps, np.int64)
        self.longest = max(self.longest, int(lengths.max(initial=0)))
        return lengths

    def facts(self) -> NumericFacts:
        if not self.longest:
            raise DataError("no pixel in any training row")
        values = np.arange(256.0)
        counts = self.counts[:, ::-1] if self.invert else self.counts
        shares = counts / counts.sum(axis=1, keepdims=True)
        mean = shares @ values
        deviation = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
        deviation = np.where(deviation > 0, deviation, np.where(mean > 0, mean, 1.0))
        return NumericFacts(len(mean), tuple(mean), tuple(deviation), self.longest)


@dataclass(frozen=True, slots=True)
class PictureWriter:
    """Writes the steps of pictures."""

    column: str
    picture: Picture
    values: Column
    files: Column

    def add(self, chunk: Chunk, bad: BadRows) -> Lengths | None:
        stamps: list[str] = []
        steps: list[int] = []
        for row in _pictures(self.column, self.picture, chunk, bad, stamps):
            steps.append(len(row))
            self.values.append(row)
        self.files.append(stamped(stamps))
        return np.array(steps, np.int64)


def _settings(encoding: Encoding, node: ImageInput) -> list[object]:
    of = node.picture
    return [node.column, "image", of.height, of.width, of.channels, of.steps]


def _encoder(encoding: Encoding, node: ImageInput, name: str, writer: Writer) -> PictureWriter:
    of = node.picture
    values = writer.column(name, "u1", of.features, of.channels)
    return PictureWriter(node.column, of, values, writer.column(f"{name}{FILES}", "u1"))


PICTURES = ColumnKind(
    settings=_settings,
    encoder=_encoder,
    batch=lambda encoding, node, name, arrays: ByteSteps(arrays[name]),
    beside=True,
)
