"""Paths that a decoder of forecasts draws: all paths of all rows run through one loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import Decoder, ForecastOutput
from rnnspec.plan.nodes.quantiles import uniforms
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.distributions import Units, parameters_of, split_raw
from rnnspec.to_onnx.emitter import DOUBLE, FLOAT, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, Vector
from rnnspec.to_onnx.numbers import UNITS, centre_and_scale, scaled_type
from rnnspec.to_onnx.path_draws import PathDraws, path_draws
from rnnspec.to_onnx.quantiles import draw
from rnnspec.to_onnx.rows import Rows, rows_of


@dataclass(frozen=True, slots=True)
class _Draws:
    """What stands outside of the loop for the draws of a forecast.

    `centre` and `scale` of the series, float64 `[R, 1]` or `[1]`, "" where it is not scaled;
    `uniform` are the J uniform draws of a step.
    """

    node: ForecastOutput
    centre: str
    scale: str
    uniform: PathDraws


def lower_paths(low: Lowering, node: Decoder, ends: Sequence[ForecastOutput], last: str) -> Vector:
    """The draws of all paths, float64 `[H, R, K]`: scaled as the series, or in the units of the
    data where the distribution is of such numbers. R = B S rows, the paths of a row side by side;
    `last` `[B, K]` are the values before the first step."""
    emit, name = low.emit, node.name
    rows = rows_of(low, node, ends[0].paths)
    body, drawn = Body(low, node, rows), [_draws(low, end, rows) for end in ends]
    loop = Loop(emit, f"{name}.paths")
    inner = loop.emit
    of_row: list[Extent] = [rows.dimension, len(ends)]
    previous = loop.state(f"{name}.previous", rows.repeated(last), FLOAT, of_row)
    before = loop.carried(body.states, rows.dimension)
    step = body.step(inner, rows, loop.step, previous, before)
    raw_of = split_raw(inner, ends, step.logits)
    found = [_drawn(inner, *each, loop.step) for each in zip(drawn, raw_of, strict=True)]
    told, fed = (
        each[0] if len(ends) == 1 else inner.concat(list(each), 1, f"{name}.{what}")
        for what, each in zip(("drawn", "fed"), zip(*found, strict=True), strict=True)
    )
    states, outputs = [fed, *step.states], [(told, DOUBLE, of_row)]
    _, (paths,) = loop.close(emit.integer(node.steps), loop.going, states, outputs)
    return Vector(paths)


def _draws(low: Lowering, end: ForecastOutput, rows: Rows) -> _Draws:
    emit = low.emit
    uniform = path_draws(low, end, rows, uniforms(end.law), f"{end.name}.draws")
    centre, scale = "", ""
    if found := centre_and_scale(low, end):
        kind, ends = scaled_type(end), list(found)
        if end.moments:
            ends = [rows.repeated(value) for value in ends]
        centre, scale = (emit.cast(v, kind, DOUBLE, f"{v}.of_paths") for v in ends)
    return _Draws(end, centre, scale, uniform)


def _drawn(emit: Emitter, draws: _Draws, raw: str, step: str) -> tuple[str, str]:
    """A draw by raw numbers `[R, k]`, as it is told, and scaled as the series: `[R, 1]` each."""
    law, name = draws.node.law, f"{draws.node.name}.draw"
    unit = draws.uniform.at(emit, step, draws.node.horizon, name)
    uniform = emit.unsqueeze(unit, 1, f"{name}.uniform")  # [R, 1, J]
    units, moved = Units(emit, name), bool(draws.scale) and not law.is_scaled
    if moved:
        units = Units(emit, name, draws.centre, draws.scale, DOUBLE, DOUBLE)
    found = parameters_of(law, raw, units, 1, joint=False)
    if not moved:
        found = {part: emit.cast(v, FLOAT, DOUBLE, f"{v}.wide") for part, v in found.items()}
    value = fed = draw(emit, law, found, uniform, name, 1)
    if moved:
        fed = emit.op("Sub", [value, draws.centre], f"{name}.centred")
        fed = emit.op("Div", [fed, draws.scale], f"{name}.scaled")
    narrow = emit.cast(fed, DOUBLE, FLOAT, f"{name}.fed")
    if law.is_scaled:  # what is answered is what was read
        value = emit.cast(narrow, FLOAT, DOUBLE, f"{name}.told")
    return value, narrow


def lower_sampled(low: Lowering, node: ForecastOutput) -> Vector:
    """The quantiles over the paths of a decoder `[B, H, Q]`, of these the median `[B, H]`, and the
    paths `[B, S, H]`."""
    emit, name = low.emit, node.name
    kind = DOUBLE if node.double else FLOAT
    paths = _in_units(low, node, _of_column(low, node))
    by_step = emit.transpose(paths, [0, 2, 1], f"{name}.by_step")
    quantiles = _quantiles(emit, node, by_step, kind)
    middle = emit.integer(node.answered.middle)
    median = emit.op("Gather", [quantiles, middle], f"{name}.median", axis=-1)
    answer, *others = output_names(low.plan, node, low.ids)
    ahead: list[Extent] = [BATCH, node.horizon]
    told = f"the median of {node.paths} paths ahead, {UNITS}"
    emit.output(median, answer, kind, ahead, told)
    levels = ", ".join(f"{level:g}" for level in node.quantiles)
    doc = f"quantiles over the paths, {levels}, {UNITS}"
    emit.output(quantiles, others[0], kind, [*ahead, len(node.quantiles)], doc)
    wide: list[Extent] = [BATCH, node.paths, node.horizon]
    emit.output(paths, others[1], kind, wide, f"paths ahead, {UNITS}")
    return Vector(median)


def _of_column(low: Lowering, node: ForecastOutput) -> str:
    """The draws of a forecast, float64 `[B, S, H]`."""
    emit, name, all_of = low.emit, node.name, low.vector(node.source)
    ends = [each for each in low.plan.outputs if isinstance(each, ForecastOutput)]
    of_decoder = [each.name for each in ends if each.source == node.source]
    place = of_decoder.index(name)
    own = emit.op("Gather", [all_of, emit.integer(place)], f"{name}.own", axis=2)
    shape = emit.integers(node.horizon, -1, node.paths)
    rows = emit.op("Reshape", [own, shape], f"{name}.rows")
    return emit.transpose(rows, [1, 2, 0], f"{name}.paths")


def _in_units(low: Lowering, node: ForecastOutput, paths: str) -> str:
    emit, name = low.emit, node.name
    found = centre_and_scale(low, node) if node.law.is_scaled else None
    if found is not None:
        kind, ends = scaled_type(node), list(found)
        if node.moments:
            ends = [emit.unsqueeze(value, 2, f"{value}.of_row") for value in ends]
        centre, scale = (emit.cast(value, kind, DOUBLE, f"{value}.exact") for value in ends)
        wide = emit.op("Mul", [paths, scale], f"{name}.wide")
        paths = emit.op("Add", [wide, centre], f"{name}.moved")
    if node.double:
        return emit.op("Identity", [paths], f"{name}.told")
    return emit.cast(paths, DOUBLE, FLOAT, f"{name}.told")


def _quantiles(emit: Emitter, node: ForecastOutput, values: str, kind: int) -> str:
    """The quantiles `[B, H, Q]` over values `[B, H, S]`: `ForecastOutput` has the formula."""
    name, last = f"{node.name}.quantiles", node.paths - 1
    names = [f"{name}.rising", f"{name}.order"]
    count = emit.integers(node.paths)
    rising = emit.ops("TopK", [values, count], names, axis=-1, largest=0, sorted=1)[0]
    places = [level * last for level in node.quantiles]
    below = [min(floor(place), last - 1) for place in places]
    low, high = (
        emit.op("Gather", [rising, emit.integers(*(at + more for at in below))], at_name, axis=-1)
        for more, at_name in ((0, f"{name}.below"), (1, f"{name}.above"))
    )
    shares = [place - at for place, at in zip(places, below, strict=True)]
    dtype = np.float64 if kind == DOUBLE else np.float32
    share = emit.constant(np.array(shares, dtype), f"{name}.shares")
    way = emit.op("Sub", [high, low], f"{name}.way")
    return emit.op("Add", [low, emit.op("Mul", [way, share], f"{name}.part")], name)
