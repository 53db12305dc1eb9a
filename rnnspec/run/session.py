"""onnxruntime sessions: opened in one way, errors in our words, nothing on stderr."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rnnspec.data.processors import processors
from rnnspec.errors import ModelFileError
from rnnspec.run.seal import is_damaged

_FATAL = 4
"""The severity from which onnxruntime writes to stderr; failures are raised all the same."""

_NO_MODEL = ("INVALID_PROTOBUF", "No graph was found")
"""Signs in onnxruntime's messages of bytes that are no model."""

_NEWER = re.compile(r"Unsupported model IR version.*|Current official support.*")
"""onnxruntime's messages for a model that is too new for it."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a file: its type, such as `tensor(float)`, and the size of each axis or
    the name of one of any size."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]


Device = Literal["cpu", "gpu"]
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Session:
    """An open model file."""

    def __init__(
        self, model: Path | bytes, threads: int | None = None, device: Device = "cpu"
    ) -> None:
        """Open a file or its content. Raises ModelFileError if onnxruntime cannot, or has no GPU.

        `threads` work on one operator; the default is all that this process may keep busy
        (`rnnspec.data.processors`). On a GPU the operators that its provider lacks, those of texts
        among them, stay on the CPU.
        """
        self._name = str(model) if isinstance(model, Path) else "the model"
        content = _read(model) if isinstance(model, Path) else model
        onnxruntime.set_default_logger_severity(_FATAL)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or processors()
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=_providers(device)
            )
        except Exception as error:  # onnxruntime's own have no common base but this
            raise ModelFileError(f"{self._name}: {_refusal(str(error))}") from error
        if device == "gpu" and _CUDA not in self._session.get_providers():
            # onnxruntime falls back to the CPU without a word.
            raise ModelFileError(
                "onnxruntime's CUDA provider does not start here: it needs the driver, CUDA and"
                " cuDNN of its version; or answer on the CPU"
            )
        self.inputs: Sequence[str] = [value.name for value in self._session.get_inputs()]
        self.outputs: Sequence[str] = [value.name for value in self._session.get_outputs()]
        self.batch = _rows_of(self._session.get_inputs())
        """How many rows every call has, of a file whose batch is fixed; 0 where it is free."""

    @property
    def input_tensors(self) -> list[Tensor]:
        """What the inputs are."""
        return [Tensor(v.name, v.type, tuple(v.shape)) for v in self._session.get_inputs()]

    @property
    def output_tensors(self) -> list[Tensor]:
        """What the outputs are."""
        return [Tensor(v.name, v.type, tuple(v.shape)) for v in self._session.get_outputs()]

    @property
    def metadata(self) -> dict[str, str]:
        """The entries of the file's metadata."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Every output by name. Raises ModelFileError for feeds that onnxruntime refuses.

        Where the batch is fixed, fewer rows are filled up to it.
        """
        rows = len(next(iter(feeds.values()))) if self.batch else 0
        given = self._filled(feeds, rows) if self.batch else dict(feeds)
        try:
            values = self._session.run(None, given)
        except Exception as error:  # onnxruntime's own have no common base but this
            raise ModelFileError(f"{self._name}: onnxruntime refused the input: {error}") from error
        found = dict(zip(self.outputs, map(np.asarray, values), strict=True))
        return {name: value[:rows] for name, value in found.items()} if rows else found

    def _filled(self, feeds: Mapping[str, NDArray[Any]], rows: int) -> Arrays:
        """`feeds` with copies of the first row."""
        if not 0 < rows <= self.batch:
            raise ModelFileError(
                f"{self._name}: answers {self.batch} rows in each call (exported with --batch"
                f" {self.batch}), not {rows}"
            )
        order = np.r_[0:rows, np.zeros(self.batch - rows, np.int64)]
        return {name: value[order] for name, value in feeds.items()}


def _providers(device: Device) -> list[str]:
    """What onnxruntime may compute with, the first that has an operator. Raises ModelFileError."""
    if device == "cpu":
        return [_CPU]
    if _CUDA not in onnxruntime.get_available_providers():
        raise ModelFileError(
            f"this onnxruntime ({onnxruntime.__version__}) has no CUDA provider: 'pip uninstall"
            " onnxruntime', then 'pip install onnxruntime-gpu'; or answer on the CPU"
        )
    return [_CUDA, _CPU]


def _rows_of(inputs: Sequence[Any]) -> int:
    extent = inputs[0].shape[0] if inputs and inputs[0].shape else None
    return extent if isinstance(extent, int) else 0


def _read(file: Path) -> bytes:
    try:
        content = file.read_bytes()
    except IsADirectoryError as error:
        raise ModelFileError(f"{file}: is a folder; name the .onnx file in it") from error
    except FileNotFoundError as error:
        raise ModelFileError(
            f"{file}: there is no such file; write one with `rnnspec export --onnx`"
        ) from error
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read: {error.strerror}") from error
    if is_damaged(content):
        raise ModelFileError(
            f"{file}: is damaged (its digest differs); copy it again from where it was written, or"
            " export the model again"
        )
    return content


def _refusal(message: str) -> str:
    """Why a model was refused, and the way out."""
    version = onnxruntime.__version__
    if newer := _NEWER.search(message):
        return (
            f"is of a version that onnxruntime {version} cannot run; install a newer onnxruntime,"
            f" or export again with a lower --opset ({newer[0].strip().rstrip('.')})"
        )
    if any(sign in message for sign in _NO_MODEL):
        return "is not an ONNX file, or only a part of one; export it again"
    return f"onnxruntime {version} cannot load it: {message}"
