"""Numbers: frames, vectors and series in the units of the data, scaled inside the graph.

They come in as floats, or as doubles where the plan says so, and are scaled to floats.

A missing number comes in as NaN. Where the plan allows it, it is replaced before anything reads it;
else NaN is the caller's error.
"""

from __future__ import annotations

import numpy as np

from rnnspec.plan import nodes
from rnnspec.to_onnx.axis import nonempty_rows, on_time_axis, padded_where_empty, time_major
from rnnspec.to_onnx.differences import differences_of, where_known
from rnnspec.to_onnx.emitter import BOOL, DOUBLE, FLOAT, INT64, Extent
from rnnspec.to_onnx.lengths import Lengths, counted
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Value, Vector

UNITS = "in the units of the data"
NumericInput = nodes.FramesInput | nodes.VectorInput | nodes.SeriesInput | nodes.FutureInput
Scalable = NumericInput | nodes.NumericOutput | nodes.ForecastOutput | nodes.FramesOutput


def lower_frames(low: Lowering, node: nodes.FramesInput) -> PaddedSequence:
    """Frames `[T, B, features]`, scaled inside the model if the plan says so."""
    emit, raw = low.emit, frames_given(low, node)
    values = raw.name
    if node.elapsed is not None:
        others = emit.integers(*(n for n in range(node.width) if n != node.elapsed))
        values = emit.op("Gather", [values, others], f"{node.name}.features", axis=2)
    if node.missing == "previous":
        kind = input_type(node)
        values = _filled_from_past(low, values, raw.lengths, node.features, node.name, kind)
    return PaddedSequence(_scaled(low, node, values, node.missing), raw.lengths)


def lower_elapsed(low: Lowering, node: nodes.Elapsed) -> PaddedSequence:
    """Element `index` of each frame, `[T, B, 1]`."""
    emit = low.emit
    (frames,) = (n for n in low.plan.inputs if n.column == node.column)
    assert isinstance(frames, nodes.FramesInput), f"{node.column} has no frames"
    raw = frames_given(low, frames)
    times = emit.slice(raw.name, node.index, node.index + 1, 2, node.name)
    return PaddedSequence(
        emit.cast(times, input_type(frames), FLOAT, f"{node.name}.float"), raw.lengths
    )


def lower_vector(low: Lowering, node: nodes.VectorInput) -> Vector:
    """Numbers `[B, width]`, scaled inside the model if the plan says so."""
    shape: list[Extent] = [BATCH] if node.single else [BATCH, node.width]
    doc = f"{node.width} numbers a row {UNITS}{_or_missing(node.missing)}"
    given = low.emit.input(node.column, input_type(node), shape, doc, reserved=True)
    values = nonempty_rows(low, given, f"{node.name}.rows", input_type(node))
    return Vector(_scaled(low, node, values, node.missing))


def lower_series(low: Lowering, node: nodes.SeriesInput) -> PaddedSequence:
    """The past of a series, `[T, B, 1]`, scaled as the plan says."""
    past = _past(low, node.column)
    lags, name = node.differences, node.name
    steps = differences_of(low, past.name, lags, scaled_type(node), name)
    scaled = _scaled(low, node, steps, node.missing)
    if lags:
        scaled = where_known(low, scaled, sum(lags), name)
    return PaddedSequence(scaled, past.lengths)


def lower_last_values(low: Lowering, node: nodes.LastValues) -> Vector:
    """The last values of each row in the units of the data, `[B, K]`.

    A 0 is put before the first step, so that place n of a row of n steps is its last value.
    """
    emit, name, past = low.emit, node.name, _past(low, node.column)
    values = emit.squeeze(past.name, 2, f"{name}.past")
    pads = [values, emit.integers(1, 0, 0, 0), "", emit.integers(0, 1)]
    values = emit.op("Pad", pads, f"{name}.from_0")
    back = emit.constant(np.arange(node.steps - 1, -1, -1)[:, None], f"{name}.back")
    lengths = past.lengths.name
    wanted = emit.op("Sub", [lengths, back], f"{name}.wanted")
    first = emit.op("Max", [wanted, emit.integer(1)], f"{name}.or_first")
    places = emit.op("Min", [first, lengths], f"{name}.places")
    found = emit.op("GatherElements", [values, places], f"{name}.steps", axis=0)
    return Vector(emit.transpose(found, [1, 0], name))


