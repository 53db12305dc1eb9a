"""Writing of files: whole or not at all, and never in place of a file of another kind.

A command that writes a file with a name from the user calls `check_output` before any work, and one
of the writers at the end. Files that are read back carry a digest of their content (`digest`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from typing import IO, Any, TextIO

from rnnspec.errors import OutputError

_ON_ONE_LINE = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

HEAD = 4096
"""Bytes at the start of a file that hold the mark of its kind."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that a command writes under a name from the user.

    `name` as in a sentence ("a report"); `endings` of its names, with the dot, the first one as the
    proposal; `own(path)`: whether rnnspec wrote the file at `path` as this kind, so that it may be
    replaced. A kind that `streams` may also be written to a device or pipe.
    """

    name: str
    endings: tuple[str, ...]
    own: Callable[[Path], bool]
    streams: bool = False


def json_text(value: object, indent: int | None = None) -> str:
    """`value` as JSON, with null for NaN and infinities."""
    if indent is None:
        try:
            return _ON_ONE_LINE(value)
        except (TypeError, ValueError):  # of other mappings than dict; numbers that are not finite
            pass
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """`value` with None for NaN and infinities, also inside mappings and lists."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def marked(mark: bytes) -> Callable[[Path], bool]:
    """Whether a file has `mark` within its first `HEAD` bytes."""

    def own(path: Path) -> bool:
        with path.open("rb") as file:
            return mark in file.read(HEAD)

    return own


MODEL_FILE = FileKind("a model file", (".onnx",), marked(b"rnnspec"))
REPORT = FileKind("a report", (".html", ".htm"), marked(b'name="generator" content="rnnspec"'))
FIGURES = FileKind("a table of figures", (".csv",), marked(b",rows,loss"))
PICTURE = FileKind("a drawing", (".svg",), marked(b"rnnspec"))
SCHEMA = FileKind("a JSON Schema", (".json",), marked(b'"title": "rnnspec"'), streams=True)


def check_output(path: Path, kind: FileKind, sources: Iterable[Path] = ()) -> None:
    """Raises OutputError where a file of this kind must not be written to `path`.

    That is: a folder, a path in a missing folder, a device unless the kind streams, a name with
    another ending, a file of another kind, and a file among `sources`, which the command reads.
    """
    if path.is_dir():
        example = path / f"NAME{kind.endings[0]}"
        raise OutputError(f"{path}: is a folder; name a file in it, such as {example}")
    _check_folder(path)
    if path.exists() and not path.is_file():
        if kind.streams:
            return
        raise OutputError(f"{path}: is no file, and {kind.name} becomes one; name another")
    if path.suffix.lower() not in kind.endings:
        proposed = path.with_suffix(kind.endings[0])
        raise OutputError(
            f"{path}: {kind.name} is written to a name that ends in"
            f" {' or '.join(kind.endings)}, such as {proposed}"
        )
    if path.exists():
        if any(source.exists() and path.samefile(source) for source in sources):
            raise OutputError(f"{path}: is read by this very command; name another file")
        if not _is_own(path, kind):
            raise OutputError(
                f"{path}: is there already, and is not {kind.name} that rnnspec wrote; name another"
                f" file, or move this one away with: mv {quote(str(path))}"
                f" {quote(str(path) + '.old')}"
            )


def _check_folder(path: Path) -> None:
    if not path.parent.exists():
        raise OutputError(
            f"{path}: cannot be written (there is no folder {path.parent}); make it with:"
            f" mkdir -p {quote(str(path.parent))}"
        )
    if not path.parent.is_dir():
        raise OutputError(
            f"{path}: cannot be written ({path.parent} is a file, not a folder); name another"
        )


def _is_own(path: Path, kind: FileKind) -> bool:
    try:
        return not path.stat().st_size or kind.own(path)
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({cause}); name another file") from error


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears at `path`, flushed to the disk, when the block ends without an exception.

    Until then an older file stays. Raises OutputError where the disk refuses.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); what was there is unchanged"
        ) from error
    finally:
        with suppress(OSError):  # an interrupt leaves nothing half written either
            beside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one move. Raises OutputError if it cannot be written."""
    with written(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """As `write_text`, for lines with line ends, in a folder that is made if missing."""
    make_folder(path)
    with written(path) as file:
        file.writelines(line.encode() for line in lines)


def make_folder(path: Path) -> None:
    """Make the folder of the file `path` if it is missing. Raises OutputError if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A text file in UTF-8 that appears at `path` when the block ends without an exception; a
    device or pipe is written to directly. Raises OutputError if it cannot be written."""
    if path.exists() and not path.is_file():
        try:
            with path.open("w", encoding="utf-8") as device:
                yield device
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
        return
    with written(path) as file:
        text = TextIOWrapper(file, "utf-8", newline="\n")
        yield text
        text.detach()  # flushes, and leaves the file open


def sweep(folder: Path) -> None:
    """Remove files that killed processes left half written in `folder`."""
    for torn in folder.glob(".*.part"):
        torn.unlink(missing_ok=True)


def digest(*parts: bytes | memoryview) -> str:
    """The SHA-256 of the concatenated parts, in hexadecimal."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()
