"""Layers in a file of Keras: `.weights.h5`, `.keras`, and the older `.h5`.

In the first two a layer has its variables as `vars/0`, `vars/1`, …, in the order in which Keras
makes them; in the older one by their names.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ModelFileError
from rnnspec.imports.groups import (
    Foreign,
    Group,
    Matrices,
    Order,
    columns_of,
    natural_order,
    recurrent_group,
    whole,
)
from rnnspec.imports.terms import Sum, Tensors, Term

EPSILON = 1e-3
"""What Keras adds to a variance unless told otherwise; 1e-5 in rnnspec."""
_INSIDE, _MADE = "model.weights.h5", "config.json"
_GATED = {"activation": ("tanh",), "recurrent_activation": ("sigmoid",)}
_USUAL: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "LSTM": _GATED,
    "GRU": _GATED,
    "SimpleRNN": {"activation": ("tanh", "relu")},
}
"""The activations that the cells here have."""
_FAMILY = {1: ("rnn", ("rnn", "rnn_relu")), 3: ("gru", ()), 4: ("lstm", ("lstm",))}
_NAMED = ("kernel", "recurrent_kernel", "bias", "embeddings")
"""Variables of the older files, in the order of the newer ones."""
_CONV_AXES = {3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
"""Of `[*size, inputs, filters]`, those of `[filters, inputs, *size]`."""


def read_keras(path: Path) -> dict[str, NDArray[np.generic]]:
    """The variables of the layers by their path in the file, in the order of the layers where the
    file says how the model is made, else of their names. Raises ModelFileError, also for a layer
    with activations that no cell here has."""
    try:
        import h5py
    except ImportError:
        raise ModelFileError(
            f"{path}: reading files of Keras needs h5py; install it with: pip install"
            " 'rnnspec[keras]'"
        ) from None
    try:
        content: Any = path
        made: Any = None
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                content = io.BytesIO(archive.read(_INSIDE))
                made = json.loads(archive.read(_MADE)) if _MADE in archive.namelist() else None
        with h5py.File(content, "r") as file:
            made = made or json.loads(file.attrs.get("model_config", "null"))
            layers = list(_layers(made))
            _check_activations(path, layers)
            older = "model_weights" in file  # newer ones count layers of a class in their order
            return _variables(file, h5py.Dataset, [n for n, _, _ in layers] if older else [])
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{path}: not a readable file of Keras ({error})") from error


def _layers(made: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Name, class and settings of every layer in the description of a model, in its order."""
    if isinstance(made, list):
        for each in made:
            yield from _layers(each)
    if not isinstance(made, dict):
        return
    settings = made.get("config")
    if isinstance(settings, dict) and isinstance(settings.get("name"), str):
        yield settings["name"], str(made.get("class_name")), settings
    for each in made.values():
        yield from _layers(each)


def _check_activations(path: Path, layers: list[tuple[str, str, Mapping[str, Any]]]) -> None:
    for name, kind, settings in layers:
        usual = _USUAL.get(kind.removesuffix("Cell"), {})
        for setting, values in usual.items():
            given = settings.get(setting, values[0])
            if given not in values:
                raise ModelFileError(
                    f"{path}: {name} ({kind}) has {setting} {given!r}, which no layer here has"
                )


