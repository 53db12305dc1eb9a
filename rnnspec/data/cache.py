"""Folders of raw arrays: written once, there whole or not at all, and memory-mapped."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rnnspec.errors import DataError

INDEX = "arrays.json"
"""Written last; states the type and shape of every array of the folder."""
UNFINISHED = ".unfinished-"
STALE_SECONDS = 24 * 3600
"""Age from which an unfinished folder is taken for one that a killed run left behind."""


@dataclass(slots=True)
class Column:
    """An array that grows on disk: `dtype`, and the shape of one entry."""

    stream: IO[bytes]
    dtype: np.dtype[Any]
    entry: tuple[int, ...]
    count: int = 0
    crc: int = 0
    """Of what was written, CRC-32: against damage, and twice as fast as a digest."""

    def append(self, values: NDArray[Any]) -> None:
        """Adds `values`, `[n, *entry]`."""
        assert values.shape[1:] == self.entry, (values.shape, self.entry)
        data = np.ascontiguousarray(values, self.dtype).data
        self.stream.write(data)
        self.crc = zlib.crc32(data, self.crc)
        self.count += len(values)


@dataclass(slots=True)
class Writer:
    """Creates the arrays of one folder."""

    folder: Path
    stack: contextlib.ExitStack
    columns: dict[str, Column] = field(default_factory=dict)
    at_end: dict[str, Callable[[], NDArray[np.uint8]]] = field(default_factory=dict)
    """Makes arrays of bytes, by name, that are known only when all others are written."""

    def column(self, name: str, dtype: DTypeLike, *entry: int) -> Column:
        path = self.folder / name
        stream = self.stack.enter_context(path.open("wb", buffering=1 << 20))
        self.columns[name] = Column(stream, np.dtype(dtype), entry)
        return self.columns[name]

    def finish(self) -> None:
        """Everything to the disk, the index last."""
        for name, array in self.at_end.items():
            self.column(name, "u1").append(array())
        for column in self.columns.values():
            column.stream.flush()
            os.fsync(column.stream.fileno())
        index = {
            name: {
                "dtype": column.dtype.str,
                "shape": [column.count, *column.entry],
                "crc": column.crc,
            }
            for name, column in self.columns.items()
        }
        with open(self.folder / INDEX, "w", encoding="utf-8") as stream:
            json.dump({"arrays": index, "crc": _crc(index)}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Writer]:
    """A writer of `folder`, which appears when the block ends without an exception.

    Safe against being killed and against other processes doing the same: the folder is written
    under another name and renamed; whoever comes second drops their own. Raises DataError where
    the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_stale(folder.parent)
        temporary = folder.parent / f"{UNFINISHED}{secrets.token_hex(8)}"
        temporary.mkdir()
    except OSError as error:
        raise _refused(folder, error) from error
    try:
        with contextlib.ExitStack() as stack:
            writer = Writer(temporary, stack)
            yield writer
            writer.finish()
        try:
            os.replace(temporary, folder)
        except OSError:
            if open_folder(folder) is None:
                raise
    except OSError as error:
        raise _refused(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_folder(folder: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of `folder`, mapped read-only; None if it is missing or not whole.

    A folder that is not whole, or does not hold what was written, is removed: its arrays are made
    again. Reading every array once takes less than training on them, which reads them each epoch.
    """
    if not folder.is_dir():
        return None
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["crc"] != _crc(index["arrays"]):
            raise ValueError(f"{folder / INDEX} is damaged")
        return {name: _mapped(folder / name, **about) for name, about in index["arrays"].items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def checksums(folder: Path) -> dict[str, int]:
    """The checksum of each array of a folder that is whole."""
    arrays = json.loads((folder / INDEX).read_text(encoding="utf-8"))["arrays"]
    return {name: about["crc"] for name, about in arrays.items()}


def _crc(index: object) -> int:
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())


def _mapped(file: Path, dtype: str, shape: list[int], crc: int) -> NDArray[Any]:
    kind = np.dtype(dtype)
    size = kind.itemsize * int(np.prod(shape))
    if file.stat().st_size != size:
        raise ValueError(f"{file} is cut off")
    if _crc_of(file) != crc:
        raise ValueError(f"{file} is damaged")
    if not size:  # nothing to map
        return np.zeros(shape, kind)
    # A plain view: the memmap class costs time at each indexing.
    return np.memmap(file, kind, "r", shape=tuple(shape)).view(np.ndarray)


def _crc_of(file: Path) -> int:
    found, block = 0, memoryview(bytearray(1 << 20))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(block):
            found = zlib.crc32(block[:count], found)
    return found


def clear_stale(folder: Path) -> None:
    """Remove what killed runs left unfinished in `folder`, once it is old enough."""
    for left in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _refused(folder: Path, error: OSError) -> DataError:
    return DataError(f"{folder.parent}: cannot write the encoded data: {error.strerror or error}")


MOST_RESIDENT = 128 << 20
"""Bytes of mapped files that may be resident before all of them are released."""
ROWS_BETWEEN = 64
"""Rows between two checks of resident memory: each may bring 2 MiB of every column with it."""
STATM = "/proc/self/statm"


@dataclass(slots=True)
class MemoryMaps:
    """The memory maps of some arrays; none if the arrays are no larger than MOST_RESIDENT together.

    Pages that were read stay resident until the memory is needed, and memory limits and monitors
    count them. So beyond MOST_RESIDENT they are released. They stay in the system's page cache;
    reading them again costs less than a millisecond a MiB. Rows are read in random order, so
    read-ahead is off: with little memory left for the page cache it would evict what the same
    buffer of rows asks for next. Where the system has no figure (it is not Linux), nothing is
    released.
    """

    maps: tuple[mmap.mmap, ...]
    rows: int = 0
    """Read since the last look."""
    before: int = field(default_factory=lambda: resident())
    """Resident bytes of files after the last release, libraries for the most part."""

    @staticmethod
    def of(arrays: Iterable[NDArray[Any]]) -> MemoryMaps:
        found: dict[int, mmap.mmap] = {}
        for array in arrays:
            base: Any = array
            while base is not None and not isinstance(base, mmap.mmap):
                base = getattr(base, "base", None)
            if base is not None:
                found[id(base)] = base
        if sum(map(len, found.values())) <= MOST_RESIDENT:  # they are never released
            found.clear()
        for each in found.values():
            with contextlib.suppress(AttributeError, OSError):  # only a hint
                each.madvise(mmap.MADV_RANDOM)
        return MemoryMaps(tuple(found.values()))

    def read(self, rows: int) -> None:
        """To be called when `rows` more rows have been read."""
        self.rows += rows
        if self.rows < ROWS_BETWEEN or not self.maps:
            return
        self.rows = 0
        if resident() - self.before > MOST_RESIDENT:
            for each in self.maps:
                each.madvise(mmap.MADV_DONTNEED)
            self.before = resident()


def resident() -> int:
    """Bytes of mapped files that are resident, 0 where the system has no figure."""
    with contextlib.suppress(OSError), open(STATM, "rb") as stream:
        return int(stream.read().split()[2]) * mmap.PAGESIZE
    return 0
