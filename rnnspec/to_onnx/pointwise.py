"""Pointwise nodes: what works on each vector alone, in the graph and in the body of a decoder.

Each node type has one function for both places. In the graph it takes sequences `[T, B, W]` or
vectors `[B, W]`, in a body the vectors `[R, W]` of one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.nodes.comparison import LEAST_SQUARE
from rnnspec.plan.nodes.convolution import EPSILON
from rnnspec.plan.nodes.ordinal import cuts_of
from rnnspec.plan.nodes.seasonal import spread
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.frames import are_frames, folded, sides_of, unfolded
from rnnspec.to_onnx.functions import FUNCTIONS, centred, log_sigmoid, normalized
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Value, Vector, like

MERGES: Mapping[nodes.MergeKind, str] = {"sum": "Add", "mean": "Mean", "mul": "Mul"}
"""The operator of each way to merge two directions."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a node is lowered: `emit` emits there, `value` gives the value of a node there."""

    low: Lowering
    emit: Emitter
    value: Callable[[str], Value]
    in_loop: bool = False


def lower_embed(scope: Scope, node: nodes.Embed) -> Value:
    """Rows of the table: `[T, B]` to `[T, B, width]`, or `[B]` to `[B, width]`."""
    source, emit, name = scope.value(node.source), scope.emit, node.name
    table = scope.low.canonical(f"{name}.table")
    if not node.frozen:
        return like(source, emit.op("Gather", [table, source.name], name))
    own = emit.integer(node.own)
    is_own = emit.op("Less", [source.name, own], f"{name}.is_own")
    in_table = emit.op("Where", [is_own, source.name, emit.integer(0)], f"{name}.in_table")
    trained = emit.op("Gather", [table, in_table], f"{name}.trained")
    further = emit.op("Sub", [source.name, own], f"{name}.further")
    place = emit.op("Max", [further, emit.integer(0)], f"{name}.place")
    vectors = emit.op("Gather", [_fixed(scope, node), place], f"{name}.fixed")
    if node.half:
        vectors = emit.op("Cast", [vectors], f"{name}.single", to=FLOAT)
    choice = emit.unsqueeze(is_own, -1, f"{name}.choice")
    return like(source, emit.op("Where", [choice, trained, vectors], name))


def lower_calendar_embed(scope: Scope, node: nodes.CalendarEmbed) -> Value:
    """A row of a table for the value of each feature, side by side: `[T, B, F * width]`."""
    source, emit, found = scope.value(node.source), scope.emit, list[str]()
    for at, feature in enumerate(node.features):
        table, title = scope.low.canonical(f"{node.name}.{feature}"), f"{node.name}.of_{feature}"
        number = emit.op("Gather", [source.name, emit.integer(at)], f"{title}.number", axis=-1)
        found.append(emit.op("Gather", [table, number], title))
    return like(source, found[0] if len(found) == 1 else emit.concat(found, -1, node.name))


def _fixed(scope: Scope, node: nodes.Embed) -> str:
    """The vectors that were not trained; `half` ones are numbers of float16."""
    weight = f"{node.name}.vectors"
    if not node.half:
        return scope.low.canonical(weight)
    return scope.low.emit.weight(weight, scope.low.weights[weight].astype(np.float16))


def lower_dropout(scope: Scope, node: nodes.Dropout) -> Value:
    """The source itself: dropout does nothing at inference."""
    return scope.value(node.source)


def lower_dense(scope: Scope, node: nodes.Dense) -> Value:
    """`activation(W v + b)`."""
    source = scope.value(node.source)
    weights = (f"{node.name}.W", f"{node.name}.b")
    affine = _affine(scope, source, weights, f"{node.name}.product", affine_name(node))
    return like(source, activated(scope.emit, node, affine))


def affine_name(node: nodes.Dense) -> str:
    """The name of `W v + b`: the node's own where no activation follows."""
    return node.name if node.activation == "none" else f"{node.name}.affine"


def activated(emit: Emitter, node: nodes.Dense, affine: str) -> str:
    """The activation of `affine`, called by the name of the node."""
    if node.activation == "none":
        return affine
    return FUNCTIONS[node.activation](emit, [affine], node.name, node.units)


def lower_scores(scope: Scope, node: nodes.Scores) -> Value:
    """The logits `W v + b`, where W may be the table of an embedding."""
    source = scope.value(node.source)
    table = f"{node.tied}.table" if node.tied else f"{node.name}.W"
    weights = (table, f"{node.name}.b")
    if node.tied and not isinstance(source, Vector):
        return like(source, _of_table(scope, source, weights, node.name))
    logits = _affine(scope, source, weights, f"{node.name}.product", node.name, canonical=True)
    return like(source, logits)


