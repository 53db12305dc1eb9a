"""Attention in torch: `ATTENTIONS` lists the class of each kind."""

from __future__ import annotations

from rnnspec.plan.nodes import Attend, AttentionKind
from rnnspec.to_torch.attention import kinds
from rnnspec.to_torch.attention.memory import Attended, Memory

__all__ = ["ATTENTIONS", "Attended", "Attention", "Memory", "attention"]

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


def attention(node: Attend) -> Attention:
    """The module of an attention node."""
    return ATTENTIONS[node.kind](node)
