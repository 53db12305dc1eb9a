"""What attention reads: the steps of the encoder, ready to be asked many times."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rnnspec.to_torch.steps import Steps

States = dict[str, Tensor]
"""What an attention keeps from step to step, `[B * N, T]` each."""


@dataclass(frozen=True)
class Found:
    """Contexts `[B, N, width]`, weights `[B, N, T]` and the states after the step; `logs`
    `[B, N, T]`, the logarithms of the weights, arbitrary past a row's length, where the memory is
    asked for them."""

    context: Tensor
    weights: Tensor
    states: States
    logs: Tensor | None = None


@dataclass(frozen=True)
class Memory:
    """Of B rows: `values` `[B, T, width]`; `keys` `[B, T, units]`, what the scores are made of;
    `there` `[B, T]`, the steps that belong to their rows; `empty`, whether a row has none;
    `logged`, whether the logarithms of the weights are read too: those of weights that are too
    small for a number."""

    values: Tensor
    keys: Tensor
    there: Tensor
    empty: bool
    logged: bool = False

    def rows(self, index: Tensor) -> Memory:
        """Of some rows."""
        values, keys = self.values.index_select(0, index), self.keys.index_select(0, index)
        there = self.there.index_select(0, index)
        return replace(self, values=values, keys=keys, there=there)

    def weights(self, scores: Tensor) -> Tensor:
        """Softmax of `[B, N, T]` over the steps of each row; 0 past its end, and of a row of none.

        Each row has N queries: the steps of its answer, or its beams.
        """
        weights = torch.softmax(self._masked(scores), dim=-1)
        return weights.masked_fill(~self.there[:, None], 0.0) if self.empty else weights

    def logs(self, scores: Tensor) -> Tensor | None:
        """The logarithms of `weights`, if they are asked for."""
        return torch.log_softmax(self._masked(scores), dim=-1) if self.logged else None

    def _masked(self, scores: Tensor) -> Tensor:
        return scores.masked_fill(~self.there[:, None], torch.finfo(scores.dtype).min)

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
