"""The input nodes: from `(values, lengths)` of a batch, rows first, to the value of a node, steps
first."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.to_torch.differences import differences_of
from rnnspec.to_torch.sequences import Lengths, PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted


class Scaling(Weighted):
    """Scaling by the mean and deviation of the training rows, `[width]` each, if the node has them.

    Numbers that are `double`, or are scaled by a row's own moments, are float64 in the units of the
    data. Scaled numbers have the precision of the module.
    """

    mean: Tensor
    deviation: Tensor
    rest: Tensor
    one: Tensor

    def __init__(self, node: nodes.Node) -> None:
        super().__init__(node)
        self.scaled = hasattr(self, "mean")
        if self.scaled:
            self.deviation.fill_(1.0)
        self.register_buffer("one", torch.ones(()), persistent=False)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, value) for name, value in super().canonical() if name != "one")

    def of_training(self) -> tuple[Tensor, Tensor]:
        """Centre and scale of the training rows, `[width]` each."""
        if self.node.double:
            return self.mean.to(torch.float64) + self.rest, self.deviation.to(torch.float64)
        return self.mean, self.deviation

    def scale(self, values: Tensor) -> Tensor:
        """`[..., width]` in the units of the data to mean 0 and deviation 1."""
        if not self.scaled:
            return self.narrow(values)
        centre, scale = self.of_training()
        return self.narrow((values - centre) / scale)

    def unscale(self, values: Tensor) -> Tensor:
        """`[..., width]` back to the units of the data."""
        if not self.scaled:
            return values
        centre, scale = self.of_training()
        return values * scale + centre

    def narrow(self, values: Tensor) -> Tensor:
        """In the precision of the module."""
        return values.to(self.one.dtype)


def steps_first(values: Tensor, lengths: Tensor) -> PaddedSequence:
    """A padded batch `[B, T, ...]` as a sequence."""
    return PaddedSequence(values.transpose(0, 1), Lengths(lengths, values.shape[1]))


class Sequence(Weighted):
    """Token numbers or numbers to copy `[B, T]`, nested ones `[B, T, E]`, or keys
    `[B, T, size]`, unchanged."""

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        return steps_first(values, lengths)


class Tokens(Weighted):
    """Token numbers `[B, T]`, with `reverse` those of each row from the last to the first."""

    def __init__(self, node: nodes.TokensInput) -> None:
        super().__init__(node)
        self.reverse = node.reverse

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        steps = steps_first(values, lengths)
        return turned(steps) if self.reverse else steps


def turned(steps: PaddedSequence) -> PaddedSequence:
    """`[T, B]` or `[T, B, W]`, each row from its last step to its first; padding stays in place."""
    flat = steps.values.flatten(0, 1).index_select(0, steps.lengths.reversal)
    return PaddedSequence(flat.view_as(steps.values), steps.lengths)


class Characters(Weighted):
    """The characters of W tokens, one token a row: `[C, W]`.

    The W tokens are those within the lengths of their rows, in the order of the flat steps
    `[T * B]`. A batch without tokens gives one token of no characters.
    """

    def forward(self, values: Tensor, lengths: Tensor, tokens: PaddedSequence) -> PaddedSequence:
        """`values` `[B, T, C]`, `lengths` `[B, T]`."""
        places = tokens.lengths.places
        if not len(places):
            none = lengths.new_zeros(1)
            return PaddedSequence(values.new_zeros((1, 1)), Lengths(none, 1))
        spelled = lengths.t().flatten().index_select(0, places)
        longest = max(1, int(spelled.max()))
        rows = values[..., :longest].transpose(0, 1).flatten(0, 1).index_select(0, places)
        return PaddedSequence(rows.t(), Lengths(spelled, longest))


class Unnest(Weighted):
    """The sequences in the steps of a nested input, one step a row: `[C, W]`.

    The W steps are those within the lengths of their rows, in the order of the flat steps
    `[T * B]`. A batch without steps gives one row of no elements.
    """

    def forward(self, source: PaddedSequence) -> PaddedSequence:
        """`source` `[T, B, E]`, numbers above 0 up to the end of each step's sequence; with more
        levels `[T, B, S, E]` and so on (`NestedInput`), which gives `[S, W, E]`."""
        places = source.lengths.places
        flat = source.values.flatten(0, 1)
        inside = flat.dim() - 2
        rows = flat.index_select(0, places) if len(places) else torch.full_like(flat[:1], -inside)
        counts = (rows.reshape(*rows.shape[:2], -1)[..., 0] > -inside).sum(-1)
        longest = max(1, int(counts.max()))
        return PaddedSequence(rows[:, :longest].transpose(0, 1), Lengths(counts, longest))


class PerStep(Weighted):
    """The vectors `[W, width]` of `Characters` or `Unnest` at their steps, 0 elsewhere."""

    node: nodes.PerStep

    def forward(self, source: Tensor, steps: PaddedSequence) -> PaddedSequence:
        lengths = steps.lengths
        longest, rows, width = lengths.longest, len(lengths.of_rows), source.shape[-1]
        values = source.new_zeros((longest * rows, width))
        if len(lengths.places):
            values = values.index_copy(0, lengths.places, source)
        steps = PaddedSequence(values.view(longest, rows, width), lengths)
        return turned(steps) if self.node.reverse else steps


class Category(Weighted):
    """The number of a label, `[B]`; while training some are the unknown."""

    node: nodes.CategoryInput

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return hidden(self, values, self.node.unknown)


class Categories(Weighted):
    """The number of the label of each step, `[T, B]`; while training some are the unknown."""

    node: nodes.CategoriesInput | nodes.CategoriesFuture

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        """`values` `[B, T]`."""
        return steps_first(hidden(self, values, self.node.unknown), lengths)


class AheadFlat(Weighted):
    """All steps `[T, B, W]` of rows of one length as a vector each, `[B, T * W]`."""

    def forward(self, source: PaddedSequence) -> Tensor:
        return source.values.transpose(0, 1).flatten(1)


def hidden(part: Weighted, numbers: Tensor, share: float) -> Tensor:
    """The numbers of labels; while `part` trains, a share of them drawn by torch is the unknown."""
    if not part.training or not share:
        return numbers
    drawn = torch.rand(numbers.shape, device=numbers.device) < share
    return numbers.masked_fill(drawn, UNKNOWN_ID)


class Series(Scaling):
    """The past of a series, scaled by the training rows, by the row's own window, or not at all."""

    node: nodes.SeriesInput | nodes.FramesInput

    def forward(
        self, values: Tensor, lengths: Tensor, moments: Tensor | None = None
    ) -> PaddedSequence:
        """`values` `[B, T, 1]`, `moments` `[B, 2]`."""
        source = self._scaled(values, lengths, moments)
        steps = carried_on(source.values, self.node.missing)
        return PaddedSequence(means_for_missing(steps, self.node.missing), source.lengths)

    def carry(self, values: Tensor, lengths: Tensor, last: Tensor) -> tuple[PaddedSequence, Tensor]:
        """As `forward` without moments, with the last known values before the first step, scaled:
        `last` `[B, width]`, NaN where there are none. Also returns those after step T."""
        source, missing = self._scaled(values, lengths), self.node.missing
        steps = carried_on(torch.cat([last[None], source.values]), missing)
        return PaddedSequence(means_for_missing(steps[1:], missing), source.lengths), steps[-1]

    def _scaled(
        self, values: Tensor, lengths: Tensor, moments: Tensor | None = None
    ) -> PaddedSequence:
        source = steps_first(logged(self.node, values), lengths)
        lags = self.node.differences if isinstance(self.node, nodes.SeriesInput) else ()
        steps = self._features(differences_of(source.values, lags))
        steps = by_moments(self, steps, moments)
        if lags:
            steps = torch.cat([torch.zeros_like(steps[: sum(lags)]), steps[sum(lags) :]])
        return PaddedSequence(steps, source.lengths)

    def _features(self, steps: Tensor) -> Tensor:
        return steps


