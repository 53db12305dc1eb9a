"""Decoders: over tokens, run by the search of their output; of a forecast, run here by steps."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.plan.nodes import Attend, Decoder, ForecastOutput, Pointer, PreviousNumber
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.distributions import split_raw
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.feedback import FedScaling, fed_answer, fed_scaling
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.rows import rows_of
from rnnspec.to_onnx.sample_paths import lower_paths


def needs_memory_step(node: Decoder) -> bool:
    """Whether the decoder reads steps of the past, of which there must then be at least one."""
    return any(isinstance(each, Attend | PreviousNumber | Pointer) for each in node.body)


def lower_decoder(low: Lowering, node: Decoder) -> PaddedSequence | Vector:
    """The raw numbers of all its forecasts, `[H, B, W]`, or the paths that are drawn of them.

    A decoder over tokens gives nothing here: its output emits the body in the loop of the search.
    """
    if not node.steps:
        return Vector("")
    ends = _forecasts(low, node)
    if ends[0].paths:
        return lower_paths(low, node, ends, _last(low, node))
    return _recursive_forecast(low, node, ends)


def _recursive_forecast(
    low: Lowering, node: Decoder, ends: Sequence[ForecastOutput]
) -> PaddedSequence:
    """The body once for each step ahead, fed with its own answers: `[H, B, W]`."""
    emit, name, rows = low.emit, node.name, rows_of(low, node)
    body, fed = Body(low, node, rows), _is_fed(node)
    scalings = [fed_scaling(low, end) for end in ends] if fed else []
    loop = Loop(emit, f"{name}.ahead")
    previous = loop.state(f"{name}.previous", _last(low, node), FLOAT, [BATCH, len(ends)])
    before = loop.carried(body.states, BATCH)
    step = body.step(loop.emit, rows, loop.step, previous, before)
    mean = _fed(loop.emit, node, step.logits, ends, scalings, previous)
    extents: list[Extent] = [BATCH, sum(end.parameters for end in ends)]
    states, outputs = [mean, *step.states], [(step.logits, FLOAT, extents)]
    _, (raw,) = loop.close(emit.integer(node.steps), loop.going, states, outputs)
    lengths = emit.op("Expand", [emit.integer(node.steps), rows.batch], f"{name}.lengths")
    emit.typed(lengths, INT64, [BATCH])
    return PaddedSequence(raw, Lengths(emit, name, lengths, raw, padded=False), clean=True)


def _is_fed(node: Decoder) -> bool:
    first = node.body[0]
    return isinstance(first, PreviousNumber) and first.fed


def _fed(
    emit: Emitter,
    node: Decoder,
    raw: str,
    ends: Sequence[ForecastOutput],
    scalings: Sequence[FedScaling],
    previous: str,
) -> str:
    """What the next step reads of the answers of this one, `[B, K]`; or what this one has read."""
    if not _is_fed(node):
        return emit.op("Identity", [previous], f"{node.name}.again")
    raw_of = split_raw(emit, ends, raw)
    means = [fed_answer(emit, *each) for each in zip(ends, raw_of, scalings, strict=True)]
    return emit.concat(means, 1, f"{node.name}.fed") if len(means) > 1 else means[0]


def _forecasts(low: Lowering, node: Decoder) -> list[ForecastOutput]:
    ends = (each for each in low.plan.outputs if isinstance(each, ForecastOutput))
    return [each for each in ends if each.source == node.name]


def _last(low: Lowering, node: Decoder) -> str:
    """The last value of the past of each series of a row, `[B, K]`; 0 of no steps."""
    first = node.body[0]
    assert isinstance(first, PreviousNumber), f"{node.name} reads no numbers"
    pasts = [low.steps(source) for source in first.series]
    kept = f"{node.name}.last"
    name = f"{first.name}.last" if low.chunks is None else f"{kept}.here"
    ends = [past.lengths.at_end(past.name, f"{past.name}.last") for past in pasts[1:]]
    here = pasts[0].lengths.at_end(pasts[0].name, name if not ends else f"{name}.first")
    if ends:
        here = low.emit.concat([here, *ends], 1, name)
    return here if low.chunks is None else last_so_far(low, pasts[0], here, kept)


def last_so_far(low: Lowering, steps: PaddedSequence, here: str, kept: str) -> str:
    """`[B, W]`: the last value of the chunk, `here`; of one without steps, that of those before,
    the state `kept`. Where each chunk has a step, there is no such state."""
    chunks = low.streaming()
    if not chunks.has(kept):
        return here
    found = steps.lengths.or_before(here, chunks.before(kept), f"{kept}.so_far")
    chunks.after(kept, found)
    return found