def lower_moments(low: Lowering, node: nodes.WindowMoments) -> Vector:
    """Centre and scale of each row's past, doubles `[B, 2]`."""
    emit, name, past = low.emit, node.name, _past(low, node.column)
    missing = emit.op("IsNaN", [past.name], f"{name}.missing")
    known = emit.op("Not", [missing], f"{name}.known")
    valid = emit.op("And", [past.lengths.mask(), known], f"{name}.there")
    if node.steps:
        valid = emit.op("And", [valid, _late(low, node, past)], f"{name}.late")
    flags = emit.cast(valid, BOOL, DOUBLE, f"{name}.flags")
    total = emit.reduce("ReduceSum", flags, 0, f"{name}.total")
    zero = emit.number(0.0, DOUBLE)
    count = emit.op("Max", [total, emit.number(1.0, DOUBLE)], f"{name}.count")
    of_rows, of_deviation = _training_moments(low, node, DOUBLE)

    def mean(values: str, title: str) -> str:
        kept = emit.op("Where", [valid, values, zero], f"{title}.kept")
        summed = emit.reduce("ReduceSum", kept, 0, f"{title}.sum")
        return emit.op("Div", [summed, count], title)

    def above(value: str, bound: str, other: str, title: str) -> str:
        larger = emit.op("Greater", [value, bound], f"{title}.above")
        return emit.op("Where", [larger, value, other], title)

    size = mean(emit.op("Abs", [past.name], f"{name}.sizes"), f"{name}.size")
    if node.kind == "mean":
        mean_of_rows, deviation = (low.exact(f"{name}.{part}") for part in ("mean", "deviation"))
        if node.double:
            mean_of_rows = mean_of_rows + low.exact(f"{name}.rest")
        root = emit.weight(f"{name}.root_mean_square", np.hypot(mean_of_rows, deviation))
        centre, scale = emit.op("Mul", [size, zero], f"{name}.centre"), size
        scale = above(scale, zero, root, f"{name}.scale")
    elif node.kind == "level":
        some = emit.op("Greater", [total, zero], f"{name}.some")
        middle = mean(past.name, f"{name}.middle")
        centre = emit.op("Where", [some, middle, of_rows], f"{name}.centre")
        none = emit.op("Mul", [size, zero], f"{name}.none")
        scale = emit.op("Add", [none, of_deviation], f"{name}.scale")
    else:
        assert node.kind == "window", node.kind
        middle = mean(past.name, f"{name}.middle")
        distance = emit.op("Sub", [past.name, middle], f"{name}.distance")
        square = emit.op("Mul", [distance, distance], f"{name}.square")
        deviation_of = emit.op("Sqrt", [mean(square, f"{name}.variance")], f"{name}.deviation_of")
        noise = emit.number(nodes.NOISE[node.double], DOUBLE)
        least = emit.op("Mul", [size, noise], f"{name}.noise")
        moving = above(deviation_of, least, size, f"{name}.moving")
        scale = above(moving, zero, of_deviation, f"{name}.scale")
        some = emit.op("Greater", [total, zero], f"{name}.some")
        centre = emit.op("Where", [some, middle, of_rows], f"{name}.centre")
    return Vector(emit.concat([centre, scale], 1, name))


