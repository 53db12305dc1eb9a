"""The steps that a decoder points at: the search, and its outputs."""

from __future__ import annotations

from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import FIRST_STEP, NOWHERE, Decoder, PointerOutput
from rnnspec.to_onnx.emitter import FLOAT, INT64, Extent
from rnnspec.to_onnx.lowering import BATCH, Lowering, Vector
from rnnspec.to_onnx.search.loop import ANSWER
from rnnspec.to_onnx.text import output, searched


def lower_pointer(low: Lowering, node: PointerOutput) -> Vector:
    """`<name>` int64 `[B, U]`, `<name>.lengths` `[B]` and `<name>.scores` `[B]`. With `n_best`
    above 1 there is a dimension of answers after the batch's."""
    decoder, emit = low.plan.node(node.source), low.emit
    assert isinstance(decoder, Decoder), f"{node.name} reads no decoder"
    found, count = searched(low, node, decoder), node.search.n_best
    several: list[Extent] = [BATCH, count] if count > 1 else [BATCH]
    steps = emit.op("Sub", [found.numbers, emit.integer(FIRST_STEP)], f"{node.name}.steps")
    steps = emit.op("Max", [steps, emit.integer(NOWHERE)], f"{node.name}.told")
    told, lengths, scores = output_names(low.plan, node, low.ids)
    doc = f"the steps answered one after the other, from 0; {NOWHERE} past the end"
    output(low, steps, told, INT64, [*several, ANSWER], doc)
    output(low, found.lengths, lengths, INT64, several, "how many they are")
    doc = "log-probability of the answer, its end included"
    output(low, found.log_probs, scores, FLOAT, several, doc)
    return Vector(found.log_probs)
