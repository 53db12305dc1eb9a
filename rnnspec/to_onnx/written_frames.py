"""Frames that a decoder writes: the body in a loop, fed with its own answers.

A row that has ended idles until all rows have; what it wrote past its end is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import MOST_COUNTED, Decoder, FramesInput, FramesOutput, PreviousFrame
from rnnspec.spec.distributions import Parameter
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.distributions import doc_of
from rnnspec.to_onnx.emitter import BOOL, DOUBLE, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.feedback import FedScaling, fed_frame, fed_scaling
from rnnspec.to_onnx.frame_paths import PATH_STEPS, Paths, lower_drawn, quantiles_of, stopping
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, TIME, Lowering, Vector
from rnnspec.to_onnx.numbers import UNITS, centre_and_scale, frames_given, input_type, scaled_type
from rnnspec.to_onnx.outputs import distributed, parts_shaped
from rnnspec.to_onnx.rows import Rows, rows_of
from rnnspec.to_onnx.search.loop import ANSWER, limits_of, trimmed


@dataclass(frozen=True, slots=True)
class _Written:
    """Raw numbers `[U, B, raw]` in the order of writing, and how many each row has, int64 `[B]`;
    U is the largest of these, and at least 1."""

    frames: str
    lengths: str


def lower_written_frames(low: Lowering, node: FramesOutput) -> Vector:
    """`<name>` `[B, U, width]` in the units of the data, 0 past `<name>.lengths` int64 `[B]`; of a
    reconstruction `<name>.errors` `[B, U]` and `<name>.scores` `[B]`; then the parameters of the
    distribution."""
    if node.paths:
        return _drawn(low, node)
    emit, name = low.emit, node.name
    decoder = low.plan.node(node.source)
    assert isinstance(decoder, Decoder), f"{name} reads no decoder"
    rows = rows_of(low, decoder)
    body = Body(low, decoder, rows)
    learned = node.length == "learned"
    scaling = fed_scaling(low, node) if _is_fed(body) or node.read else FedScaling()
    write = _until_stopped if learned else _counted
    found = write(low, node, body, scaling)
    steps = _ordered(emit, node, found)
    own = _own(emit, found, name)
    told = iter(output_names(low.plan, node, low.ids))
    kind = DOUBLE if node.double else FLOAT
    if node.distribution == "point":
        parts, value = list[_Part](), _in_units(low, node, steps)
        value = emit.op("Where", [own, value, emit.number(0.0, kind)], f"{name}.or_zero")
        value = emit.transpose(value, [1, 0, 2], f"{name}.value")
    else:
        parts, value = _distributed(low, node, steps, own)
        if node.read:
            steps = fed_frame(emit, node, steps, scaling, 2, f"{name}.point")
    extents: list[Extent] = [BATCH, ANSWER, node.width]
    emit.output(value, next(told), kind, extents, f"frames {UNITS}; 0 past the length")
    lengths = emit.op("Identity", [found.lengths], f"{name}.count")
    emit.output(lengths, next(told), INT64, [BATCH], "number of frames")
    if node.read:
        _tell_errors(low, node, steps, own, next(told), next(told))
    for (part, values, wide), title in zip(parts, told, strict=True):
        emit.output(values, title, kind, wide, f"{doc_of(node.law, part)}; 0 past the length")
    return Vector(value)


def _drawn(low: Lowering, node: FramesOutput) -> Vector:
    """As frames that are written, of paths that are drawn the median; `<name>.quantiles`
    `[B, U, width, Q]`, `<name>.paths` `[B, S, U', width]` and, of a learned length,
    `<name>.paths.lengths` `[B, S]`."""
    emit, name = low.emit, node.name
    decoder = low.plan.node(node.source)
    assert isinstance(decoder, Decoder), f"{name} reads no decoder"
    rows, learned = rows_of(low, decoder), node.length == "learned"
    most = _most(low, node, rows)[0] if learned else _lengths(low, node, rows)
    paths = lower_drawn(low, node, most)
    lengths = _median_length(emit, node, paths) if learned else most
    levels = quantiles_of(emit, node, paths)
    levels = trimmed(
        emit, emit.transpose(levels, [1, 0, 2, 3], f"{name}.levels"), lengths, f"{name}.trimmed"
    )
    own = _own(emit, _Written(levels, lengths), name)
    own_of_each, zero = emit.unsqueeze(own, 3, f"{name}.own.each"), emit.number(0.0, DOUBLE)
    levels = emit.op("Where", [own_of_each, levels, zero], f"{name}.levels.or_zero")
    kind, told = DOUBLE if node.double else FLOAT, iter(output_names(low.plan, node, low.ids))
    quantiles = emit.cast(levels, DOUBLE, kind, f"{name}.levels.told")
    quantiles = emit.transpose(quantiles, [1, 0, 2, 3], f"{name}.quantiles.by_row")
    middle = emit.integer(node.answered.middle)
    value = emit.op("Gather", [quantiles, middle], f"{name}.median", axis=3)
    extents: list[Extent] = [BATCH, ANSWER, node.width]
    doc = f"the median of {node.paths} paths of frames {UNITS}; 0 past the length"
    emit.output(value, next(told), kind, extents, doc)
    count = emit.op("Identity", [lengths], f"{name}.count")
    emit.output(count, next(told), INT64, [BATCH], "number of frames")
    if node.read:
        at_median = emit.op("Gather", [levels, middle], f"{name}.middle", axis=3)
        scaled = _to_scale(low, node, at_median)
        _tell_errors(low, node, scaled, own, next(told), next(told))
    shares = ", ".join(f"{level:g}" for level in node.quantiles)
    doc = f"quantiles over the paths that have the step, {shares}, {UNITS}; 0 past the length"
    emit.output(quantiles, next(told), kind, [*extents, len(node.quantiles)], doc)
    frames = emit.cast(paths.frames, DOUBLE, kind, f"{name}.paths.told")
    steps = PATH_STEPS if learned else ANSWER
    wide: list[Extent] = [BATCH, node.paths, steps, node.width]
    emit.output(frames, next(told), kind, wide, f"paths of frames {UNITS}; 0 past the length")
    if learned:
        ends = emit.op("Identity", [paths.lengths], f"{name}.paths.count")
        emit.output(ends, next(told), INT64, [BATCH, node.paths], "number of frames of each path")
    return Vector(value)


def _median_length(emit: Emitter, node: FramesOutput, paths: Paths) -> str:
    """The frames of the median path of each row, int64 `[B]`."""
    name, count = f"{node.name}.lengths", emit.integers(node.paths)
    names = [f"{name}.rising", f"{name}.order"]
    rising = emit.ops("TopK", [paths.lengths, count], names, axis=-1, largest=0, sorted=1)[0]
    middle = emit.integer((node.paths - 1) // 2)
    return emit.op("Gather", [rising, middle], name, axis=1)


def _to_scale(low: Lowering, node: FramesOutput, steps: str) -> str:
    """Frames in the units of the data, float64, as floats scaled as frames are fed back."""
    emit, name = low.emit, f"{node.name}.middle"
    if found := centre_and_scale(low, node):
        centre, scale = (emit.cast(v, scaled_type(node), DOUBLE, f"{v}.exact") for v in found)
        steps = emit.op("Sub", [steps, centre], f"{name}.centred")
        steps = emit.op("Div", [steps, scale], f"{name}.scaled")
    return emit.cast(steps, DOUBLE, FLOAT, f"{name}.float")


def _tell_errors(
    low: Lowering, node: FramesOutput, steps: str, own: str, of_steps: str, of_rows: str
) -> None:
    """The errors of scaled frames `[U, B, width]` as outputs of these names."""
    errors, scores = _errors(low, node, steps, own)
    unit = "in units of the deviation" if node.scaled else UNITS
    doc = f"mean of the squared differences from the input, {unit}"
    low.emit.output(errors, of_steps, FLOAT, [BATCH, ANSWER], f"{doc}, of each step")
    low.emit.output(scores, of_rows, FLOAT, [BATCH], f"{doc}, of the row")


_Part = tuple[Parameter, str, list[Extent]]
"""A parameter of a distribution, its value and its extents."""


def _distributed(
    low: Lowering, node: FramesOutput, steps: str, own: str
) -> tuple[list[_Part], str]:
    """The parts of the distributions behind raw numbers `[U, B, raw]`, rows first, and the point
    answers `[B, U, width]`; 0 past the length."""
    emit, name, joint = low.emit, node.name, node.distribution == "mixture"
    raw = emit.transpose(steps, [1, 0, 2], f"{name}.by_row")
    found, _, answer = distributed(low, node, raw, 2, joint)
    valid = emit.transpose(own, [1, 0, 2], f"{name}.own.by_row")
    zero = emit.number(0.0, DOUBLE if node.double else FLOAT)
    each: list[Extent] = [BATCH, ANSWER, *([node.laws] if node.laws > 1 else [])]
    parts = list[_Part]()
    for part, values, wide in parts_shaped(low, node, found, each, joint):
        title = f"{name}.{part.name}"
        flag = emit.unsqueeze(valid, 3, f"{title}.own") if len(wide) == 4 else valid
        values = emit.op("Where", [flag, values, zero], f"{title}.or_zero")
        parts.append((part, values, wide))
    return parts, emit.op("Where", [valid, answer, zero], f"{name}.value")


def _is_fed(body: Body) -> bool:
    first = body.node.body[0]
    return isinstance(first, PreviousFrame) and first.fed


def _fed(loop: Loop, node: FramesOutput, body: Body) -> str:
    """The frame before a step, `[B, width]`: a state, or 0 if it is not fed."""
    first = body.node.body[0]
    assert isinstance(first, PreviousFrame), f"{node.name} is fed with no frames"
    zeros = body.rows.zeros(first.name, first.width)
    if not first.fed:
        return zeros
    return loop.state(first.name, zeros, FLOAT, [BATCH, first.width])


def _next_fed(
    emit: Emitter, node: FramesOutput, body: Body, raw: str, scaling: FedScaling
) -> list[str]:
    """The answer to the raw numbers of a step, `[B, raw]`, if it is fed."""
    if not _is_fed(body):
        return []
    return [fed_frame(emit, node, raw, scaling, 1, f"{node.name}.fed")]


def _counted(low: Lowering, node: FramesOutput, body: Body, scaling: FedScaling) -> _Written:
    """As many steps as the longest row has."""
    emit, name = low.emit, node.name
    lengths = _lengths(low, node, body.rows)
    longest = emit.op("ReduceMax", [lengths], f"{name}.longest", keepdims=0)
    trips = emit.op("Max", [longest, emit.integer(1)], f"{name}.trips")
    loop = Loop(emit, f"{name}.writing")
    previous = _fed(loop, node, body)
    before = loop.carried(body.states, BATCH)
    step = body.step(loop.emit, body.rows, loop.step, previous, before)
    states = [*_next_fed(loop.emit, node, body, step.logits, scaling), *step.states]
    extents: list[Extent] = [BATCH, node.raw]
    _, (frames,) = loop.close(trips, loop.going, states, [(step.logits, FLOAT, extents)])
    return _Written(frames, lengths)


def _lengths(low: Lowering, node: FramesOutput, rows: Rows) -> str:
    """The frames of each row, int64 `[B]`."""
    emit, name = low.emit, f"{node.name}.lengths"
    if node.length == "input":
        return low.axes[TIME].name
    if node.length == "fixed":
        return emit.op("Expand", [emit.integer(node.limit), rows.batch], name)
    counted = low.plan.node(node.counted)
    (column,) = [each.column for each in low.plan.inputs if each == counted]
    double = emit.op("Cast", [column], f"{name}.double", to=DOUBLE)
    whole = emit.op("Round", [double], f"{name}.round")
    least, most = emit.number(0.0, DOUBLE), emit.number(float(MOST_COUNTED), DOUBLE)
    within = emit.op("Clip", [whole, least, most], f"{name}.within")
    return emit.op("Cast", [within], name, to=INT64)


def _until_stopped(low: Lowering, node: FramesOutput, body: Body, scaling: FedScaling) -> _Written:
    """Step by step until the last raw number of each row says stop, or its limit is reached."""
    emit, name, rows = low.emit, node.name, body.rows
    most, trips = _most(low, node, rows)
    loop = Loop(emit, f"{name}.writing")
    zero = emit.integer(0)
    none = emit.op("Expand", [zero, rows.batch], f"{name}.none")
    some = emit.op("Greater", [most, none], f"{name}.some")
    count = loop.state(f"{name}.count", none, INT64, [BATCH])
    active = loop.state(f"{name}.active", some, BOOL, [BATCH])
    previous = _fed(loop, node, body)
    before = loop.carried(body.states, BATCH)
    inner = loop.emit
    step = body.step(inner, rows, loop.step, previous, before)
    sizes = emit.integers(node.raw, 1)
    names = [f"{name}.frame", f"{name}.stop"]
    frame, stop = inner.ops("Split", [step.logits, sizes], names, axis=1)
    flat = inner.squeeze(stop, 1, f"{name}.stop.flat")
    after, goes_on, going = stopping(loop, node, flat, count, active, most)
    states = [after, goes_on, *_next_fed(inner, node, body, frame, scaling), *step.states]
    extents: list[Extent] = [BATCH, node.raw]
    (lengths, *_), (frames,) = loop.close(trips, going, states, [(frame, FLOAT, extents)])
    return _Written(trimmed(emit, frames, lengths, f"{name}.cut"), lengths)


def _most(low: Lowering, node: FramesOutput, rows: Rows) -> tuple[str, str]:
    """The most frames of each row, int64 `[B]`, and of all, at least 1."""
    emit, name, limits = low.emit, node.name, limits_of(low, node.name, node)
    most = limits.rows or emit.op("Expand", [limits.trips, rows.batch], f"{name}.most")
    return most, emit.op("Max", [limits.trips, emit.integer(1)], f"{name}.trips")


def _ordered(emit: Emitter, node: FramesOutput, found: _Written) -> str:
    """`[U, B, raw]` in the order of the data. Some versions of onnxruntime leave rows without a
    step unwritten, where nothing is read."""
    if not node.reverse:
        return found.frames
    least = emit.op("Max", [found.lengths, emit.integer(1)], f"{node.name}.least_one")
    inputs, name = [found.frames, least], f"{node.name}.ordered"
    return emit.op("ReverseSequence", inputs, name, time_axis=0, batch_axis=1)


def _own(emit: Emitter, found: _Written, name: str) -> str:
    """Bool `[U, B, 1]`: whether a step is below its row's length."""
    extent = emit.extent(found.frames, 0, f"{name}.extent")
    numbers = emit.range(emit.op("Squeeze", [extent], f"{name}.end"), f"{name}.numbers")
    column = emit.unsqueeze(numbers, 1, f"{name}.column")
    own = emit.op("Less", [column, found.lengths], f"{name}.own.flat")
    return emit.unsqueeze(own, 2, f"{name}.own")