def _of_table(scope: Scope, value: Value, weights: tuple[str, str], name: str) -> str:
    """`W v + b` of a sequence, with the table of an embedding turned round in the graph, so that
    the file has it once; onnxruntime does that as it loads the file."""
    emit, low = scope.emit, scope.low
    matrix, bias = (low.canonical(each) for each in weights)
    turned = emit.op("Transpose", [matrix], f"{name}.turned", perm=[1, 0])
    product = emit.op("MatMul", [value.name, turned], f"{name}.product")
    return emit.op("Add", [product, bias], name)


def lower_normalize(scope: Scope, node: nodes.Normalize) -> Value:
    """`scale * (v - mean(v)) / sqrt(var(v) + 1e-5) + shift`; 0 past a length becomes `shift`."""
    emit, name, source = scope.emit, node.name, scope.value(node.source)
    parameters = [scope.low.canonical(f"{name}.{part}") for part in ("scale", "shift")]
    value = normalized(emit, centred(emit, source.name, name), parameters, name, node.width)
    return like(source, value)


def lower_merge(scope: Scope, node: nodes.Merge) -> Value:
    """The two halves of each vector as one."""
    emit, source = scope.emit, scope.value(node.source)
    names = [f"{node.name}.forward", f"{node.name}.reverse"]
    inputs = [source.name, emit.integers(node.width, node.width)]
    halves = emit.ops("Split", inputs, names, axis=-1)
    return like(source, emit.op(MERGES[node.kind], halves, node.name), clean=_clean(source))


def lower_residual(scope: Scope, node: nodes.Residual) -> Value:
    """`source + skip`."""
    source, skip = scope.value(node.source), scope.value(node.skip)
    value = scope.emit.op("Add", [source.name, skip.name], node.name)
    return like(source, value, clean=_clean(source) and _clean(skip))


def lower_highway(scope: Scope, node: nodes.Highway) -> Value:
    """`g * source + (1 - g) * skip` with `g = sigmoid(W skip + b)` (Srivastava et al. 2015)."""
    emit, name = scope.emit, node.name
    source, skip = scope.value(node.source), scope.value(node.skip)
    weights = (f"{name}.W", f"{name}.b")
    affine = _affine(scope, skip, weights, f"{name}.product", f"{name}.affine")
    gate = emit.op("Sigmoid", [affine], f"{name}.gate")
    closed = emit.op("Sub", [emit.number(1.0), gate], f"{name}.closed")
    taken = emit.op("Mul", [gate, source.name], f"{name}.taken")
    carried = emit.op("Mul", [closed, skip.name], f"{name}.carried")
    value = emit.op("Add", [taken, carried], name)
    return like(source, value, clean=_clean(source) and _clean(skip))


def lower_join(scope: Scope, node: nodes.Join) -> Value:
    """The sources side by side; a vector among sequences is repeated at every step."""
    emit, name = scope.emit, node.name
    values = [scope.value(source) for source in node.reads]
    sequence = next((value for value in values if isinstance(value, PaddedSequence)), None)
    parts = [value.name for value in values]
    if sequence is None:
        return Vector(emit.concat(parts, -1, name))
    repeated = _repeated(scope, sequence, name)
    parts = [repeated(each.name) if isinstance(each, Vector) else each.name for each in values]
    joined = emit.concat(parts, -1, name)
    return like(sequence, joined, clean=all(map(_clean, values)))


def _repeated(scope: Scope, sequence: PaddedSequence, name: str) -> Callable[[str], str]:
    """What makes `[T, B, W]` of `[B, W]`. Where T is 1 nothing is repeated: OpenVINO loses an axis
    that Expand makes so."""
    emit = scope.emit
    if scope.low.step:
        return lambda value: emit.unsqueeze(value, 0, f"{value}.at_the_step")
    time = emit.extent(sequence.name, 0, f"{name}.time")
    extents = emit.concat([time, emit.integers(1, 1)], 0, f"{name}.extents")
    return lambda value: emit.op("Expand", [value, extents], f"{value}.at_each_step")


def lower_activate(scope: Scope, node: nodes.Activate) -> Value:
    """A function of each number."""
    source = scope.value(node.source)
    value = FUNCTIONS[node.activation](scope.emit, [source.name], node.name, 0)
    return like(source, value)


