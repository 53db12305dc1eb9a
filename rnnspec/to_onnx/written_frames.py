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
        errors, scores = _errors(low, node, steps, own)
        unit = "in units of the deviation" if node.scaled else UNITS
        doc = f"mean of the squared differences from the input, {unit}"
        emit.output(errors, next(told), FLOAT, [BATCH, ANSWER], f"{doc}, of each step")
        emit.output(scores, next(told), FLOAT, [BATCH], f"{doc}, of the row")
    for (part, values, wide), title in zip(parts, told, strict=True):
        emit.output(values, title, kind, wide, f"{doc_of(node.law, part)}; 0 past the length")
    return Vector(value)


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
    limits = limits_of(low, name, node)
    most = limits.rows or emit.op("Expand", [limits.trips, rows.batch], f"{name}.most")
    trips = emit.op("Max", [limits.trips, emit.integer(1)], f"{name}.trips")
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
    stopped = inner.op("Greater", [flat, inner.number(0.0)], f"{name}.stopped")
    if node.least:
        late = inner.op("GreaterOrEqual", [loop.step, inner.integer(node.least)], f"{name}.late")
        stopped = inner.op("And", [stopped, late], f"{name}.stop_late")
    writes = inner.op("Not", [stopped], f"{name}.not_stopped")
    writes = inner.op("And", [active, writes], f"{name}.writes")
    more = inner.op("Cast", [writes], f"{name}.more", to=INT64)
    after = inner.op("Add", [count, more], f"{name}.count.after")
    below = inner.op("Less", [after, most], f"{name}.below")
    goes_on = inner.op("And", [writes, below], f"{name}.goes_on")
    flags = inner.op("Cast", [goes_on], f"{name}.flags", to=INT64)
    any_row = inner.op("ReduceMax", [flags], f"{name}.any", keepdims=0)
    going = inner.op("Cast", [any_row], f"{name}.going", to=BOOL)
    states = [after, goes_on, *_next_fed(inner, node, body, frame, scaling), *step.states]
    extents: list[Extent] = [BATCH, node.raw]
    (lengths, *_), (frames,) = loop.close(trips, going, states, [(frame, FLOAT, extents)])
    return _Written(trimmed(emit, frames, lengths, f"{name}.cut"), lengths)


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
