"""Where a row of a padded batch repeats its last step (`rnnspec.cells.rewrites`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


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
        """`[T, B, 1]`: whether a row goes on after a step, or the batch is at its end."""
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
