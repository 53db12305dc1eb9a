"""Attention in torch: `ATTENTIONS` lists the class of each kind."""

from __future__ import annotations

from rnnspec.plan.nodes import Attend, AttentionKind
from rnnspec.to_torch.attention.kinds import (
    Additive,
    Concat,
    Dot,
    General,
    Location,
    Monotonic,
    MultiHead,
)
from rnnspec.to_torch.attention.memory import Attended, Memory

__all__ = ["ATTENTIONS", "Attended", "Attention", "Memory", "attention"]

Attention = Additive | Concat | Dot | General | MultiHead | Location | Monotonic
ATTENTIONS: dict[AttentionKind, type[Attention]] = {
    "additive": Additive,
    "dot": Dot,
    "general": General,
    "concat": Concat,
    "multi_head": MultiHead,
    "location": Location,
    "monotonic": Monotonic,
}


def attention(node: Attend) -> Attention:
    """The module of an attention node."""
    return ATTENTIONS[node.kind](node)
