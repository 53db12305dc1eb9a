"""The nodes that bring columns in: what a batch holds, `(values, lengths)`, to the value of a node.

Batches have rows first; sequences inside have steps first.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.nodes import NOISE
from rnnspec.to_torch.steps import Lengths, Steps
from rnnspec.to_torch.weighted import Scaling, Weighted


def steps_first(values: Tensor, lengths: Tensor) -> Steps:
    """A padded batch `[B, T, ...]` as a sequence."""
    return Steps(values.transpose(0, 1), Lengths(lengths, values.shape[1]))


class Sequence(Weighted):
    """Token numbers or numbers to copy `[B, T]`, or keys `[B, T, size]`, as they come."""

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
        super().__init__(node.features, node.scaled, node.double)
        self.elapsed, self.missing = node.elapsed, node.missing

    def forward(self, values: Tensor, lengths: Tensor) -> Steps:
        source = self._scaled(values, lengths)
        frames = carried_on(source.values, self.missing)
        return Steps(means_for_missing(frames, self.missing), source.lengths)

    def carry(self, values: Tensor, lengths: Tensor, last: Tensor) -> tuple[Steps, Tensor]:
        """As `forward` where the last known values before the first step are, scaled, `last`
        `[B, features]`, NaN where there are none; and those after step T."""
        source = self._scaled(values, lengths)
        steps = carried_on(torch.cat([last[None], source.values]), self.missing)
        return Steps(means_for_missing(steps[1:], self.missing), source.lengths), steps[-1]

    def _scaled(self, values: Tensor, lengths: Tensor) -> Steps:
        source = steps_first(values, lengths)
        frames = source.values
        if self.elapsed is not None:
            frames = torch.cat([frames[..., : self.elapsed], frames[..., self.elapsed + 1 :]], -1)
        return Steps(self.scale(frames), source.lengths)


class Elapsed(Scaling):
    """The time since the step before, `[T, B, 1]`."""

    def __init__(self, node: nodes.Elapsed) -> None:
        super().__init__(1, False)
        self.index = node.index

    def forward(self, values: Tensor, lengths: Tensor) -> Steps:
        times = values[..., self.index : self.index + 1]
        return steps_first(self.narrow(times), lengths)


class Vectors(Scaling):
    """(v - mean) / deviation, or v."""

    def __init__(self, node: nodes.VectorInput) -> None:
        super().__init__(node.width, node.scaled, node.double)
        self.missing = node.missing

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return means_for_missing(self.scale(values), self.missing)


class Series(Scaling):
    """The past of a series, scaled by the training rows, by the row's own window, or not."""

    def __init__(self, node: nodes.SeriesInput) -> None:
        super().__init__(1, node.scaled, node.double)
        self.missing = node.missing

    def forward(self, values: Tensor, lengths: Tensor, moments: Tensor | None = None) -> Steps:
        """`values` `[B, T, 1]`, `moments` `[B, 2]`."""
        source = steps_first(values, lengths)
        past = carried_on(by_moments(self, source.values, moments), self.missing)
        return Steps(means_for_missing(past, self.missing), source.lengths)

    def carry(self, values: Tensor, lengths: Tensor, last: Tensor) -> tuple[Steps, Tensor]:
        """As that of `Frames`; of a series that is not scaled by its window."""
        source = steps_first(values, lengths)
        steps = carried_on(torch.cat([last[None], self.scale(source.values)]), self.missing)
        return Steps(means_for_missing(steps[1:], self.missing), source.lengths), steps[-1]


class Future(Scaling):
    """What is known ahead: a sequence on the axis of the answer, or flat."""

    def __init__(self, node: nodes.FutureInput) -> None:
        super().__init__(1, node.scaled, node.double)
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
        ahead = by_moments(self, source.values, moments)
        if last is not None:
            ahead = carried_on(torch.cat([last[None], ahead]), self.missing)[1:]
        ahead = means_for_missing(ahead, self.missing)
        return ahead.squeeze(-1).t() if self.flat else Steps(ahead, source.lengths)


class Moments(Scaling):
    """Centre and scale of each row's window, `[B, 2]`, in float64: what is squared there has no
    bounds in float32, and a window's own numbers are all that is known of its size."""

    def __init__(self, node: nodes.WindowMoments) -> None:
        super().__init__(1, True, node.double)
        self.kind, self.missing = node.kind, node.missing
        self.noise = NOISE[node.double]

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        source = steps_first(values.to(torch.float64), lengths)
        past = carried_on(source.values, self.missing).squeeze(-1)
        there = source.lengths.mask & ~past.isnan()
        past = past.masked_fill(~there, 0.0)
        total = there.sum(0)
        count = total.clamp(min=1)
        mean, deviation = (each.to(torch.float64) for each in self.of_training())
        size = past.abs().sum(0) / count
        if self.kind == "mean":
            centre, scale = torch.zeros_like(size), size
            deviation = (mean.square() + deviation.square()).sqrt()
        else:
            centre = past.sum(0) / count
            distance = (past - centre).masked_fill(~there, 0.0)
            scale = (distance.square().sum(0) / count).sqrt()
            scale = torch.where(scale > self.noise * size, scale, size)
            centre = torch.where(total > 0, centre, mean)
        return torch.stack([centre, torch.where(scale > 0, scale, deviation)], dim=-1)


def by_moments(part: Scaling, steps: Tensor, moments: Tensor | None) -> Tensor:
    """`[T, B, 1]` by the centre and scale of each row's window, `[B, 2]`, if there are any, else as
    `part` scales them."""
    if moments is None:
        return part.scale(steps)
    return part.narrow((steps - moments[:, :1]) / moments[:, 1:])


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
