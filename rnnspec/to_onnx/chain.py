"""Paths of labels through a linear chain: see `rnnspec.plan.nodes.ChainOutput`.

Two Scans find the path: one computes the best score of each label at each step, the reverse one
looks up which label comes before, for the labels of the path alone. Looking it up for all of them
took as long again where a batch has many labels; a mark in the place of a label, K, stands for
"before the first step" and "after the last". A third Scan computes the sums over paths in both
directions, as in `rnnspec.to_torch.chain`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.names import labels_of, output_names
from rnnspec.plan.nodes import LOWEST_STEP, LOWEST_TRANSITION, ChainOutput
from rnnspec.to_onnx.emitter import BOOL, DOUBLE, FLOAT, INT64, STRING, Emitter
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import BATCH, TIME, Lowering, PaddedSequence, Value
from rnnspec.to_onnx.outputs import NO_NUMBER, NOTHING, listed

MANY = 64
"""Of so many labels onnxruntime finds the best of neighbouring numbers sooner than of distant ones:
with 120 labels a row of 100 steps takes 2.0 ms in place of 3.1. Of few it is no sooner."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """The scores of a batch: of steps `[T, B, K]`, float; of label j after label i in `matrix`
    `[K + 1, K + 1]`, where number K stands before the first step and after the last."""

    emit: Emitter
    name: str
    lengths: Lengths
    steps: str
    matrix: NDArray[np.float64]

    @property
    def size(self) -> int:
        """K."""
        return len(self.matrix) - 1

    def constant(self, value: NDArray[np.generic], name: str) -> str:
        return self.emit.weight(f"{self.name}.{name}", value)


def lower_chain(low: Lowering, node: ChainOutput) -> Value:
    """The labels of the likeliest path `[B, T]`, the probabilities of labels, and the path's."""
    emit, source, labels = low.emit, low.steps(node.source), labels_of(low.facts, node.column)
    name, probs_name, scores_name = output_names(low.plan, node, low.ids)
    chain = _Chain(emit, node.name, source.lengths, _steps(emit, node, source), _matrix(low, node))
    path, (probs, total) = _path(chain), _sums(chain)
    by_row = source.lengths.by_row
    if low.ids:
        told = chain.constant(np.array([*range(len(labels)), NO_NUMBER]), "numbers")
        kind, doc = INT64, f"the numbers of the labels of the likeliest path; {NO_NUMBER} past"
    else:
        told = emit.strings(f"{node.name}.labels", [*labels, NOTHING])
        kind, doc = STRING, "the labels of the likeliest path; empty past"
    label = emit.op("Gather", [told, by_row(path, f"{node.name}.by_row")], f"{node.name}.label")
    emit.output(label, name, kind, [BATCH, TIME], f"{doc} the length")
    probs = source.lengths.cleaned(probs, f"{node.name}.own")
    shares = by_row(probs, f"{node.name}.shares", 1)
    doc = f"probability of each label at a step, in the order {listed(labels)}; 0 past the length"
    emit.output(shares, probs_name, FLOAT, [BATCH, TIME, node.classes], doc)
    score = emit.op("Sub", [_path_score(chain, path), total], f"{node.name}.score")
    score = emit.cast(score, DOUBLE, FLOAT, f"{node.name}.single_score")
    emit.output(score, scores_name, FLOAT, [BATCH], "log-probability of the path")
    return PaddedSequence(probs, source.lengths, clean=True)


def _matrix(low: Lowering, node: ChainOutput) -> NDArray[np.float64]:
    found = np.zeros((node.classes + 1, node.classes + 1))
    for name, place in (
        ("start", np.s_[-1, :-1]), ("end", np.s_[:-1, -1]), ("transitions", np.s_[:-1, :-1])
    ):  # fmt: skip
        weight = low.exact(f"{node.name}.{name}")
        found[place] = np.maximum(weight - weight.max(), LOWEST_TRANSITION)
    if node.scheme != "none":
        found += low.exact(f"{node.name}.rules")
    found[-1, -1] = 0.0  # between rows
    return found


def _steps(emit: Emitter, node: ChainOutput, source: PaddedSequence) -> str:
    best = emit.reduce("ReduceMax", source.name, 2, f"{node.name}.largest", keep=True)
    below = emit.op("Sub", [source.name, best], f"{node.name}.below")
    return emit.op("Max", [below, emit.number(LOWEST_STEP)], f"{node.name}.steps")


# ---------------------------------------------------------------- the path


