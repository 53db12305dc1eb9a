"""Samples of sound, from files and from cells. Raises DataError without a place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.errors import DataError

Samples = NDArray[np.float32]
EXPECTED = "the path of a wav or flac file, or a list of samples"


@dataclass(frozen=True, slots=True)
class AudioReading:
    """How files are read: `rate` samples a second, of which channels, and what becomes of files of
    another rate."""

    rate: int
    channels: Literal["mean", "first"] = "mean"
    resample: Literal["refuse", "soxr"] = "refuse"


def samples_of(cell: object, textual: bool, reading: AudioReading, folder: Path) -> Samples:
    """The samples of a cell, `[S]`: of a file, whose path is relative to `folder`, or a list of
    numbers, which are at the rate already."""
    if (path := decode.path_of(cell, textual)) is not None:
        return read_file(folder / path, reading)
    if cell == [] or (textual and isinstance(cell, str) and cell.strip() == "[]"):
        return np.zeros(0, np.float32)
    if textual and isinstance(cell, str) and cell.strip():
        return decode.vector(cell, textual).astype(np.float32)
    if not isinstance(cell, list):
        raise decode.refused(None if textual else cell, EXPECTED)
    return decode.vector(cell, False).astype(np.float32)


def read_file(path: Path, reading: AudioReading) -> Samples:
    """The samples of a file: one channel, at the rate, 1 at the loudest."""
    soundfile = _library("soundfile")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise DataError(f"names the file {path}, which {what}; a path is relative to the data file")
    try:
        found, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # libsndfile's own error is a RuntimeError
        raise DataError(
            f"names the file {path}, which cannot be read as sound ({str(error).rstrip('.')});"
            " convert it to wav or flac"
        ) from error
    if not np.isfinite(found).all():
        raise DataError(f"names the file {path}, which holds samples that are not finite")
    samples = found[:, 0] if reading.channels == "first" else found.mean(axis=1)
    return _at_rate(path, samples, int(rate), reading)


def _at_rate(path: Path, samples: Samples, rate: int, reading: AudioReading) -> Samples:
    if rate == reading.rate:
        return np.ascontiguousarray(samples, np.float32)
    if reading.resample == "refuse":
        raise DataError(
            f"names the file {path}, which has {rate} samples a second, and the input reads"
            f" {reading.rate}; set rate to {rate}, convert the file, or set resample of the input"
            " to soxr"
        )
    resampled = _library("soxr").resample(samples, rate, reading.rate, quality="HQ")
    return np.asarray(resampled, np.float32)


def _library(name: Literal["soundfile", "soxr"]) -> Any:
    try:
        if name == "soxr":
            import soxr

            return soxr
        import soundfile
    except (ImportError, OSError) as error:  # OSError: its C library is missing
        raise DataError(
            f"names a file of sound, which needs the library {name}; pip install 'rnnspec[audio]'"
        ) from error
    return soundfile
