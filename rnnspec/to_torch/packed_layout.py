"""Layouts of a padded batch that leave out the steps of rows that have ended.

Rows are sorted by falling length, steps follow one another, and each step holds only the rows that
are still read: the layout of `torch.nn.utils.rnn.PackedSequence`. A *packed* layout leaves each row
out from its length on; torch's kernels for packed sequences take it. A *cut* layout leaves rows out
at a few cuts only: the steps between two cuts are a small padded batch, for kernels of padded
batches, and some padding remains.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

CUTS = 16
"""The most lengths considered as cuts; the time of the choice grows with their square."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Some of `every` flat steps: `places` `[N]` are their indices, all different."""

    places: Tensor
    every: int

    @cached_property
    def numbers(self) -> Tensor:
        """`[every]`: the index of each step among those kept, arbitrary for the others."""
        each = torch.arange(len(self.places), device=self.places.device)
        return each.new_zeros(self.every).scatter_(0, self.places, each)

    @cached_property
    def others(self) -> Tensor:
        """Indices of the steps that are not in `places`."""
        found = torch.ones(self.every, dtype=torch.bool, device=self.places.device)
        return found.index_fill_(0, self.places, False).nonzero().flatten()


@dataclass(frozen=True, eq=False)
class Layout:
    """Which steps are read, and in which order.

    `order` `[B]`: rows by falling length; `back`: its inverse. `places` `[N]`: indices of the steps
    read into the flat steps `[T * B]`. `parts`: number of steps and of rows of each part, in order.
    `of_rows` `[B]`, `longest`: the lengths of the batch. `packed`: each row is read up to its
    length.
    """

    order: Tensor
    places: Tensor
    parts: tuple[tuple[int, int], ...]
    of_rows: Tensor
    longest: int
    packed: bool = False

    @cached_property
    def back(self) -> Tensor:
        return self.order.argsort()

    @cached_property
    def kept(self) -> Kept:
        """The steps that are read."""
        return Kept(self.places, self.longest * len(self.order))

    @cached_property
    def past(self) -> Tensor:
        """`[N]`: whether a step that is read is past the end of its row."""
        return self.places // len(self.order) >= self._ends

    @cached_property
    def reversed(self) -> Layout:
        """The same for the reverse direction, which reads each row from its end."""
        rows = len(self.order)
        steps = self.places // rows
        steps = torch.where(steps < self._ends, self._ends - 1 - steps, steps)
        return replace(self, places=steps * rows + self.places % rows)

    @cached_property
    def _ends(self) -> Tensor:
        """`[N]`: the length of the row of each step read."""
        return self.of_rows.index_select(0, self.places % len(self.order))


def packed_layout(of_rows: Tensor, rising: Sequence[int], longest: int) -> Layout:
    """Each row is read up to its length, of rows with the lengths `of_rows` `[B]`; `rising` are the
    same lengths in rising order, on the host."""
    falling, order = of_rows.sort(descending=True, stable=True)
    return replace(_layout(falling, order, rising, of_rows, longest), packed=True)


def cut_layout(
    of_rows: Tensor, rising: Sequence[int], longest: int, cost: float, moving: float
) -> Layout | None:
    """Rows are left out from the cuts on at which a batch takes the least time; None where the
    padded batch takes no more.

    Each part costs as much as `cost` steps of one row, and the layout itself as much as the share
    `moving` of all steps.
    """
    most = (1 - moving) * longest * len(rising) - cost
    if sum(rising) > most:
        return None
    stops, total = cheapest(rising, cost)
    if total > most or not stops:
        return None
    order = of_rows.argsort(descending=True, stable=True)
    ends = [stops[bisect_left(stops, length)] if length else 0 for length in rising]
    falling = torch.tensor(ends[::-1], device=order.device)
    return _layout(falling, order, ends, of_rows, longest)


def _layout(
    falling: Tensor, order: Tensor, rising: Sequence[int], of_rows: Tensor, longest: int
) -> Layout:
    """Row `order[i]` is read up to step `falling[i]`; `rising` are the same ends, on the host."""
    steps = torch.arange(longest, device=order.device)[:, None]
    places = (steps * len(order) + order)[steps < falling]
    ends = sorted({end for end in rising if end})
    parts = tuple(
        (end - start, len(rising) - bisect_right(rising, start))
        for start, end in pairwise([0, *ends])
    )
    return Layout(order, places, parts, of_rows, longest)


def cheapest(rising: Sequence[int], cost: float) -> tuple[list[int], float]:
    """The steps at which parts end, and the total cost: the steps of all rows in all parts, plus
    `cost` for each part but the first.

    By dynamic programming over at most `CUTS` of the lengths: the best parts up to a length are the
    best parts up to a shorter one, and one more.
    """
    lengths = sorted({length for length in rising if length})
    stops = lengths[:: -max(1, -(-len(lengths) // CUTS))][::-1]
    starts = [0, *stops[:-1]]
    rows = [len(rising) - bisect_right(rising, start) for start in starts]
    totals, before = [-cost], [0]
    for end in stops:
        choices = zip(totals, starts, rows, strict=False)
        costs = [total + cost + (end - start) * many for total, start, many in choices]
        totals.append(min(costs))
        before.append(costs.index(totals[-1]))
    chosen: list[int] = []
    at = len(stops)
    while at:
        chosen.append(stops[at - 1])
        at = before[at]
    return chosen[::-1], totals[-1]


def picked(steps: Tensor, layout: Layout) -> Tensor:
    """The steps that are read, `[N, width]`, of `[T, B, width]`."""
    return taken(steps.flatten(0, 1), layout.kept)


def put_back(read: Tensor, layout: Layout, longest: int) -> Tensor:
    """`[N, width]` to `[T, B, width]`, arbitrary where nothing was read."""
    return spread(read, layout.kept).view(longest, len(layout.order), -1)


def taken(steps: Tensor, kept: Kept) -> Tensor:
    """The steps that are kept, `[N, width]`, of flat ones `[every, width]`."""
    found: Tensor = _Taken.apply(steps, kept)  # type: ignore[no-untyped-call]
    return found


def spread(steps: Tensor, kept: Kept) -> Tensor:
    """`[N, width]` to `[every, width]`, arbitrary where nothing was kept."""
    found: Tensor = _Spread.apply(steps, kept)  # type: ignore[no-untyped-call]
    return found


class _Taken(torch.autograd.Function):
    """The places are all different, so gradients are copied to them, and are 0 elsewhere.

    `index_select` alone would accumulate them, since an index might repeat.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, steps: Tensor, kept: Kept) -> Tensor:
        ctx.kept = kept  # type: ignore[attr-defined]
        return steps.index_select(0, kept.places)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        kept = ctx.kept  # type: ignore[attr-defined]
        whole = gradient.index_select(0, kept.numbers)
        return whole.index_fill_(0, kept.others, 0.0), None


class _Spread(torch.autograd.Function):
    """The inverse of `_Taken`."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, steps: Tensor, kept: Kept) -> Tensor:
        ctx.kept = kept  # type: ignore[attr-defined]
        return steps.index_select(0, kept.numbers)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        kept = ctx.kept  # type: ignore[attr-defined]
        return gradient.index_select(0, kept.places), None
