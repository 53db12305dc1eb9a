"""The built-in cells, read from their files, and the search for one that a cell is equal to."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from rnnspec.cells.compiler import CellSource, compile_cell
from rnnspec.cells.graph import Cell
from rnnspec.cells.matching import Match, match

BUILTIN = ("rnn", "lstm", "gru", "gru_reset_before")
"""Names of the built-in cells; each is the file `builtin/NAME.yaml`."""


def builtin_names() -> tuple[str, ...]:
    """Names a layer's `cell:` may have without a definition of its own."""
    return BUILTIN


@cache
def builtin_cell(name: str) -> Cell:
    """The built-in cell `name`, which must be one of `builtin_names()`."""
    from rnnspec.source.yaml12 import load

    text = (files("rnnspec.cells.builtin") / f"{name}.yaml").read_text("utf-8")
    data = load(text, f"{name}.yaml").data
    return compile_cell(
        CellSource(
            name=data["name"],
            states=tuple(data["states"]),
            equations=data["equations"],
            output=data.get("output"),
            paper=data["paper"],
        )
    )


@cache
def _identify(equations: str, states: tuple[str, ...], output: str) -> Match | None:
    cell = compile_cell(CellSource("cell", states, equations, output))
    for name in BUILTIN:
        if found := match(builtin_cell(name), cell):
            return found
    return None


def identify(cell: Cell) -> Match | None:
    """The built-in cell whose equations are `cell`'s up to names and order, or None."""
    return _identify(cell.equations, tuple(cell.states), cell.output)
