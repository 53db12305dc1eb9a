"""Decoders: over tokens, run by the search of their output; of a forecast, run here by steps."""

from __future__ import annotations

from typing import assert_never

from rnnspec.plan.nodes import Attend, Decoder, ForecastOutput, PreviousNumber
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.forecast import LEAST_SOFTPLUS, median
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
    body, shift = Body(low, node, rows), _shift(low, output)
    loop = Loop(emit, f"{name}.ahead")
    previous = loop.state(f"{name}.previous", _last(low, node), FLOAT, [BATCH, 1])
    before = loop.carried(body.states, BATCH)
    step = body.step(loop.emit, rows, loop.step, previous, before)
    mean = _mean(loop.emit, output, step.logits, shift)
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


def _shift(low: Lowering, output: ForecastOutput) -> str:
    """Centre over scale of a row, "" where the mean needs none: all but negative binomial means
    are scaled as the series is already."""
    if output.distribution != "negative_binomial":
        return ""
    found, name = centre_and_scale(low, output), f"{output.name}.fed.shift"
    if found is None:
        return ""
    shift = low.emit.op("Div", list(found), name)
    return low.emit.cast(shift, scaled_type(output), FLOAT, f"{name}.float")


def _mean(emit: Emitter, output: ForecastOutput, raw: str, shift: str) -> str:
    """The answer to raw numbers `[B, parameters]`, scaled as the series is: `[B, 1]`."""
    name = f"{output.name}.fed"
    if output.distribution == "quantiles":
        return median(emit, raw, output.quantiles, f"{name}.sorted", name)[1]
    first = raw
    if output.parameters > 1:
        first = emit.op("Gather", [raw, emit.integers(0)], f"{name}.first", axis=-1)
    match output.distribution:
        case "point" | "gaussian" | "student_t":
            return first
        case "negative_binomial":
            soft = emit.op("Softplus", [first], f"{name}.softplus")
            mean = emit.op("Max", [soft, emit.number(LEAST_SOFTPLUS)], f"{name}.mean")
            return emit.op("Sub", [mean, shift], f"{name}.moved") if shift else mean
        case _:
            assert_never(output.distribution)
