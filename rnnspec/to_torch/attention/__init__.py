"""Attention in torch: one class a kind, listed in `KINDS`.

Each has `prepare`, what of the memory does not depend on the query; `first`, what it keeps from
step to step, before the first; and `forward(query [B, N, width], memory, states)`. The N queries of
a row are the steps of its answer, or its beams at one step; with states they are beams.
"""

from __future__ import annotations

from rnnspec.plan.nodes import Attend, AttentionKind
from rnnspec.to_torch.attention.additive import Additive, Concat
from rnnspec.to_torch.attention.dot import Dot, General
from rnnspec.to_torch.attention.location import Location
from rnnspec.to_torch.attention.memory import Found, Memory
from rnnspec.to_torch.attention.monotonic import Monotonic
from rnnspec.to_torch.attention.multi_head import MultiHead

__all__ = ["KINDS", "Attention", "Found", "Memory", "attention"]

Attention = Additive | Concat | Dot | General | MultiHead | Location | Monotonic
KINDS: dict[AttentionKind, type[Attention]] = {
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
    return KINDS[node.kind](node)
