"""Paths of frames that a decoder draws: all paths of all rows run through one loop.

A path that has ended idles until all have; what it drew past its end is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import Decoder, FramesOutput, PreviousFrame
from rnnspec.plan.nodes.quantiles import uniforms
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.distributions import Units, parameters_of
from rnnspec.to_onnx.emitter import BOOL, DOUBLE, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.numbers import centre_and_scale, scaled_type
from rnnspec.to_onnx.path_draws import PathDraws, path_draws
from rnnspec.to_onnx.quantiles import draw
from rnnspec.to_onnx.rows import Rows, rows_of

PATH_STEPS = "path_steps"
"""Name of the dimension of the steps of the longest path."""


@dataclass(frozen=True, slots=True)
class Paths:
    """`frames` float64 `[B, S, U, width]` in the units of the data, 0 past the `lengths` int64
    `[B, S]`, in the order of the data; `own` bool `[B, S, U, 1]`: which steps a path has. U is at
    least 1."""

    frames: str
    lengths: str
    own: str


@dataclass(frozen=True, slots=True)
class _Draws:
    """What stands outside of the loop for the draws of frames.

    `centre` and `scale`, float64 `[width]`, "" where frames are not scaled; `uniform` are the
    laws J uniform draws of a step.
    """

    node: FramesOutput
    centre: str
    scale: str
    uniform: PathDraws


def lower_drawn(low: Lowering, node: FramesOutput, most: str) -> Paths:
    """The paths of all rows; `most` int64 `[B]` are the frames of each row, or the most of them."""
    emit, name = low.emit, node.name
    decoder = low.plan.node(node.source)
    assert isinstance(decoder, Decoder), f"{name} reads no decoder"
    rows = rows_of(low, decoder, node.paths)
    body, drawn = Body(low, decoder, rows), _draws(low, node, rows)
    limits = rows.repeated(most)
    longest = emit.op("ReduceMax", [most], f"{name}.longest", keepdims=0)
    trips = emit.op("Max", [longest, emit.integer(1)], f"{name}.trips")
    first = decoder.body[0]
    assert isinstance(first, PreviousFrame), f"{name} is fed with no frames"
    loop = Loop(emit, f"{name}.drawing")
    ends = _Ends(emit, loop, node, rows, limits) if node.length == "learned" else None
    of_row: list[Extent] = [rows.dimension, node.width]
    previous = loop.state(first.name, rows.zeros(first.name, first.width), FLOAT, of_row)
    before = loop.carried(body.states, rows.dimension)
    step = body.step(loop.emit, rows, loop.step, previous, before)
    raw, leaving, going = step.logits, list[str](), loop.going
    if ends is not None:
        raw, leaving, going = ends.after(loop, step.logits)
    told, fed = _drawn(loop.emit, drawn, raw, loop.step)
    states = [*leaving, fed, *step.states]
    (*after,), (frames,) = loop.close(trips, going, states, [(told, DOUBLE, of_row)])
    lengths = limits if ends is None else after[0]
    return _by_row(emit, node, frames, lengths)


class _Ends:
    """The states of paths that end by themselves: how many frames each has, int64 `[R]`, and
    whether it goes on, bool `[R]`."""

    def __init__(
        self, emit: Emitter, loop: Loop, node: FramesOutput, rows: Rows, limits: str
    ) -> None:
        self._node, self._limits = node, limits
        name, paths = node.name, [rows.dimension]
        none = rows.filled(emit.integer(0), f"{name}.none")
        some = emit.op("Greater", [limits, none], f"{name}.some")
        self._count = loop.state(f"{name}.count", none, INT64, paths)
        self._active = loop.state(f"{name}.active", some, BOOL, paths)

    def after(self, loop: Loop, logits: str) -> tuple[str, list[str], str]:
        """The raw numbers of the frames of a step, the states after it and whether any path goes
        on."""
        node, inner, name = self._node, loop.emit, self._node.name
        names = [f"{name}.frame", f"{name}.stop"]
        frame, stop = inner.ops("Split", [logits, inner.integers(node.raw, 1)], names, axis=1)
        count, goes_on, going = stopping(
            loop, node, inner.squeeze(stop, 1, f"{name}.stop.flat"), self._count, self._active,
            self._limits,
        )  # fmt: skip
        return frame, [count, goes_on], going


def stopping(
    loop: Loop, node: FramesOutput, stop: str, count: str, active: str, most: str
) -> tuple[str, str, str]:
    """By the raw numbers `[R]` that say stop: how many frames each row has after a step, whether it
    goes on, and whether any does."""
    inner, name = loop.emit, node.name
    stopped = inner.op("Greater", [stop, inner.number(0.0)], f"{name}.stopped")
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
    return after, goes_on, inner.op("Cast", [any_row], f"{name}.going", to=BOOL)


def _draws(low: Lowering, node: FramesOutput, rows: Rows) -> _Draws:
    emit, count = low.emit, node.laws * uniforms(node.law)
    uniform = path_draws(low, node, rows, count, f"{node.name}.draws")
    centre, scale = "", ""
    if found := centre_and_scale(low, node):
        kind = scaled_type(node)
        centre, scale = (emit.cast(v, kind, DOUBLE, f"{v}.of_paths") for v in found)
    return _Draws(node, centre, scale, uniform)


def _drawn(emit: Emitter, draws: _Draws, raw: str, step: str) -> tuple[str, str]:
    """Draws by raw numbers `[R, raw]`, `[R, width]` each: float64 in the units of the data, and
    scaled as frames are fed back."""
    node, law, name = draws.node, draws.node.law, f"{draws.node.name}.draw"
    several, joint = node.laws > 1, law.name == "mixture" and law.width > 1
    axes = 1 + several
    if several:
        raw = emit.op("Reshape", [raw, emit.integers(0, node.laws, law.size)], f"{name}.laws")
    scaled = bool(draws.scale)
    units = Units(emit, name)
    if scaled and not law.is_scaled:
        centre, scale = (
            emit.unsqueeze(each, -1, f"{name}.{each}.of_law") if several else each
            for each in (draws.centre, draws.scale)
        )
        units = Units(emit, name, centre, scale, DOUBLE, DOUBLE)
    found = parameters_of(law, raw, units, axes, joint)
    if units.to == FLOAT:
        found = {part: emit.cast(v, FLOAT, DOUBLE, f"{v}.wide") for part, v in found.items()}
    uniform = _uniform(emit, draws, step, name)
    value = draw(emit, law, found, uniform, name, axes)
    if several or joint:  # [R, laws, 1] or [R, D, 1]
        value = emit.squeeze(value, -1, f"{name}.flat")
    if law.is_scaled:  # what is answered is what was read
        fed = emit.cast(value, DOUBLE, FLOAT, f"{name}.fed")
        value = emit.cast(fed, FLOAT, DOUBLE, f"{name}.told")
        if scaled:
            wide = emit.op("Mul", [value, draws.scale], f"{name}.wide")
            value = emit.op("Add", [wide, draws.centre], f"{name}.moved")
        return value, fed
    fed = value
    if scaled:
        fed = emit.op("Sub", [value, draws.centre], f"{name}.centred")
        fed = emit.op("Div", [fed, draws.scale], f"{name}.scaled")
    return value, emit.cast(fed, DOUBLE, FLOAT, f"{name}.fed")


def _uniform(emit: Emitter, draws: _Draws, step: str, name: str) -> str:
    """The uniform draws of a step, float64 `[R, 1, J]`, of several laws `[R, laws, 1, J]`."""
    node, each = draws.node, uniforms(draws.node.law)
    unit = draws.uniform.at(emit, step, None, name)
    of_laws = (node.laws, 1, each) if node.laws > 1 else (1, each)
    return emit.op("Reshape", [unit, emit.integers(0, *of_laws)], f"{name}.uniform")


def _by_row(emit: Emitter, node: FramesOutput, frames: str, lengths: str) -> Paths:
    """The paths of steps `[U', R, width]` in the order of writing, whose `lengths` are `[R]`."""
    name = f"{node.name}.paths"
    longest = emit.op("ReduceMax", [lengths], f"{name}.longest", keepdims=0)
    end = emit.op("Max", [longest, emit.integer(1)], f"{name}.end")
    frames = emit.slice(frames, 0, emit.unsqueeze(end, 0, f"{name}.extent"), 0, f"{name}.cut")
    if node.reverse:
        least = emit.op("Max", [lengths, emit.integer(1)], f"{name}.least_one")
        inputs = [frames, least]
        frames = emit.op("ReverseSequence", inputs, f"{name}.turned", time_axis=0, batch_axis=1)
    frames = emit.transpose(frames, [1, 0, 2], f"{name}.steps")
    numbers = emit.range(end, f"{name}.numbers")
    own = emit.op("Less", [numbers, emit.unsqueeze(lengths, 1, f"{name}.ends")], f"{name}.own")
    own = emit.unsqueeze(own, 2, f"{name}.own.each")
    frames = emit.op("Where", [own, frames, emit.number(0.0, DOUBLE)], f"{name}.or_zero")
    steps, flags = (
        emit.op("Reshape", [each, _by_path(emit, node, frames, wide, f"{name}.{what}")], what_of)
        for each, wide, what, what_of in (
            (frames, node.width, "shape", f"{name}.by_row"),
            (own, 1, "flags", f"{name}.own.by_row"),
        )
    )
    shape = emit.integers(-1, node.paths)
    return Paths(steps, emit.op("Reshape", [lengths, shape], f"{name}.lengths"), flags)


def _by_path(emit: Emitter, node: FramesOutput, frames: str, wide: int, name: str) -> str:
    """The shape `[B, S, U, wide]` of frames `[R, U, …]`."""
    extent = emit.extent(frames, 1, f"{name}.extent")
    return emit.concat([emit.integers(-1, node.paths), extent, emit.integers(wide)], 0, name)


def quantiles_of(emit: Emitter, node: FramesOutput, paths: Paths) -> str:
    """The quantiles `[B, U, width, Q]` over the paths that have a step, float64; 0 where none
    has."""
    name = f"{node.name}.quantiles"
    infinite = emit.number(np.inf, DOUBLE)
    values = emit.op("Where", [paths.own, paths.frames, infinite], f"{name}.or_last")
    by_step = emit.transpose(values, [0, 2, 3, 1], f"{name}.by_step")
    names = [f"{name}.rising", f"{name}.order"]
    count = emit.integers(node.paths)
    rising = emit.ops("TopK", [by_step, count], names, axis=-1, largest=0, sorted=1)[0]
    flags = emit.cast(paths.own, BOOL, INT64, f"{name}.flags")
    there = emit.reduce("ReduceSum", flags, 1, f"{name}.there", keep=False)  # [B, U, 1]
    less = emit.op("Sub", [there, emit.integer(1)], f"{name}.less")
    last = emit.op("Max", [less, emit.integer(0)], f"{name}.last")
    exact = emit.cast(last, INT64, DOUBLE, f"{name}.last.exact")
    levels = emit.constant(np.array(node.quantiles, np.float64), f"{name}.levels")
    place = emit.op("Mul", [exact, levels], f"{name}.place")  # [B, U, Q]
    floor = emit.op("Floor", [place], f"{name}.floor")
    below = emit.cast(floor, DOUBLE, INT64, f"{name}.below")
    more = emit.op("Add", [below, emit.integer(1)], f"{name}.more")
    above = emit.op("Min", [more, last], f"{name}.above")
    low, high = (_taken(emit, node, rising, at, f"{at}.taken") for at in (below, above))
    share = emit.unsqueeze(emit.op("Sub", [place, floor], f"{name}.share"), 2, f"{name}.shares")
    way = emit.op("Sub", [high, low], f"{name}.way")
    found = emit.op("Add", [low, emit.op("Mul", [way, share], f"{name}.part")], f"{name}.found")
    some = emit.op("Greater", [there, emit.integer(0)], f"{name}.some")
    some = emit.unsqueeze(some, 3, f"{name}.any")
    return emit.op("Where", [some, found, emit.number(0.0, DOUBLE)], name)


def _taken(emit: Emitter, node: FramesOutput, rising: str, places: str, name: str) -> str:
    """`[B, U, width, Q]` of `rising` `[B, U, width, S]` at places int64 `[B, U, Q]`."""
    each = emit.unsqueeze(places, 2, f"{name}.each")
    shape = emit.integers(1, 1, node.width, 1)
    wide = emit.op("Expand", [each, shape], f"{name}.wide")
    return emit.op("GatherElements", [rising, wide], name, axis=3)
