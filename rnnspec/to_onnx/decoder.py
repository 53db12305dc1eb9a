"""Decoders: over tokens, run by the search of their output; of a forecast, run here by steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from rnnspec.plan.nodes import SOFTPLUS_FLOOR, Attend, Decoder, ForecastOutput, Law, PreviousNumber
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.distributions import Units, answer_of, median, parameters_of
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.functions import precise_sigmoid
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.numbers import centre_and_scale, scaled_type
from rnnspec.to_onnx.rows import rows_of


def needs_memory_step(node: Decoder) -> bool:
    """Whether the decoder reads steps of the past, of which there must then be at least one."""
    return any(isinstance(each, Attend | PreviousNumber) for each in node.body)


def lower_decoder(low: Lowering, node: Decoder) -> PaddedSequence | Vector:
    """The raw numbers of a forecast, `[H, B, parameters]`.

    A decoder over tokens gives nothing here: its output emits the body in the loop of the search.
    """
    return _recursive_forecast(low, node) if node.steps else Vector("")


def _recursive_forecast(low: Lowering, node: Decoder) -> PaddedSequence:
    """The body once for each step ahead, fed with its own answers: `[H, B, parameters]`."""
    emit, name, rows = low.emit, node.name, rows_of(low, node)
    output = _output(low, node)
    body, scaling = Body(low, node, rows), _scaling(low, output)
    loop = Loop(emit, f"{name}.ahead")
    previous = loop.state(f"{name}.previous", _last(low, node), FLOAT, [BATCH, 1])
    before = loop.carried(body.states, BATCH)
    step = body.step(loop.emit, rows, loop.step, previous, before)
    mean = _mean(loop.emit, output, step.logits, scaling)
    extents: list[Extent] = [BATCH, output.parameters]
    states, outputs = [mean, *step.states], [(step.logits, FLOAT, extents)]
    _, (raw,) = loop.close(emit.integer(node.steps), loop.going, states, outputs)
    lengths = emit.op("Expand", [emit.integer(node.steps), rows.batch], f"{name}.lengths")
    emit.typed(lengths, INT64, [BATCH])
    return PaddedSequence(raw, Lengths(emit, name, lengths, raw, padded=False), clean=True)


def _output(low: Lowering, node: Decoder) -> ForecastOutput:
    for each in low.plan.outputs:
        if isinstance(each, ForecastOutput) and each.source == node.name:
            return each
    raise AssertionError(f"{node.name} forecasts for no output")


def _last(low: Lowering, node: Decoder) -> str:
    """The last value of the past of each row, `[B, 1]`; 0 of no steps."""
    first = node.body[0]
    assert isinstance(first, PreviousNumber), f"{node.name} reads no numbers"
    past = low.steps(first.source)
    if low.chunks is None:
        return past.lengths.at_end(past.name, f"{first.name}.last")
    kept = f"{node.name}.last"
    return last_so_far(low, past, past.lengths.at_end(past.name, f"{kept}.here"), kept)


def last_so_far(low: Lowering, steps: PaddedSequence, here: str, kept: str) -> str:
    """`[B, W]`: the last value of the chunk, `here`; of one without steps, that of those before,
    the state `kept`. Where each chunk has a step, there is no such state."""
    chunks = low.streaming()
    if not chunks.has(kept):
        return here
    found = steps.lengths.or_before(here, chunks.before(kept), f"{kept}.so_far")
    chunks.after(kept, found)
    return found


@dataclass(frozen=True, slots=True)
class _Scaling:
    """How an answer that is not scaled as the series becomes so: (v - centre) / scale. `shift` is
    centre over scale, floats `[B, 1]` or `[1]`; both are "" where nothing is to be done."""

    scale: str = ""
    shift: str = ""


def _scaling(low: Lowering, output: ForecastOutput) -> _Scaling:
    if output.law.is_scaled:
        return _Scaling()
    found, name = centre_and_scale(low, output), f"{output.name}.fed.shift"
    if found is None:
        return _Scaling()
    kind = scaled_type(output)
    shift = low.emit.op("Div", list(found), name)
    shift = low.emit.cast(shift, kind, FLOAT, f"{name}.float")
    if not output.law.traits.unscaled:
        return _Scaling("", shift)
    return _Scaling(low.emit.cast(found[1], kind, FLOAT, f"{output.name}.fed.scale"), shift)


def _mean(emit: Emitter, output: ForecastOutput, raw: str, scaling: _Scaling) -> str:
    """The answer to raw numbers `[B, parameters]`, scaled as the series is: `[B, 1]`."""
    name, law = f"{output.name}.fed", output.law
    mean = _unmoved(emit, law, raw, name)
    if scaling.scale:
        mean = emit.op("Div", [mean, scaling.scale], f"{name}.scaled")
    return emit.op("Sub", [mean, scaling.shift], f"{name}.moved") if scaling.shift else mean


def _unmoved(emit: Emitter, law: Law, raw: str, name: str) -> str:
    """The answer `[B, 1]` in units of the scale."""
    match law.traits.answer:
        case "middle":
            return median(emit, raw, law.quantiles, f"{name}.sorted", name)[1]
        case "mean" | "median":
            units = Units(emit, name)
            return answer_of(law, parameters_of(law, raw, units, 1, joint=False), units, False)
        case "first":
            first = raw
            if law.size > 1:
                first = emit.op("Gather", [raw, emit.integers(0)], f"{name}.first", axis=-1)
            match law.parameters[0].link:
                case "value":
                    return first
                case "share":
                    return precise_sigmoid(emit, first, f"{name}.mean")
            soft = emit.op("Softplus", [first], f"{name}.softplus")
            return emit.op("Max", [soft, emit.number(SOFTPLUS_FLOOR)], f"{name}.mean")
        case _:
            assert_never(law.traits.answer)
