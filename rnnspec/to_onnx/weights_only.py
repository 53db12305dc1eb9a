"""The values of a cell that need its weights only: computed here, and kept as initializers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnspec.cells.graph import Graph
from rnnspec.cells.reassociate import closure
from rnnspec.reference.functions import FUNCTIONS, PRIMITIVES
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.rewrite import CENTRED, ORIGINALS


class WeightsOnly:
    """Of one direction of one layer, whose weights' names begin with `prefix`.

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
        self._computed: dict[int, NDArray[np.float64]] = {}
        self._emitted: dict[int, str] = {}
        self._matrices: dict[str, str] = {}
        self._known: list[bool] = []
        for node in graph.nodes:
            from_outside = node.op in ("input", "state")
            self._known.append(not from_outside and all(self._known[arg] for arg in node.args))

    def holds(self, index: int) -> bool:
        """Whether a node's value is one of these."""
        return self._known[index]

    def width(self, index: int) -> int:
        """Of any value of the cell; 1 for a single number."""
        shape = self._nodes[index].shape
        return self._sizes[shape[0]] if shape else 1

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
        """A parameter of the graph, which may be one with its columns centred."""
        value = self._weights[f"{self._prefix}.{parameter.removesuffix(CENTRED)}"]
        if not parameter.endswith(CENTRED):
            return value
        return np.asarray(value - value.mean(axis=0, dtype=np.float64), np.float32)

    def _compute(self, index: int) -> NDArray[np.float64]:
        """In float64."""
        for each in closure(self._nodes, [index], self._computed):
            node = self._nodes[each]
            arguments = [self._computed[arg] for arg in node.args]
            match node.op:
                case "parameter":
                    value = self.parameter(node.name).astype(np.float64)
                case "constant":
                    value = np.asarray(node.value, np.float64)
                case "copy":
                    (value,) = arguments
                case op:
                    function = PRIMITIVES.get(op) or FUNCTIONS[ORIGINALS.get(op, op)]
                    value = np.asarray(function(*arguments))
            self._computed[each] = value
        return self._computed[index]
