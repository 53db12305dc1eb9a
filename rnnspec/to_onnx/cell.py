"""One step of a cell as the body of a Scan, and what comes before the loop."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import Recurrent
from rnnspec.reference.functions import FUNCTIONS as COMPUTE_FUNCTION
from rnnspec.reference.functions import PRIMITIVES as COMPUTE_PRIMITIVE
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import FUNCTIONS, PRIMITIVES
from rnnspec.to_onnx.hoist import Needs, closure, expressions
from rnnspec.to_onnx.products import Group, groups
from rnnspec.to_onnx.values import BATCH, Lowering

_DEEPEST = 8
"""Nested sums that are joined term by term; deeper ones are computed apart and then joined."""


class CellLowering:
    """One direction of one layer.

    Values that need weights only are computed here and become initializers. Values that need the
    input are computed for all steps in `low.emit`, `[T, B, width]`, and enter `body` as scan
    inputs. The rest is computed in `body`, `[B, width]`.
    """

    def __init__(
        self,
        low: Lowering,
        node: Recurrent,
        prefix: str,
        x: str,
        body: Emitter,
        states: Mapping[str, str],
    ) -> None:
        self._low, self._prefix, self._x = low, prefix, x
        self._root, self._body, self._states = low.emit, body, states
        self._sizes = node.extents
        self._cell = expressions(node.cell.graph)
        self._computed: dict[int, NDArray[np.float64]] = {}
        self._initializers: dict[int, str] = {}
        self._matrices: dict[tuple[str, ...], str] = {}
        self._before: dict[int, str] = {}
        self._each: dict[int, str] = {}
        self._scanned: dict[str, str] = {}

    def emitted(self) -> list[str]:
        """Emit everything; the body's values of the next states, then of the output."""
        cell = self._cell
        found = groups(cell)
        of_result = {result: group for group in found for result in group.results}
        joined = {product for group in found for product in group.products}
        for index in cell.reached():
            if cell.needs[index] != Needs.STATE or index in self._each:
                continue
            if index in of_result:
                self._group(of_result[index])
            elif index not in joined:
                self._each[index] = self._step(index)
        leaving: list[str] = []
        for index in [*cell.next_states.values(), cell.output]:
            leaving.append(self._leaving(index, leaving))
        if not self._scanned:  # a cell that never reads x still takes one step for each of x
            self._scan_input(self._x, self._sizes["inputs"])
        return leaving

    def sequences(self) -> list[str]:
        """The scan inputs `[T, B, width]`, in the order in which the body takes them."""
        return list(self._scanned)

    def _step(self, index: int) -> str:
        """One operation inside the body."""
        node = self._cell.nodes[index]
        if node.op == "state":
            return self._states[node.name]
        arguments = [self._in_step(arg) for arg in node.args]
        return self._operation(self._body, index, arguments)

    def _in_step(self, index: int) -> str:
        """A value as the body reads it."""
        match self._cell.needs[index]:
            case Needs.WEIGHTS:
                return self._initializer(index)
            case Needs.INPUT:
                return self._scan_input(self._over_time(index), self._width(index))
            case _:
                return self._each[index]

    def _leaving(self, index: int, taken: list[str]) -> str:
        """A value `[B, width]` that the body itself computes, and that has not left it yet."""
        value = self._in_step(index)
        if self._cell.needs[index] == Needs.WEIGHTS:
            bounds, state = {"start": 0, "end": 1}, next(iter(self._states.values()))
            rows = self._body.op("Shape", [state], f"{self._prefix}.rows", bounds)
            width = self._body.integers(self._width(index))
            shape = self._body.op("Concat", [rows, width], f"{self._prefix}.shape", {"axis": 0})
            return self._body.op("Expand", [value, shape], f"{self._prefix}.every_row")
        made_here = self._cell.needs[index] == Needs.STATE and self._cell.nodes[index].op != "state"
        if made_here and value not in taken:
            return value
        return self._body.op("Identity", [value], f"{self._prefix}.leaving")

    def _group(self, group: Group) -> None:
        """The products of one operand as one, with their addends, then taken apart."""
        body, cell = self._body, self._cell
        title = f"{self._prefix}.{self._title(group.products)}"
        matrix = self._matrix(group.products)
        value = body.op("MatMul", [self._each[group.operand], matrix], f"{title}.product")
        widths = [self._width(index) for index in group.products]
        if group.addends:
            addend = self._together(group.addends, widths, title)
            value = body.op("Add", [value, addend], f"{title}.sum")
        if len(widths) == 1:
            self._each[group.results[0]] = value
            return
        names = [f"{self._prefix}.{cell.nodes[index].op}_{index}" for index in group.results]
        parts = body.ops("Split", [value, body.integers(*widths)], names, {"axis": -1})
        self._each.update(zip(group.results, parts, strict=True))

    def _together(self, indices: tuple[int, ...], widths: list[int], title: str) -> str:
        """Values that need no state side by side, as the body reads them."""
        if all(self._cell.needs[index] == Needs.WEIGHTS for index in indices):
            return self._side_by_side(indices, widths, f"{title}.addends")
        value = self._joined(indices, widths, f"{title}.addends", _DEEPEST)
        return self._scan_input(value, sum(widths))

    def _joined(self, indices: tuple[int, ...], widths: list[int], title: str, depth: int) -> str:
        """Values side by side, `[T, B, sum(widths)]`, by as few operators as their form allows."""
        cell, emit = self._cell, self._root
        if len(indices) == 1:
            return self._over_time(indices[0])
        if all(cell.needs[index] == Needs.WEIGHTS for index in indices):
            return self._side_by_side(indices, widths, title)
        nodes = [cell.nodes[index] for index in indices]
        kinds = {node.op for node in nodes}
        if kinds == {"matmul"} and len({node.args[1] for node in nodes}) == 1:
            operand = self._over_time(nodes[0].args[1])
            return emit.op("MatMul", [operand, self._matrix(indices)], f"{title}.product")
        if kinds == {"add"} and depth:
            left, right = zip(*(node.args for node in nodes), strict=True)
            terms = [self._joined(part, widths, title, depth - 1) for part in (left, right)]
            return emit.op("Add", terms, title)
        pairs = zip(indices, widths, strict=True)
        runs = [list(run) for _, run in groupby(pairs, lambda pair: cell.needs[pair[0]])]
        if len(runs) == 1:
            parts = [self._over_time(index) for index in indices]
        else:
            parts = [self._run(run, f"{title}.{place}", depth) for place, run in enumerate(runs)]
        return emit.op("Concat", parts, title, {"axis": -1})

    def _run(self, run: list[tuple[int, int]], title: str, depth: int) -> str:
        """Values of one need, with their widths, side by side for each step of each row."""
        indices, widths = tuple(index for index, _ in run), [width for _, width in run]
        value = self._joined(indices, widths, title, depth)
        if self._cell.needs[indices[0]] == Needs.INPUT:
            return value
        emit, name = self._root, f"{title}.over_time"
        bounds = {"start": 0, "end": 2}
        rows = emit.op("Shape", [self._x], f"{name}.rows", bounds)
        width = emit.integers(sum(widths))
        shape = emit.op("Concat", [rows, width], f"{name}.shape", {"axis": 0})
        return emit.op("Expand", [value, shape], name)

    def _over_time(self, index: int) -> str:
        """A value that needs no state, for all steps at once."""
        cell = self._cell
        if cell.needs[index] == Needs.WEIGHTS:
            return self._initializer(index)
        for each in closure(cell.nodes, [index]):
            if each in self._before or cell.needs[each] != Needs.INPUT:
                continue
            node = cell.nodes[each]
            if node.op == "input":
                assert node.name == "x", f"nothing feeds the cell's input {node.name}"
                self._before[each] = self._x
                continue
            arguments = [
                self._initializer(arg) if cell.needs[arg] == Needs.WEIGHTS else self._before[arg]
                for arg in node.args
                if not (node.op == "matmul" and arg == node.args[0])
            ]
            self._before[each] = self._operation(self._root, each, arguments)
        return self._before[index]

    def _operation(self, emit: Emitter, index: int, arguments: list[str]) -> str:
        """One operation in `emit`; a product's argument is its operand alone."""
        node, name = self._cell.nodes[index], f"{self._prefix}.{self._cell.nodes[index].op}_{index}"
        if node.op == "matmul":
            return emit.op("MatMul", [*arguments, self._matrix((index,))], name)
        lower = PRIMITIVES.get(node.op) or FUNCTIONS[node.op]
        return lower(emit, arguments, name, self._width(index))

    def _scan_input(self, value: str, width: int) -> str:
        """The body's name of one step of `value` `[T, B, width]`."""
        if value not in self._scanned:
            name = f"{value}.at_step"
            self._scanned[value] = self._body.input(name, FLOAT, [BATCH, width])
        return self._scanned[value]

    def _initializer(self, index: int) -> str:
        """A value that needs weights only."""
        if index not in self._initializers:
            node = self._cell.nodes[index]
            value = self._compute(index).astype(np.float32)
            if node.op == "parameter":
                name = self._root.weight(f"{self._prefix}.{node.name}", value)
            else:
                name = self._root.constant(value, f"{self._prefix}.{node.op}_{index}")
            self._initializers[index] = name
        return self._initializers[index]

    def _side_by_side(self, indices: tuple[int, ...], widths: list[int], title: str) -> str:
        """Values that need weights only as one initializer `[sum(widths)]`."""
        if len(indices) == 1:
            return self._initializer(indices[0])
        wide = [
            np.broadcast_to(self._compute(index), (width,))
            for index, width in zip(indices, widths, strict=True)
        ]
        return self._root.constant(np.concatenate(wide).astype(np.float32), title)

    def _matrix(self, products: tuple[int, ...]) -> str:
        """The matrices of products of one operand, `[operand's width, sum of results' widths]`."""
        nodes = self._cell.nodes
        names = tuple(nodes[nodes[index].args[0]].name for index in products)
        if names not in self._matrices:
            rows = np.concatenate([self._parameter(name) for name in names])
            title = f"{self._prefix}.{','.join(names)}.transposed"
            self._matrices[names] = self._root.weight(title, rows.T)
        return self._matrices[names]

    def _parameter(self, name: str) -> NDArray[np.float32]:
        return self._low.weights[f"{self._prefix}.{name}"]

    def _compute(self, index: int) -> NDArray[np.float64]:
        """A value that needs weights only, in float64."""
        nodes = self._cell.nodes
        for each in closure(nodes, [index]):
            if each in self._computed:
                continue
            node = nodes[each]
            if node.op == "parameter":
                value = self._parameter(node.name).astype(np.float64)
            elif node.op == "constant":
                value = np.asarray(node.value, np.float64)
            else:
                compute = COMPUTE_PRIMITIVE.get(node.op) or COMPUTE_FUNCTION[node.op]
                value = np.asarray(compute(*(self._computed[arg] for arg in node.args)))
            self._computed[each] = value
        return self._computed[index]

    def _width(self, index: int) -> int:
        shape = self._cell.nodes[index].shape
        return self._sizes[shape[0]] if shape else 1

    def _title(self, products: tuple[int, ...]) -> str:
        nodes = self._cell.nodes
        return ",".join(nodes[nodes[index].args[0]].name for index in products)
