"""The built-in cells: their files, the kernels for them, and which of them a given cell equals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from rnnspec.cells.compiler import compile_cell
from rnnspec.cells.graph import Cell, CellSource, ParameterSource
from rnnspec.cells.initializers import BY_NAME
from rnnspec.cells.matching import Match, match

BUILTIN = (
    "rnn",
    "rnn_relu",
    "lstm",
    "lstm_peephole",
    "lstm_coupled",
    "lstm_layer_norm",
    "lstm_projected",
    "gru",
    "gru_reset_before",
    "mgu",
    "mingru",
    "minlstm",
    "indrnn",
    "echo_state",
    "slstm",
    "cfc",
    "ltc",
    "gated_linear_attention",
    "mlstm",
    "delta_rule",
    "gated_delta_rule",
    "s6",
    "lmu",
    "phased_lstm",
    "fastgrnn",
    "gru_d",
)
"""Names of the built-in cells; each is the file `builtin/NAME.yaml`."""

TORCH_KERNELS: Mapping[str, str] = {
    "rnn": "torch.rnn_tanh",
    "lstm": "torch.lstm",
    "gru": "torch.gru",
}
"""Built-in cell to torch's kernel for it; a test holds it equal to `to_torch/native.py`."""

ONNX_OPERATORS: Mapping[str, str] = {
    "rnn": "RNN",
    "rnn_relu": "RNN with Relu",
    "indrnn": "RNN with Relu and a diagonal R",
    "lstm": "LSTM",
    "lstm_peephole": "LSTM with peepholes P",
    "lstm_coupled": "LSTM with input_forget=1",
    "lstm_projected": "LSTM with R = U P",
    "gru": "GRU with linear_before_reset=1",
    "gru_reset_before": "GRU with linear_before_reset=0",
}
"""Built-in cell to the ONNX operator for it, with its attributes; a test holds it equal to
`to_onnx/native.py`."""


def builtin_names() -> tuple[str, ...]:
    """The names of the built-in cells."""
    return BUILTIN


def builtin_text(name: str) -> str:
    """The file of a built-in cell."""
    return (files("rnnspec.cells.builtin") / f"{name}.yaml").read_text("utf-8")


@cache
def builtin_cell(name: str) -> Cell:
    """The built-in cell `name`, which must be one of `builtin_names()`."""
    return compile_cell(builtin_source(name))


def builtin_source(name: str) -> CellSource:
    """The definition in the file of a built-in cell."""
    from rnnspec.source.yaml12 import load

    data = load(builtin_text(name), f"{name}.yaml").data
    if isinstance(data["states"], dict):
        data["states"] = {
            name: size if isinstance(size, str) else tuple(size)
            for name, size in data["states"].items()
        }
    data["parameters"] = {
        parameter: _parameter(**settings)
        for parameter, settings in data.get("parameters", {}).items()
    }
    return CellSource(**data)


def _parameter(
    shape: list[str] | None = None, init: dict[str, Any] | str | None = None, trained: bool = True
) -> ParameterSource:
    start = None
    if isinstance(init, str):
        start = BY_NAME[init]()
    elif init is not None:
        ((kind, value),) = init.items()
        start = BY_NAME[kind](value)
    return ParameterSource(None if shape is None else tuple(shape), start, trained)


_found: dict[str, Match | None] = {}


def identify(cell: Cell) -> Match | None:
    """The built-in cell whose equations are `cell`'s up to names and order, or None."""
    key = repr((cell.graph, dict(cell.states)))
    if key not in _found:
        matches = (match(builtin_cell(name), cell) for name in BUILTIN)
        _found[key] = next((found for found in matches if found), None)
    return _found[key]
