"""The output nodes: `forward` gives what a loss takes, rows first, and `answer` the answers.

The distributions of a forecast are listed in `DISTRIBUTIONS`; the formulas are those of
`rnnspec.plan.nodes.ForecastOutput`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID
from rnnspec.to_torch.inputs import Scaling
from rnnspec.to_torch.sequences import PaddedSequence, Value
from rnnspec.to_torch.weighted import Weighted


def rows_first(source: Value) -> Tensor:
    """A sequence as `[B, T, W]`; a vector unchanged."""
    return source.values.transpose(0, 1) if isinstance(source, PaddedSequence) else source


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


class NumericOutput(Raw, Scaling):
    """Scaled values `[B, width]`, or `[B, T, width]`."""

    def answer(self, scaled: Tensor) -> Tensor:
        """In the units of the data."""
        return self.unscale(scaled)


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


SOFTPLUS_FLOOR = 1e-6


def _positive(raw: Tensor) -> Tensor:
    return F.softplus(raw).clamp(min=SOFTPLUS_FLOOR)


def _point(raw: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    return raw * scale + centre


def _quantiles(raw: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    return raw.sort(dim=-1).values * scale + centre


def _gaussian(raw: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    mean, deviation = raw.split(1, dim=-1)
    return torch.cat([mean * scale + centre, scale * _positive(deviation)], dim=-1)


def _student_t(raw: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    location, width, freedom = raw.split(1, dim=-1)
    parts = [location * scale + centre, scale * _positive(width), 2 + _positive(freedom)]
    return torch.cat(parts, dim=-1)


def _negative_binomial(raw: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    mean, dispersion = raw.split(1, dim=-1)
    return torch.cat([_positive(mean) * scale, _positive(dispersion) / scale.sqrt()], dim=-1)


DISTRIBUTIONS: dict[nodes.Distribution, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "point": _point,
    "quantiles": _quantiles,
    "gaussian": _gaussian,
    "student_t": _student_t,
    "negative_binomial": _negative_binomial,
}
"""Raw numbers `[B, H, k]`, centre and scale `[B, 1, 1]` to parameters in the units of the data."""


class ForecastOutput(Scaling):
    """Raw numbers `[B, horizon, parameters]`."""

    node: nodes.ForecastOutput

    def __init__(self, node: nodes.ForecastOutput) -> None:
        super().__init__(node)
        self.distribution = DISTRIBUTIONS[node.distribution]
        self.counts = node.distribution == "negative_binomial"
        distances = [abs(quantile - 0.5) for quantile in node.quantiles]
        self.middle = distances.index(min(distances)) if distances else 0

    def forward(self, source: Value) -> Tensor:
        raw = rows_first(source)
        return raw.reshape(len(raw), self.node.horizon, self.node.parameters)

    def scaling(self, raw: Tensor, moments: Tensor | None) -> tuple[Tensor, Tensor]:
        """Centre and scale `[B, 1]`, or `[1]` where they are the same for all rows."""
        if moments is not None:
            return moments[:, :1], moments[:, 1:]
        if self.scaled:
            return self.of_training()
        return raw.new_zeros(1), raw.new_ones(1)

    def answer(self, raw: Tensor, moments: Tensor | None = None) -> Tensor:
        """Parameters `[B, horizon, k]` in the units of the data. `moments` `[B, 2]`."""
        centre, scale = self.scaling(raw, moments)
        found = self.distribution(raw, centre[..., None], scale[..., None])
        found = found.exp() if self.node.log else found
        return found if self.node.double else found.to(raw.dtype)

    def expected(self, parameters: Tensor) -> Tensor:
        """The answer `[B, horizon]` from the parameters: a mean, or the quantile nearest to 0.5."""
        return parameters[..., self.middle]

    def standard(self, raw: Tensor) -> Tensor:
        """Parameters `[B, U, k]` in units of the scaled series; not for counts, which have no such
        units."""
        assert not self.counts, "counts are not scaled"
        return self.distribution(raw, raw.new_zeros(()), raw.new_ones(()))

    def scaled_answer(self, raw: Tensor, moments: Tensor | None) -> Tensor:
        """The answer `[B, U]` of raw numbers `[B, U, k]`, scaled as the series, to be fed back."""
        if not self.counts:
            return self.expected(self.standard(raw))
        centre, scale = self.scaling(raw, moments)
        return self.narrow(_positive(raw[..., 0]) - centre / scale)

    def to_scale(self, values: Tensor, moments: Tensor | None) -> Tensor:
        """(v - centre) / scale of `[B, horizon]`."""
        centre, scale = self.scaling(values, moments)
        values = values.log() if self.node.log else values
        return self.narrow((values - centre) / scale)


OutputModule = ClassOutput | LabelsOutput | NumericOutput | TextOutput | CtcOutput | ForecastOutput
