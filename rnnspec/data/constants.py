"""Vectors and matrices of files that the equations of cells read: npy, npz and safetensors."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.named import load_npy
from rnnspec.errors import DataError
from rnnspec.plan.facts import ConstantFacts, constant_key
from rnnspec.spec import Spec
from rnnspec.spec.cell import ConstantFile


def constants_of(spec: Spec, folder: Path) -> dict[str, ConstantFacts]:
    """What the files hold that the cells of a spec in `folder` name. Raises DataError."""
    found: dict[str, ConstantFacts] = {}
    for path, constant in _named(spec):
        file = folder / constant.file
        tensor = constant.tensor or ""
        try:
            values, digest = _read(file, tensor), _digest(file)
        except DataError as error:
            raise DataError(f"{path}: {file}: {error}") from error
        known = ConstantFacts(str(file), tensor, values.shape, digest)
        found[constant_key(constant.file, tensor)] = known
    return found


def constant_values(known: ConstantFacts) -> NDArray[np.float32]:
    """The numbers of a file that was measured. Raises DataError if it has changed since."""
    file = Path(known.file)
    try:
        if _digest(file) != known.digest:
            raise DataError(
                "has changed since this build was begun; put it back, or begin again with --fresh"
            )
        return _read(file, known.tensor)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _named(spec: Spec) -> Iterator[tuple[str, ConstantFile]]:
    """The files that cells name, with their places in the spec."""
    for name, cell in spec.cells.items():
        for constant, value in cell.constants.items():
            if isinstance(value, ConstantFile):
                yield f"cells.{name}.constants.{constant}", value


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error


def _read(file: Path, tensor: str) -> NDArray[np.float32]:
    """A number, a vector or a matrix. Raises DataError, which does not name the file."""
    try:
        found = _tensors(file, tensor)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    if found.dtype.kind not in "fiub" or found.ndim > 2:
        raise DataError(
            f"holds {found.dtype} {list(found.shape)}, expected real numbers of at most two axes"
        )
    with np.errstate(over="ignore"):
        values = np.array(found, np.float32)
    if not np.isfinite(values).all():
        raise DataError("holds numbers that are not finite in float32")
    return values


def _tensors(file: Path, tensor: str) -> NDArray[np.generic]:
    if file.suffix == ".npy":
        if tensor:
            raise DataError("is an .npy file, which holds one array; remove 'tensor'")
        return load_npy(file)
    if file.suffix == ".npz":
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return np.asarray(arrays[_chosen(list(arrays.files), tensor)])
        except (ValueError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(f"is no whole .npz file of numbers: {error}") from error
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, "numpy") as tensors:
                held: NDArray[np.generic] = tensors.get_tensor(
                    _chosen(list(tensors.keys()), tensor)
                )
                return held
        except (SafetensorError, TypeError) as error:
            raise DataError(f"is no safetensors file of numbers: {error}") from error
    raise DataError("a constant is read from .npy, .npz or .safetensors")


def _chosen(names: list[str], tensor: str) -> str:
    if not tensor and len(names) == 1:
        return names[0]
    if tensor in names:
        return tensor
    listed = ", ".join(names[:5]) or "none"
    what = f"has no tensor {tensor!r}" if tensor else f"holds {len(names)} tensors"
    raise DataError(f"{what} (there are: {listed}); name one with 'tensor'")
