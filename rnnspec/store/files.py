"""The files of a build: texts, and arrays whose digest is checked when they are read back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import BuildError
from rnnspec.files import digest, write_bytes

DAMAGED = "the build folder is damaged: build again"
CHANGED = "does not hold what was written (its digest differs)"
DIGEST = "digest"
"""The key of the digest of all else."""
ABOUT = "rnnspec"
"""The one entry of a file's metadata: safetensors writes several in an order that changes."""


def numbers_of(found: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics as they were written by `rnnspec.files.json_text`: NaN for null."""
    return {name: math.nan if value is None else value for name, value in found.items()}


def read_text(path: Path) -> str:
    """Raises BuildError if the file is missing or unreadable."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read ({error}); {DAMAGED}") from error


def read_json(path: Path) -> Any:
    """Raises BuildError if the file is missing or unreadable."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise BuildError(f"{path}: not readable JSON ({error}); {DAMAGED}") from error


def write_arrays(
    path: Path, arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, str]
) -> None:
    """A safetensors file of `arrays`, with `about` and a digest in its metadata."""
    from safetensors.numpy import save

    whole = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    entry = json.dumps({**about, DIGEST: _digest(whole, about)}, sort_keys=True)
    write_bytes(path, save(whole, {ABOUT: entry}))


def read_arrays(path: Path) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """Arrays and metadata of a safetensors file. Raises BuildError if missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = dict(json.loads((file.metadata() or {})[ABOUT]))
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise BuildError(f"{path}: not a readable safetensors file ({error}); {DAMAGED}") from error
    if about.pop(DIGEST, None) != _digest(arrays, about):
        raise BuildError(f"{path}: {CHANGED}; {DAMAGED}")
    return arrays, about


def _digest(arrays: Mapping[str, NDArray[np.generic]], about: Mapping[str, str]) -> str:
    """The digest of arrays, with their names, types and shapes, and of what is said of them."""
    named = {name: (value.dtype.str, value.shape) for name, value in arrays.items()}
    head = json.dumps([sorted(named.items()), sorted(about.items())]).encode()
    return digest(head, *(_bytes(arrays[name]) for name in sorted(arrays)))


def _bytes(array: NDArray[np.generic]) -> memoryview:
    """The bytes of an array in its own memory, without a copy."""
    return array.reshape(-1).view(np.uint8).data
