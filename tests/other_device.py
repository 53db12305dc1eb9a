"""A second device without hardware: its tensors are computed by the CPU, and meet no other's.

torch has a backend for devices that Python provides (`PrivateUse1`). Its tensors are here wrappers
of CPU tensors, and every operation, forward or backward, comes through `_run`, which refuses what a
GPU refuses: tensors of two devices in one operation. Numbers without axes, and indices of `index`,
may stand on the CPU as they may for CUDA.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)


class _Backend(_DummyBackendModule):
    """What autocast and `fork_rng` ask of a device; its random numbers are those of the CPU."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def get_rng_state(self, device: torch.device) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, device: torch.device) -> None:
        torch.set_rng_state(state)


NAME = "other"
_setup_privateuseone_for_python_backend(NAME, _Backend())  # once a process
DEVICE = torch.device(NAME, 0)

_COPIES = ("aten._to_copy", "aten.copy_")
_INDEXED = ("aten.index.", "aten.index_put", "aten._index_put_impl_", "aten._unsafe_index")


class MixedDevicesError(AssertionError):
    """An operation took tensors of both devices."""


class _Placed(Tensor):
    """A tensor of `DEVICE`, whose numbers are those of `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> _Placed:
        return Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), dtype=held.dtype, device=DEVICE
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(operator, args, kwargs or {})

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """`out=` is written by a copy: wrappers without memory of their own all seem to overlap."""
        kwargs = dict(kwargs or {})
        into = kwargs.pop("out", None)
        with torch._C.DisableTorchFunctionSubclass():
            found = function(*args, **kwargs)
        return found if into is None else into.copy_(found)

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise MixedDevicesError("numpy() of a tensor that is not on the CPU")


class _Mode(TorchDispatchMode):
    """Brings to `_run` what has no tensor yet: `torch.zeros(…, device=…)`."""

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _run(operator, args, kwargs or {})


@contextmanager
def other_device() -> Iterator[torch.device]:
    """The device, which exists inside this context. Modules moved to it get new parameters."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with torch.autograd.set_multithreading_enabled(False), _Mode():  # type: ignore[no-untyped-call]
            yield DEVICE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def home(value: Any) -> Any:
    """The value with all its tensors on the CPU."""
    return tree_map_only(_Placed, lambda tensor: tensor.held, value)


def _run(operator: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = str(operator)
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    placed = [each for each in tensors if isinstance(each, _Placed)]
    if placed and not name.startswith((*_COPIES, *_INDEXED)):
        _refuse_mixed(name, tensors)
    wanted = kwargs.get("device")
    there = bool(placed) if wanted is None else torch.device(wanted).type == NAME
    if there and wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    call: Callable[..., Any] = _FUSED.get(name, operator)
    found = call(*home(args), **home(kwargs))
    if name.startswith("aten.copy_"):
        return args[0]
    if not there:
        return found
    known = {id(each.held): each for each in placed}  # in-place operations give what they took
    return tree_map_only(Tensor, lambda each: _known(known, each), found)


def _known(known: dict[int, _Placed], tensor: Tensor) -> _Placed:
    return known[id(tensor)] if id(tensor) in known else _Placed(tensor)


def _refuse_mixed(name: str, tensors: list[Tensor]) -> None:
    here = [each for each in tensors if not isinstance(each, _Placed) and each.dim() > 0]
    if here:
        shapes = [(type(each).__name__, tuple(each.shape)) for each in tensors]
        raise MixedDevicesError(f"{name} of tensors on two devices: {shapes}")


# -------------------------------------------- what lists become: torch makes them below the mode

_LIBRARY = torch.library.Library("aten", "IMPL", "PrivateUse1")


def _empty(size: Any, stride: Any, dtype: Any = None, **_: Any) -> Tensor:
    return _Placed(torch.empty_strided(size, stride, dtype=dtype))


def _copied(source: Tensor, into: Tensor, non_blocking: bool = False) -> Tensor:
    home(into).copy_(home(source))
    return into


_LIBRARY.impl("empty_strided", _empty)
_LIBRARY.impl("_copy_from", _copied)


# ------------------------------------------------ operators that torch has for devices but the CPU


def _lstm_cell(
    steps: Tensor, recurrent: Tensor, c: Tensor, bias: Tensor, other: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`h`, `c` and the four gates of `torch.nn.LSTMCell`, from the products of its matrices."""
    i, f, g, o = (steps + recurrent + bias + other).chunk(4, 1)
    gates = torch.cat([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()], 1)
    i, f, g, o = gates.chunk(4, 1)
    after = f * c + i * g
    return o * after.tanh(), after, gates


def _lstm_cell_backward(
    of_h: Tensor | None, of_c: Tensor | None, c: Tensor, after: Tensor, gates: Tensor, bias: bool
) -> tuple[Tensor, Tensor, Tensor]:
    i, f, g, o = gates.chunk(4, 1)
    wide = after.tanh()
    grad = torch.zeros_like(after) if of_c is None else of_c
    of_h = torch.zeros_like(after) if of_h is None else of_h
    grad = grad + of_h * o * (1 - wide * wide)
    parts = [grad * g * i * (1 - i), grad * c * f * (1 - f), grad * i * (1 - g * g)]
    found = torch.cat([*parts, of_h * wide * o * (1 - o)], 1)
    return found, grad * f, found.sum(0)


def _gru_cell(
    steps: Tensor, recurrent: Tensor, h: Tensor, bias: Tensor, other: Tensor
) -> tuple[Tensor, Tensor]:
    """`h` of `torch.nn.GRUCell`, and what its gradient needs."""
    (r, z, n), (u, v, m) = (steps + bias).chunk(3, 1), (recurrent + other).chunk(3, 1)
    r, z = (r + u).sigmoid(), (z + v).sigmoid()
    n = (n + r * m).tanh()
    return n + z * (h - n), torch.cat([r, z, n, h, m], 1)


def _gru_cell_backward(grad: Tensor, saved: Tensor, bias: bool) -> tuple[Tensor, ...]:
    r, z, n, h, m = saved.chunk(5, 1)
    of_n = grad * (1 - z) * (1 - n * n)
    of_r, of_z = of_n * m * r * (1 - r), grad * (h - n) * z * (1 - z)
    steps, recurrent = torch.cat([of_r, of_z, of_n], 1), torch.cat([of_r, of_z, of_n * r], 1)
    return steps, recurrent, grad * z, steps.sum(0), recurrent.sum(0)


_FUSED: dict[str, Callable[..., Any]] = {
    "aten._thnn_fused_lstm_cell.default": _lstm_cell,
    "aten._thnn_fused_lstm_cell_backward_impl.default": _lstm_cell_backward,
    "aten._thnn_fused_gru_cell.default": _gru_cell,
    "aten._thnn_fused_gru_cell_backward.default": _gru_cell_backward,
}
