"""Layers in a state dict of torch, by the names that `torch.nn` gives to their tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.errors import ModelFileError
from rnnspec.imports.groups import Foreign, Group, Matrices, recurrent_group, rows_of, whole
from rnnspec.imports.terms import Sum, Tensors

_WRAPPERS = ("state_dict", "model_state_dict", "model", "weights")
"""Keys below which training scripts keep a state dict among other things."""
_RECURRENT = re.compile(r"(?P<start>.*?)weight_ih(?P<end>(_l\d+)?(_reverse)?)")
_FAMILY = {1: ("rnn", ("rnn", "rnn_relu")), 3: ("gru", ("gru",)), 4: ("lstm", ("lstm",))}
"""By the number of gates. Whether a plain cell has tanh or relu stands in no state dict."""


def read_state_dict(path: Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of a file by `torch.save`. Raises ModelFileError; nothing but numbers is read."""
    import pickle

    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        why = re.split(r"\n|\. |\x1b", str(error) or type(error).__name__)[0]
        raise ModelFileError(
            f"{path}: torch reads no weights from it ({why}); save the state dict alone:"
            " torch.save(model.state_dict(), FILE)"
        ) from error
    for key in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    found = _only_inside(found)
    if not isinstance(found, dict) or not all(isinstance(k, str) for k in found):
        raise ModelFileError(f"{path}: holds no state dict, but a {type(found).__name__}")
    tensors = {name: each for name, each in found.items() if isinstance(each, torch.Tensor)}
    if not tensors:
        raise ModelFileError(f"{path}: holds no tensors")
    return {name: array_of(each, name, path) for name, each in tensors.items()}


def _only_inside(found: Any) -> Any:
    """What is below the one key of a checkpoint that holds a state dict, if it has none itself."""
    if not isinstance(found, dict) or any(isinstance(v, Tensor) for v in found.values()):
        return found
    inside = [
        each
        for each in found.values()
        if isinstance(each, dict) and each and all(isinstance(v, Tensor) for v in each.values())
    ]
    return inside[0] if len(inside) == 1 else found


def array_of(tensor: Tensor, name: str, path: Path) -> NDArray[np.generic]:
    """Raises ModelFileError for numbers that no layer has."""
    whole = tensor.detach()
    if whole.is_quantized or whole.is_complex() or whole.is_meta:
        kind = "no numbers" if whole.is_meta else str(whole.dtype)
        raise ModelFileError(f"{path}: {name} holds {kind}; save it as float32")
    if whole.layout != torch.strided:
        whole = whole.to_dense()
    return whole.to(torch.float64 if whole.is_floating_point() else whole.dtype).numpy()


def torch_layers(tensors: Tensors) -> Foreign:
    """The layers of a state dict, in the order of its tensors."""
    groups = tuple(_groups(tensors))
    ignored = {name for name in tensors if name.endswith("num_batches_tracked")}
    return Foreign("torch", tensors, groups, frozenset(ignored))


def _groups(tensors: Tensors) -> Iterator[Group]:
    for name, tensor in tensors.items():
        if found := _RECURRENT.fullmatch(name):
            yield _recurrent(tensors, found["start"], found["end"])
        elif name.rpartition(".")[2] == "weight" and (group := _plain(tensors, name, tensor.ndim)):
            yield group


def _recurrent(tensors: Tensors, start: str, end: str) -> Group:
    """`torch.nn.LSTM` and its kin, or `torch.nn.LSTMCell` and its kin, whose names have no end."""
    inputs, hidden = f"{start}weight_ih{end}", f"{start}weight_hh{end}"
    projected, title = f"{start}weight_hr{end}", f"{start.rstrip('.') or 'recurrent'}{end}"
    if hidden not in tensors:
        raise ModelFileError(f"there is {inputs} and no {hidden}")
    rows, width = tensors[hidden].shape
    units = tensors[projected].shape[1] if projected in tensors else width
    if rows % units or rows // units not in _FAMILY:
        raise ModelFileError(
            f"{hidden} has the shape [{rows}, {width}], which no cell of torch has"
        )
    family, kinds = _FAMILY[rows // units]

    def biases(first: int, last: int) -> tuple[Sum, Sum]:
        names = (f"{start}bias_ih{end}", f"{start}bias_hh{end}")
        one, two = (rows_of(n, first, last) if n in tensors else Sum() for n in names)
        return one, two

    found = Matrices(
        lambda first, last: rows_of(inputs, first, last),
        lambda first, last: rows_of(hidden, first, last),
        biases,
    )
    group = recurrent_group("torch", family, title, kinds, units, found)
    if projected in tensors:
        return Group(title, ("lstm_projected",), {**group.parts, "P": whole(projected)})
    return group


def _plain(tensors: Tensors, name: str, axes: int) -> Group | None:
    start = name.removesuffix("weight")
    title, bias = start.rstrip(".") or "weight", f"{start}bias"
    shift = whole(bias) if bias in tensors else Sum()
    if axes == 1:
        scaled = {"scale": whole(name), "shift": shift}
        if f"{start}running_mean" not in tensors:
            return Group(title, ("layer_norm",), scaled)
        moments = {
            "mean": whole(f"{start}running_mean"), "variance": whole(f"{start}running_var")
        }  # fmt: skip
        return Group(title, ("batch_norm",), scaled | moments)
    parts = {"W": whole(name), "b": shift}
    if axes == 2:
        kinds = ("dense",) if bias in tensors else ("table", "dense")
        return Group(title, kinds, {**parts, "table": whole(name)})
    return Group(title, ("conv",), parts) if axes in (3, 4, 5) else None
