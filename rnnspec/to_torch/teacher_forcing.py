"""A decoder in training: fed with the truth before each step, or with its own answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.outputs import ForecastOutput
from rnnspec.to_torch.sequences import PaddedSequence


def text_logits(body: Body, reads: Reads, truth: Tensor, teacher_forcing: float) -> PaddedSequence:
    """Logits `[U, B, size]` of the true numbers `[B, U]`, -1 past the end of a row."""
    before = torch.nn.functional.pad(truth.clamp(min=0).t(), (0, 0, 1, 0), value=END_ID)[:-1]
    lengths = (truth >= 0).sum(1)
    if teacher_forcing >= 1:
        return body.teacher_forced(reads, before, lengths)

    def following(step: int, logits: Tensor) -> Tensor:
        return _mixed(before[step + 1], logits.detach().argmax(-1), teacher_forcing)

    return body.free_running(reads, before[0], len(before), following)


@dataclass(frozen=True)
class Ahead:
    """A forecast of a decoder: its module, the `moments` `[B, 2]` of the windows of its series, if
    it has any, and the true values `[B, H]` in the units of the data, if they are given."""

    output: ForecastOutput
    moments: Tensor | None
    truth: Tensor | None

    def answer(self, raw: Tensor) -> Tensor:
        """`[B, 1]` from the raw numbers `[B, W]` of a step of all forecasts, to be fed back."""
        return self.output.scaled_answer(self.output.own(raw)[:, None], self.moments)

    def known(self) -> Tensor | None:
        """The true values as the series is scaled, `[B, H]`."""
        return None if self.truth is None else self.output.to_scale(self.truth, self.moments)


def raw_forecast(
    body: Body, reads: Reads, ahead: Sequence[Ahead], last: Tensor, teacher_forcing: float
) -> PaddedSequence:
    """Raw numbers `[H, B, W]` of recursive forecasts that begin after the values `last` `[B, K]` of
    their series, fed with the true ones where they are given and not missing."""
    steps, first = body.node.steps, body.first_node
    if isinstance(first, nodes.PreviousNumber) and not first.fed:
        return _at_once(body, reads, last.expand(steps, *last.shape))
    each = [forecast.known() for forecast in ahead]
    given = [known for known in each if known is not None]
    known = torch.stack(given, dim=-1) if len(given) == len(ahead) else None
    if known is not None and teacher_forcing >= 1 and not bool(known[:, :-1].isnan().any()):
        before = torch.cat([last[:, None], known[:, :-1]], dim=1).transpose(0, 1)
        return _at_once(body, reads, before)

    def following(step: int, raw: Tensor) -> Tensor:
        own = torch.cat([forecast.answer(raw) for forecast in ahead], dim=-1)
        if known is None:
            return own
        true = known[:, step]
        return torch.where(true.isnan(), own, _mixed(true, own, teacher_forcing))

    return body.free_running(reads, last, steps, following)


def _at_once(body: Body, reads: Reads, before: Tensor) -> PaddedSequence:
    """Raw numbers of all steps ahead, where what is read `before` each is known, `[H, B, K]`."""
    lengths = torch.full((reads.rows,), len(before), device=before.device)
    return body.teacher_forced(reads, before, lengths)


def _mixed(true: Tensor, own: Tensor, share: float) -> Tensor:
    """For each row the true values with probability `share`, else its own."""
    if share >= 1:
        return true
    rows = (len(true), *[1] * (true.dim() - 1))
    return torch.where(torch.rand(rows, device=true.device) < share, true, own)
