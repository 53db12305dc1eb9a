"""Sequences inside steps, of tokens or of the characters of a token, in groups of like lengths: one
long sequence would pad all of a batch to its length, which multiplies time and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan import Plan, nodes
from rnnspec.to_torch.sequences import Lengths, PaddedSequence

LEAST_PADDING = 4096
"""Steps of padding below which one batch is as fast as several."""
MOST_SHARE = 2.0
"""How many times its real steps a batch may have before it is cut."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The nodes that read the sequences of an `Unnest` or of `CharactersInput`, and that whose
    vectors of these sequences, `last`, are all that others read."""

    nodes: tuple[nodes.Node, ...]
    last: str


def insides(plan: Plan, whole: Iterable[str]) -> dict[str, Inside]:
    """By each `Unnest` of tokens, and `CharactersInput`, what reads it, where none of it is a node
    of `whole`, whose values others need for all sequences at once."""
    found = {}
    shapes, needed = nodes.shapes(plan), frozenset(whole)
    for node in plan.nodes:
        begins = isinstance(node, nodes.Unnest | nodes.CharactersInput)
        if begins and len(shapes[node.name]) == 2:
            inside = _readers(plan, node.name)
            (last,) = {
                each.source
                for each in plan.nodes
                if isinstance(each, nodes.PerStep) and each.source in {one.name for one in inside}
            }
            if needed.isdisjoint(each.name for each in inside):
                found[node.name] = Inside(inside, last)
    return found


def _readers(plan: Plan, name: str) -> tuple[nodes.Node, ...]:
    """The nodes that read `name`, and those that read them, up to a `PerStep`."""
    reached, found = {name}, []
    for node in plan.nodes:
        if not isinstance(node, nodes.PerStep) and not reached.isdisjoint(node.sources()):
            reached.add(node.name)
            found.append(node)
    return tuple(found)


def length_groups(inside: PaddedSequence) -> Sequence[Tensor]:
    """The rows of each group, in the order of their lengths: those of a group are at most twice as
    long as its shortest one, or up to 8 steps. None where one batch is as good."""
    lengths = inside.lengths
    rising = lengths.rising
    padded, real = lengths.longest * len(rising), max(1, sum(rising))
    if padded - real < LEAST_PADDING or padded < MOST_SHARE * real:
        return ()
    order = torch.argsort(lengths.of_rows, stable=True)
    ends, most = [], max(8, rising[0])
    for at, length in enumerate(rising):
        if length > most:
            ends.append(at)
            most = 2 * length
    return torch.tensor_split(order, ends)


def of_rows(inside: PaddedSequence, rows: Tensor) -> PaddedSequence:
    """Some rows of numbers `[C, W]`, padded to the longest of them."""
    counts = inside.lengths.of_rows.index_select(0, rows)
    longest = max(1, int(counts.max()))
    values = inside.values[:longest].index_select(1, rows)
    return PaddedSequence(values, Lengths(counts, longest))


def in_place(groups: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """The vectors `[W, width]` of all rows, out of those of each group."""
    order = torch.cat(list(groups))
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return torch.cat(list(vectors)).index_select(0, back)
