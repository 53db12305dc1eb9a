"""The output nodes: `forward` gives what a loss takes, rows first, and `answer` the answers.

Of the distributions of numbers see `rnnspec.to_torch.distributions`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID
from rnnspec.to_torch.differences import differences_ahead, values_of
from rnnspec.to_torch.distributions import expected, parameters_of
from rnnspec.to_torch.inputs import Scaling
from rnnspec.to_torch.quantiles import draws
from rnnspec.to_torch.sequences import Lengths, PaddedSequence, Value, reversed_by_length
from rnnspec.to_torch.weighted import Weighted


def rows_first(source: Value) -> Tensor:
    """A sequence as `[B, T, W]`; a vector unchanged."""
    return source.values.transpose(0, 1) if isinstance(source, PaddedSequence) else source


def in_order(steps: Tensor, lengths: Lengths) -> Tensor:
    """`[B, T, W]` of rows that were read from their ends, in the order of the rows."""
    return reversed_by_length(steps.transpose(0, 1), lengths).transpose(0, 1)


class Raw(Weighted):
    """An output whose loss takes the value of its source as it is."""

    def forward(self, source: Value) -> Tensor:
        return rows_first(source)


class ClassOutput(Raw):
    """Logits `[B, classes]`, or `[B, T, classes]` of an output with steps."""

    def answer(self, logits: Tensor) -> Tensor:
        """The probability of each class."""
        return torch.softmax(logits, dim=-1)


class LabelsOutput(Raw):
    """Logits `[B, labels]`, or `[B, T, labels]`."""

    def answer(self, logits: Tensor) -> Tensor:
        """The probability of each label."""
        return torch.sigmoid(logits)


class Distributed(Raw, Scaling):
    """Raw numbers `[..., raw]`: scaled values, or those behind a distribution."""

    node: nodes.NumericOutput | nodes.FramesOutput

    def __init__(self, node: nodes.NumericOutput | nodes.FramesOutput) -> None:
        super().__init__(node)
        self.law = node.law

    def answer(self, raw: Tensor) -> Tensor:
        """In the units of the data: values `[..., width]`, or the parameters `[..., raw]` of one
        law after the other."""
        if self.law.name == "point":
            return self.unscale(raw)
        return parameters_of(self.law, self.laws(raw), *self.units(raw)).flatten(-2)

    def laws(self, numbers: Tensor) -> Tensor:
        """`[..., laws, n]` of what stands side by side for each law."""
        each = numbers.shape[-1] // self.node.laws
        found: Tensor = numbers.unflatten(-1, (self.node.laws, each))
        return found

    def units(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and scale of the numbers of each law, `[laws, D]`."""
        if self.scaled:
            centre, scale = self.of_training()
        else:
            centre, scale = like.new_zeros(self.node.width), like.new_ones(self.node.width)
        return self.laws(centre), self.laws(scale)

    def standard(self, raw: Tensor) -> Tensor:
        """Parameters `[..., laws, k]` in units of the scaled values."""
        laws = self.laws(raw)
        return parameters_of(self.law, laws, raw.new_zeros(1), raw.new_ones(1))

    def expected(self, answers: Tensor) -> Tensor:
        """The point answers `[..., width]` of what `answer` gives."""
        if self.law.name == "point":
            return answers
        return expected(self.law, self.laws(answers)).flatten(-2)


class NumericOutput(Distributed):
    """Raw numbers `[B, raw]`, or `[B, T, raw]`."""

    node: nodes.NumericOutput


class StatesOutput(Raw):
    """A value `[B, width]`, or `[B, T, width]`, that is answered as it is."""

    def answer(self, value: Tensor) -> Tensor:
        return value


class TextOutput(Raw):
    """Logits `[B, U, size]`; `rnnspec.to_torch.search` finds the answer."""


class CtcOutput(Weighted):
    """Log-probabilities `[B, T, size]` of the numbers at each step; past a row's length the blank
    is certain, so that padding reads as nothing and costs nothing."""

    def forward(self, source: PaddedSequence) -> Tensor:
        scores = source.values.float() if source.values.dtype.itemsize < 4 else source.values
        logs, own = torch.log_softmax(scores, dim=-1), source.lengths.mask[..., None]
        certain = torch.full_like(logs[:1, :1], -torch.inf)
        certain[..., END_ID] = 0.0
        return torch.where(own, logs, certain).transpose(0, 1)