def lower_batch_norm(scope: Scope, node: nodes.BatchNorm) -> Value:
    """`factor * v + moved`: scale, mean and variance as one factor and one number for each
    channel. onnxruntime takes them into the weights of a convolution before it."""
    emit, name, source = scope.emit, node.name, scope.value(node.source)
    scale, shift, mean, variance = (
        scope.low.exact(f"{name}.{each}") for each in ("scale", "shift", "mean", "variance")
    )
    factor = scale / np.sqrt(variance + EPSILON)
    moved = (shift - mean * factor).astype(np.float32)
    weight = emit.weight(f"{name}.factor", factor.astype(np.float32))
    scaled = emit.op("Mul", [source.name, weight], f"{name}.scaled")
    return like(source, emit.op("Add", [scaled, emit.weight(f"{name}.moved", moved)], name))


def lower_combine(scope: Scope, node: nodes.Combine) -> Value:
    """The sum, the product or the mean of several values."""
    emit, sources = scope.emit, [scope.value(each) for each in node.reads]
    names, clean = [source.name for source in sources], all(map(_clean, sources))
    if node.kind != "mul":
        kind = {"sum": "Sum", "mean": "Mean"}[node.kind]
        return like(sources[0], emit.op(kind, names, node.name), clean=clean)
    product = names[0]
    for number, other in enumerate(names[1:], 1):
        name = node.name if number == len(names) - 1 else f"{node.name}.{number}"
        product = emit.op("Mul", [product, other], name)
    return like(sources[0], product, clean=clean)


def lower_compare(scope: Scope, node: nodes.Compare) -> Value:
    """Two vectors compared: see the node."""
    emit, name = scope.emit, node.name
    one, two = (scope.value(each) for each in node.reads)
    if node.kind == "cosine":
        return like(one, _cosine(emit, one.name, two.name, name))
    last = node.kind == "difference"
    apart = emit.op("Sub", [one.name, two.name], f"{name}.signed")
    apart = emit.op("Abs", [apart], name if last else f"{name}.apart")
    if last:
        return like(one, apart)
    distance = _summed(emit, apart, f"{name}.distance")
    negative = emit.op("Neg", [distance], f"{name}.negative")
    return like(one, emit.op("Exp", [negative], name))


def _cosine(emit: Emitter, one: str, two: str, name: str) -> str:
    product = emit.op("Mul", [one, two], f"{name}.products")
    lengths = []
    for each, title in ((one, f"{name}.one"), (two, f"{name}.two")):
        squares = emit.op("Mul", [each, each], f"{title}.squares")
        square = _summed(emit, squares, f"{title}.square")
        at_least = emit.op("Max", [square, emit.number(LEAST_SQUARE)], f"{title}.at_least")
        lengths.append(emit.op("Sqrt", [at_least], f"{title}.length"))
    both = emit.op("Mul", lengths, f"{name}.lengths")
    return emit.op("Div", [_summed(emit, product, f"{name}.dot"), both], name)


def _summed(emit: Emitter, value: str, name: str) -> str:
    """The sum of each vector, as a vector of one number."""
    return emit.op("ReduceSum", [value, emit.integers(-1)], name, keepdims=1)


def lower_grid(scope: Scope, node: nodes.Grid) -> Value:
    """`[…, features * channels]` as `[…, features, channels]`."""
    return _reshaped(scope, node.source, (node.features, node.channels), node.name)


def lower_unflatten(scope: Scope, node: nodes.Unflatten) -> Value:
    """`[T, B, rows * columns, C]` as the frames of one batch, `[T * B, rows, columns, C]`."""
    source = scope.value(node.source)
    return like(source, folded(scope.low, node.name, source.name), clean=_clean(source))


def lower_squeeze(scope: Scope, node: nodes.Squeeze) -> Value:
    """`[…, F, C]` as `[…, F * C]`, or its mean or largest value over F."""
    if are_frames(scope.low, node.source):
        return _squeezed_frames(scope, node)
    if node.kind == "flatten":
        width = nodes.shapes(scope.low.plan)[node.name][-1]
        assert isinstance(width, int)
        return _reshaped(scope, node.source, (width,), node.name)
    source, kind = scope.value(node.source), {"mean": "ReduceMean", "max": "ReduceMax"}[node.kind]
    value = scope.emit.reduce(kind, source.name, -2, node.name)
    return like(source, value, clean=_clean(source))


