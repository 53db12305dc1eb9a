"""The nodes that bring columns in: what a batch holds, `(values, lengths)`, to the value of a node.

Batches have rows first; sequences inside have steps first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.steps import Lengths, Steps
from rnnspec.to_torch.weighted import Scaling, Weighted


def steps_first(values: Tensor, lengths: Tensor) -> Steps:
    """A padded batch `[B, T, ...]` as a sequence."""
    return Steps(values.transpose(0, 1), Lengths(lengths, values.shape[1]))


class Sequence(Weighted):
    """Token numbers `[B, T]` or keys `[B, T, size]`, as they come."""

    def forward(self, values: Tensor, lengths: Tensor) -> Steps:
        return steps_first(values, lengths)


class Characters(Weighted):
    """Characters of tokens, one row a token: `[C, W]`.

    W are the tokens within the lengths of their rows, the first steps of all rows first; padding is
    not read. Of a batch without any, W is one token of no characters.
    """

    def forward(self, values: Tensor, lengths: Tensor, tokens: Steps) -> Steps:
        """`values` `[B, T, C]`, `lengths` `[B, T]`."""
        places = tokens.lengths.places
        if not len(places):
            none = lengths.new_zeros(1)
            return Steps(values.new_zeros((1, 1)), Lengths(none, 1))
        of_tokens = lengths.t().flatten().index_select(0, places)
        longest = max(1, int(of_tokens.max()))
        rows = values[..., :longest].transpose(0, 1).flatten(0, 1).index_select(0, places)
        return Steps(rows.t(), Lengths(of_tokens, longest))


class PerStep(Weighted):
    """Vectors `[W, width]` of the tokens that `Characters` read, in their places, 0 elsewhere."""

    def forward(self, source: Tensor, steps: Steps) -> Steps:
        lengths = steps.lengths
        longest, rows, width = lengths.longest, len(lengths.of_rows), source.shape[-1]
        values = source.new_zeros((longest * rows, width))
        if len(lengths.places):
            values = values.index_copy(0, lengths.places, source)
        return Steps(values.view(longest, rows, width), lengths)


class Category(Weighted):
    """The number of a label, `[B]`, as it comes."""

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return values


class Frames(Scaling):
    """(v - mean) / deviation, or v; without the elapsed time."""

    def __init__(self, node: nodes.FramesInput) -> None:
        super().__init__(node.features, node.scaled)
        self.elapsed, self.missing = node.elapsed, node.missing

    def forward(self, values: Tensor, lengths: Tensor) -> Steps:
        source = self._features(values, lengths)
        return self._scaled(carried_on(source.values, self.missing), source)

    def carry(self, values: Tensor, lengths: Tensor, last: Tensor) -> tuple[Steps, Tensor]:
        """As `forward` where the last known values before the first step are `last`
        `[B, features]`, NaN where there are none; and those after step T."""
        source = self._features(values, lengths)
        steps = torch.cat([last.to(values.dtype)[None], source.values])
        steps = carried_on(steps, self.missing)
        return self._scaled(steps[1:], source), steps[-1]

    def _features(self, values: Tensor, lengths: Tensor) -> Steps:
        source = steps_first(values, lengths)
        frames = source.values
        if self.elapsed is not None:
            frames = torch.cat([frames[..., : self.elapsed], frames[..., self.elapsed + 1 :]], -1)
        return Steps(frames, source.lengths)

    def _scaled(self, frames: Tensor, source: Steps) -> Steps:
        return Steps(means_for_missing(self.scale(frames), self.missing), source.lengths)


class Elapsed(Weighted):
    """The time since the step before, `[T, B, 1]`."""

    def __init__(self, node: nodes.Elapsed) -> None:
        super().__init__()
        self.index = node.index

    def forward(self, values: Tensor, lengths: Tensor) -> Steps:
        return steps_first(values[..., self.index : self.index + 1], lengths)


class Vectors(Scaling):
    """(v - mean) / deviation, or v."""

    def __init__(self, node: nodes.VectorInput) -> None:
        super().__init__(node.width, node.scaled)
        self.missing = node.missing

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return means_for_missing(self.scale(values), self.missing)


class Series(Scaling):
    """The past of a series, scaled by the training rows, by the row's own window, or not."""

    def __init__(self, node: nodes.SeriesInput) -> None:
        super().__init__(1, node.scaled)
        self.missing = node.missing

    def forward(self, values: Tensor, lengths: Tensor, moments: Tensor | None = None) -> Steps:
        """`values` `[B, T, 1]`, `moments` `[B, 2]`."""
        source = steps_first(values, lengths)
        past = by_moments(self.scale(carried_on(source.values, self.missing)), moments)
        return Steps(means_for_missing(past, self.missing), source.lengths)

    def carry(self, values: Tensor, lengths: Tensor, last: Tensor) -> tuple[Steps, Tensor]:
        """As that of `Frames`; of a series that is not scaled by its window."""
        source = steps_first(values, lengths)
        steps = carried_on(torch.cat([last.to(values.dtype)[None], source.values]), self.missing)
        past = means_for_missing(self.scale(steps[1:]), self.missing)
        return Steps(past, source.lengths), steps[-1]


