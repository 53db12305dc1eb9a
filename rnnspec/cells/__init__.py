"""Cells as equations: the language, its shape rules, the expression graph, the built-in cells."""

from rnnspec.cells.compiler import compile_cell as compile_cell
from rnnspec.cells.compiler import mistakes_of as mistakes_of
from rnnspec.cells.functions import FUNCTIONS as FUNCTIONS
from rnnspec.cells.functions import LAYER_NORM_EPSILON as LAYER_NORM_EPSILON
from rnnspec.cells.graph import RESERVED_SIZES as RESERVED_SIZES
from rnnspec.cells.graph import Cell as Cell
from rnnspec.cells.graph import CellSource as CellSource
from rnnspec.cells.graph import Graph as Graph
from rnnspec.cells.graph import Node as Node
from rnnspec.cells.graph import ParameterSource as ParameterSource
from rnnspec.cells.library import builtin_cell as builtin_cell
from rnnspec.cells.library import builtin_names as builtin_names
from rnnspec.cells.library import builtin_text as builtin_text
from rnnspec.cells.library import identify as identify
from rnnspec.cells.matching import Match as Match
from rnnspec.cells.matching import match as match
