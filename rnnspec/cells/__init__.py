"""Cells as equations: the language, its shape rules, the expression graph, the built-in cells."""

from rnnspec.cells.compiler import CellSource, compile_cell
from rnnspec.cells.functions import FUNCTIONS, LAYER_NORM_EPSILON
from rnnspec.cells.graph import Cell, Graph, Node
from rnnspec.cells.library import builtin_cell, builtin_names, identify
from rnnspec.cells.matching import Match, match

__all__ = [
    "FUNCTIONS",
    "LAYER_NORM_EPSILON",
    "Cell",
    "CellSource",
    "Graph",
    "Match",
    "Node",
    "builtin_cell",
    "builtin_names",
    "compile_cell",
    "identify",
    "match",
]