def _path(chain: _Chain) -> str:
    """Int64 `[T, B]`: the labels of the likeliest path, K past a row's length."""
    emit, name, size = chain.emit, chain.name, chain.size
    table = chain.constant(chain.matrix[:-1].T.astype(np.float32), "before")
    body = emit.body()
    label = body.input(f"{name}.label_after", INT64, [BATCH])
    scores = body.input(f"{name}.scores_here", FLOAT, [BATCH, size])
    valid = body.input(f"{name}.valid", BOOL, [BATCH])
    row = body.op("Gather", [table, label], f"{name}.to_label", axis=0)
    whole = body.op("Add", [scores, row], f"{name}.through")
    best = body.op("ArgMax", [whole], f"{name}.best_label", axis=1, keepdims=0)
    mark = emit.integer(size)
    following = body.op("Where", [valid, best, mark], f"{name}.label_here")
    body.result(following, INT64, [BATCH])
    body.result(best, INT64, [BATCH])
    batch = chain.lengths.batch()
    first = emit.op("Expand", [mark, batch], f"{name}.marks")
    mask = emit.squeeze(chain.lengths.mask(), 2, f"{name}.mask")
    _, found = emit.ops(
        "Scan",
        [first, _best_scores(chain), mask],
        [f"{name}.first_label", f"{name}.path"],
        body=body.graph(f"{name}.backward"),
        num_scan_inputs=2,
        scan_input_directions=[1, 1],
        scan_output_directions=[1],
    )
    return emit.op("Where", [mask, found, mark], f"{name}.path_or_mark")


def _best_scores(chain: _Chain) -> str:
    """Float `[T, B, K]`: the best score of the paths up to each step that end with each label, less
    the best of all: so it keeps its digits however long a row is."""
    emit, name, size = chain.emit, chain.name, chain.size
    matrix, axis = chain.matrix[:-1, :-1].astype(np.float32), 1
    if size >= MANY:
        matrix, axis = matrix.T, 2
    start = chain.constant(chain.matrix[-1:, :-1].astype(np.float32), "first")
    body = emit.body()
    before = body.input(f"{name}.best_before", FLOAT, [BATCH, size])
    step = body.input(f"{name}.step", FLOAT, [BATCH, size])
    scores = body.op("Add", [before, step], f"{name}.with_step")
    best = body.reduce("ReduceMax", scores, 1, f"{name}.best_of_all", keep=True)
    here = body.op("Sub", [scores, best], f"{name}.best_here")
    column = body.unsqueeze(here, 3 - axis, f"{name}.best_column")
    pairs = body.op("Add", [column, chain.constant(matrix, "after")], f"{name}.pairs")
    following = body.reduce("ReduceMax", pairs, axis, f"{name}.best_following")
    body.result(following, FLOAT, [BATCH, size])
    body.result(here, FLOAT, [BATCH, size])
    shape = emit.concat([chain.lengths.batch(), emit.integers(size)], 0, f"{name}.shape")
    first = emit.op("Expand", [start, shape], f"{name}.first_scores")
    return emit.ops(
        "Scan",
        [first, chain.steps],
        [f"{name}.last_scores", f"{name}.best_scores"],
        body=body.graph(f"{name}.forward"),
        num_scan_inputs=1,
    )[1]


def _path_score(chain: _Chain, path: str) -> str:
    """Double `[B]`: the score of the path. After the mark comes the mark, with a score of 0."""
    emit, name, size = chain.emit, chain.name, chain.size
    column = emit.unsqueeze(path, 2, f"{name}.path_column")
    own = emit.op("Min", [column, emit.integer(size - 1)], f"{name}.path_own")
    at_path = emit.op("GatherElements", [chain.steps, own], f"{name}.at_path", axis=2)
    each = chain.lengths.cleaned(at_path, f"{name}.at_path_own")
    each = emit.cast(each, FLOAT, DOUBLE, f"{name}.at_path_exact")
    shape = emit.concat([emit.integers(1), chain.lengths.batch()], 0, f"{name}.row_shape")
    marks = emit.op("Expand", [emit.integer(size), shape], f"{name}.row_of_marks")
    before = emit.concat([marks, path], 0, f"{name}.path_before")
    after = emit.concat([path, marks], 0, f"{name}.path_after")
    row = emit.op("Mul", [before, emit.integer(size + 1)], f"{name}.pair_row")
    pair = emit.op("Add", [row, after], f"{name}.pair")
    flat = chain.constant(chain.matrix.reshape(-1), "pairs_of_labels")
    joins = emit.op("Gather", [flat, pair], f"{name}.joins")
    total = emit.reduce("ReduceSum", joins, 0, f"{name}.joined")
    steps = emit.op("ReduceSum", [each, emit.integers(0, 2)], f"{name}.stepped", keepdims=0)
    return emit.op("Add", [total, steps], f"{name}.path_score")


# ---------------------------------------------------------------- sums over paths


