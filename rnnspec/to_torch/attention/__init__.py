"""Attention in torch: `ATTENTIONS` lists the class of each kind."""

from __future__ import annotations

from rnnspec.plan.nodes import Attend, AttentionKind
from rnnspec.to_torch.attention import kinds
from rnnspec.to_torch.attention.memory import Attended, Memory
from rnnspec.to_torch.sequences import PaddedSequence

__all__ = ["ATTENTIONS", "Attended", "Attention", "Memory", "attention", "over_steps"]

Attention = kinds.Dot | kinds.MultiHead | kinds.Additive | kinds.Concat
ATTENTIONS: dict[AttentionKind, type[Attention]] = {
    "additive": kinds.Additive,
    "dot": kinds.Dot,
    "general": kinds.General,
    "concat": kinds.Concat,
    "multi_head": kinds.MultiHead,
    "location": kinds.Location,
    "monotonic": kinds.Monotonic,
}


def over_steps(module: Attention, query: PaddedSequence, memory: PaddedSequence) -> PaddedSequence:
    """The contexts `[T, B, width]` of all steps of a sequence at once."""
    found: Attended = module(query.values.transpose(0, 1), module.prepare(memory), {})
    return PaddedSequence(found.context.transpose(0, 1), query.lengths)


def attention(node: Attend) -> Attention:
    """The module of an attention node."""
    return ATTENTIONS[node.kind](node)
