"""Sequences in torch: steps first `[T, B, width]`, with the length of each row.

What stands past the length of a row is never read into an answer: reductions mask it, the reverse
direction turns each row round within its own length, and `last` gathers at the length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from rnnspec.to_torch.packed_layout import Layout


@dataclass(frozen=True)
class Lengths:
    """Steps of each row, `[B]` int64, of sequences padded to `longest`."""

    of_rows: Tensor
    longest: int

    @cached_property
    def rising(self) -> list[int]:
        """The steps of all rows, the least first, on the host."""
        return sorted(self.of_rows.tolist())

    @cached_property
    def layouts(self) -> dict[object, Layout | None]:
        """Layouts found so far, shared by the layers of a stack: see `packed_layout`."""
        return {}

    @cached_property
    def mask(self) -> Tensor:
        """`[T, B]`, true where a step belongs to its row."""
        steps = torch.arange(self.longest, device=self.of_rows.device)
        return steps[:, None] < self.of_rows

    @cached_property
    def places(self) -> Tensor:
        """Of all steps `[T * B]`, those that belong to their rows."""
        return self.mask.flatten().nonzero().flatten()

    @cached_property
    def reversal(self) -> Tensor:
        """`[T * B]`: for each place, which place has its step when every row is turned round.

        Its own inverse; padding stays where it is.
        """
        rows = len(self.of_rows)
        steps = torch.arange(self.longest, device=self.of_rows.device)[:, None]
        turned = torch.where(self.mask, self.of_rows - 1 - steps, steps)
        return (turned * rows + torch.arange(rows, device=self.of_rows.device)).reshape(-1)


@dataclass(frozen=True)
class Steps:
    """`values` `[T, B, width]` (or `[T, B]` token numbers) and the lengths they share."""

    values: Tensor
    lengths: Lengths


def reversed_by_length(steps: Tensor, lengths: Lengths) -> Tensor:
    """`[T, B, width]` with every row turned round within its length."""
    flat = steps.reshape(-1, steps.shape[-1])
    turned: Tensor = _Permuted.apply(flat, lengths.reversal)  # type: ignore[no-untyped-call]
    return turned.view_as(steps)


class _Permuted(torch.autograd.Function):
    """Rows picked by a permutation that is its own inverse: its gradient is the same picking.

    `index_select` alone would add gradients up row by row, as rows might be picked twice.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, order: Tensor) -> Tensor:
        ctx.save_for_backward(order)
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (order,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient.index_select(0, order), None