class Frames(Series):
    """(v - mean) / deviation, or v; the column of the elapsed time is left out."""

    node: nodes.FramesInput

    def _features(self, steps: Tensor) -> Tensor:
        at = self.node.elapsed
        return steps if at is None else torch.cat([steps[..., :at], steps[..., at + 1 :]], -1)


class Elapsed(Scaling):
    """The time since the step before, `[T, B, 1]`."""

    node: nodes.Elapsed

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        times = values[..., self.node.index : self.node.index + 1]
        return steps_first(self.narrow(times), lengths)


class Vectors(Scaling):
    """(v - mean) / deviation, or v."""

    node: nodes.VectorInput

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return means_for_missing(self.scale(values), self.node.missing)


class Future(Scaling):
    """Values known ahead: a sequence on the axis of the answer, or flat."""

    node: nodes.FutureInput

    def forward(
        self,
        values: Tensor,
        lengths: Tensor,
        moments: Tensor | None = None,
        last: Tensor | None = None,
    ) -> Value:
        """`values` `[B, horizon, 1]`, `moments` `[B, 2]`; `last` `[B, 1]` is the last value of the
        past, scaled, if it replaces missing values after it."""
        source = steps_first(logged(self.node, values), lengths)
        ahead, missing = by_moments(self, source.values, moments), self.node.missing
        if last is not None:
            ahead = carried_on(torch.cat([last[None], ahead]), missing)[1:]
        ahead = means_for_missing(ahead, missing)
        return ahead.squeeze(-1).t() if self.node.flat else PaddedSequence(ahead, source.lengths)


