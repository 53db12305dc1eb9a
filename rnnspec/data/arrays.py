"""Rows of arrays of NumPy: an .npz file has a column in each of its arrays, a row in each entry."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from rnnspec.data.how import How
from rnnspec.data.lines import Position, check_file
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError
from rnnspec.spec.formats import NpzFormat

CHUNK_BYTES = 1 << 20
CHUNK_ROWS = 4096
ENDING = ".npy"


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file, of which `stream` gives the entries one after another."""

    stream: IO[bytes]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize

    def take(self, rows: int) -> NDArray[Any]:
        """The next entries. Raises DataError, without the place, where the file ends before."""
        data = self.stream.read(rows * self.row_bytes)
        if len(data) < rows * self.row_bytes:
            raise DataError("breaks off before the end that its header states")
        return np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])


def read_npz(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of the arrays `columns`; entries become numbers, texts or lists. Of arrays of steps
    the steps past the length of a row are left out, as the settings say.

    Raises DataError for arrays of objects, of unequal numbers of entries, or in Fortran's order.
    """
    check_file(file)
    settings = how.settings if isinstance(how.settings, NpzFormat) else NpzFormat()
    wanted = [*columns, *([settings.lengths] if settings.lengths else [])]
    try:
        with ExitStack() as stack:
            arrays = _opened(file, list(dict.fromkeys(wanted)), stack)
            yield from _chunks(file, arrays, columns, how, settings, bad, position)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: is not a whole .npz file: {error}") from error


def names_of_npz(file: Path) -> list[str]:
    """The names of the arrays, none where the file cannot be read."""
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(ENDING) for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError):
        return []


def _opened(file: Path, columns: Sequence[str], stack: ExitStack) -> dict[str, Stored]:
    archive = stack.enter_context(zipfile.ZipFile(file))
    names = [name.removesuffix(ENDING) for name in archive.namelist()]
    found = {}
    for column in columns:
        if column not in names:
            raise DataError(f"{file}: {no_column(column, names, 'array')}")
        found[column] = stored(stack.enter_context(archive.open(column + ENDING)), file, column)
    counts = {column: array.shape[0] for column, array in found.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{column!r} {count:,}" for column, count in counts.items())
        raise DataError(f"{file}: the arrays have unequal numbers of rows: {told}")
    return found


def stored(stream: IO[bytes], file: Path, column: str) -> Stored:
    """The array that begins in `stream`. Raises DataError for one that cannot be read row by row,
    and ValueError for no array."""
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise DataError(
            f"{file}: array {column!r} holds Python objects, which are programs to NumPy; save rows"
            " of unequal lengths as one array, filled up, with an array of their lengths (lengths"
            " of {npz: {lengths: …}} under data.format), or as JSONL or Parquet"
        )
    if not shape:
        raise DataError(f"{file}: array {column!r} is a single value; give it an entry a row")
    if fortran and len(shape) > 1:
        raise DataError(
            f"{file}: array {column!r} has its rows last (Fortran's order); save"
            " np.ascontiguousarray of it"
        )
    return Stored(stream, dtype, shape)


def _chunks(
    file: Path,
    arrays: dict[str, Stored],
    columns: Sequence[str],
    how: How,
    settings: NpzFormat,
    bad: BadRows,
    position: Position,
) -> Iterator[Chunk]:
    total = next(iter(arrays.values())).shape[0]
    size = max(1, max(array.row_bytes for array in arrays.values()))
    at_once = max(1, min(CHUNK_ROWS, CHUNK_BYTES // size))
    for first in range(0, total, at_once):
        rows = min(at_once, total - first)
        try:
            taken = {name: array.take(rows) for name, array in arrays.items()}
        except DataError as error:
            bad.fail(first + 1, str(error))
        lengths = taken[settings.lengths].tolist() if settings.lengths else None
        cells = {
            column: _cells(taken[column], lengths, settings, column in how.steps)
            for column in columns
        }
        position.done = (first + rows) / total
        yield Chunk(first, list(range(first + 1, first + rows + 1)), cells)


def _cells(
    values: NDArray[Any], lengths: list[int] | None, settings: NpzFormat, steps: bool
) -> list[object]:
    """The entries in plain Python; of steps those within the length of a row."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    elif values.dtype.kind == "M":
        values = np.datetime_as_string(values)
    if not steps or values.ndim < 2:
        found: list[object] = values.tolist()
        return found
    if settings.features == "first" and values.ndim > 2:
        values = np.moveaxis(values, 1, 2)
    ends = lengths if lengths is not None else _ends(values, settings.padding)
    return [row[:end].tolist() for row, end in zip(values, ends, strict=True)]


def _ends(values: NDArray[Any], padding: float | str | None) -> list[int]:
    """How many steps each row has without those at its end that are nothing but padding."""
    if padding is None:
        return [values.shape[1]] * len(values)
    filled = np.isnan(values) if padding == "nan" else values == padding
    there = ~filled.reshape(*values.shape[:2], -1).all(axis=2)
    last = values.shape[1] - np.argmax(there[:, ::-1], axis=1)
    ends: list[int] = np.where(there.any(axis=1), last, 0).tolist()
    return ends
