"""Cells by the names that a spec gives them."""

from __future__ import annotations

from rnnspec import spec as language
from rnnspec.cells import Cell, builtin_cell, builtin_names, compile_cell
from rnnspec.spec.cell import source_of


def cell_of(spec: language.Spec, name: str) -> Cell:
    """The compiled cell that a layer's `cell: name` means."""
    if name in builtin_names():
        return builtin_cell(name)
    return compile_cell(source_of(name, spec.cells[name]))