def _in_units(low: Lowering, node: FramesOutput, steps: str) -> str:
    """`v * deviation + mean`, in the element type of the output."""
    emit, name, kind = low.emit, node.name, scaled_type(node)
    found = centre_and_scale(low, node)
    if found is None:
        return steps
    value = emit.cast(steps, FLOAT, kind, f"{name}.double")
    wide = emit.op("Mul", [value, found[1]], f"{name}.wide")
    return emit.op("Add", [wide, found[0]], f"{name}.moved")


def _errors(low: Lowering, node: FramesOutput, steps: str, own: str) -> tuple[str, str]:
    """The errors `[B, U]` and the scores `[B]` of scaled frames `[U, B, width]` that are to be the
    input's; `own` says which are a row's own."""
    emit, name = low.emit, f"{node.name}.error"
    source = low.plan.node(node.read)
    assert isinstance(source, FramesInput), f"{node.read} has no frames"
    extent = emit.extent(steps, 0, f"{name}.extent")
    true = emit.slice(frames_given(low, source).name, 0, extent, 0, f"{name}.given")
    if found := centre_and_scale(low, node):
        true = emit.cast(true, input_type(source), scaled_type(node), f"{name}.wide")
        centred = emit.op("Sub", [true, found[0]], f"{name}.centred")
        true = emit.op("Div", [centred, found[1]], f"{name}.scaled")
        true = emit.cast(true, scaled_type(node), FLOAT, f"{name}.float")
    else:
        true = emit.cast(true, input_type(source), FLOAT, f"{name}.float")
    missing = emit.op("IsNaN", [true], f"{name}.missing")
    there = emit.op("Not", [missing], f"{name}.there")
    known = emit.op("And", [there, own], f"{name}.known")
    away = emit.op("Sub", [steps, true], f"{name}.away")
    squares = emit.op("Mul", [away, away], f"{name}.squares")
    squares = emit.op("Where", [known, squares, emit.number(0.0)], f"{name}.kept")
    flags = emit.cast(known, BOOL, FLOAT, f"{name}.flags")
    of_steps, of_rows = (
        _mean(emit, squares, flags, axes, f"{name}.of_{what}")
        for what, axes in (("steps", (2,)), ("rows", (0, 2)))
    )
    return emit.transpose(of_steps, [1, 0], f"{name}.by_row"), of_rows


def _mean(emit: Emitter, values: str, flags: str, axes: tuple[int, ...], name: str) -> str:
    """The mean over some axes of the values with a flag; 0 of none."""
    over = emit.integers(*axes)
    total = emit.op("ReduceSum", [values, over], f"{name}.total", keepdims=0)
    count = emit.op("ReduceSum", [flags, over], f"{name}.count", keepdims=0)
    least = emit.op("Max", [count, emit.number(1.0)], f"{name}.least_one")
    return emit.op("Div", [total, least], name)
