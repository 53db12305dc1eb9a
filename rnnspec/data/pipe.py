"""Samples that come through a pipe: a wav file with its header, or samples alone.

They are read as they arrive, so that a microphone can be at the other end. Raises DataError
without a place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.audio import ENDLESS, HEADER, AudioReading, Samples
from rnnspec.errors import DataError

Raw = Literal["s16le", "f32le"]
AT_ONCE = 1 << 16
"""Bytes that are read at once, if so many have arrived."""
WAV = b"RIFF"
"""How a wav file begins."""
PCM, FLOATS, EXTENSIBLE = 1, 3, 0xFFFE
"""Kinds of samples in a wav file; of the last, the true kind stands further behind."""


class Pipe(Protocol):
    """Bytes that arrive: as many as there are, but at least one until the end."""

    def read(self, size: int, /) -> bytes: ...

    def read1(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Coding:
    """How samples stand in bytes: `width` bytes each, of so many channels side by side."""

    kind: Literal["integers", "floats"]
    width: int
    channels: int = 1


CODINGS: Mapping[Raw, Coding] = {"s16le": Coding("integers", 2), "f32le": Coding("floats", 4)}


def from_wav(pipe: Pipe, reading: AudioReading) -> Iterator[Samples]:
    """The samples of a wav file, one channel, as they arrive. A length of 0 or next to 2 GB in its
    header, as programs that record into a pipe write it, stands for all that comes."""
    rate, coding, size = _header(pipe)
    if rate != reading.rate:
        raise DataError(
            f"the wav file has {rate} samples a second, and the model reads {reading.rate}; a"
            f" stream is not resampled: record at {reading.rate}, or convert it on the way, as"
            f" sox does: sox - -r {reading.rate} -t wav -"
        )
    endless = size == 0 or size >= ENDLESS
    yield from from_raw(pipe, coding, reading, None if endless else size)


def from_raw(
    pipe: Pipe, coding: Coding, reading: AudioReading, size: int | None = None
) -> Iterator[Samples]:
    """Samples, one channel, as they arrive, of `size` bytes or all that come."""
    frame = coding.width * coding.channels
    left, taken = b"", 0
    while size is None or taken < size:
        found = pipe.read1(AT_ONCE if size is None else min(AT_ONCE, size - taken))
        if not found:
            break
        taken += len(found)
        left += found
        whole = len(left) - len(left) % frame
        if whole:
            yield _samples(left[:whole], coding, reading)
        left = left[whole:]
    if left:
        raise DataError(f"the last sample has {len(left)} bytes of {frame}; is it another format?")
    if size is not None and size - taken > HEADER:
        raise DataError("the wav file breaks off before the end that its header states")


def _samples(data: bytes, coding: Coding, reading: AudioReading) -> Samples:
    values = _decoded(data, coding).reshape(-1, coding.channels)
    first = reading.channels == "first" or coding.channels == 1
    found = values[:, 0] if first else values.mean(axis=1)
    return found.astype(np.float32)


def _decoded(data: bytes, coding: Coding) -> NDArray[np.float32]:
    """Samples that are 1 at the loudest, as libsndfile has them."""
    if coding.kind == "floats":
        return np.frombuffer(data, f"<f{coding.width}").astype(np.float32)
    if coding.width == 1:  # without a sign
        return (np.frombuffer(data, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(
            128
        )
    if coding.width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    whole = np.frombuffer(data, f"<i{coding.width}")
    return (whole / 2.0 ** (8 * coding.width - 1)).astype(np.float32)


def _header(pipe: Pipe) -> tuple[int, Coding, int]:
    """The rate, the coding and the bytes of the samples of a wav file, read up to these."""
    if pipe.read(4) != WAV or len(pipe.read(4)) < 4 or pipe.read(4) != b"WAVE":
        raise DataError("is no wav file; give samples alone with --raw")
    known: tuple[int, Coding] | None = None
    while len(head := pipe.read(8)) == 8:
        name, size = head[:4], int(struct.unpack("<I", head[4:])[0])
        if name == b"data":
            if known is None:
                break
            return (*known, size)
        content = pipe.read(size + size % 2)
        if name == b"fmt ":
            known = _format(content)
    raise DataError("the wav file ends before its samples")


def _format(content: bytes) -> tuple[int, Coding]:
    if len(content) < 16:
        raise DataError("the header of the wav file is damaged")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
    if kind == EXTENSIBLE and len(content) >= 26:
        kind = struct.unpack("<H", content[24:26])[0]
    if channels and rate:
        if kind == PCM and bits in (8, 16, 24, 32):
            return rate, Coding("integers", bits // 8, channels)
        if kind == FLOATS and bits in (32, 64):
            return rate, Coding("floats", bits // 8, channels)
    raise DataError(f"the wav file has samples of the kind {kind}; convert it to PCM of 16 bits")
