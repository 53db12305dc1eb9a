"""Lines of a UTF-8 text file of any size, in blocks, with bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rnnspec.errors import DataError

BLOCK = 1 << 20
"""Bytes read at once."""
MAX_LINE = 64 << 20
"""Longest line in bytes; a longer one is taken for a file that has no lines."""

_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"PAR1": "Parquet"}
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Position:
    """How much of a file has been read, a share from 0 to 1: its reader moves it on."""

    done: float = 0.0


def check_file(file: Path) -> None:
    """Raises DataError where `file` is not a readable, non-empty regular file."""
    try:
        if not file.exists():
            raise DataError(
                f"{file}: no such file; check the path, it starts at {Path.cwd()}"
                if not file.is_absolute()
                else f"{file}: no such file"
            )
        if file.is_dir():
            raise DataError(f"{file}: is a folder; name a file in it")
        if not file.is_file():
            raise DataError(f"{file}: is not a regular file, which can be read more than once")
        if file.stat().st_size == 0:
            raise DataError(f"{file}: the file is empty")
    except OSError as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: Exception) -> DataError:
    """The DataError for a failure of the operating system or of a decompressor."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(f"{file}: cannot be read: {reason}")


def blocks(file: Path, position: Position | None = None) -> Iterator[tuple[int, list[str]]]:
    """Blocks of whole lines: the number of the block's first line (from 1) and its lines.

    Lines end with U+000A, which is left off; a byte order mark is left off too. `.gz` is
    decompressed on the way. Raises DataError for text that is not UTF-8 (with the line), for a
    line over MAX_LINE, and for files that cannot be read.
    """
    check_file(file)
    first, rest = 1, b""
    for block in raw_blocks(file, position):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield from _lines(file, first, rest + block[:cut])
            first, rest = first + (rest + block[:cut]).count(b"\n"), block[cut:]
        else:
            rest += block
        if len(rest) > MAX_LINE:
            raise DataError(
                f"{file}:{first}: the line is longer than {MAX_LINE >> 20} MiB; "
                "end every row with a line break"
            )
    if rest:
        yield first, [_text(file, first, rest)]


def _lines(file: Path, first: int, data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The lines of `data`, which ends with a line; up to the first that is no UTF-8, if one is."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        start = data.rfind(b"\n", 0, error.start) + 1
        if start:
            yield first, data[: start - 1].decode().split("\n")
        _text(file, first, data)
        raise AssertionError(f"{file} was no UTF-8 a moment ago") from error
    lines.pop()  # what follows the last line end
    yield first, lines


def raw_blocks(file: Path, position: Position | None = None) -> Iterator[bytes]:
    """The bytes of `file`, decompressed and without a byte order mark, in blocks.

    Raises DataError for a file that cannot be read, and one that is no UTF-8 text by its mark.
    """
    try:
        size = max(1, file.stat().st_size)
        with _opened(file) as source:
            compressed = file.suffix.lower() == ".gz"
            stream = gzip.GzipFile(fileobj=source) if compressed else source
            block = stream.read(max(BLOCK, 4))  # at least the marks whole
            _check_mark(file, block)
            if block.startswith(_BOM):
                block = block[len(_BOM) :]
            while block:
                if position is not None:
                    position.done = min(1.0, source.tell() / size)
                yield block
                block = stream.read(BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(file, error) from error


def _opened(file: Path) -> IO[bytes]:
    return file.open("rb")


def _check_mark(file: Path, block: bytes) -> None:
    for mark, name in _MARKS.items():
        if block.startswith(mark):
            way = "save it as UTF-8" if name == "UTF-16" else "correct the ending or data.format"
            raise DataError(f"{file}: is {name}, not UTF-8 text; {way}")


def _text(file: Path, first: int, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = first + data.count(b"\n", 0, error.start)
        place = error.start - (data.rfind(b"\n", 0, error.start) + 1)
        raise DataError(
            f"{file}:{line}: is not UTF-8: byte 0x{data[error.start]:02X} after {place} bytes; "
            "save the file as UTF-8"
        ) from error
