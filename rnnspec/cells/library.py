"""The built-in cells, read from their files, and the search for one that a cell is equal to."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from rnnspec.cells.compiler import compile_cell
from rnnspec.cells.definition import CellSource, ParameterSource
from rnnspec.cells.graph import Cell
from rnnspec.cells.initializers import CellStart, Constant, Identity, Spectral, Uniform
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
)
"""Names of the built-in cells; each is the file `builtin/NAME.yaml`."""

_STARTS: dict[str, type[Uniform | Identity | Constant | Spectral]] = {
    "uniform": Uniform,
    "identity": Identity,
    "constant": Constant,
    "spectral": Spectral,
}
"""The starts that built-in files use, each with its one number."""


def builtin_names() -> tuple[str, ...]:
    """Names a layer's `cell:` may have without a definition of its own."""
    return BUILTIN


def builtin_text(name: str) -> str:
    """The file of a built-in cell."""
    return (files("rnnspec.cells.builtin") / f"{name}.yaml").read_text("utf-8")


@cache
def builtin_cell(name: str) -> Cell:
    """The built-in cell `name`, which must be one of `builtin_names()`."""
    return compile_cell(builtin_source(name))


def builtin_source(name: str) -> CellSource:
    """The definition of a built-in cell, as its file has it."""
    from rnnspec.source.yaml12 import load

    data = load(builtin_text(name), f"{name}.yaml").data
    data["parameters"] = {
        parameter: _parameter(**settings)
        for parameter, settings in data.get("parameters", {}).items()
    }
    return CellSource(**data)


def _parameter(
    shape: list[str] | None = None, init: dict[str, Any] | None = None, trained: bool = True
) -> ParameterSource:
    start: CellStart | None = None
    if init is not None:
        ((kind, value),) = init.items()
        start = _STARTS[kind](value)
    return ParameterSource(None if shape is None else tuple(shape), start, trained)


_found: dict[str, Match | None] = {}


def identify(cell: Cell) -> Match | None:
    """The built-in cell whose equations are `cell`'s up to names and order, or None."""
    key = repr((cell.graph, dict(cell.states)))
    if key not in _found:
        matches = (match(builtin_cell(name), cell) for name in BUILTIN)
        _found[key] = next((found for found in matches if found), None)
    return _found[key]