class Observed(Scaling):
    """Which numbers of a series are known, and the steps since the last known one, `[T, B, 2]`."""

    node: nodes.Observed

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        """`values` `[B, T, 1]`."""
        source = steps_first(~values.isnan(), lengths)
        times = torch.arange(len(source.values), device=values.device)[:, None, None]
        last = torch.where(source.values, times, -1).cummax(0).values
        since = self.narrow(torch.log1p(self.narrow(times - last)))
        return PaddedSequence(torch.cat([self.narrow(source.values), since], -1), source.lengths)


class Moments(Scaling):
    """Centre and scale of each row's window, `[B, 2]`, in float64: the squares of its numbers may
    overflow float32, and nothing but the window is known of their size."""

    node: nodes.WindowMoments

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        source = steps_first(logged(self.node, values.to(torch.float64)), lengths)
        past = carried_on(source.values, self.node.missing).squeeze(-1)
        there = source.lengths.mask & ~past.isnan()
        if self.node.steps:
            times = torch.arange(len(past), device=past.device)[:, None]
            there &= times >= source.lengths.of_rows - self.node.steps
        past = past.masked_fill(~there, 0.0)
        total = there.sum(0)
        count = total.clamp(min=1)
        mean, deviation = (each.to(torch.float64) for each in self.of_training())
        size = past.abs().sum(0) / count
        if self.node.kind == "mean":
            centre, scale = torch.zeros_like(size), size
            deviation = (mean.square() + deviation.square()).sqrt()
        else:
            centre = past.sum(0) / count
            distance = (past - centre).masked_fill(~there, 0.0)
            scale = (distance.square().sum(0) / count).sqrt()
            scale = torch.where(scale > nodes.NOISE[self.node.double] * size, scale, size)
            centre = torch.where(total > 0, centre, mean)
            scale = deviation.expand_as(centre) if self.node.kind == "level" else scale
        return torch.stack([centre, torch.where(scale > 0, scale, deviation)], dim=-1)


class LastValues(Weighted):
    """The last values of each row in the units of the data, or their logarithms."""

    node: nodes.LastValues

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """`[B, K]` of `values` `[B, T, 1]`."""
        known = logged(self.node, values)[..., 0]
        known = F.pad(known, (1, 0))  # so that place n of a row of n steps is its last
        back = torch.arange(self.node.steps - 1, -1, -1, device=lengths.device)
        places = (lengths[:, None] - back).clamp(min=1).minimum(lengths[:, None])
        return known.gather(1, places)


def logged(
    node: nodes.SeriesInput
    | nodes.FramesInput
    | nodes.FutureInput
    | nodes.WindowMoments
    | nodes.LastValues,
    values: Tensor,
) -> Tensor:
    """The values, or their logarithms. What stands past a length may have none, and counts as 1."""
    if isinstance(node, nodes.FramesInput) or not node.log:
        return values
    return values.masked_fill(values <= 0, 1.0).log()


def by_moments(part: Scaling, steps: Tensor, moments: Tensor | None) -> Tensor:
    """`[T, B, 1]` scaled by the centre and scale of each row's window, `[B, 2]`, else by `part`."""
    if moments is None:
        return part.scale(steps)
    return part.narrow((steps - moments[:, :1]) / moments[:, 1:])


def carried_on(steps: Tensor, missing: nodes.Missing) -> Tensor:
    """`[T, B, W]` with NaN replaced by the last value before it, by the rule `previous`."""
    if missing != "previous" or not bool(steps.isnan().any()):
        return steps
    times = torch.arange(len(steps), device=steps.device)[:, None, None]
    last = torch.where(steps.isnan(), 0, times).cummax(0).values
    return steps.gather(0, last)


def means_for_missing(scaled: Tensor, missing: nodes.Missing) -> Tensor:
    """Scaled numbers with NaN replaced by 0, their mean, if missing numbers are allowed."""
    return scaled if missing == "error" else scaled.masked_fill(scaled.isnan(), 0.0)
