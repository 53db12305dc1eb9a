"""What a forecast is the distance from: see `rnnspec.plan.nodes.seasonal`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.nodes.seasonal import spread
from rnnspec.to_torch.sequences import Lengths, PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted


class SeasonAgo(Weighted):
    """The values of the last season, again for each step ahead."""

    node: nodes.SeasonAgo

    def forward(self, past: PaddedSequence) -> Value:
        """`past` `[T, B, 1]`."""
        horizon, season = self.node.horizon, self.node.season
        values, lengths = F.pad(past.values[..., 0], (0, 0, 1, 0)), past.lengths.of_rows
        ahead = torch.arange(horizon, device=lengths.device)[:, None] % season
        whole = lengths - season + 1 + ahead
        places = torch.where(lengths >= season, whole, lengths.expand_as(whole))
        found = values.gather(0, places)
        if self.node.flat:
            return found.t()
        return PaddedSequence(found[..., None], Lengths(torch.full_like(lengths, horizon), horizon))


class AddBase(Weighted):
    """Raw numbers, with the values that they are the distance from added."""

    node: nodes.AddBase
    spread: Tensor

    def __init__(self, node: nodes.AddBase) -> None:
        super().__init__(node)
        self.register_buffer("spread", torch.tensor(spread(node)), persistent=False)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ()

    def forward(self, source: Value, base: Value) -> Value:
        raw, moved = (s.values if isinstance(s, PaddedSequence) else s for s in (source, base))
        found = raw + F.linear(moved.to(raw.dtype), self.spread.to(raw.dtype))
        return (
            PaddedSequence(found, source.lengths) if isinstance(source, PaddedSequence) else found
        )
