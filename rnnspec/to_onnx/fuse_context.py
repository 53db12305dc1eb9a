"""A dense layer over the context of attention, fused into the memory before the loop.

W [s; c] + b, with the context c = sum_j a_j m_j by weights a_j that sum to 1, is
W_s s + sum_j a_j (W_c m_j + b). The bracket is computed once for each step of the memory, where
W_c c would be computed for each hypothesis at each step of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.plan.nodes import Attend, AttentionKind, CopyMix, Decoder, Dense, Dropout, Join, Node

FUSED: frozenset[AttentionKind] = frozenset({"additive", "dot", "general", "concat", "location"})
"""Kinds whose context is a mean by weights that sum to 1: heads are projected after the mean, and
monotonic weights may sum to less."""


@dataclass(frozen=True, slots=True)
class FusedContext:
    """`dense` alone reads a join of the node `other` and of the context of `attend`, which nothing
    else reads. `start` is the first column of W_c."""

    attend: Attend
    dense: Dense
    other: str
    start: int

    @property
    def context_columns(self) -> slice:
        """The columns of W_c."""
        return slice(self.start, self.start + self.attend.memory_width)

    @property
    def other_columns(self) -> slice:
        """The columns of W_s."""
        width = self.attend.memory_width
        return slice(0, self.start) if self.start else slice(width, self.dense.inputs)


def fused_context(decoder: Decoder) -> FusedContext | None:
    """The dense layer that can be fused, if the body has one."""
    for node in decoder.body:
        if isinstance(node, Attend) and node.kind in FUSED:
            join = _only_reader(decoder, node)
            dense = _only_reader(decoder, join) if isinstance(join, Join) else None
            if isinstance(join, Join) and isinstance(dense, Dense) and len(join.reads) == 2:
                place = [_before_dropout(decoder, each) for each in join.reads].index(node.name)
                start = 0 if place == 0 else dense.inputs - node.memory_width
                return FusedContext(node, dense, join.reads[1 - place], start)
    return None


def _only_reader(decoder: Decoder, node: Node) -> Node | None:
    """The only node that reads the value of `node`, through dropout; None if there are others."""
    readers = list(_readers(decoder, node.name))
    if len(readers) != 1 or decoder.scores == node.name:
        return None
    (reader,) = readers
    return _only_reader(decoder, reader) if isinstance(reader, Dropout) else reader


def _readers(decoder: Decoder, name: str) -> Iterator[Node]:
    for node in decoder.body:
        for source in node.sources():
            of_weights = {attend for attend, _ in node.copied} if isinstance(node, CopyMix) else ()
            if source == name and source not in of_weights:
                yield node


def _before_dropout(decoder: Decoder, name: str) -> str:
    for node in decoder.body:
        if node.name == name and isinstance(node, Dropout):
            return _before_dropout(decoder, node.source)
    return name
