"""Steps of a padded batch without those of rows that have ended, as a kernel reads them.

Rows stand by falling length, steps one after another, and of each step only the rows that are still
read: the layout of torch's packed sequences (`torch.nn.utils.rnn.PackedSequence`). Where every row
is left out from its end on, a kernel for packed sequences takes it as it is. Where rows are left
out at a few cuts, each run of steps with the same rows is a small padded batch, which a kernel for
those takes; some padding is then kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from rnnspec.to_torch.steps import Lengths

CUTS = 16
"""Lengths that are considered as cuts: the more, the longer the choice takes."""


@dataclass(frozen=True, eq=False)
class Layout:
    """`order` `[B]`: rows by falling length, and `back`, where each row stands there. `places`
    `[N]`: of all steps `[T * B]` the ones that are read. `parts`: numbers of steps, and of rows,
    read one after another. `of_rows`, `longest`: as of `Lengths`, which keeps the layout and is not
    kept by it. `packed`: every row is left out from its end on."""

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
    def numbers(self) -> Tensor:
        """`[T * B]`: which of the steps that are read each step is, any for those that are not."""
        each = torch.arange(len(self.places), device=self.places.device)
        return each.new_zeros(self.longest * len(self.order)).scatter_(0, self.places, each)

    @cached_property
    def unread(self) -> Tensor:
        """The others of all steps, those that are not in `places`."""
        every = self.longest * len(self.order)
        found = torch.ones(every, dtype=torch.bool, device=self.places.device)
        return found.index_fill_(0, self.places, False).nonzero().flatten()

    @cached_property
    def past(self) -> Tensor:
        """`[N]`: steps that are read though they are past the ends of their rows."""
        return self.places // len(self.order) >= self._ends

    @cached_property
    def turned(self) -> Layout:
        """For the reverse direction: every row is read from its end."""
        rows = len(self.order)
        steps = self.places // rows
        turned = torch.where(steps < self._ends, self._ends - 1 - steps, steps)
        return replace(self, places=turned * rows + self.places % rows)

    @cached_property
    def _ends(self) -> Tensor:
        """`[N]`: the length of the row of each step."""
        return self.of_rows.index_select(0, self.places % len(self.order))


def packed(lengths: Lengths) -> Layout:
    """Every row is left out from its end on."""
    found = lengths.layouts.get("packed")
    if found is None:
        ordered, order = lengths.of_rows.sort(descending=True, stable=True)
        found = replace(_layout(ordered, order, lengths.rising, lengths), packed=True)
        lengths.layouts["packed"] = found
    return found


def cut(lengths: Lengths, cost: float, moving: float) -> Layout | None:
    """Rows are left out at the cuts at which a batch takes the least time; None where that gains
    nothing.

    One more part costs as much as `cost` steps of one row, and the layout itself as much as the
    share `moving` of all steps.
    """
    key = (cost, moving)
    if key not in lengths.layouts:
        lengths.layouts[key] = _cut(lengths, cost, moving)
    return lengths.layouts[key]


def _cut(lengths: Lengths, cost: float, moving: float) -> Layout | None:
    rising = lengths.rising
    most = (1 - moving) * lengths.longest * len(rising) - cost
    if sum(rising) > most:
        return None
    stops, total = cheapest(rising, cost)
    if total > most or not stops:
        return None
    order = lengths.of_rows.argsort(descending=True, stable=True)
    ends = [stops[bisect_left(stops, length)] if length else 0 for length in rising]
    falling = torch.tensor(ends[::-1], device=order.device)
    return _layout(falling, order, ends, lengths)


def _layout(falling: Tensor, order: Tensor, rising: Sequence[int], lengths: Lengths) -> Layout:
    """Row `order[i]` is read to step `falling[i]`; the same ends on the host are `rising`."""
    steps = torch.arange(lengths.longest, device=order.device)[:, None]
    places = (steps * len(order) + order)[steps < falling]
    ends = sorted({end for end in rising if end})
    parts = tuple(
        (end - start, len(rising) - bisect_right(rising, start))
        for start, end in pairwise([0, *ends])
    )
    return Layout(order, places, parts, lengths.of_rows, lengths.longest)


def cheapest(rising: Sequence[int], cost: float) -> tuple[list[int], float]:
    """The steps at which parts end, and the steps of rows in them with what their cuts cost.

    By dynamic programming over some of the lengths: the best parts up to a length are those up to
    a shorter one, and one more.
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
    """`[T, B, width]` to the steps that are read, `[N, width]`."""
    found: Tensor = _Picked.apply(steps.flatten(0, 1), layout)  # type: ignore[no-untyped-call]
    return found


def put_back(read: Tensor, layout: Layout, longest: int) -> Tensor:
    """`[N, width]` to `[T, B, width]`; what stands where nothing was read is arbitrary."""
    found: Tensor = _PutBack.apply(read, layout)  # type: ignore[no-untyped-call]
    return found.view(longest, len(layout.order), -1)


class _Picked(torch.autograd.Function):
    """Steps at places that are all different: their gradients are put there, and 0 elsewhere.

    `index_select` alone would add gradients up row by row, as rows might be picked twice.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, steps: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout  # type: ignore[attr-defined]
        return steps.index_select(0, layout.places)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        layout = ctx.layout  # type: ignore[attr-defined]
        whole = gradient.index_select(0, layout.numbers)
        return whole.index_fill_(0, layout.unread, 0.0), None


class _PutBack(torch.autograd.Function):
    """The opposite of `_Picked`."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, read: Tensor, layout: Layout) -> Tensor:
        ctx.layout = layout  # type: ignore[attr-defined]
        return read.index_select(0, layout.numbers)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        layout = ctx.layout  # type: ignore[attr-defined]
        return gradient.index_select(0, layout.places), None
