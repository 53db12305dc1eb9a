"""Values of a cell that are computed here and kept as initializers: what needs its weights only,
and what it computes of the embedded tokens alone.

The first layer of a decoder mostly reads nothing but the embedding of the token before. `W x + b`
is then one of as many vectors as there are tokens, and is looked up in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells.graph import Graph, Node
from rnnspec.cells.heads import BLOCKS, HEADS
from rnnspec.cells.layout import Layout, is_shaped, layout
from rnnspec.cells.reassociate import closure
from rnnspec.cells.sizes import extent
from rnnspec.reference.functions import OPERATIONS, block_diagonal, flat
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.rewrite import CENTRED, NEGATED, ORIGINALS, SCALED_CENTRED_NORM, SCALED_NORM
from rnnspec.to_onnx.structural import Argument

Array = NDArray[np.float64]
MOST_NUMBERS = 2**18
"""Of the tables of a layer: they make the file larger, and save time for few tokens only."""


class WeightsOnly:
    """The values of one direction of a layer, whose weights' names begin with `prefix`.

    `sizes` are the numbers behind the names of sizes.
    """

    def __init__(
        self,
        emit: Emitter,
        prefix: str,
        graph: Graph,
        weights: Mapping[str, NDArray[np.float32]],
        sizes: Mapping[str, int],
    ) -> None:
        self._emit, self._prefix, self._nodes = emit, prefix, graph.nodes
        self._weights, self._sizes = weights, sizes
        self._computed: dict[int, Array] = {}
        self._emitted: dict[int, str] = {}
        self._matrices: dict[str, str] = {}
        self._known: list[bool] = []
        for node in graph.nodes:
            from_outside = node.op in ("input", "state")
            self._known.append(not from_outside and all(self._known[arg] for arg in node.args))

    def holds(self, index: int) -> bool:
        """Whether a node's value needs the weights only."""
        return self._known[index]

    def width(self, index: int) -> int:
        """The width of any value of the cell; 1 for a single number."""
        return extent(self._nodes[index].shape, self._sizes)

    def layout(self, index: int) -> Layout:
        """The layout of an operation that is told one."""
        return layout(self._nodes, index, self._sizes)

    def is_shaped(self, index: int) -> bool:
        """Whether an operation is told a layout."""
        return is_shaped(self._nodes[index])

    def arguments(self, indices: Sequence[int], names: Sequence[str], axes: int) -> list[Argument]:
        """Nodes and the names of their values, which have so many axes before their elements
        unless they need weights only."""
        return [
            Argument(name, 0 if self.holds(index) else axes, self.width(index))
            for index, name in zip(indices, names, strict=True)
        ]

    def value(self, index: int) -> str:
        """A node's value as an initializer `[width]` or `[]`."""
        if index not in self._emitted:
            node = self._nodes[index]
            value = self._compute(index).astype(np.float32)
            if node.op == "parameter":
                name = self._emit.weight(f"{self._prefix}.{node.name}", value)
            else:
                name = self._emit.constant(value, f"{self._prefix}.{node.op}_{index}")
            self._emitted[index] = name
        return self._emitted[index]

    def matrix(self, parameter: str) -> str:
        """A matrix, transposed: `[columns, rows]`, for vectors that are rows."""
        if parameter not in self._matrices:
            title = f"{self._prefix}.{parameter}.transposed"
            self._matrices[parameter] = self._emit.weight(title, self.parameter(parameter).T)
        return self._matrices[parameter]

    def parameter(self, parameter: str) -> NDArray[np.float32]:
        """A parameter of the graph; for `CENTRED` names with the mean of each column taken off, for
        `NEGATED` ones with the other sign."""
        if NEGATED in parameter:
            return -self.parameter(parameter.replace(NEGATED, ""))
        name = parameter.removesuffix(CENTRED)
        value = self._weights[f"{self._prefix}.{name.removesuffix(BLOCKS)}"]
        if name.endswith(BLOCKS):
            value = np.asarray(block_diagonal(value, self._sizes[HEADS]), np.float32)
        if not parameter.endswith(CENTRED):
            return value
        return np.asarray(value - value.mean(axis=0, dtype=np.float64), np.float32)

    def _compute(self, index: int) -> Array:
        for each in closure(self._nodes, [index], self._computed):
            arguments = [self._computed[arg] for arg in self._nodes[each].args]
            self._computed[each] = self.evaluated(each, arguments)
        return self._computed[index]

    def evaluated(self, index: int, arguments: list[Array]) -> Array:
        """The value of a node in float64, of one vector or of one in each row."""
        node = self._nodes[index]
        if node.op == "size":
            return np.asarray(self._sizes[node.name], np.float64)
        if self.is_shaped(index):
            return flat(node.op, self.layout(index), *arguments)
        if node.op == "matmul":
            matrix = self.parameter(self._nodes[node.args[0]].name).astype(np.float64)
            arguments = [matrix, arguments[1]]
        return _evaluated(node, arguments, self.parameter)


def token_tables(
    graph: Graph, weights: WeightsOnly, vectors: NDArray[np.float32]
) -> Mapping[int, NDArray[np.float32]]:
    """The values `[V, width]`, for the inputs `vectors` `[V, inputs]`, of the nodes that depend on
    the input but on no state, where stateful nodes or the outside read them. Empty if they are
    many."""
    stateful, read = graph.depends_on_state(), _depends_on_input(graph)
    ends = {*graph.next_states.values(), graph.output}
    for index, node in enumerate(graph.nodes):
        ends |= set(node.args) if stateful[index] else set()
    found = [
        index
        for index in sorted(ends)
        if read[index] and not stateful[index] and graph.nodes[index].op != "input"
    ]
    if len(vectors) * sum(map(weights.width, found)) > MOST_NUMBERS:
        return {}
    inputs, values = vectors.astype(np.float64), dict[int, Array]()
    for index in closure(graph.nodes, found):
        node = graph.nodes[index]
        arguments = [values[arg] for arg in node.args]
        is_input = node.op == "input"
        values[index] = inputs if is_input else weights.evaluated(index, arguments)
    return {index: _rows(values[index], len(vectors)).astype(np.float32) for index in found}


def _depends_on_input(graph: Graph) -> list[bool]:
    """For each node, whether its value depends on the input."""
    found: list[bool] = []
    for node in graph.nodes:
        found.append(node.op == "input" or any(found[arg] for arg in node.args))
    return found


def _evaluated(
    node: Node, arguments: list[Array], parameter: Callable[[str], NDArray[np.float32]]
) -> Array:
    """The value of a node in float64, of one vector or of one in each row."""
    match node.op:
        case "parameter":
            value = parameter(node.name).astype(np.float64)
            return value if value.ndim < 2 else value.reshape(-1)
        case "constant":
            return np.asarray(node.value, np.float64)
        case "copy":
            return arguments[0]
        case "matmul":
            matrix, value = arguments
            return np.asarray(value @ matrix.T if value.ndim == 2 else matrix @ value)
        case op if op in (SCALED_NORM, SCALED_CENTRED_NORM):
            value, scale, *shift = arguments
            return np.asarray(OPERATIONS["layer_norm"](value) * scale + sum(shift))
        case op:
            return np.asarray(OPERATIONS[ORIGINALS.get(op, op)](*arguments))


def _rows(value: Array, count: int) -> Array:
    return value if value.ndim == 2 else np.broadcast_to(value, (count, *value.shape))
