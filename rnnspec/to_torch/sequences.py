"""Padded sequences: steps first `[T, B, width]`, with the length of each row.

Values past the length of a row never reach an answer: reductions mask them, the reverse direction
reverses each row within its own length, and `last` gathers at the length. Where a kernel could make
inf or NaN of them, rows repeat their last step (`RepeatedEnds`, `rnnspec.cells.padding`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rnnspec.to_torch.packed_layout import Kept, Layout, cut_layout, packed_layout


@dataclass(frozen=True)
class Lengths:
    """The number of steps of each row, `of_rows` `[B]` int64, in a batch padded to `longest`.

    What is derived from them is computed once and shared by all layers of a stack.
    """

    of_rows: Tensor
    longest: int

    @cached_property
    def rising(self) -> list[int]:
        """The lengths in rising order, on the host."""
        return sorted(self.of_rows.tolist())

    @cached_property
    def full(self) -> bool:
        """Whether every row has all steps of the batch."""
        return bool(self.rising) and self.rising[0] == self.longest

    def strided(self, stride: int) -> Lengths:
        """The lengths of ceil(n / stride) of n steps, the same object each time."""
        if stride == 1:
            return self
        if stride not in self.fewer:
            self.fewer[stride] = Lengths(-(-self.of_rows // stride), -(-self.longest // stride))
        return self.fewer[stride]

    @cached_property
    def fewer(self) -> dict[int, Lengths]:
        """The results of `strided`."""
        return {}

    def times(self, count: int) -> Lengths:
        """The lengths of `count` steps for each."""
        return Lengths(self.of_rows * count, self.longest * count)

    @cached_property
    def packed(self) -> Layout:
        """The layout that reads each row up to its length."""
        return packed_layout(self.of_rows, self.rising, self.longest)

    def cut(self, cost: float, moving: float) -> Layout | None:
        """The fastest layout by `cut_layout`; None where the padded batch is as fast."""
        key = (cost, moving)
        if key not in self.cuts:
            self.cuts[key] = cut_layout(self.of_rows, self.rising, self.longest, cost, moving)
        return self.cuts[key]

    @cached_property
    def cuts(self) -> dict[tuple[float, float], Layout | None]:
        """The results of `cut`."""
        return {}

    @cached_property
    def mask(self) -> Tensor:
        """`[T, B]`, true where a step belongs to its row."""
        steps = torch.arange(self.longest, device=self.of_rows.device)
        return steps[:, None] < self.of_rows

    @cached_property
    def places(self) -> Tensor:
        """Indices into the flat steps `[T * B]` of those that belong to their rows."""
        return self.mask.flatten().nonzero().flatten()

    @cached_property
    def of_each_row(self) -> Kept:
        """The flat steps `[B * T]`, those of a row one after the other, that belong to it."""
        return Kept(self.mask.t().flatten().nonzero().flatten(), self.mask.numel())

    @cached_property
    def reversal(self) -> Tensor:
        """`[T * B]`: the permutation of the flat steps that reverses each row within its length.

        It is its own inverse. Padding stays in place.
        """
        rows = len(self.of_rows)
        steps = torch.arange(self.longest, device=self.of_rows.device)[:, None]
        reverse = torch.where(self.mask, self.of_rows - 1 - steps, steps)
        return (reverse * rows + torch.arange(rows, device=self.of_rows.device)).reshape(-1)


@dataclass(frozen=True)
class LookedUp:
    """Steps that are rows of a `table` `[size, width]`, by their `numbers`, `[T, B]` or flat; no
    gradient reaches the row `pad`."""

    numbers: Tensor
    table: Tensor
    pad: int | None = None

    @property
    def repeat(self) -> bool:
        """Whether the table is so much shorter than the steps that what is computed of its rows,
        and then looked up, takes less time than what is computed of all steps."""
        return 2 * len(self.table) <= self.numbers.numel()

    def at(self, places: Tensor) -> LookedUp:
        """The steps at these flat places."""
        return LookedUp(self.numbers.reshape(-1).index_select(0, places), self.table, self.pad)

    def split(self, counts: Sequence[int]) -> list[LookedUp]:
        """As `Tensor.split` of the flat numbers."""
        parts = self.numbers.reshape(-1).split(list(counts))
        return [LookedUp(part, self.table, self.pad) for part in parts]

    def rows(self) -> Tensor:
        """The table, with the gradient of what is looked up in it."""
        if self.pad is None:
            return self.table
        every = torch.arange(len(self.table), device=self.table.device)
        return torch.nn.functional.embedding(every, self.table, self.pad)


@dataclass(frozen=True)
class PaddedSequence:
    """`values` `[T, B, width]`, or `[T, B]` token numbers, and the lengths of the rows.

    `looked_up` says the values once more if they are rows of a table: where it is short, a matrix
    is multiplied with its rows rather than with all steps.
    """

    values: Tensor
    lengths: Lengths
    looked_up: LookedUp | None = None


Value = PaddedSequence | Tensor
"""The value of a node: a sequence, or one vector or number for each row."""


def reversed_by_length(steps: Tensor, lengths: Lengths) -> Tensor:
    """`[T, B, width]` with every row reversed within its length."""
    flat = steps.reshape(-1, steps.shape[-1])
    found: Tensor = _Permuted.apply(flat, lengths.reversal)  # type: ignore[no-untyped-call]
    return found.view_as(steps)


class _Permuted(torch.autograd.Function):
    """Rows permuted by a permutation that is its own inverse, so that its gradient is the same
    permutation. `index_select` alone would accumulate gradients, since an index might repeat."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient.index_select(0, order), None


@dataclass(frozen=True)
class RepeatedEnds:
    """Rows of `lengths` `[B]`, not all 0, in a batch of `longest` steps.

    A row of no steps repeats the first step of another row, from that row's state.
    """

    lengths: Tensor
    longest: int

    def steps(self, sequence: Tensor) -> Tensor:
        """`[T, B, width]` with each row's last step in the place of those past its end."""
        times = torch.arange(self.longest, device=self.lengths.device)[:, None]
        times = torch.minimum(times, (self.lengths - 1).clamp(min=0))
        places = times * len(self.lengths) + self._rows()
        return sequence.flatten(0, 1).index_select(0, places.flatten()).view_as(sequence)

    def states(self, before: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """States before the first step."""
        if bool(self.lengths.all()):
            return dict(before)
        return {state: value.index_select(0, self._rows()) for state, value in before.items()}

    def continues(self) -> Tensor:
        """`[T, B, 1]`: whether a row has a further step, or the step is the last of the batch."""
        times = torch.arange(self.longest, device=self.lengths.device)[:, None]
        on = (times + 1 < self.lengths) | (times + 1 == self.longest)
        return on[..., None]

    def after(self, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """States after each row's last step: those before the first, where there is none."""
        empty = (self.lengths == 0)[:, None]
        return {state: torch.where(empty, before[state], after[state]) for state in before}

    def _rows(self) -> Tensor:
        rows = torch.arange(len(self.lengths), device=self.lengths.device)
        return torch.where(self.lengths > 0, rows, self.lengths.argmax())


def sequence(value: Value) -> PaddedSequence:
    assert isinstance(value, PaddedSequence)
    return value


def vector(value: Value) -> Tensor:
    assert isinstance(value, Tensor)
    return value
