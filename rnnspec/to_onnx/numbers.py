"""Numbers: frames, vectors and series in the units of the data, scaled inside the graph.

A number that is missing comes in as NaN. Where the plan allows it, it is replaced before anything
reads it; where not, it is the caller's.
"""

from __future__ import annotations

from rnnspec.plan.nodes import (
    Elapsed,
    FramesInput,
    FutureInput,
    Missing,
    SeriesInput,
    VectorInput,
    WindowMoments,
)
from rnnspec.to_onnx.axis import on_time_axis, some_rows, time_major
from rnnspec.to_onnx.emitter import FLOAT, Attributes, Extent
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.values import BATCH, TIME, Lowering, Steps, Value, Vector

WINDOW_EPSILON = 1e-5
"""Added to the variance of a window, and least mean size of one."""
UNITS = "in the units of the data"


def lower_frames(low: Lowering, node: FramesInput) -> Steps:
    """Frames `[T, B, features]`, scaled inside the model if the plan says so."""
    emit, raw = low.emit, _frames(low, node)
    values = raw.name
    if node.elapsed is not None:
        others = [index for index in range(node.width) if index != node.elapsed]
        values = emit.op(
            "Gather", [values, emit.integers(*others)], f"{node.name}.features", {"axis": 2}
        )
    if node.missing == "previous":
        values = _carried_on(low, values, raw.lengths, node.features, node.name)
    return Steps(_scaled(low, node, values, node.missing), raw.lengths)


def lower_elapsed(low: Lowering, node: Elapsed) -> Steps:
    """Element `index` of each frame, `[T, B, 1]`."""
    emit = low.emit
    (frames,) = (n for n in low.plan.inputs if n.column == node.column)
    assert isinstance(frames, FramesInput), f"{node.column} has no frames"
    raw = _frames(low, frames)
    bounds = map(emit.integers, (node.index, node.index + 1, 2))
    return Steps(emit.op("Slice", [raw.name, *bounds], node.name), raw.lengths)


def lower_vector(low: Lowering, node: VectorInput) -> Vector:
    """Numbers `[B, width]`, scaled inside the model if the plan says so."""
    shape: list[Extent] = [BATCH] if node.single else [BATCH, node.width]
    doc = f"{node.width} numbers a row {UNITS}{_or_missing(node.missing)}"
    given = low.emit.input(node.column, FLOAT, shape, doc, reserved=True)
    values = some_rows(low, given, f"{node.name}.rows", FLOAT)
    return Vector(_scaled(low, node, values, node.missing))


def lower_series(low: Lowering, node: SeriesInput) -> Steps:
    """The past of a series, `[T, B, 1]`, scaled as the plan says."""
    past = _past(low, node.column)
    return Steps(_scaled(low, node, past.name, node.missing), past.lengths)


def lower_moments(low: Lowering, node: WindowMoments) -> Vector:
    """Centre and scale of each row's past, `[B, 2]`."""
    emit, name, past = low.emit, node.name, _past(low, node.column)
    missing = emit.op("IsNaN", [past.name], f"{name}.missing")
    known = emit.op("Not", [missing], f"{name}.known")
    there = emit.op("And", [past.lengths.mask(), known], f"{name}.there")
    flags = emit.op("Cast", [there], f"{name}.flags", {"to": FLOAT})
    total = _sum(low, flags, f"{name}.total")
    count = emit.op("Max", [total, emit.number(1.0)], f"{name}.count")

    def mean(values: str, title: str) -> str:
        kept = emit.op("Where", [there, values, emit.number(0.0)], f"{title}.kept")
        return emit.op("Div", [_sum(low, kept, f"{title}.sum"), count], title)

    least = emit.number(WINDOW_EPSILON)
    if node.kind == "mean":
        size = mean(emit.op("Abs", [past.name], f"{name}.sizes"), f"{name}.size")
        scale = emit.op("Max", [size, least], f"{name}.scale")
        centre = past.lengths.zeros(1)
    else:
        centre = mean(past.name, f"{name}.centre")
        distance = emit.op("Sub", [past.name, centre], f"{name}.distance")
        square = emit.op("Mul", [distance, distance], f"{name}.square")
        variance = mean(square, f"{name}.variance")
        above_zero = emit.op("Add", [variance, least], f"{name}.above_zero")
        scale = emit.op("Sqrt", [above_zero], f"{name}.scale")
    some = emit.op("Greater", [total, emit.number(0.0)], f"{name}.some")
    scale = emit.op("Where", [some, scale, emit.number(1.0)], f"{name}.scale_or_one")
    return Vector(emit.op("Concat", [centre, scale], name, {"axis": 1}))


def lower_future(low: Lowering, node: FutureInput) -> Value:
    """What is known ahead: `[H, B, 1]`, or `[B, H]` if it is flat."""
    emit, name, two = low.emit, node.name, low.emit.integers(2)
    doc = f"the {node.horizon} values ahead, {UNITS}{_or_missing(node.missing)}"
    given = emit.input(node.key, FLOAT, [BATCH, node.horizon], doc, reserved=True)
    if node.flat:
        values = some_rows(low, given, f"{name}.rows", FLOAT)
        if not node.past:
            return Vector(_scaled(low, node, values, node.missing))
        turned = emit.op("Transpose", [values], f"{name}.turned", {"perm": [1, 0]})
        steps = _known_ahead(low, node, emit.op("Unsqueeze", [turned, two], f"{name}.ahead"))
        flat = emit.op("Squeeze", [steps, two], f"{name}.squeezed")
        return Vector(emit.op("Transpose", [flat], f"{name}.flat", {"perm": [1, 0]}))
    major = time_major(low, given, f"{name}.time_major")
    ahead = emit.op("Unsqueeze", [major, two], f"{name}.ahead")
    rows = emit.op("Shape", [given], f"{name}.batch", {"start": 0, "end": 1})
    lengths = emit.op("Expand", [emit.integer(node.horizon), rows], f"{name}.lengths")
    axis = Lengths(emit, name, lengths, ahead, padded=False)
    return Steps(_known_ahead(low, node, ahead), axis, clean=True)