class TransducerOutput(Weighted):
    """Log-probabilities of what follows where a step and the decoder are joined."""

    W: Tensor
    b: Tensor

    def logs(self, joined: Tensor) -> Tensor:
        """`[..., size]` of e_t + p_u, `[..., hidden]`."""
        scores = F.linear(torch.tanh(joined), self.W, self.b)
        return torch.log_softmax(scores.float() if scores.dtype.itemsize < 4 else scores, dim=-1)


class ForecastOutput(Scaling):
    """Raw numbers `[B, horizon, parameters]`."""

    node: nodes.ForecastOutput

    def __init__(self, node: nodes.ForecastOutput) -> None:
        super().__init__(node)
        self.law = node.law

    def forward(self, source: Value) -> Tensor:
        raw = rows_first(source)
        if raw.dim() == 3:
            return self.own(raw)
        return raw.reshape(len(raw), self.node.horizon, self.node.parameters)

    def own(self, raw: Tensor) -> Tensor:
        """The raw numbers of this forecast among those `[..., W]` of all that a decoder makes."""
        return raw[..., self.node.first : self.node.first + self.node.parameters]

    def scaling(self, raw: Tensor, moments: Tensor | None) -> tuple[Tensor, Tensor]:
        """Centre and scale `[B, 1]`, or `[1]` where they are the same for all rows."""
        if moments is not None:
            return moments[:, :1], moments[:, 1:]
        if self.scaled:
            return self.of_training()
        return raw.new_zeros(1), raw.new_ones(1)

    def answer(
        self, raw: Tensor, moments: Tensor | None = None, base: Tensor | None = None
    ) -> Tensor:
        """Parameters `[B, horizon, k]` in the units of the data. `moments` `[B, 2]`; `base`
        `[B, K]` are the last values, which those ahead are summed up from."""
        centre, scale = self.scaling(raw, moments)
        found = parameters_of(self.law, raw, centre[..., None], scale[..., None])
        if base is not None:
            found = values_of(found[..., 0], base, self.node.differences)[..., None]
        found = found.exp() if self.node.log else found
        return found if self.node.double else found.to(raw.dtype)

    def expected(self, parameters: Tensor) -> Tensor:
        """The answer `[B, horizon]` from the parameters, or from the quantiles over paths."""
        return expected(self.node.answered, parameters)[..., 0]

    def standard(self, raw: Tensor) -> Tensor:
        """Parameters `[B, U, k]` in units of the scaled series; only of a distribution whose values
        are scaled."""
        assert self.law.is_scaled, f"{self.law.name} has no such units"
        return parameters_of(self.law, raw, raw.new_zeros(1), raw.new_ones(1))

    def scaled_answer(self, raw: Tensor, moments: Tensor | None) -> Tensor:
        """The answer `[B, U]` of raw numbers `[B, U, k]`, scaled as the series, to be fed back."""
        if self.law.is_scaled:
            return expected(self.law, self.standard(raw))[..., 0]
        centre, scale = self.scaling(raw, moments)
        parameters = parameters_of(self.law, raw, centre[..., None], scale[..., None])
        return self.narrow((expected(self.law, parameters)[..., 0] - centre) / scale)

    def drawn(self, raw: Tensor, moments: Tensor | None, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draws by uniform ones `[R, 1, J]`, of raw numbers `[R, k]`: in the units of the data, and
        scaled as the series to be fed back, `[R, 1]` each."""
        centre, scale = self.scaling(raw, moments)
        if self.law.is_scaled:
            fed = draws(self.law, self.standard(raw), uniform)[:, 0].to(raw.dtype)
            found = fed * scale + centre
            return found if self.node.double else found.to(raw.dtype), fed
        found = draws(self.law, parameters_of(self.law, raw, centre, scale), uniform)[:, 0]
        return found, self.narrow((found - centre) / scale).to(raw.dtype)

    def to_scale(
        self, values: Tensor, moments: Tensor | None, base: Tensor | None = None
    ) -> Tensor:
        """(v - centre) / scale of `[B, horizon]`, or of the differences after `base` `[B, K]`."""
        centre, scale = self.scaling(values, moments)
        values = values.log() if self.node.log else values
        if base is not None:
            values = differences_ahead(values, base, self.node.differences)
        return self.narrow((values - centre) / scale)


OutputModule = (
    ClassOutput
    | LabelsOutput
    | NumericOutput
    | StatesOutput
    | TextOutput
    | CtcOutput
    | ForecastOutput
)
