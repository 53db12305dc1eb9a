"""Lines of a text file of any size, in blocks, with bounded memory."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rnnspec.errors import DataError
from rnnspec.spec.formats import set_format

BLOCK = 1 << 20
"""Bytes read at once."""
HEAD = 1 << 16
"""Bytes that tell what a file looks like."""
MAX_LINE = 64 << 20
"""Longest line in bytes; a longer one is taken for a file that has no lines."""

MARKS = {
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"\x1f\x8b": "gzip",
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive, as spreadsheets are",
    b"SQLite format 3": "SQLite",
    b"%PDF": "PDF",
    b"RIFF": "a wav file",
    b"fLaC": "a flac file",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
}
_BOM = b"\xef\xbb\xbf"
_SHOWN = 60
"""Most characters of a line that an error shows."""


@dataclass(frozen=True, slots=True)
class Coding:
    """The `encoding` of a file of text, by the names of Python's codecs. A spec may set another one
    under its `format`, beside `others`, settings that the file has or seems to need."""

    encoding: str = "utf-8"
    format: str = "auto"
    others: tuple[tuple[str, object], ...] = ()

    @property
    def is_utf8(self) -> bool:
        return codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")

    def cure(self, encoding: str) -> str:
        """`set format to {csv: {encoding: latin-1}} (data.format of a spec, …)`."""
        return set_format(self.format, {**dict(self.others), "encoding": encoding})


UTF8 = Coding()


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


def blocks(
    file: Path, position: Position | None = None, coding: Coding = UTF8
) -> Iterator[tuple[int, list[str]]]:
    """Blocks of whole lines: the number of the block's first line (from 1) and its lines.

    Lines end with U+000A, which is left off; a byte order mark is left off too. `.gz` is
    decompressed on the way. Raises DataError for text that has another coding (with the line), for
    a line over MAX_LINE, and for files that cannot be read.
    """
    check_file(file)
    first, rest = 1, b""
    for block in raw_blocks(file, position, coding):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield from _lines(file, first, rest + block[:cut], coding)
            first, rest = first + (rest + block[:cut]).count(b"\n"), block[cut:]
        else:
            rest += block
        if len(rest) > MAX_LINE:
            raise DataError(
                f"{file}:{first}: the line is longer than {MAX_LINE >> 20} MiB; "
                "end every row with a line break"
            )
    if rest:
        yield first, [_text(file, first, rest, coding)]


def _lines(file: Path, first: int, data: bytes, coding: Coding) -> Iterator[tuple[int, list[str]]]:
    """The lines of `data`, which ends with a line; up to the first that is no UTF-8, if one is."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        start = data.rfind(b"\n", 0, error.start) + 1
        if start:
            yield first, data[: start - 1].decode().split("\n")
        _text(file, first, data, coding)
        raise AssertionError(f"{file} was no UTF-8 a moment ago") from error
    lines.pop()  # what follows the last line end
    yield first, lines


def head(file: Path, coding: Coding = UTF8) -> str:
    """The first lines of a file, at most about 64 KiB; characters that its coding does not have are
    replaced. Empty for a file that cannot be read."""
    try:
        with _opened(file) as source:
            compressed = file.suffix.lower() == ".gz"
            stream = gzip.GzipFile(fileobj=source) if compressed else source
            block = stream.read(HEAD)
    except (OSError, EOFError, zlib.error):
        return ""
    utf16 = coding.is_utf8 and block.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = block.decode("utf-16" if utf16 else coding.encoding, "replace").removeprefix("\ufeff")
    return text if len(block) < HEAD else text[: text.rfind("\n") + 1]


def raw_blocks(
    file: Path, position: Position | None = None, coding: Coding = UTF8
) -> Iterator[bytes]:
    """The text of `file` in UTF-8, decompressed and without a byte order mark, in blocks.

    Raises DataError for a file that cannot be read, for one that is no text of this coding by its
    mark, and for bytes that this coding does not have (of UTF-8 the caller finds them).
    """
    try:
        size = max(1, file.stat().st_size)
        with _opened(file) as source:
            compressed = file.suffix.lower() == ".gz"
            stream = gzip.GzipFile(fileobj=source) if compressed else source
            block = stream.read(max(BLOCK, 4))  # at least the marks whole
            _check_mark(file, block, coding)
            recoded = _Recoded(file, coding)
            while block:
                if position is not None:
                    position.done = min(1.0, source.tell() / size)
                yield recoded.utf8(block)
                block = stream.read(BLOCK)
            yield from filter(None, [recoded.utf8(b"", final=True)])
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(file, error) from error


class _Recoded:
    """Blocks of bytes in a coding, made UTF-8 one after another."""

    def __init__(self, file: Path, coding: Coding) -> None:
        self.file, self.coding, self.line, self.first = file, coding, 1, True
        self.decoder = codecs.getincrementaldecoder(coding.encoding)()

    def utf8(self, block: bytes, final: bool = False) -> bytes:
        found = block if self.coding.is_utf8 else self._decoded(block, final)
        if self.first and found:
            self.first, found = False, found.removeprefix(_BOM)
        return found

    def _decoded(self, block: bytes, final: bool) -> bytes:
        try:
            found = self.decoder.decode(block, final).encode()
        except UnicodeError as error:
            at = getattr(error, "start", 0)
            before = block[:at].decode(self.coding.encoding, "replace")
            raise DataError(
                f"{self.file}:{self.line + before.count(chr(10))}: is not {self.coding.encoding}:"
                f" {getattr(error, 'reason', error)}; {self.coding.cure('…')}"
            ) from error
        self.line += found.count(b"\n")
        return found


def _opened(file: Path) -> IO[bytes]:
    return file.open("rb")


def kind_of(block: bytes) -> str:
    """What a file is by its first bytes, where it is no text; else ""."""
    return next((name for mark, name in MARKS.items() if block.startswith(mark)), "")


def _check_mark(file: Path, block: bytes, coding: Coding) -> None:
    for mark, name in MARKS.items():
        if not block.startswith(mark) or (name == "UTF-16" and not coding.is_utf8):
            continue
        if name == "UTF-16":
            raise DataError(
                f"{file}: is UTF-16 by its first bytes, not UTF-8; {coding.cure('utf-16')}, or"
                " save it as UTF-8"
            )
        raise DataError(f"{file}: is {name}, not UTF-8 text; correct the ending or data.format")


def _text(file: Path, first: int, data: bytes, coding: Coding) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(file, first, data, error.start, coding) from error


def not_utf8(file: Path, first: int, data: bytes, place: int, coding: Coding) -> DataError:
    """The error for byte number `place` of `data`, which is no UTF-8, in lines of which the first
    is number `first`; says how the line reads in the encoding that it may have."""
    start = data.rfind(b"\n", 0, place) + 1
    end = data.find(b"\n", place)
    line = data[start : end if end >= 0 else len(data)].removesuffix(b"\r")
    shown, at = max(0, place - start - _SHOWN // 2), place - start
    part = line[shown : shown + _SHOWN]
    encoding = _likely(part)
    text = part.decode(encoding, "replace")
    number = first + data.count(b"\n", 0, place)
    return DataError(
        f"{file}:{number}: is not UTF-8: byte"
        f" 0x{data[place]:02X} after {at} bytes; if {text!r} is right,"
        f" {coding.cure(encoding)}; or save the file as UTF-8"
    )


def _likely(data: bytes) -> str:
    """The encoding of Western Europe that has all the bytes; the second has every byte."""
    try:
        data.decode("windows-1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "windows-1252"