def _known_ahead(low: Lowering, node: FutureInput, ahead: str) -> str:
    """`[H, B, 1]` scaled, with what missing numbers stand for."""
    if not node.past:
        return _scaled(low, node, ahead, node.missing)
    past = low.steps(node.past)
    last = past.lengths.at_end(past.name, f"{node.name}.last_of_past")
    scaled = _scaled(low, node, ahead, "error")
    return _carried_on(low, scaled, past.lengths, 1, node.name, last)


def centre_and_scale(
    low: Lowering, name: str, scaled: bool, moments: str
) -> tuple[str, str] | None:
    """Of the training rows, `[width]` each, of a row's own window, `[B, 1]` each, or none."""
    if scaled:
        return low.canonical(f"{name}.mean"), low.canonical(f"{name}.deviation")
    if not moments:
        return None
    emit, of_window = low.emit, low.vector(moments)
    names = [f"{name}.centre", f"{name}.scale"]
    found = emit.ops("Split", [of_window, emit.integers(1, 1)], names, {"axis": 1})
    return found[0], found[1]


def _scaled(
    low: Lowering,
    node: FramesInput | VectorInput | SeriesInput | FutureInput,
    values: str,
    missing: Missing,
) -> str:
    """`(v - centre) / scale`, and then 0 for a number that is missing and may be."""
    emit, name = low.emit, node.name
    moments = node.moments if isinstance(node, SeriesInput | FutureInput) else ""
    if found := centre_and_scale(low, name, node.scaled, moments):
        centred = emit.op("Sub", [values, found[0]], f"{name}.centred")
        values = emit.op("Div", [centred, found[1]], f"{name}.scaled")
    if missing == "error":
        return values
    gone = emit.op("IsNaN", [values], f"{name}.missing")
    return emit.op("Where", [gone, emit.number(0.0), values], f"{name}.filled")


def _frames(low: Lowering, node: FramesInput) -> Steps:
    """The input itself, `[T, B, width]`: emitted by the first node that reads it."""
    if node.column not in low.raw:
        doc = f"steps of {node.width} numbers {UNITS}{_or_missing(node.missing)}; past the length"
        shape: list[Extent] = [BATCH, TIME, node.width]
        given = low.emit.input(node.column, FLOAT, shape, f"{doc} anything", reserved=True)
        frames = time_major(low, given, f"{node.name}.frames", [node.width])
        low.raw[node.column] = on_time_axis(low, node, frames)
    return low.raw[node.column]


def _past(low: Lowering, column: str) -> Steps:
    """The past of a series, `[T, B, 1]`, by the rule `previous` carried on, else as it came in:
    emitted by the first node that reads it."""
    if column not in low.raw:
        (node,) = (n for n in low.plan.inputs if isinstance(n, SeriesInput) and n.column == column)
        doc = f"the past of the series {UNITS}{_or_missing(node.missing)}; past the length anything"
        given = low.emit.input(column, FLOAT, [BATCH, TIME], doc, reserved=True)
        major = time_major(low, given, f"{node.name}.time_major")
        steps = low.emit.op("Unsqueeze", [major, low.emit.integers(2)], f"{node.name}.past")
        past = on_time_axis(low, node, steps)
        if node.missing == "previous":
            past = Steps(_carried_on(low, past.name, past.lengths, 1, node.name), past.lengths)
        low.raw[column] = past
    return low.raw[column]


def _carried_on(
    low: Lowering, values: str, lengths: Lengths, width: int, name: str, before: str = ""
) -> str:
    """`[T, B, width]` with the last value before it in the place of each NaN that has one; `before`
    `[B, width]` are those before the first step, if there are any."""
    emit = low.emit
    assert low.padded, "Scan refuses an empty time axis"
    if not before:
        extents = [lengths.batch(), emit.integers(width)]
        shape = emit.op("Concat", extents, f"{name}.carried.shape", {"axis": 0})
        before = emit.op("Expand", [emit.number(float("nan")), shape], f"{name}.carried.none")
    body = emit.body()
    last = body.input(f"{name}.last", FLOAT, [lengths.dimension, width])
    value = body.input(f"{name}.at_step", FLOAT, [lengths.dimension, width])
    missing = body.op("IsNaN", [value], f"{name}.at_step.missing")
    known = body.op("Where", [missing, last, value], f"{name}.at_step.known")
    again = body.op("Identity", [known], f"{name}.at_step.carried")
    for leaving in (known, again):
        body.result(leaving, FLOAT, [lengths.dimension, width])
    names = [f"{name}.last_known", f"{name}.carried"]
    attributes: Attributes = {"body": body.graph(f"{name}.carry"), "num_scan_inputs": 1}
    return emit.ops("Scan", [before, values], names, attributes)[1]


def _sum(low: Lowering, values: str, name: str) -> str:
    """`[B, 1]`: the sum over the steps of `[T, B, 1]`."""
    return low.emit.op("ReduceSum", [values, low.emit.integers(0)], name, {"keepdims": 0})


def _or_missing(missing: Missing) -> str:
    return "" if missing == "error" else ", NaN where one is missing"
