"""A cell: its definition, as an author writes it, and its graph, which every back end lowers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.cells.initializers import Initializer
from rnnspec.cells.sizes import Numbers, divisor, product_of

RESERVED_SIZES = ("inputs", "units")
"""Sizes every cell has: the width of the step's input, and the layer's `units`."""

Shape = tuple[str, ...]
"""Sizes (`rnnspec.cells.sizes`): `()` a scalar, `("units",)` a vector, `("units", "inputs")` a
matrix. Values of a cell that runs in several heads have these as their first axis."""

Role = Literal["input", "recurrent", "bias"]


@dataclass(frozen=True, slots=True)
class ParameterSource:
    """Settings of a parameter beyond its use in the equations.

    `shape` is needed where use leaves it open or the name breaks the naming rule, and for a single
    number, `()`, which would be taken for a vector. `start` None means uniform within
    1/sqrt(units). A parameter that is not `trained` keeps its initial value.
    """

    shape: Shape | None = None
    start: Initializer | None = None
    trained: bool = True


@dataclass(frozen=True, slots=True)
class CellSource:
    """A cell before it is compiled.

    `states`: names, each of width `units`, or a mapping of names to a size, or to the sizes of a
    number (none), a vector (one) or a matrix (two). `output`: a state
    or an assigned name, the first state if None. `inputs`: further inputs beside `x`, one number
    for each row and step. `sizes`: size names of the cell's own, to which a layer gives numbers.
    `constants`: names that stand for numbers.
    """

    name: str
    states: Sequence[str] | Mapping[str, str | Sequence[str]]
    equations: str
    output: str | None = None
    paper: str = ""
    inputs: Sequence[str] = ()
    sizes: Sequence[str] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, ParameterSource] = field(default_factory=dict)

    def state_shapes(self) -> dict[str, Shape]:
        """Each state and its shape, as written."""
        if isinstance(self.states, Mapping):
            items = self.states.items()
            return {n: (s,) if isinstance(s, str) else tuple(s) for n, s in items}
        return dict.fromkeys(self.states, ("units",))


@dataclass(frozen=True, slots=True)
class Node:
    """One value of one step. `args` are indices of earlier nodes.

    `op` is the name of a function, or one of: input, state, parameter, constant, size, matmul, add,
    sub, mul, div, neg, pow, less, at_most, select, or one of `rnnspec.cells.layout`. `name` is set
    for input, state, parameter and size, and is where a `slice` begins, and `start::stride` of
    `every`; `value` for constant.
    `matmul` has a matrix parameter first and a vector second.
    """

    op: str
    args: tuple[int, ...]
    shape: Shape
    name: str = ""
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in single assignment and order of computation; equal expressions share a node.

    `names` are the left sides of the equations, as far as they are known: rewrites drop them.
    """

    nodes: tuple[Node, ...]
    next_states: Mapping[str, int]
    output: int
    names: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def depends_on_state(self) -> tuple[bool, ...]:
        """For each node, whether its value depends on a state, so on earlier steps."""
        depends: list[bool] = []
        for node in self.nodes:
            depends.append(node.op == "state" or any(depends[arg] for arg in node.args))
        return tuple(depends)

    def products_by_operand(self) -> dict[int, tuple[int, ...]]:
        """Operand node to the matmul nodes applied to it: each group can be one joined product."""
        groups: dict[int, list[int]] = {}
        for index, node in enumerate(self.nodes):
            if node.op == "matmul":
                groups.setdefault(node.args[1], []).append(index)
        return {operand: tuple(products) for operand, products in groups.items()}


@dataclass(frozen=True, slots=True)
class Cell:
    """A recurrent cell, compiled from its equations.

    `states` and `parameters` map names to shapes over the size names `inputs` (width of the step's
    input `x`), `units` and `own_sizes`; both keep the order of the source. `inputs` are further
    inputs beside `x`, one number for each row and step. `output` is the state or name whose new
    value the layer gives at each step. `starts` holds the initializers of parameters that do not
    start uniformly within 1/sqrt(units), `fixed` the parameters that are not trained. `constants`
    are numbers by name. `head` is the cell that this one runs several times side by side, if any.
    """

    name: str
    states: Mapping[str, Shape]
    parameters: Mapping[str, Shape]
    output: str
    graph: Graph
    inputs: tuple[str, ...] = ()
    own_sizes: tuple[str, ...] = ()
    starts: Mapping[str, Initializer] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    constants: Mapping[str, float] = field(default_factory=dict)
    equations: str = field(default="", repr=False)
    paper: str = field(default="", repr=False)
    head: Cell | None = field(default=None, repr=False)

    def sizes(
        self, inputs: int, units: int, own: Mapping[str, int] | None = None
    ) -> dict[str, int]:
        """The number behind each size."""
        return Numbers({"inputs": inputs, "units": units, **(own or {})})

    @property
    def inputs_divisor(self) -> int:
        """The number that the width of the input must be a multiple of."""
        shapes = [*self.states.values(), *(node.shape for node in self.graph.nodes)]
        return divisor({size for shape in shapes for size in shape}, "inputs")

    @property
    def output_size(self) -> str:
        """The output's width."""
        return product_of(*self.graph.nodes[self.graph.output].shape)

    def state_size(self, state: str) -> str:
        """The number of elements of a state."""
        return product_of(*self.states[state])


def parameter_roles(cell: Cell) -> dict[str, Role]:
    """The role of each parameter: "input" for matrices applied to `x`, "recurrent" for all others,
    "bias" for vectors and single numbers."""
    nodes = cell.graph.nodes
    applied = {
        nodes[node.args[0]].name
        for node in nodes
        if node.op == "matmul" and nodes[node.args[1]].op == "input"
    }
    return {
        name: "bias" if len(shape) < 2 else "input" if name in applied else "recurrent"
        for name, shape in cell.parameters.items()
    }
