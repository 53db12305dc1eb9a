"""rnnspec: a YAML spec of a recurrent network, compiled to PyTorch and to ONNX.

Importing the package loads nothing else; each layer (ARCHITECTURE.md) is imported where needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from rnnspec.run.opened import OpenModel

__version__ = "0.1.0"


def open(file: str | PathLike[str], *, threads: int | None = None) -> OpenModel:
    """Open a model file that `rnnspec export` wrote; torch is not needed.

        model = rnnspec.open("dates-iso.onnx")
        for answer in model.answer([{"text": "22 novembre 2026"}]):
            print(answer["iso"])

    A file exported with `--stream` also answers rows chunk by chunk:

        stream = rnnspec.open("dates-tags-stream.onnx").stream()
        print(stream.answer({"text": "22 novembre"})["tags"])
        print(stream.answer({"text": " 2026"}, end=True)["tags"])

    `threads` work on one operator; the default is all that this process may keep busy. Raises
    ModelFileError for a file that is missing, damaged, not ONNX or not written by rnnspec.
    """
    from pathlib import Path

    from rnnspec.run.opened import OpenModel

    return OpenModel(Path(file), threads)