def _late(low: Lowering, node: nodes.WindowMoments, past: PaddedSequence) -> str:
    """Bool `[T, B, 1]`: whether a step is among the last ones of its row, that count."""
    emit, name = low.emit, f"{node.name}.steps"
    numbers = counted(emit, emit.extent(past.name, 0, f"{name}.time"), name)
    column = emit.unsqueeze(numbers, 1, f"{name}.column")
    first = emit.op("Sub", [past.lengths.name, emit.integer(node.steps)], f"{name}.first")
    late = emit.op("GreaterOrEqual", [column, first], f"{name}.late")
    return emit.unsqueeze(late, 2, f"{name}.of_each")


def lower_observed(low: Lowering, node: nodes.Observed) -> PaddedSequence:
    """Which numbers of a series are known, and the steps since the last known one, `[T, B, 2]`."""
    emit, name, past = low.emit, node.name, _past(low, node.column)
    major = time_major(low, node.column, f"{name}.time_major")
    missing = emit.op("IsNaN", [emit.unsqueeze(major, 2, f"{name}.past")], f"{name}.missing")
    known = emit.op("Not", [missing], f"{name}.known")
    flags = emit.cast(known, BOOL, FLOAT, f"{name}.flags")
    there = padded_where_empty(low, past.lengths, flags, name).name
    time = emit.squeeze(emit.extent(there, 0, f"{name}.extent"), 0, f"{name}.steps")
    times = emit.cast(emit.range(time, f"{name}.numbers"), INT64, FLOAT, f"{name}.times")
    each = emit.op("Unsqueeze", [times, emit.integers(1, 2)], f"{name}.each")
    is_there = emit.op("Greater", [there, emit.number(0.0)], f"{name}.is_there")
    nothing = emit.number(float("nan"))
    places = emit.op("Where", [is_there, each, nothing], f"{name}.places")
    shape = emit.concat([past.lengths.batch(), emit.integers(1)], 0, f"{name}.shape")
    none = emit.op("Expand", [emit.number(-1.0), shape], f"{name}.none")
    last = _forward_filled(low, places, past.lengths, 1, name, FLOAT, none)
    since = emit.op("Sub", [each, last], f"{name}.since")
    grown = emit.op("Add", [since, emit.number(1.0)], f"{name}.grown")
    logarithm = emit.op("Log", [grown], f"{name}.logarithm")
    return PaddedSequence(emit.concat([there, logarithm], 2, name), past.lengths)


def lower_future(low: Lowering, node: nodes.FutureInput) -> Value:
    """What is known ahead: `[H, B, 1]`, or `[B, H]` if it is flat."""
    emit, name, two = low.emit, node.name, low.emit.integers(2)
    doc = f"the {node.horizon} values ahead, {UNITS}{_or_missing(node.missing)}"
    given = emit.input(node.key, input_type(node), [BATCH, node.horizon], doc, reserved=True)
    given = _logged(low, node, given, input_type(node))
    if node.flat:
        values = nonempty_rows(low, given, f"{name}.rows", input_type(node))
        if not node.past:
            return Vector(_scaled(low, node, values, node.missing))
        turned = emit.transpose(values, [1, 0], f"{name}.turned")
        steps = _known_ahead(low, node, emit.op("Unsqueeze", [turned, two], f"{name}.ahead"))
        flat = emit.op("Squeeze", [steps, two], f"{name}.squeezed")
        return Vector(emit.transpose(flat, [1, 0], f"{name}.flat"))
    major = time_major(low, given, f"{name}.time_major", other=True)
    ahead = emit.op("Unsqueeze", [major, two], f"{name}.ahead")
    rows = emit.extent(given, 0, f"{name}.batch")
    lengths = emit.op("Expand", [emit.integer(node.horizon), rows], f"{name}.lengths")
    axis = Lengths(emit, name, lengths, ahead, padded=False)
    return PaddedSequence(_known_ahead(low, node, ahead), axis, clean=True)


