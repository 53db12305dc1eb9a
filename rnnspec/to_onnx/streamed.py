"""Nodes that keep something from chunk to chunk, in a graph that answers a stream.

What each keeps says `rnnspec.plan.stream_rules`; here stands how a chunk is answered with it.
Recurrent layers and missing values differ so little from whole rows that theirs stand with those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rnnspec.plan import nodes
from rnnspec.plan.nodes import Node
from rnnspec.plan.nodes.audio import DELTA_SPAN
from rnnspec.plan.stream import BEGUN
from rnnspec.to_onnx import audio, layer
from rnnspec.to_onnx.decoder import last_so_far
from rnnspec.to_onnx.emitter import DOUBLE, FLOAT, INT64
from rnnspec.to_onnx.frames import are_frames, sides_of, unfolded
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import TIME, Lowering, PaddedSequence, Value, Vector
from rnnspec.to_onnx.pool import LOWEST, attention_scores, last_of_steps, own_values
from rnnspec.to_onnx.windows import Filter, answered, later_lengths, waited, windows


def keep_begun(low: Lowering) -> None:
    """Whether rows have begun, after this chunk: once they have had a step."""
    chunks, emit = low.streaming(), low.emit
    if chunks.has(BEGUN):
        now = emit.number(1.0)
        if not low.step:
            count = emit.op("Sign", [low.axes[TIME].given], f"{BEGUN}.some")
            now = emit.cast(count, INT64, FLOAT, f"{BEGUN}.now")
        chunks.after(BEGUN, emit.op("Max", [chunks.before(BEGUN), now], f"{BEGUN}.after"))


def in_step(low: Lowering, node: Node) -> dict[str, Value]:
    """The sources of a node that are ahead of its last one, brought to the steps of that one."""
    waiting = low.streaming().stream.waiting(node)
    if not waiting:
        return {}
    last = next(n for n in node.sources() if n in _lags(low) and n not in waiting)
    return {name: _waited(low, node, name, last, most) for name, most in waiting.items()}


def _waited(low: Lowering, node: Node, name: str, last: str, most: int) -> PaddedSequence:
    """The source `name` with the steps of the source `last`. Frames stand steps first meanwhile."""
    kept, source = f"{node.name}.{name}.waiting", low.steps(name)
    frames = are_frames(low, name)
    if frames:
        steps = unfolded(low, source, sides_of(low, name), f"{kept}.frames")
        source = PaddedSequence(steps, source.lengths)
    found = waited(low, kept, source, low.steps(last).lengths, most, sides_of(low, name))
    if not frames:
        return found
    flat = [found.name, low.emit.integers(-1, *sides_of(low, name))]
    return PaddedSequence(low.emit.op("Reshape", flat, f"{kept}.folded"), found.lengths)


def _lags(low: Lowering) -> Mapping[str, Any]:
    return low.streaming().stream.lags


def lower_recurrent(low: Lowering, node: nodes.Recurrent) -> PaddedSequence:
    """One layer, which begins with the states that the chunk before left."""
    found, chunks = layer.lower_recurrent(low, node), low.streaming()
    for state in node.cell.states:
        if chunks.has(f"{node.name}.{state}"):
            chunks.after(f"{node.name}.{state}", found.final_states[state])
    return found


def lower_stack_steps(low: Lowering, node: nodes.StackSteps) -> PaddedSequence:
    """Neighbouring steps side by side."""
    source, emit, name = low.steps(node.source), low.emit, node.name
    reads = Filter(0, node.size - 1, node.stride)
    found = windows(low, name, source.name, source.lengths, reads, sides_of(low, node.source))
    extent = emit.extent(found.value, 0, f"{name}.extent")
    parts = []
    for place in range(node.size):
        end = emit.op("Sub", [extent, emit.integers(node.size - 1 - place)], f"{name}.end.{place}")
        bounds = [emit.integers(place), end, emit.integers(0), emit.integers(node.stride)]
        parts.append(emit.op("Slice", [found.value, *bounds], f"{name}.step.{place}"))
    out = emit.concat(parts, -1, name)
    return answered(low, name, source.lengths, reads, found.count, out)


def lower_audio(low: Lowering, node: nodes.AudioInput) -> PaddedSequence:
    """The windows that the samples of a chunk complete; samples of later ones are kept."""
    emit, name = low.emit, node.name
    rows, counts = audio.samples_of(low, node)
    line = emit.transpose(rows, [1, 0], f"{name}.line")
    axis = Lengths(emit, f"{name}.samples", counts, line, False)
    # Pads a chunk without samples: a window has one at least.
    line = emit.op("Pad", [line, emit.integers(0, 0, 1, 0)], f"{name}.line.some")
    reads = Filter(0, node.window - 1, node.hop)
    found = windows(low, name, line, axis, reads, ())
    by_row = emit.transpose(found.value, [1, 0], f"{name}.by_row")
    values = audio.features(low, node, emit.unsqueeze(by_row, 1, f"{name}.channel"))
    sequence = emit.transpose(values, [2, 0, 1], f"{name}.features")
    lengths = later_lengths(low, name, found.count, sequence)
    for order in range(node.deltas):
        sequence, lengths = _with_slopes(low, node, sequence, lengths, order)
    lengths.given = counts
    low.axes[TIME] = lengths
    return PaddedSequence(audio.normalised(low, node, sequence, lengths), lengths)


def _with_slopes(
    low: Lowering, node: nodes.AudioInput, sequence: str, lengths: Lengths, order: int
) -> tuple[str, Lengths]:
    """`[T, B, W]` with the slopes of its last `size` features beside it."""
    emit, width = low.emit, node.size * (order + 1)
    name = f"{node.name}.slopes.{order + 1}"
    reads = Filter(DELTA_SPAN, DELTA_SPAN, 1, edges=True)
    found = windows(low, name, sequence, lengths, reads, (width,))
    extent = emit.extent(found.value, 0, f"{name}.extent")
    end = emit.op("Sub", [extent, emit.integers(DELTA_SPAN)], f"{name}.end")
    values = emit.slice(found.value, DELTA_SPAN, end, 0, f"{name}.values")
    last = emit.slice(found.value, width - node.size, width, 2, f"{name}.of")
    turned = emit.transpose(last, [1, 2, 0], f"{name}.turned")
    own = emit.transpose(audio.slopes(low, node, turned, name), [2, 0, 1], f"{name}.in_time")
    both = emit.concat([values, own], 2, f"{name}.beside")
    return both, later_lengths(low, name, found.count, both)


def lower_pool(low: Lowering, node: nodes.Pool) -> Vector:
    """The vector of all steps so far."""
    return Vector(POOLS[node.kind](low, node, low.steps(node.source)))


def _last(low: Lowering, node: nodes.Pool, source: PaddedSequence) -> str:
    return last_so_far(low, source, last_of_steps(low, node, source), f"{node.name}.last")


def _mean(low: Lowering, node: nodes.Pool, source: PaddedSequence) -> str:
    """Sums in float64, so that a long stream loses nothing."""
    emit, chunks, name = low.emit, low.streaming(), node.name
    values = emit.cast(own_values(source, f"{name}.values"), FLOAT, DOUBLE, f"{name}.wide")
    here = emit.reduce("ReduceSum", values, 0, f"{name}.here")
    total = emit.op("Add", [chunks.before(f"{name}.sum"), here], f"{name}.total")
    count = _counted(low, node, source)
    most = emit.op("Max", [count, emit.integer(1)], f"{name}.count.least")
    column = emit.unsqueeze(emit.cast(most, INT64, DOUBLE, f"{name}.count.wide"), 1, f"{name}.n")
    chunks.after(f"{name}.sum", total)
    return emit.cast(emit.op("Div", [total, column], f"{name}.mean"), DOUBLE, FLOAT, name)


def _counted(low: Lowering, node: nodes.Pool, source: PaddedSequence) -> str:
    """Int64 `[B]`: the steps so far."""
    kept = f"{node.name}.count"
    before = low.streaming().before(kept)
    count = low.emit.op("Add", [before, source.lengths.name], f"{kept}.so_far")
    low.streaming().after(kept, count)
    return count


def _max(low: Lowering, node: nodes.Pool, source: PaddedSequence) -> str:
    emit, chunks, name = low.emit, low.streaming(), node.name
    lowest = emit.number(float("-inf"))
    values = source.name
    if not source.lengths.steps:
        values = emit.op("Where", [source.lengths.mask(), values, lowest], f"{name}.values")
    here = emit.reduce("ReduceMax", values, 0, f"{name}.here")
    before, kept = chunks.before(f"{name}.count"), chunks.before(f"{name}.largest")
    some = emit.unsqueeze(
        emit.op("Greater", [before, emit.integer(0)], f"{name}.some"), 1, f"{name}.some.column"
    )
    kept = emit.op("Where", [some, kept, lowest], f"{name}.largest.before")
    both = emit.op("Max", [kept, here], f"{name}.largest.of_both")
    count = _counted(low, node, source)
    there = emit.op("Greater", [count, emit.integer(0)], f"{name}.there")
    column = emit.unsqueeze(there, 1, f"{name}.there.column")
    found = emit.op("Where", [column, both, emit.number(0.0)], name)
    chunks.after(f"{name}.largest", found)
    return found


def _attention(low: Lowering, node: nodes.Pool, source: PaddedSequence) -> str:
    """A running softmax (Milakov and Gimelshein 2018): the largest score so far, the weights of all
    steps relative to it, and the weighted sum."""
    emit, chunks, name = low.emit, low.streaming(), node.name
    values = own_values(source, f"{name}.values")
    scores = attention_scores(low, node, source, values)  # [T, B, 1], LOWEST past the length
    kept = {each: chunks.before(f"{name}.{each}") for each in ("most", "weight", "sum")}
    some = emit.op("Greater", [kept["weight"], emit.number(0.0)], f"{name}.some")
    before = emit.op("Where", [some, kept["most"], emit.number(LOWEST)], f"{name}.most.before")
    # Behind the one before, so that a chunk without steps has one too: onnxruntime before 1.23
    # takes the largest of no numbers for an error.
    parts = [emit.unsqueeze(before, 0, f"{name}.first"), scores]
    every = emit.concat(parts, 0, f"{name}.scores.all")
    most = emit.reduce("ReduceMax", every, 0, f"{name}.most.of_both")
    above = emit.op("Sub", [scores, most], f"{name}.above")
    shares = emit.op("Exp", [above], f"{name}.shares.all")
    shares = source.lengths.cleaned(shares, f"{name}.shares")
    fallen = emit.op("Sub", [before, most], f"{name}.fallen")
    share = emit.op("Exp", [fallen], f"{name}.share")

    def total(part: str, values: str) -> str:
        own = emit.reduce("ReduceSum", values, 0, f"{name}.{part}.here")
        old = emit.op("Mul", [kept[part], share], f"{name}.{part}.old")
        found = emit.op("Add", [old, own], f"{name}.{part}.so_far")
        chunks.after(f"{name}.{part}", found)
        return found

    weight = total("weight", shares)
    summed = total("sum", emit.op("Mul", [values, shares], f"{name}.weighted"))
    any_step = emit.op("Greater", [weight, emit.number(0.0)], f"{name}.any")
    zero = emit.number(0.0)
    chunks.after(f"{name}.most", emit.op("Where", [any_step, most, zero], f"{name}.most.after"))
    divisor = emit.op("Where", [any_step, weight, emit.number(1.0)], f"{name}.divisor")
    return emit.op("Div", [summed, divisor], name)


POOLS: Mapping[nodes.PoolKind, Callable[[Lowering, nodes.Pool, PaddedSequence], str]] = {
    "last": _last,
    "mean": _mean,
    "max": _max,
    "attention": _attention,
}


STREAMED: Mapping[type[Node], Callable[[Lowering, Any], Value]] = {
    nodes.Recurrent: lower_recurrent,
    nodes.StackSteps: lower_stack_steps,
    nodes.AudioInput: lower_audio,
    nodes.Pool: lower_pool,
}
"""In the place of the lowerings of whole rows."""