class Future(Scaling):
    """What is known ahead: a sequence on the axis of the answer, or flat."""

    def __init__(self, node: nodes.FutureInput) -> None:
        super().__init__(1, node.scaled)
        self.flat, self.missing = node.flat, node.missing

    def forward(
        self,
        values: Tensor,
        lengths: Tensor,
        moments: Tensor | None = None,
        last: Tensor | None = None,
    ) -> Steps | Tensor:
        """`values` `[B, horizon, 1]`, `moments` `[B, 2]`; `last` `[B, 1]` is the last value of the
        past, scaled, where it stands for missing ones after it."""
        source = steps_first(values, lengths)
        ahead = by_moments(self.scale(source.values), moments)
        if last is not None:
            ahead = carried_on(torch.cat([last[None], ahead]), self.missing)[1:]
        ahead = means_for_missing(ahead, self.missing)
        return ahead.squeeze(-1).t() if self.flat else Steps(ahead, source.lengths)


class Moments(Weighted):
    """Centre and scale of each row's window, `[B, 2]`."""

    def __init__(self, node: nodes.WindowMoments) -> None:
        super().__init__()
        self.kind, self.missing = node.kind, node.missing

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        source = steps_first(values, lengths)
        past = carried_on(source.values, self.missing).squeeze(-1)
        there = source.lengths.mask & ~past.isnan()
        past = past.masked_fill(~there, 0.0)
        count = there.sum(0)
        if self.kind == "mean":
            scale = (past.abs().sum(0) / count.clamp(min=1)).clamp(min=1e-5)
            centre = torch.zeros_like(scale)
        else:
            centre = past.sum(0) / count.clamp(min=1)
            distance = (past - centre).masked_fill(~there, 0.0)
            scale = (distance.square().sum(0) / count.clamp(min=1) + 1e-5).sqrt()
        return torch.stack([centre, scale.masked_fill(count == 0, 1.0)], dim=-1)


def by_moments(steps: Tensor, moments: Tensor | None) -> Tensor:
    """`[T, B, 1]` by the centre and scale of each row's window, `[B, 2]`, if there are any."""
    return steps if moments is None else (steps - moments[:, :1]) / moments[:, 1:]


def carried_on(steps: Tensor, missing: nodes.Missing) -> Tensor:
    """`[T, B, W]` with the last value before it in the place of a NaN, by the rule `previous`."""
    if missing != "previous" or not bool(steps.isnan().any()):
        return steps
    times = torch.arange(len(steps), device=steps.device)[:, None, None]
    last = torch.where(steps.isnan(), 0, times).cummax(0).values
    return steps.gather(0, last)


def means_for_missing(scaled: Tensor, missing: nodes.Missing) -> Tensor:
    """Scaled numbers with 0, their mean, in the place of NaN, where missing ones are allowed."""
    return scaled if missing == "error" else scaled.masked_fill(scaled.isnan(), 0.0)