def _known_ahead(low: Lowering, node: nodes.FutureInput, ahead: str) -> str:
    """`[H, B, 1]` scaled, with missing numbers filled."""
    if not node.past:
        return _scaled(low, node, ahead, node.missing)
    past = low.steps(node.past)
    last = past.lengths.at_end(past.name, f"{node.name}.last_of_past")
    scaled = _scaled(low, node, ahead, "error")
    return _forward_filled(low, scaled, past.lengths, 1, node.name, FLOAT, last)


def input_type(node: NumericInput) -> int:
    """The element type of an input of the file."""
    return DOUBLE if node.double else FLOAT


def scaled_type(node: Scalable) -> int:
    """The element type in which a node is scaled, and of its `centre_and_scale`."""
    return DOUBLE if node.double or _moments_node(node) else FLOAT


def _moments_node(node: Scalable) -> str:
    """The node of the moments that a node is scaled by, or none."""
    return (
        node.moments
        if isinstance(node, nodes.SeriesInput | nodes.FutureInput | nodes.ForecastOutput)
        else ""
    )


def centre_and_scale(low: Lowering, node: Scalable) -> tuple[str, str] | None:
    """Centre and scale of the training rows, `[width]` each, or of a row's window, `[B, 1]` each.
    None where the node is not scaled."""
    if node.scaled:
        return _training_moments(low, node, scaled_type(node))
    moments = _moments_node(node)
    if not moments:
        return None
    emit, of_window, name = low.emit, low.vector(moments), node.name
    names = [f"{name}.centre", f"{name}.scale"]
    found = emit.ops("Split", [of_window, emit.integers(1, 1)], names, axis=1)
    return found[0], found[1]


def _training_moments(
    low: Lowering, node: Scalable | nodes.WindowMoments, kind: int
) -> tuple[str, str]:
    """Mean and deviation of the training rows, `[width]` each."""
    name = node.name
    if kind == FLOAT:
        return low.canonical(f"{name}.mean"), low.canonical(f"{name}.deviation")
    mean = low.exact(f"{name}.mean")
    if node.double:
        mean = mean + low.exact(f"{name}.rest")
    return (
        low.emit.weight(f"{name}.mean", mean),
        low.emit.weight(f"{name}.deviation", low.exact(f"{name}.deviation")),
    )


def _scaled(low: Lowering, node: NumericInput, values: str, missing: nodes.Missing) -> str:
    """`(v - centre) / scale` as floats; 0 for a missing number, where one may be missing.

    `values` are of the type of the input; of the past of a series, of the type of `_past`.
    """
    emit, name, kind = low.emit, node.name, input_type(node)
    if isinstance(node, nodes.SeriesInput):
        kind = scaled_type(node)
    if found := centre_and_scale(low, node):
        wide = emit.cast(values, kind, scaled_type(node), f"{name}.wide")
        centred = emit.op("Sub", [wide, found[0]], f"{name}.centred")
        quotient = emit.op("Div", [centred, found[1]], f"{name}.scaled")
        values, kind = quotient, scaled_type(node)
    values = emit.cast(values, kind, FLOAT, f"{name}.float")
    if missing == "error":
        return values
    gone = emit.op("IsNaN", [values], f"{name}.missing")
    return emit.op("Where", [gone, emit.number(0.0), values], f"{name}.filled")


def frames_given(low: Lowering, node: nodes.FramesInput) -> PaddedSequence:
    """The input itself, `[T, B, width]`. The first node that reads it emits it."""
    if node.column not in low.raw:
        doc = f"steps of {node.width} numbers {UNITS}{_or_missing(node.missing)}; past the length"
        shape: list[Extent] = [BATCH, low.time_extent(node), node.width]
        title = f"{doc} anything"
        given = low.emit.input(node.column, input_type(node), shape, title, reserved=True)
        frames = time_major(low, given, f"{node.name}.frames", [node.width])
        low.raw[node.column] = on_time_axis(low, node, frames)
    return low.raw[node.column]


