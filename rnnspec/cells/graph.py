"""A cell as a graph of operations in single assignment: what every back end lowers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.cells.initializers import CellStart

Op = Literal[
    "input", "state", "parameter", "constant", "matmul", "add", "sub", "mul", "div", "neg", "pow"
]
"""The primitive operations; a node's `op` is one of these or the name of a function."""

Shape = tuple[str, ...]
"""Sizes by name: `()` a scalar, `("units",)` a vector, `("units", "inputs")` a matrix."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value of one step. `args` are indices of earlier nodes.

    `name` is set for input, state and parameter, `value` for constant, both empty otherwise.
    `matmul` has a matrix parameter first and a vector second.
    """

    op: str
    args: tuple[int, ...]
    shape: Shape
    name: str = ""
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in order of computation, each value once (equal expressions share a node)."""

    nodes: tuple[Node, ...]
    next_states: Mapping[str, int]
    output: int

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
    value the layer gives at each step. `starts` holds the parameters that do not start uniformly
    within 1/sqrt(units), `fixed` those that are not trained. `constants` are numbers by the names
    that the equations give them.
    """

    name: str
    states: Mapping[str, Shape]
    parameters: Mapping[str, Shape]
    output: str
    graph: Graph
    inputs: tuple[str, ...] = ()
    own_sizes: tuple[str, ...] = ()
    starts: Mapping[str, CellStart] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    constants: Mapping[str, float] = field(default_factory=dict)
    equations: str = field(default="", repr=False)
    paper: str = field(default="", repr=False)

    def sizes(
        self, inputs: int, units: int, own: Mapping[str, int] | None = None
    ) -> dict[str, int]:
        """The number behind each size name."""
        return {"inputs": inputs, "units": units, **(own or {})}

    @property
    def output_size(self) -> str:
        """The name of the output's width."""
        return self.graph.nodes[self.graph.output].shape[0]
