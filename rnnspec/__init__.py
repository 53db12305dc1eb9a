"""rnnspec: a YAML spec of a recurrent network, compiled to PyTorch and to ONNX.

    spec = rnnspec.load("dates-language.yaml")
    build = spec.build()
    build.predict(["22 novembre 2026"])
    build.export("dates-language.onnx")
    model = rnnspec.open("dates-language.onnx")  # without torch
    model.predict(["22 novembre 2026"])

What the user can get wrong raises a `rnnspec.Error`: `SpecError`, with all `problems` of a spec and
their places, `DataError`, `BuildError`, `ExportError`, `OutputError` or `ModelFileError`.

Importing the package loads nothing else; each layer (ARCHITECTURE.md) is imported where needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from rnnspec.api.events import Event as Event
    from rnnspec.api.workbench import Build as Build
    from rnnspec.api.workbench import Spec as Spec
    from rnnspec.errors import BuildError as BuildError
    from rnnspec.errors import DataError as DataError
    from rnnspec.errors import ExportError as ExportError
    from rnnspec.errors import ModelFileError as ModelFileError
    from rnnspec.errors import OutputError as OutputError
    from rnnspec.errors import RnnspecError as Error
    from rnnspec.errors import SpecError as SpecError
    from rnnspec.run.opened import OpenModel as OpenModel

__version__ = "0.2.0"
__all__ = [
    "Build",
    "BuildError",
    "DataError",
    "Error",
    "Event",
    "ExportError",
    "ModelFileError",
    "OpenModel",
    "OutputError",
    "Spec",
    "SpecError",
    "builds",
    "load",
    "open",
]


def load(
    spec: str | PathLike[str] | Mapping[str, Any], *, set: Mapping[str, Any] | None = None
) -> Spec:
    """The checked spec in a file, in a text of YAML (of several lines), or in a mapping.

    `set` puts values into it, as `{"train.epochs": 3}`. A spec for rows in memory may leave out
    `data.train`. Paths in a spec that is no file start at the working folder.

    Raises SpecError, whose `problems` has every mistake with its place (`file`, `span.line`,
    `span.column`, `path`), `message` and `hint`.

    >>> rnnspec.load("walk.yaml", set={"train.epochs": 3})
    <spec walk, N:1: reads word (chars), answers kind (class)>
    >>> try:
    ...     rnnspec.load("walk.yaml", set={"train.epoch": 3})
    ... except rnnspec.SpecError as error:
    ...     print(error.problems[0].message, "-", error.problems[0].hint)
    unknown key - did you mean 'epochs'?
    """
    from rnnspec.api.workbench import load

    return load(spec, set)


def builds(folder: str | PathLike[str] = "builds") -> list[Build]:
    """The builds in a folder, newest first; of a folder that is a build, that one.

    Raises BuildError where the folder is not there.

    >>> rnnspec.builds()[0].name
    'walk'
    """
    from pathlib import Path

    from rnnspec.api.listing import builds

    return builds(Path(folder))


def open(
    file: str | PathLike[str], *, threads: int | None = None, device: Literal["cpu", "gpu"] = "cpu"
) -> OpenModel:
    """Open a model file that `rnnspec export` wrote; torch is not needed.

    A file exported with `stream` also answers rows chunk by chunk: `.stream()`, with
    `.answer(chunk)` for each chunk (`rnnspec.run.stream.Stream`).

    `threads` work on one operator; the default is all that this process may keep busy. `device`:
    'gpu' answers through onnxruntime's CUDA provider (the package onnxruntime-gpu). Raises
    ModelFileError for a file that is missing, damaged, not ONNX or not written by rnnspec, and
    where onnxruntime has no GPU.

    >>> model = rnnspec.open("walk.onnx")
    >>> model
    <walk.onnx reads word (chars) and answers kind (class)>
    >>> model.predict(["ant", "run"])
    ['noun', 'verb']
    """
    from pathlib import Path

    from rnnspec.run.opened import OpenModel

    return OpenModel(Path(file), threads, device)


def __getattr__(name: str) -> Any:
    """What `__all__` names, loaded when it is asked for."""
    if name == "Event":
        from rnnspec.api.events import Event

        return Event
    if name in ("Build", "Spec"):
        from rnnspec.api import workbench

        return getattr(workbench, name)
    if name == "OpenModel":
        from rnnspec.run.opened import OpenModel

        return OpenModel
    if name in __all__:
        from rnnspec import errors

        return errors.RnnspecError if name == "Error" else getattr(errors, name)
    raise AttributeError(f"module 'rnnspec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