def _sums(chain: _Chain) -> tuple[str, str]:
    """Float `[T, B, K]`, the probability of each label at each step, arbitrary past a length; and
    double `[B]`, ln of the sum over all paths."""
    emit, name, lengths = chain.emit, chain.name, chain.lengths
    shares = _shares(chain)
    turned = lengths.reversed(shares, f"{name}.shares_turned")
    both = [emit.unsqueeze(each, 1, f"{each}.direction") for each in (shares, turned)]
    sums, sizes = _both_directions(chain, emit.concat(both, 1, f"{name}.both_shares"))
    up_to = _direction(chain, sums, 0, "up_to")
    since = lengths.reversed(_direction(chain, sums, 1, "since_turned"), f"{name}.since")
    joint = emit.op("Mul", [up_to, since], f"{name}.joint")  # has the share of the step twice
    joint = emit.op("Div", [joint, shares], f"{name}.joint_once")
    whole = emit.reduce("ReduceSum", joint, 2, f"{name}.whole", keep=True)
    probs = emit.op("Div", [joint, whole], f"{name}.exact_probabilities")
    logs = emit.op("Log", [_direction(chain, sizes, 0, "sizes")], f"{name}.log_sizes")
    own = emit.op("Where", [lengths.mask(), logs, emit.number(0.0, DOUBLE)], f"{name}.own_logs")
    summed = emit.reduce("ReduceSum", own, 0, f"{name}.summed_logs")
    last = emit.op("GatherND", [up_to, lengths.ends()], f"{name}.last_sums_up_to")
    ends = chain.constant(np.exp(chain.matrix[:-1, -1:]), "end_weights")
    last = emit.op("Log", [emit.op("MatMul", [last, ends], f"{name}.ended")], f"{name}.log_ended")
    total = emit.op("Add", [summed, last], f"{name}.total")
    total = emit.op("Where", [lengths.present(), total, emit.number(0.0, DOUBLE)], f"{total}.own")
    return (
        emit.cast(probs, DOUBLE, FLOAT, f"{name}.rounded_probabilities"),
        emit.squeeze(total, 1, f"{name}.log_sum"),
    )


def _shares(chain: _Chain) -> str:
    """Double `[T, B, K]`: the exponentials of the scores of steps.

    Each is the square of that of half the score, which float32 holds: onnxruntime takes several
    times as long over exponentials of doubles.
    """
    emit, name = chain.emit, chain.name
    half = emit.op("Mul", [chain.steps, emit.number(0.5)], f"{name}.half_steps")
    root = emit.op("Exp", [half], f"{name}.share_roots")
    root = emit.cast(root, FLOAT, DOUBLE, f"{name}.exact_roots")
    return emit.op("Mul", [root, root], f"{name}.shares_of_steps")


def _direction(chain: _Chain, value: str, number: int, what: str) -> str:
    """`[T, B, W]` of `[T, 2, B, W]`."""
    index = chain.emit.integer(number)
    return chain.emit.op("Gather", [value, index], f"{chain.name}.{what}", axis=1)


def _both_directions(chain: _Chain, shares: str) -> list[str]:
    """From the shares `[T, 2, B, K]` the sums over the paths up to each step that end with each
    label, divided by their size `[T, 2, B, 1]`: forward and in reverse."""
    emit, name, size = chain.emit, chain.name, chain.size
    weights = np.exp(chain.matrix)
    steps, edges = weights[:-1, :-1], [weights[-1:, :-1], weights[:-1, -1:].T]
    matrices = chain.constant(np.stack([steps, steps.T]), "both_matrices")
    body = emit.body()
    before = body.input(f"{name}.sums_before", DOUBLE, [2, BATCH, size])
    step = body.input(f"{name}.shares_here", DOUBLE, [2, BATCH, size])
    product = body.op("Mul", [before, step], f"{name}.products")
    total = body.reduce("ReduceSum", product, 2, f"{name}.size_here", keep=True)
    here = body.op("Div", [product, total], f"{name}.sums_here")
    following = body.op("MatMul", [here, matrices], f"{name}.sums_after")
    body.result(following, DOUBLE, [2, BATCH, size])
    body.result(here, DOUBLE, [2, BATCH, size])
    body.result(total, DOUBLE, [2, BATCH, 1])
    shape = emit.concat(
        [emit.integers(2), chain.lengths.batch(), emit.integers(size)], 0, f"{name}.both_shape"
    )
    first = emit.op(
        "Expand", [chain.constant(np.stack(edges), "both_edges"), shape], f"{name}.both_first"
    )
    names = [f"{name}.{each}" for each in ("last_sums", "sums", "sizes")]
    graph = body.graph(f"{name}.both")
    return emit.ops("Scan", [first, shares], names, body=graph, num_scan_inputs=1)[1:]
