"""Cells as equations: the language, its shape rules, the expression graph, the built-in cells."""

from rnnspec.cells.compiler import compile_cell, mistakes_of
from rnnspec.cells.functions import FUNCTIONS, LAYER_NORM_EPSILON
from rnnspec.cells.graph import RESERVED_SIZES, Cell, CellSource, Graph, Node, ParameterSource
from rnnspec.cells.library import builtin_cell, builtin_names, builtin_text, identify
from rnnspec.cells.matching import Match, match