def _squeezed_frames(scope: Scope, node: nodes.Squeeze) -> Value:
    """Frames as plain steps `[T, B, W]`."""
    emit, source = scope.emit, scope.low.steps(node.source)
    if node.kind != "flatten":
        kind = {"mean": "ReduceMean", "max": "ReduceMax"}[node.kind]
        inputs = [source.name, emit.integers(1, 2)]
        value = emit.op(kind, inputs, f"{node.name}.of_frames", keepdims=0)
        source = PaddedSequence(value, source.lengths, clean=source.clean)
    value = unfolded(scope.low, source, sides_of(scope.low, node.name), node.name)
    return like(source, value, clean=_clean(source))


def _reshaped(scope: Scope, source: str, extents: Sequence[int], name: str) -> Value:
    """The value with other axes behind those of rows and steps."""
    value = scope.value(source)
    leading = (0, 0) if isinstance(value, PaddedSequence) else (0,)
    shape = scope.emit.integers(*leading, *extents)
    found = scope.emit.op("Reshape", [value.name, shape], name)
    return like(value, found, clean=_clean(value))


def lower_add_base(scope: Scope, node: nodes.AddBase) -> Value:
    """Raw numbers, with the values that they are the distance from added."""
    source, base, emit = scope.value(node.source), scope.value(node.base).name, scope.emit
    if node.parameters > 1:
        matrix = np.array(spread(node), np.float32).T
        matrix_name = emit.constant(matrix, f"{node.name}.spread")
        base = emit.op("MatMul", [base, matrix_name], f"{node.name}.each")
    return like(source, emit.op("Add", [source.name, base], node.name))


def lower_ordinal(scope: Scope, node: nodes.Ordinal) -> Value:
    """Logarithms of the probabilities of all classes, of cuts that the file has as they are."""
    source, emit, name = scope.value(node.source), scope.emit, node.name
    gaps = scope.low.exact(f"{name}.gaps").tolist() if node.classes > 2 else []
    upper, lower, between = (np.array(each, np.float32) for each in cuts_of(gaps))
    below = emit.op("Sub", [emit.constant(upper, f"{name}.upper"), source.name], f"{name}.below")
    above = emit.op("Sub", [source.name, emit.constant(lower, f"{name}.lower")], f"{name}.above")
    logs = [log_sigmoid(emit, each, each) for each in (below, above)]
    both = emit.op("Add", logs, f"{name}.both")
    return like(source, emit.op("Add", [both, emit.constant(between, f"{name}.between")], name))


POINTWISE: Mapping[type[nodes.Node], Callable[[Scope, Any], Value]] = {
    nodes.Embed: lower_embed,
    nodes.CalendarEmbed: lower_calendar_embed,
    nodes.Dropout: lower_dropout,
    nodes.Dense: lower_dense,
    nodes.Scores: lower_scores,
    nodes.Normalize: lower_normalize,
    nodes.Merge: lower_merge,
    nodes.Residual: lower_residual,
    nodes.Highway: lower_highway,
    nodes.Join: lower_join,
    nodes.Activate: lower_activate,
    nodes.BatchNorm: lower_batch_norm,
    nodes.Combine: lower_combine,
    nodes.AddBase: lower_add_base,
    nodes.Ordinal: lower_ordinal,
    nodes.Compare: lower_compare,
    nodes.Grid: lower_grid,
    nodes.Squeeze: lower_squeeze,
    nodes.Unflatten: lower_unflatten,
}
"""The lowering of each pointwise node type, in the graph and in the body of a decoder."""


def _affine(
    scope: Scope,
    value: Value,
    weights: tuple[str, str],
    product: str,
    name: str,
    canonical: bool = False,
) -> str:
    """`W v + b`: of vectors one Gemm; of a sequence, which Gemm does not take, a product and a sum.

    `weights` are the names of W and b. In a loop W is stored transposed, unless it is to be
    `canonical`: stored once, as it is.
    """
    emit, low = scope.emit, scope.low
    matrix, bias = weights[0], low.canonical(weights[1])
    if isinstance(value, Vector) and (canonical or not scope.in_loop):
        return emit.op("Gemm", [value.name, low.canonical(matrix), bias], name, transB=1)
    transposed = emit.weight(f"{matrix}.transposed", low.weights[matrix].T)
    if isinstance(value, Vector):
        return emit.op("Gemm", [value.name, transposed, bias], name)
    applied = emit.op("MatMul", [value.name, transposed], product)
    return emit.op("Add", [applied, bias], name)


def _clean(value: Value) -> bool:
    return isinstance(value, PaddedSequence) and value.clean
