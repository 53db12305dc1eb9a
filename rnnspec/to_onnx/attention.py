"""Attention of a decoder's step: what depends on the memory alone is computed before the loop.

Scores are `[B, K, T]`, for the K rows of the decoder that belong to a row of the batch. Steps past
a row's length get a score so low that their weight is 0. In a row of no steps all weights are
alike, and the memory that they weigh is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.names import first_sequences
from rnnspec.plan.nodes import Attend, AttentionKind
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import LOG_ZERO, log_add_exp, log_sigmoid, precise_sigmoid
from rnnspec.to_onnx.fuse_context import FusedContext
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.pool import LOWEST
from rnnspec.to_onnx.rows import MEMORY, Rows, State


@dataclass(frozen=True, slots=True)
class Attended:
    """What attention gives at a step.

    `context` is `[R, memory_width]`; `weights` `[R, T]`, of several heads their mean, and
    `log_weights` `[R, T]`, their logarithms, are "" where nothing reads them. Past a row's length
    the logarithms are far below 0, except in a row of no steps.
    """

    context: str
    weights: str
    states: list[str]
    log_weights: str = ""


class Attention:
    """One `Attend` node.

    `read` says that other nodes read its weights, `logged` that they read their logarithms. With
    `fused` the context has gone through a dense layer (see `rnnspec.to_onnx.fuse_context`).
    """

    def __init__(
        self,
        low: Lowering,
        node: Attend,
        rows: Rows,
        read: bool,
        logged: bool = False,
        fused: FusedContext | None = None,
    ) -> None:
        assert low.padded, "the memory has a step"
        self.low, self.node, self.logged = low, node, logged
        self.read = read or (node.remembers and not (logged and node.kind == "monotonic"))
        emit, name, memory = low.emit, node.name, low.steps(node.memory)
        clean = memory.name
        if not memory.clean:
            clean = memory.lengths.cleaned(memory.name, f"{name}.cleaned")
        self.memory = emit.transpose(clean, [1, 0, 2], f"{name}.memory")
        self.extent = emit.extent(clean, 0, f"{name}.time")
        choice = [memory.lengths.mask(), emit.number(0.0), emit.number(LOWEST)]
        bias = emit.op("Where", choice, f"{name}.bias")
        self.mask = emit.transpose(bias, [1, 2, 0], f"{name}.mask")
        self.kind = KINDS[node.kind]
        self.keys = self.kind.keys(self)
        self.values, self.width = self.memory, node.memory_width
        if fused is not None:
            self.values, self.width = _fused_values(self, fused), fused.dense.units
        self.states = [_state(self, rows)] if node.remembers else []

    def step(self, emit: Emitter, rows: Rows, query: str, before: Sequence[str]) -> Attended:
        """One step of `query` `[R, query_width]`, of these rows."""
        return self.kind.step(self, emit, rows, query, before)

    def product(self, matrix: NDArray[np.float32], name: str) -> str:
        """`W m` for all steps, `[B, T, rows of W]`."""
        emit = self.low.emit
        return emit.op("MatMul", [self.memory, emit.weight(f"{name}.matrix", matrix.T)], name)

    def shape(self, name: str, *parts: str) -> str:
        """`[*parts, T]`."""
        return self.low.emit.concat([*parts, self.extent], 0, f"{name}.shape")

    def by_row(self, emit: Emitter, value: str, what: str) -> str:
        """`[R, T]` of `[B, K, T]`."""
        name = f"{self.node.name}.{what}.each"
        shape = self.shape(name, emit.integers(-1))
        return emit.op("Reshape", [value, shape], name)


def _fused_values(attention: Attention, fused: FusedContext) -> str:
    """W_c m_j + b for all steps, `[B, T, units]`."""
    low, dense = attention.low, fused.dense
    matrix = low.weights[f"{dense.name}.W"][:, fused.context_columns]
    product = attention.product(matrix, f"{dense.name}.of_memory")
    inputs = [product, low.canonical(f"{dense.name}.b")]
    return low.emit.op("Add", inputs, f"{dense.name}.of_memory.moved")


def _state(attention: Attention, rows: Rows) -> State:
    """The sum of all weights so far, or the last ones.

    Before the first step they are 0; of a monotonic attention 1 at the first step of the memory,
    or the logarithms of that.
    """
    node, emit = attention.node, attention.low.emit
    name = f"{node.name}.sum" if node.coverage else f"{node.name}.last"
    shape = attention.shape(name, rows.count())
    if node.kind == "monotonic":
        end = emit.op("Squeeze", [attention.extent], f"{name}.end")
        numbers = emit.range(end, f"{name}.numbers")
        is_first = emit.op("Equal", [numbers, emit.integer(0)], f"{name}.is_first")
        on, off = (0.0, LOG_ZERO) if attention.logged else (1.0, 0.0)
        initial = emit.op("Where", [is_first, emit.number(on), emit.number(off)], f"{name}.first")
    else:
        initial = emit.number(0.0)
    several = len(first_sequences(attention.low.plan)) > 1
    steps = f"{MEMORY}.{node.name}" if several else MEMORY
    return State(name, emit.op("Expand", [initial, shape], f"{name}.before"), (steps,))


# ------------------------------------------------------------------- scores of one head, [B, K, T]

Scores = Callable[[Attention, Emitter, Rows, str, Sequence[str]], str]
"""`(attention, emit, rows, query, states)` to the scores."""


def _dot_keys(attention: Attention) -> str:
    """`[B, W, T]`."""
    name = f"{attention.node.name}.keys"
    return attention.low.emit.transpose(attention.memory, [0, 2, 1], name)


def _general_keys(attention: Attention) -> str:
    """`W m_j`, `[B, W, T]`."""
    low, name = attention.low, attention.node.name
    keys = attention.product(low.weights[f"{name}.W"], f"{name}.of_memory")
    return low.emit.transpose(keys, [0, 2, 1], f"{name}.keys")


def _dot_scores(
    attention: Attention, emit: Emitter, rows: Rows, query: str, before: Sequence[str]
) -> str:
    """`q . k_j`."""
    name = attention.node.name
    query = rows.by_beam(emit, query, f"{name}.query", attention.node.query_width)
    return emit.op("MatMul", [query, rows.chosen(attention.keys)], f"{name}.scores")


def _concat_keys(attention: Attention) -> str:
    """The half of W that reads the memory, times it: `[B, 1, T, units]`."""
    low, name = attention.low, attention.node.name
    matrix = low.weights[f"{name}.W"][:, attention.node.query_width :]
    keys = attention.product(matrix, f"{name}.of_memory")
    return low.emit.unsqueeze(keys, 1, f"{name}.keys")


def _additive_keys(attention: Attention) -> str:
    """`W_m m_j + b`, `[B, 1, T, units]`."""
    low, emit, name = attention.low, attention.low.emit, attention.node.name
    keys = attention.product(low.weights[f"{name}.W_m"], f"{name}.of_memory")
    keys = emit.op("Add", [keys, low.canonical(f"{name}.b")], f"{name}.moved")
    return emit.unsqueeze(keys, 1, f"{name}.keys")


def _hidden_scores(
    attention: Attention, emit: Emitter, rows: Rows, query: str, before: Sequence[str]
) -> str:
    """`v . tanh(W_q q + k_j + ...)`."""
    low, node, name = attention.low, attention.node, attention.node.name
    matrix = low.weights[f"{name}.W" if node.kind == "concat" else f"{name}.W_q"]
    transposed = emit.weight(f"{name}.W_q.transposed", matrix[:, : node.query_width].T)
    query = emit.op("MatMul", [query, transposed], f"{name}.of_query")
    query = rows.by_beam(emit, query, f"{name}.query", 1, node.units)
    total = emit.op("Add", [query, rows.chosen(attention.keys)], f"{name}.affine")
    if node.coverage or node.kind == "location":
        term = _earlier_weights(attention, emit, rows, before[0])
        total = emit.op("Add", [total, term], f"{name}.moved")
    hidden = emit.op("Tanh", [total], f"{name}.hidden")
    # As one row times a matrix: onnxruntime takes twice as long for a matrix times a column.
    flat = emit.op("Reshape", [hidden, emit.integers(-1, node.units)], f"{name}.hidden.flat")
    row = emit.weight(f"{name}.v.row", low.weights[f"{name}.v"][np.newaxis])
    scores = emit.op("Gemm", [row, flat], f"{name}.scores.flat", transB=1)
    shape = attention.shape(f"{name}.scores", emit.integers(-1, rows.width))
    return emit.op("Reshape", [scores, shape], f"{name}.scores")


def _earlier_weights(attention: Attention, emit: Emitter, rows: Rows, before: str) -> str:
    """What earlier weights add inside the tanh: `[B, K, T, units]`."""
    low, node, name = attention.low, attention.node, attention.node.name
    if node.coverage:
        column = emit.unsqueeze(before, 2, f"{name}.sum.column")
        row = emit.weight(f"{name}.w_c.row", low.weights[f"{name}.w_c"][np.newaxis])
        term = emit.op("MatMul", [column, row], f"{name}.of_sum")
    else:  # the filters F and the product by U as one convolution
        kernel = (low.weights[f"{name}.U"] @ low.weights[f"{name}.F"])[:, np.newaxis]
        line = emit.unsqueeze(before, 1, f"{name}.last.line")
        inputs = [line, emit.weight(f"{name}.U.F", kernel)]
        term = emit.op("Conv", inputs, f"{name}.found", pads=[node.kernel // 2] * 2)
        term = emit.transpose(term, [0, 2, 1], f"{name}.of_last")
    parts = [emit.integers(-1, rows.width), attention.extent, emit.integers(node.units)]
    name = f"{name}.of_earlier"
    shape = low.emit.concat(parts, 0, f"{name}.shape")
    return emit.op("Reshape", [term, shape], name)


# ------------------------------------------------------------------------------ weights of one head

Weights = Callable[[Attention, Emitter, Rows, str, Sequence[str]], tuple[str, str]]
"""`(attention, emit, rows, masked, states)` to the weights `[B, K, T]`, and their logarithms
`[R, T]`, "" unless asked for."""


def _softmax(
    attention: Attention, emit: Emitter, rows: Rows, masked: str, before: Sequence[str]
) -> tuple[str, str]:
    name = attention.node.name
    weights = emit.op("Softmax", [masked], f"{name}.weights", axis=-1)
    if not attention.logged:
        return weights, ""
    log_weights = emit.op("LogSoftmax", [masked], f"{name}.logs.all", axis=-1)
    return weights, attention.by_row(emit, log_weights, "logs")


def _monotonic(
    attention: Attention, emit: Emitter, rows: Rows, masked: str, before: Sequence[str]
) -> tuple[str, str]:
    """`a_j = p_j q_j` with `q_j = (1 - p_{j-1}) q_{j-1} + a'_j` (Raffel et al. 2017).

    A Scan over j: the closed form divides by products that come to 0. Where logarithms are asked
    for, it works on logarithms: products are sums, and sums are `log_add_exp`.
    """
    low, name, logged = attention.low, attention.node.name, attention.logged
    energy = emit.op("Add", [masked, low.canonical(f"{name}.r")], f"{name}.energy")
    against = emit.op("Neg", [energy], f"{name}.energy.against")
    probability = log_sigmoid if logged else precise_sigmoid
    chosen = attention.by_row(emit, probability(emit, energy, f"{name}.p"), "p")
    passed = attention.by_row(emit, probability(emit, against, f"{name}.not_p"), "not_p")
    body, extents = emit.body(), [rows.dimension]
    left = body.input(f"{name}.left", FLOAT, extents)
    p = body.input(f"{name}.p.at", FLOAT, extents)
    not_p = body.input(f"{name}.not_p.at", FLOAT, extents)
    earlier = body.input(f"{name}.earlier", FLOAT, extents)
    if logged:
        times, q = "Add", log_add_exp(body, left, earlier, f"{name}.q")
    else:
        times, q = "Mul", body.op("Add", [left, earlier], f"{name}.q")
    body.result(body.op(times, [not_p, q], f"{name}.left.next"), FLOAT, extents)
    body.result(body.op(times, [p, q], f"{name}.taken"), FLOAT, extents)
    none = rows.filled(emit.number(LOG_ZERO if logged else 0.0), f"{name}.none")
    _, flat = emit.ops(
        "Scan",
        [none, chosen, passed, before[0]],
        [f"{name}.past", f"{name}.expected"],
        body=body.graph(f"{name}.scan"),
        num_scan_inputs=3,
        scan_input_axes=[1, 1, 1],
        scan_output_axes=[1],
    )
    plain = emit.op("Exp", [flat], f"{name}.expected.plain") if logged else flat
    shape = attention.shape(f"{name}.by_beam", emit.integers(-1, rows.width))
    return emit.op("Reshape", [plain, shape], f"{name}.weights"), flat if logged else ""


# --------------------------------------------------------------------------------------- the kinds

Step = Callable[[Attention, Emitter, Rows, str, Sequence[str]], Attended]
"""`(attention, emit, rows, query, states)`: one step."""


def _one_head(score: Scores, weigh: Weights = _softmax) -> Step:
    def step(
        attention: Attention, emit: Emitter, rows: Rows, query: str, before: Sequence[str]
    ) -> Attended:
        node, name = attention.node, attention.node.name
        scores = score(attention, emit, rows, query, before)
        masked = emit.op("Add", [scores, rows.chosen(attention.mask)], f"{name}.masked")
        weights, log_weights = weigh(attention, emit, rows, masked, before)
        found = emit.op("MatMul", [weights, rows.chosen(attention.values)], f"{name}.context")
        context = emit.op("Reshape", [found, emit.integers(-1, attention.width)], name)
        flat = attention.by_row(emit, weights, "weights") if attention.read else ""
        states = [flat] if node.remembers else []
        if node.coverage:
            states = [emit.op("Add", [before[0], flat], f"{name}.sum.next")]
        elif node.kind == "monotonic" and attention.logged:
            states = [log_weights]
        return Attended(context, flat, states, log_weights)

    return step


def _head_keys(attention: Attention) -> str:
    """`[B, heads, W, T]`."""
    name = attention.node.name
    keys = attention.product(attention.low.weights[f"{name}.W_k"], f"{name}.of_memory")
    return split_heads(attention, keys, f"{name}.keys", [0, 2, 3, 1])


def split_heads(attention: Attention, value: str, name: str, order: Sequence[int]) -> str:
    """`[B, T, units]` as `[B, T, heads, units / heads]`, then in another order of axes."""
    emit, node = attention.low.emit, attention.node
    shape = emit.integers(0, 0, node.heads, node.units // node.heads)
    parts = emit.op("Reshape", [value, shape], f"{name}.parts")
    return emit.transpose(parts, list(order), name)


def _multi_head(
    attention: Attention, emit: Emitter, rows: Rows, query: str, before: Sequence[str]
) -> Attended:
    """Scaled dot products in several heads (Vaswani et al. 2017)."""
    low, node, name = attention.low, attention.node, attention.node.name
    part = node.units // node.heads
    scaled = low.weights[f"{name}.W_q"].T / np.float32(sqrt(part))
    query = emit.op("MatMul", [query, emit.weight(f"{name}.W_q.scaled", scaled)], f"{name}.q")
    query = rows.by_beam(emit, query, f"{name}.query", node.heads, part)
    query = emit.transpose(query, [0, 2, 1, 3], f"{name}.asked")
    scores = emit.op("MatMul", [query, rows.chosen(attention.keys)], f"{name}.scores")
    mask = low.emit.unsqueeze(attention.mask, 1, f"{name}.mask.each")
    masked = emit.op("Add", [scores, rows.chosen(mask)], f"{name}.masked")
    weights = emit.op("Softmax", [masked], f"{name}.weights", axis=-1)
    projected = attention.product(low.weights[f"{name}.W_v"], f"{name}.values.joined")
    values = split_heads(attention, projected, f"{name}.values", [0, 2, 1, 3])
    found = emit.op("MatMul", [weights, rows.chosen(values)], f"{name}.found")
    turned = emit.transpose(found, [0, 2, 1, 3], f"{name}.turned")
    joined = emit.op("Reshape", [turned, emit.integers(-1, node.units)], f"{name}.joined")
    matrix = emit.weight(f"{name}.W_o.transposed", low.weights[f"{name}.W_o"].T)
    context = emit.op("MatMul", [joined, matrix], name)
    mean = log_mean = ""
    if attention.read:
        mean = emit.reduce("ReduceMean", weights, 1, f"{name}.mean")
        mean = attention.by_row(emit, mean, "weights")
    if attention.logged:
        each = emit.op("LogSoftmax", [masked], f"{name}.logs.heads", axis=-1)
        total = emit.reduce("ReduceLogSumExp", each, 1, f"{name}.logs.sum")
        log_mean = emit.op("Sub", [total, emit.number(log(node.heads))], f"{name}.logs.mean")
        log_mean = attention.by_row(emit, log_mean, "logs")
    return Attended(context, mean, [], log_mean)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of attention: `keys` emits what a score takes from the memory, `step` one step."""

    keys: Callable[[Attention], str]
    step: Step


KINDS: Mapping[AttentionKind, Kind] = {
    "dot": Kind(_dot_keys, _one_head(_dot_scores)),
    "general": Kind(_general_keys, _one_head(_dot_scores)),
    "concat": Kind(_concat_keys, _one_head(_hidden_scores)),
    "additive": Kind(_additive_keys, _one_head(_hidden_scores)),
    "location": Kind(_additive_keys, _one_head(_hidden_scores)),
    "monotonic": Kind(_additive_keys, _one_head(_hidden_scores, _monotonic)),
    "multi_head": Kind(_head_keys, _multi_head),
}
"""One entry for each kind of attention."""
