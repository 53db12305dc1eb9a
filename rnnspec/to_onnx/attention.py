"""Attention of a decoder's step: what is known of the memory is computed once, before the loop.

Scores are `[B, K, T]`, for the K rows of the decoder that belong to a row of the batch. What stands
past a row's length gets a score so low that its weight is 0; in a row of no steps all weights are
alike, and what they weigh is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.nodes import Attend
from rnnspec.to_onnx.emitter import FLOAT, Attributes, Emitter, Extent
from rnnspec.to_onnx.fuse_context import Folded
from rnnspec.to_onnx.logs import NEVER, added, log_sigmoid, sigmoid
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.pool import LEAST
from rnnspec.to_onnx.rows import Rows

MEMORY = "memory"
"""Name of the dimension of the steps that a decoder attends to."""


@dataclass(frozen=True, slots=True)
class State:
    """What a decoder carries from step to step, `[R, *extents]`: its value before the first."""

    name: str
    initial: str
    extents: tuple[Extent, ...]
    kind: int = FLOAT


@dataclass(frozen=True, slots=True)
class Attended:
    """`context` `[R, memory_width]`, `weights` `[R, T]` (of several heads their mean; "" where
    nothing reads them), the next states, and `logs` `[R, T]`, the logarithms of the weights (""
    where nothing reads them; far below 0 past a row's length, but of a row of no steps)."""

    context: str
    weights: str
    states: list[str]
    logs: str = ""


class Attention:
    """One `Attend` node. `told` says that its weights are read by others than itself, `logged` that
    their logarithms are; with `taken`, what it finds has gone through a dense layer (see
    `rnnspec.to_onnx.fuse_context`).

    What is emitted with the emitter of the lowering stands outside of the loop.
    """

    def __init__(
        self,
        low: Lowering,
        node: Attend,
        rows: Rows,
        told: bool,
        logged: bool = False,
        taken: Folded | None = None,
    ) -> None:
        assert low.padded, "the memory has a step"
        self._low, self._node, self._logged = low, node, logged
        self._told = told or (node.remembers and not (logged and node.kind == "monotonic"))
        emit, name, memory = low.emit, node.name, low.steps(node.memory)
        clean = memory.name
        if not memory.clean:
            clean = memory.lengths.cleaned(memory.name, f"{name}.cleaned")
        self._memory = emit.op("Transpose", [clean], f"{name}.memory", {"perm": [1, 0, 2]})
        self.extent = emit.op("Shape", [clean], f"{name}.time", {"start": 0, "end": 1})
        choice = [memory.lengths.mask(), emit.number(0.0), emit.number(LEAST)]
        bias = emit.op("Where", choice, f"{name}.bias")
        self._mask = emit.op("Transpose", [bias], f"{name}.mask", {"perm": [1, 2, 0]})
        self._keys = self._known()
        self._values, self._width = self._memory, node.memory_width
        if taken is not None:
            self._values, self._width = self._through(taken), taken.dense.units
        self.states = [self._state(rows)] if node.remembers else []

    def step(self, emit: Emitter, rows: Rows, query: str, before: Sequence[str]) -> Attended:
        """One step of `query` `[R, query_width]`, of these rows."""
        node, name = self._node, self._node.name
        if node.kind == "multi_head":
            return self._heads(emit, rows, query)
        if node.kind in ("dot", "general"):
            scores = self._dots(emit, rows, query)
        else:
            scores = self._hidden(emit, rows, query, before)
        masked, logs = emit.op("Add", [scores, rows.at(self._mask)], f"{name}.masked"), ""
        if node.kind == "monotonic":
            weights, logs = self._monotonic(emit, rows, masked, before[0])
        else:
            weights = emit.op("Softmax", [masked], f"{name}.weights", {"axis": -1})
            if self._logged:
                of_all = emit.op("LogSoftmax", [masked], f"{name}.logs.all", {"axis": -1})
                logs = self._flat(emit, of_all, "logs")
        found = emit.op("MatMul", [weights, rows.at(self._values)], f"{name}.context")
        context = emit.op("Reshape", [found, emit.integers(-1, self._width)], name)
        flat = self._flat(emit, weights) if self._told else ""
        if node.coverage:
            after = [emit.op("Add", [before[0], flat], f"{name}.sum.next")]
            return Attended(context, flat, after, logs)
        if node.kind == "monotonic" and self._logged:
            return Attended(context, flat, [logs], logs)
        return Attended(context, flat, [flat] if node.remembers else [], logs)

    def _through(self, taken: Folded) -> str:
        """W_c m_j + b for all steps, `[B, T, units]`."""
        low, dense = self._low, taken.dense
        matrix = low.weights[f"{dense.name}.W"][:, taken.columns]
        product = self._product(matrix, f"{dense.name}.of_memory")
        inputs = [product, low.canonical(f"{dense.name}.b")]
        return low.emit.op("Add", inputs, f"{dense.name}.of_memory.moved")

    def _known(self) -> str:
        """What a score takes from the memory: of dot products `[B, W, T]`, of those of heads
        `[B, heads, W, T]`, else `[B, 1, T, units]`."""
        low, node, name = self._low, self._node, self._node.name
        emit = low.emit
        match node.kind:
            case "dot":
                return emit.op("Transpose", [self._memory], f"{name}.keys", {"perm": [0, 2, 1]})
            case "general":
                keys = self._product(low.weights[f"{name}.W"], f"{name}.of_memory")
                return emit.op("Transpose", [keys], f"{name}.keys", {"perm": [0, 2, 1]})
            case "multi_head":
                keys = self._product(low.weights[f"{name}.W_k"], f"{name}.of_memory")
                return self._parts(keys, f"{name}.keys", [0, 2, 3, 1])
            case "concat":
                matrix = low.weights[f"{name}.W"][:, node.query_width :]
                keys = self._product(matrix, f"{name}.of_memory")
            case _:
                keys = self._product(low.weights[f"{name}.W_m"], f"{name}.of_memory")
                keys = emit.op("Add", [keys, low.canonical(f"{name}.b")], f"{name}.moved")
        return emit.op("Unsqueeze", [keys, emit.integers(1)], f"{name}.keys")

    def _product(self, matrix: NDArray[np.float32], name: str) -> str:
        """`W m` for all steps, `[B, T, rows of W]`."""
        emit = self._low.emit
        return emit.op("MatMul", [self._memory, emit.weight(f"{name}.matrix", matrix.T)], name)

    def _parts(self, value: str, name: str, order: Sequence[int]) -> str:
        """`[B, T, units]` as `[B, T, heads, units / heads]`, then in another order."""
        emit, node = self._low.emit, self._node
        shape = emit.integers(0, 0, node.heads, node.units // node.heads)
        parts = emit.op("Reshape", [value, shape], f"{name}.parts")
        return emit.op("Transpose", [parts], name, {"perm": list(order)})

    def _state(self, rows: Rows) -> State:
        """The sum of all weights so far, or the last ones: at first 0, but of a monotonic attention
        1 at the first step of the memory, or the logarithms of that."""
        emit, name = self._low.emit, self._node.name
        what = f"{name}.sum" if self._node.coverage else f"{name}.last"
        shape = self._shape(what, rows.count())
        if self._node.kind != "monotonic":
            before = emit.op("Expand", [emit.number(0.0), shape], f"{what}.before")
            return State(what, before, (MEMORY,))
        end = emit.op("Squeeze", [self.extent], f"{what}.end")
        numbers = emit.op("Range", [emit.integer(0), end, emit.integer(1)], f"{what}.numbers")
        first = emit.op("Equal", [numbers, emit.integer(0)], f"{what}.is_first")
        on, off = (0.0, NEVER) if self._logged else (1.0, 0.0)
        choice = [first, emit.number(on), emit.number(off)]
        ones = emit.op("Where", choice, f"{what}.first")
        return State(what, emit.op("Expand", [ones, shape], f"{what}.before"), (MEMORY,))

    def _shape(self, name: str, *parts: str) -> str:
        """`[*parts, T]`."""
        return self._low.emit.op("Concat", [*parts, self.extent], f"{name}.shape", {"axis": 0})

    def _dots(self, emit: Emitter, rows: Rows, query: str) -> str:
        """q · k_j: `[B, K, T]`."""
        name = self._node.name
        asked = rows.by_beam(emit, query, f"{name}.query", self._node.query_width)
        return emit.op("MatMul", [asked, rows.at(self._keys)], f"{name}.scores")

    def _hidden(self, emit: Emitter, rows: Rows, query: str, before: Sequence[str]) -> str:
        """v · tanh(W_q q + k_j + …): `[B, K, T]`."""
        low, node, name = self._low, self._node, self._node.name
        matrix = low.weights[f"{name}.W" if node.kind == "concat" else f"{name}.W_q"]
        turned = emit.weight(f"{name}.W_q.transposed", matrix[:, : node.query_width].T)
        asked = emit.op("MatMul", [query, turned], f"{name}.of_query")
        asked = rows.by_beam(emit, asked, f"{name}.query", 1, node.units)
        total = emit.op("Add", [asked, rows.at(self._keys)], f"{name}.affine")
        if node.coverage or node.kind == "location":
            total = emit.op(
                "Add", [total, self._of_earlier(emit, rows, before[0])], f"{name}.moved"
            )
        hidden = emit.op("Tanh", [total], f"{name}.hidden")
        # As one row times a matrix: of matrix times column onnxruntime takes twice as long.
        flat = emit.op("Reshape", [hidden, emit.integers(-1, node.units)], f"{name}.hidden.flat")
        row = emit.weight(f"{name}.v.row", low.weights[f"{name}.v"][np.newaxis])
        scores = emit.op("Gemm", [row, flat], f"{name}.scores.flat", {"transB": 1})
        shape = self._shape(f"{name}.scores", emit.integers(-1, rows.width))
        return emit.op("Reshape", [scores, shape], f"{name}.scores")

    def _of_earlier(self, emit: Emitter, rows: Rows, before: str) -> str:
        """What earlier weights add inside the tanh: `[B, K, T, units]`."""
        low, node, name = self._low, self._node, self._node.name
        if node.coverage:
            column = emit.op("Unsqueeze", [before, emit.integers(2)], f"{name}.sum.column")
            row = emit.weight(f"{name}.w_c.row", low.weights[f"{name}.w_c"][np.newaxis])
            term = emit.op("MatMul", [column, row], f"{name}.of_sum")
        else:  # the filters F and what U makes of them, as one convolution
            kernel = (low.weights[f"{name}.U"] @ low.weights[f"{name}.F"])[:, np.newaxis]
            line = emit.op("Unsqueeze", [before, emit.integers(1)], f"{name}.last.line")
            pads = [node.kernel // 2] * 2
            inputs = [line, emit.weight(f"{name}.U.F", kernel)]
            term = emit.op("Conv", inputs, f"{name}.found", {"pads": pads})
            term = emit.op("Transpose", [term], f"{name}.of_last", {"perm": [0, 2, 1]})
        parts = [emit.integers(-1, rows.width), self.extent, emit.integers(node.units)]
        title = f"{name}.of_earlier"
        shape = low.emit.op("Concat", parts, f"{title}.shape", {"axis": 0})
        return emit.op("Reshape", [term, shape], title)

    def _flat(self, emit: Emitter, weights: str, what: str = "weights") -> str:
        """`[R, T]` of `[B, K, T]`."""
        name = f"{self._node.name}.{what}.each"
        shape = self._shape(name, emit.integers(-1))
        return emit.op("Reshape", [weights, shape], name)

    def _monotonic(self, emit: Emitter, rows: Rows, masked: str, before: str) -> tuple[str, str]:
        """a_j = p_j q_j with q_j = (1 - p_{j-1}) q_{j-1} + a'_j: `[B, K, T]`; and ln a_j `[R, T]`,
        if asked for.

        A Scan over j: the closed form divides by products that come to 0. With logarithms, all of
        it is of those: products are sums, and sums `added`.
        """
        low, name, logged = self._low, self._node.name, self._logged
        energy = emit.op("Add", [masked, low.canonical(f"{name}.r")], f"{name}.energy")
        against = emit.op("Neg", [energy], f"{name}.energy.against")
        likely = log_sigmoid if logged else sigmoid
        chosen = self._flat(emit, likely(emit, energy, f"{name}.p"), "p")
        passed = self._flat(emit, likely(emit, against, f"{name}.not_p"), "not_p")
        body, extents = emit.body(), [rows.dimension]
        left = body.input(f"{name}.left", FLOAT, extents)
        p = body.input(f"{name}.p.at", FLOAT, extents)
        not_p = body.input(f"{name}.not_p.at", FLOAT, extents)
        earlier = body.input(f"{name}.earlier", FLOAT, extents)
        times = "Add" if logged else "Mul"
        q = (
            added(body, left, earlier, f"{name}.q")
            if logged
            else body.op("Add", [left, earlier], f"{name}.q")
        )
        body.result(body.op(times, [not_p, q], f"{name}.left.next"), FLOAT, extents)
        body.result(body.op(times, [p, q], f"{name}.taken"), FLOAT, extents)
        none = rows.filled(emit.number(NEVER if logged else 0.0), f"{name}.none")
        attributes: Attributes = {
            "body": body.graph(f"{name}.scan"),
            "num_scan_inputs": 3,
            "scan_input_axes": [1, 1, 1],
            "scan_output_axes": [1],
        }
        names = [f"{name}.past", f"{name}.expected"]
        flat = emit.ops("Scan", [none, chosen, passed, before], names, attributes)[1]
        plain = emit.op("Exp", [flat], f"{name}.expected.plain") if logged else flat
        shape = self._shape(f"{name}.by_beam", emit.integers(-1, rows.width))
        return emit.op("Reshape", [plain, shape], f"{name}.weights"), flat if logged else ""

    def _heads(self, emit: Emitter, rows: Rows, query: str) -> Attended:
        low, node, name = self._low, self._node, self._node.name
        part = node.units // node.heads
        scaled = low.weights[f"{name}.W_q"].T / np.float32(sqrt(part))
        asked = emit.op("MatMul", [query, emit.weight(f"{name}.W_q.scaled", scaled)], f"{name}.q")
        asked = rows.by_beam(emit, asked, f"{name}.query", node.heads, part)
        asked = emit.op("Transpose", [asked], f"{name}.asked", {"perm": [0, 2, 1, 3]})
        scores = emit.op("MatMul", [asked, rows.at(self._keys)], f"{name}.scores")
        mask = low.emit.op("Unsqueeze", [self._mask, emit.integers(1)], f"{name}.mask.each")
        masked = emit.op("Add", [scores, rows.at(mask)], f"{name}.masked")
        weights = emit.op("Softmax", [masked], f"{name}.weights", {"axis": -1})
        known = self._product(low.weights[f"{name}.W_v"], f"{name}.values.joined")
        values = self._parts(known, f"{name}.values", [0, 2, 1, 3])
        found = emit.op("MatMul", [weights, rows.at(values)], f"{name}.found")
        turned = emit.op("Transpose", [found], f"{name}.turned", {"perm": [0, 2, 1, 3]})
        joined = emit.op("Reshape", [turned, emit.integers(-1, node.units)], f"{name}.joined")
        matrix = emit.weight(f"{name}.W_o.transposed", low.weights[f"{name}.W_o"].T)
        context = emit.op("MatMul", [joined, matrix], name)
        over_heads, heads, mean, logs = {"keepdims": 0}, emit.integers(1), "", ""
        if self._told:
            mean = emit.op("ReduceMean", [weights, heads], f"{name}.mean", over_heads)
            mean = self._flat(emit, mean)
        if self._logged:
            of_all = emit.op("LogSoftmax", [masked], f"{name}.logs.heads", {"axis": -1})
            total = emit.op("ReduceLogSumExp", [of_all, heads], f"{name}.logs.sum", over_heads)
            logs = emit.op("Sub", [total, emit.number(log(node.heads))], f"{name}.logs.mean")
            logs = self._flat(emit, logs, "logs")
        return Attended(context, mean, [], logs)
