"""Files that are whole or absent: written beside their place, flushed, then moved there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import BuildError

DAMAGED = "the build folder is damaged: build again"


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one move. Raises BuildError if it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise BuildError(
            f"{path}: cannot be written ({error.strerror or error}); what was there is unchanged"
        ) from error
    finally:
        with suppress(OSError):  # an interrupt leaves nothing half written either
            beside.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes that were killed left half written in `folder`."""
    for torn in folder.glob(".*.part"):
        torn.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode())


def read_text(path: Path) -> str:
    """Raises BuildError if the file is missing or unreadable."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read ({error}); {DAMAGED}") from error


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, str]
) -> None:
    """A safetensors file of `arrays`, with `about` as its metadata."""
    from safetensors.numpy import save

    whole = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    write_bytes(path, save(whole, dict(about)))


def read_arrays(path: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Arrays and metadata of a safetensors file. Raises BuildError if missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise BuildError(f"{path}: not a readable safetensors file ({error}); {DAMAGED}") from error