def _past(low: Lowering, column: str) -> PaddedSequence:
    """The past of a series, `[T, B, 1]`, of the type that it is scaled in.

    By the rule `previous` it is filled forward. The first node that reads it emits it.
    """
    if column not in low.raw:
        (node,) = (
            n for n in low.plan.inputs if isinstance(n, nodes.SeriesInput) and n.column == column
        )
        doc = f"the past of the series {UNITS}{_or_missing(node.missing)}; past the length anything"
        given = low.emit.input(
            column, input_type(node), [BATCH, low.time_extent(node)], doc, reserved=True
        )
        kind = scaled_type(node)
        given = low.emit.cast(given, input_type(node), kind, f"{node.name}.double")
        given = _logged(low, node, given, kind)
        major = time_major(low, given, f"{node.name}.time_major")
        steps = low.emit.unsqueeze(major, 2, f"{node.name}.past")
        past = on_time_axis(low, node, steps)
        if node.missing == "previous":
            carried = _filled_from_past(low, past.name, past.lengths, 1, node.name, kind)
            past = PaddedSequence(carried, past.lengths)
        low.raw[column] = past
    return low.raw[column]


def _logged(low: Lowering, node: nodes.SeriesInput | nodes.FutureInput, value: str, of: int) -> str:
    """The numbers, of an element type, or their logarithms; what has none counts as 1."""
    if not node.log:
        return value
    emit, name = low.emit, node.name
    none = emit.op("LessOrEqual", [value, emit.number(0.0, of)], f"{name}.no_logarithm")
    positive = emit.op("Where", [none, emit.number(1.0, of), value], f"{name}.positive")
    return emit.op("Log", [positive], f"{name}.logarithm")


def _filled_from_past(
    low: Lowering, values: str, lengths: Lengths, width: int, name: str, kind: int
) -> str:
    """`[T, B, width]` with each NaN replaced by the last value before it, of this chunk of a stream
    or of those before it."""
    chunks, emit, kept = low.chunks, low.emit, f"{name}.last"
    if chunks is None:
        return _forward_filled(low, values, lengths, width, name, kind)
    nothing = emit.number(float("nan"), kind)
    before = emit.op("Where", [chunks.begun(), chunks.before(kept), nothing], f"{kept}.or_none")
    found = _forward_filled(low, values, lengths, width, name, kind, before)
    end = lengths.last_step(found, f"{kept}.at_end")
    chunks.after(kept, lengths.or_before(end, before, f"{kept}.now"))
    return found


def _forward_filled(
    low: Lowering, values: str, lengths: Lengths, width: int, name: str, kind: int, before: str = ""
) -> str:
    """`[T, B, width]`, of an element type: each NaN replaced by the last value before it.

    `before` `[B, width]` are the values before the first step, "" for none.
    """
    emit = low.emit
    assert low.padded, "Scan refuses an empty time axis"
    if not before:
        extents = [lengths.batch(), emit.integers(width)]
        shape = emit.concat(extents, 0, f"{name}.carried.shape")
        before = emit.op("Expand", [emit.number(float("nan"), kind), shape], f"{name}.carried.none")
    body = emit.body()
    last = body.input(f"{name}.last", kind, [lengths.dimension, width])
    value = body.input(f"{name}.at_step", kind, [lengths.dimension, width])
    missing = body.op("IsNaN", [value], f"{name}.at_step.missing")
    known = body.op("Where", [missing, last, value], f"{name}.at_step.known")
    again = body.op("Identity", [known], f"{name}.at_step.carried")
    for leaving in (known, again):
        body.result(leaving, kind, [lengths.dimension, width])
    names = [f"{name}.last_known", f"{name}.carried"]
    graph = body.graph(f"{name}.carry")
    return emit.ops("Scan", [before, values], names, body=graph, num_scan_inputs=1)[1]


def _or_missing(missing: nodes.Missing) -> str:
    return "" if missing == "error" else ", NaN where one is missing"
