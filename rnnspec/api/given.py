"""A spec as it is given in Python: a file, a text or a mapping, with values that are set."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnspec.errors import SpecError
from rnnspec.source.emit import to_yaml
from rnnspec.source.overrides import NAME
from rnnspec.source.problems import Problem, Span
from rnnspec.source.text import Source, read_source
from rnnspec.source.yaml12 import compose
from rnnspec.spec.load import LoadedSpec, load_source

TEXT = "spec"
"""The name, in messages, of a spec that is no file."""
LATER = "rows.jsonl"
"""Stands for the training rows of a spec that names none, until they are given."""


def given(
    spec: str | os.PathLike[str] | Mapping[str, Any], set: Mapping[str, Any] | None
) -> tuple[LoadedSpec, list[str], bool]:
    """The checked spec, its overrides, and whether it names training rows. Raises SpecError."""
    if isinstance(spec, Mapping):
        source, path = Source.of(to_yaml(_plain(spec, TEXT)), TEXT), Path(f"{TEXT}.yaml")
    elif isinstance(spec, str) and "\n" in spec:
        source, path = Source.of(spec, TEXT), Path(f"{TEXT}.yaml")
    else:
        path = Path(spec)
        source = read_source(path, str(path))
    values = _plain({} if set is None else set, "set")
    overrides = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    names_data = _names_data(source) or any(each.startswith("data.train=") for each in overrides)
    if not names_data:
        overrides.insert(0, f"data.train={LATER}")
    try:
        return load_source(source, path, overrides), overrides, names_data
    except SpecError as error:
        raise as_set(error) from None


def _plain(value: Any, file: str, path: str = "") -> Any:
    """`value` in the types that YAML has: paths as texts, scalars of NumPy as Python has them.
    Raises SpecError, with the path of the key, for anything else."""
    if not path and not isinstance(value, Mapping):
        raise _no_value(value, file, path, "write a mapping, as {'train.epochs': 3}")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, Mapping):
        inside = f"{path}." if path else ""
        return {str(k): _plain(each, file, f"{inside}{k}") for k, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, file, f"{path}[{at}]") for at, each in enumerate(value)]
    if isinstance(value, str | int | float | None):
        return value
    raise _no_value(value, file, path, "write a text, a number, true, false, a list or a mapping")


def _no_value(value: object, file: str, path: str, hint: str) -> SpecError:
    message = f"a value of the type {type(value).__name__}, which no spec holds"
    return SpecError([Problem(file, Span(1, 1), path, message, hint)])


def _names_data(source: Source) -> bool:
    """False where `data:` is there and `train:` is not in it."""
    document, _ = compose(source)
    data = document.data.get("data") if document and isinstance(document.data, dict) else None
    return not isinstance(data, dict) or "train" in data


def as_set(error: SpecError) -> SpecError:
    """Problems of overrides, as a caller in Python calls them."""
    return SpecError([replace(p, file="set" if p.file == NAME else p.file) for p in error.problems])
