"""Samples of sound, from files and from cells. Raises DataError without a place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.named import check_file, shown
from rnnspec.errors import DataError, MissingPackage

Samples = NDArray[np.float32]
EXPECTED = "the path of a wav or flac file, or a list of samples"
LOUDEST = 65536.0
"""Largest sample whose power float32 holds with room for all windows: twice that of 16 bits."""
BLOCK = 1 << 20
"""Samples of each channel that are read at once."""
HEADER = 64
"""Bytes of a file's end that may be missing: some programs count their header in."""
ENDLESS = 0x7FFF0000
"""Bytes from which on a length stands for one that was not known, in a file that was streamed."""
_PROMISED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)


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
        try:
            return _not_too_loud(read_file(folder / path, reading))
        except MissingPackage:
            raise
        except DataError as error:
            raise DataError(f"names {shown(folder / path)}, which {error}") from error
    if cell == [] or (textual and isinstance(cell, str) and cell.strip() == "[]"):
        return np.zeros(0, np.float32)
    values = decode.json_list(cell, textual, EXPECTED)
    return _not_too_loud(decode.vector(values, False).astype(np.float32))


def _not_too_loud(samples: Samples) -> Samples:
    largest = float(np.abs(samples).max(initial=0.0))
    if largest > LOUDEST:
        raise DataError(
            f"holds a sample of {largest:.3g}, and samples are 1 at the loudest: divide them, whole"
            " numbers of 32 bits by 2^31"
        )
    return samples


def read_file(path: Path, reading: AudioReading) -> Samples:
    """The samples of a file: one channel, at the rate, 1 at the loudest.

    Raises DataError, which does not name the file.
    """
    soundfile = _library("soundfile")
    check_file(path)
    try:
        with soundfile.SoundFile(path) as file:
            rate, samples = file.samplerate, _channel(file, reading)
            _check_whole(file, len(samples))
    except (OSError, RuntimeError, TypeError) as error:  # TypeError: the name ends in .raw
        raise DataError(
            f"cannot be read as sound ({str(error).rstrip('.')}); convert it to wav or flac"
        ) from error
    if not np.isfinite(samples).all():
        raise DataError("holds samples that are not finite")
    return _at_rate(samples, rate, reading)


def seconds_of(path: Path) -> float:
    """How long a file says that it is. Raises DataError, as `read_file`."""
    soundfile = _library("soundfile")
    check_file(path)
    try:
        return float(soundfile.info(path).duration)
    except (OSError, RuntimeError, TypeError) as error:
        raise DataError(f"cannot be read as sound ({str(error).rstrip('.')})") from error


def _channel(file: Any, reading: AudioReading) -> Samples:
    """The samples of all blocks: the length that a header promises is not to be trusted."""
    blocks: list[Samples] = []
    first = reading.channels == "first" or file.channels == 1
    with np.errstate(over="ignore", invalid="ignore"):
        while not blocks or len(blocks[-1]) == BLOCK:
            found = file.read(BLOCK, dtype="float32", always_2d=True)
            blocks.append(found[:, 0].copy() if first else found.mean(axis=1))
    return np.concatenate(blocks)


def _check_whole(file: Any, samples: int) -> None:
    """Raises DataError for a file that breaks off, as an unfinished copy or recording does."""
    log = file.extra_info  # libsndfile's, which reads what there is without an error
    promised = _PROMISED.search(log)
    missing = int(promised[1]) - int(promised[2]) if promised else 0
    endless = promised is not None and int(promised[1]) >= ENDLESS
    if (missing > HEADER and not endless) or (samples < file.frames and file.format != "MP3"):
        raise DataError("breaks off before the end that its header states; copy it again")
    if not samples and "Exiting parser" in log:
        raise DataError(
            "is not finished: its header states no samples, and more follows; save it anew"
        )


def _at_rate(samples: Samples, rate: int, reading: AudioReading) -> Samples:
    if rate == reading.rate:
        return np.ascontiguousarray(samples, np.float32)
    if reading.resample == "refuse":
        raise DataError(
            f"has {rate} samples a second, and the input reads {reading.rate}; set rate to {rate},"
            " convert the file, or set resample of the input to soxr"
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
        purpose = {"soundfile": "to read files of sound", "soxr": "to resample"}[name]
        raise MissingPackage(f"needs {name} {purpose}; pip install 'rnnspec[audio]'") from error
    return soundfile
