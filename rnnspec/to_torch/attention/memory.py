"""What attention reads: the steps of the encoder, ready to be asked many times."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.to_torch.steps import Steps

States = dict[str, Tensor]
"""What an attention keeps from step to step, `[B * N, T]` each."""
Found = tuple[Tensor, Tensor, States]
"""Contexts `[B, N, width]`, weights `[B, N, T]` and the states after the step."""


@dataclass(frozen=True)
class Memory:
    """Of B rows: `values` `[B, T, width]`; `keys` `[B, T, units]`, what the scores are made of;
    `there` `[B, T]`, the steps that belong to their rows; `empty`, whether a row has none."""

    values: Tensor
    keys: Tensor
    there: Tensor
    empty: bool

    def rows(self, index: Tensor) -> Memory:
        """Of some rows."""
        values, keys = self.values.index_select(0, index), self.keys.index_select(0, index)
        return Memory(values, keys, self.there.index_select(0, index), self.empty)

    def weights(self, scores: Tensor) -> Tensor:
        """Softmax of `[B, N, T]` over the steps of each row; 0 past its end, and of a row of none.

        Each row has N queries: the steps of its answer, or its beams.
        """
        past = ~self.there[:, None]
        weights = torch.softmax(scores.masked_fill(past, torch.finfo(scores.dtype).min), dim=-1)
        return weights.masked_fill(past, 0.0) if self.empty else weights

    def context(self, weights: Tensor) -> Tensor:
        """The weighted means `[B, N, width]`."""
        return torch.bmm(weights.to(self.values.dtype), self.values)


def remembered(source: Steps, keys: Tensor) -> Memory:
    """The memory of a sequence, with keys `[T, B, units]`."""
    lengths = source.lengths
    return Memory(
        source.values.transpose(0, 1),
        keys.transpose(0, 1),
        lengths.mask.t(),
        bool((lengths.of_rows == 0).any()),
    )