def _variables(file: Any, dataset: type, layers: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {}
    root = file.get("model_weights", file)

    def visit(name: str, each: Any) -> None:
        if isinstance(each, dataset) and not name.startswith("optimizer"):
            found[name.removeprefix("_layer_checkpoint_dependencies/")] = np.asarray(each)

    root.visititems(visit)
    places = {name: place for place, name in reversed(list(enumerate(layers)))}

    def order(name: str) -> tuple[list[int], Order]:
        return [places[part] for part in name.split("/") if part in places], _order_in_file(name)

    return {name: found[name] for name in sorted(found, key=order)}


def _order_in_file(name: str) -> Order:
    """The forward direction first."""
    return natural_order(name.replace("backward_", "~backward_"))


def keras_layers(tensors: Tensors) -> Foreign:
    """The layers, by kind in the order of their names, which Keras numbers as they are made."""
    owners: dict[str, list[str]] = {}
    for name in tensors:
        owner, _, variable = name.rpartition("/")
        if variable not in {"seed_generator_state"} and "seed_generator" not in owner:
            owners.setdefault(owner, []).append(name)
    groups = tuple(
        group
        for owner, names in owners.items()
        if (group := _group(tensors, owner, sorted(names, key=_order)))
    )
    ignored = {name for name in tensors if "seed_generator" in name}
    return Foreign("keras", tensors, groups, frozenset(ignored))


def _order(name: str) -> tuple[int, str]:
    last = name.rpartition("/")[2].removesuffix(":0")
    return (_NAMED.index(last) if last in _NAMED else int(last) if last.isdecimal() else 9, last)


def _group(tensors: Tensors, owner: str, names: list[str]) -> Group | None:
    title = owner.removeprefix("layers/").removesuffix("/vars")
    shapes = [tensors[name].shape for name in names]
    ranks = [len(shape) for shape in shapes]
    if ranks[:2] == [2, 2]:
        return _recurrent(title, names, shapes)
    match ranks:
        case [2]:
            matrix = Sum((Term(names[0], (), (1, 0)),))
            parts = {"table": whole(names[0]), "W": matrix, "b": Sum()}
            return Group(title, ("table", "dense"), parts)
        case [2, 1]:
            return Group(title, ("dense",), {"W": whole(names[0], (1, 0)), "b": whole(names[1])})
        case [3 | 4 | 5 as axes, *rest] if rest in ([], [1]):
            bias = whole(names[1]) if rest else Sum()
            return Group(title, ("conv",), {"W": whole(names[0], _CONV_AXES[axes]), "b": bias})
        case [1, 1] | [1, 1, 1, 1]:
            return _norm(title, names)
    return None


def _norm(title: str, names: list[str]) -> Group:
    """Scale and shift, of batch norm the moments too, whose variance takes up what Keras adds."""
    newer = names[0].rpartition("/")[2].isdecimal()
    by_name = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), names, strict=False))
    if not newer:
        by_name = {name.rpartition("/")[2].removesuffix(":0"): name for name in names}
    parts = {"scale": whole(by_name["gamma"]), "shift": whole(by_name["beta"])}
    if len(names) == 2:
        note = f"{title}: layer norm adds 1e-5 to a variance here, and {EPSILON:g} in Keras"
        return Group(title, ("layer_norm",), parts, (note,))
    variance = Sum((Term(by_name["moving_variance"]),), EPSILON - 1e-5)
    moments = {"mean": whole(by_name["moving_mean"]), "variance": variance}
    note = f"{title}: its variance has {EPSILON:g} added to it, as Keras does unless told otherwise"
    return Group(title, ("batch_norm",), parts | moments, (note,))


def _recurrent(title: str, names: list[str], shapes: list[tuple[int, ...]]) -> Group | None:
    """Kernel `[inputs, gates * units]`, recurrent kernel `[units, gates * units]`, and a bias of
    `gates * units` numbers, two of them in a GRU that resets after the product."""
    (units, columns), bias = shapes[1], names[2] if len(names) > 2 else ""
    if columns != shapes[0][1] or columns % units or columns // units not in _FAMILY:
        return None
    family, kinds = _FAMILY[columns // units]
    two = bool(bias) and len(shapes[2]) == 2
    if family == "gru":
        kinds = ("gru",) if two or not bias else ("gru_reset_before",)

    def biases(first: int, last: int) -> tuple[Sum, Sum]:
        if two:
            one, other = (Sum((Term(bias, (at, (first, last))),)) for at in (0, 1))
            return one, other
        return (Sum((Term(bias, ((first, last),)),)) if bias else Sum()), Sum()

    found = Matrices(
        lambda first, last: columns_of(names[0], first, last),
        lambda first, last: columns_of(names[1], first, last),
        biases,
    )
    group = recurrent_group("keras", family, title, kinds, units, found)
    if family == "gru" and not bias:  # where it resets is not told
        return Group(title, ("gru", "gru_reset_before"), group.parts)
    return group
