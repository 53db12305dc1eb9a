"""Decoders: of tokens, run by the search of the output; of a forecast, run here, step by step."""

from __future__ import annotations

from rnnspec.plan.nodes import Attend, Decoder, PreviousNumber
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.recursion import lower_recursion


def needs_a_memory(node: Decoder) -> bool:
    """Whether the decoder reads steps of the past, of which there must then be one."""
    return any(isinstance(each, Attend | PreviousNumber) for each in node.body)


def lower_decoder(low: Lowering, node: Decoder) -> PaddedSequence | Vector:
    """The raw numbers of a forecast, `[H, B, parameters]`. Of a decoder over tokens nothing yet:
    its output emits the body, inside the loop of its search."""
    return lower_recursion(low, node) if node.steps else Vector("")
