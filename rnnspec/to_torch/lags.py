"""What a series was some steps before: see `rnnspec.plan.nodes.lags`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.nodes.lags import places_of
from rnnspec.to_torch.sequences import Lengths, PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted


class Lags(Weighted):
    """The values some steps before each step."""

    node: nodes.Lags

    def forward(self, past: PaddedSequence) -> PaddedSequence:
        """`past` `[T, B, 1]`."""
        steps = past.values
        found = [F.pad(steps, (0, 0, 0, 0, lag, 0))[: len(steps)] for lag in self.node.lags]
        return PaddedSequence(torch.cat(found, -1), past.lengths)


class LagsAhead(Weighted):
    """The lagged values at the steps ahead."""

    node: nodes.LagsAhead
    back: Tensor
    later: Tensor

    def __init__(self, node: nodes.LagsAhead) -> None:
        super().__init__(node)
        places = places_of(node)
        later = [-1 if each.later is None else each.later for each in places]
        self.register_buffer("back", torch.tensor([each.back for each in places]), persistent=False)
        self.register_buffer("later", torch.tensor(later), persistent=False)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ()

    def forward(self, past: PaddedSequence, ahead: PaddedSequence | None = None) -> Value:
        """`past` `[T, B, 1]`, `ahead` `[horizon, B, 1]`."""
        lengths = past.lengths.of_rows
        values = F.pad(past.values[..., 0], (0, 0, 1, 0))
        places = (lengths - self.back[:, None] + 1).clamp(min=0)
        found = values.gather(0, places)
        if ahead is not None:
            later = ahead.values[self.later.clamp(min=0), :, 0]
            found = torch.where(self.later[:, None] < 0, found, later)
        if self.node.flat:
            return found.t()
        horizon = self.node.horizon
        steps = found.view(horizon, -1, len(lengths)).transpose(1, 2)
        return PaddedSequence(steps, Lengths(torch.full_like(lengths, horizon), horizon))


class Latest(Weighted):
    """The last steps of each row."""

    node: nodes.Latest

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        lengths, most = source.lengths, self.node.steps
        if lengths.longest <= most:
            return source
        kept = Lengths(lengths.of_rows.clamp(max=most), most)
        if lengths.full:
            return PaddedSequence(source.values[-most:], kept)
        rows = torch.arange(len(lengths.of_rows), device=lengths.of_rows.device)
        steps = torch.arange(most, device=rows.device)[:, None]
        steps = steps + (lengths.of_rows - most).clamp(min=0)
        return PaddedSequence(source.values[steps, rows], kept)
