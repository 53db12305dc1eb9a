"""A decoder in training: fed with the truth before each step, or with its own answers."""

from __future__ import annotations

import torch
from torch import Tensor

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


def raw_forecast(
    body: Body,
    reads: Reads,
    output: ForecastOutput,
    last: Tensor,
    moments: Tensor | None,
    truth: Tensor | None,
    teacher_forcing: float,
) -> PaddedSequence:
    """Raw numbers `[H, B, k]` of a recursive forecast that begins after the value `last` `[B, 1]`,
    fed with `truth` `[B, H]`, in the units of the data, where it is given and not missing."""
    steps = body.node.steps
    known = None if truth is None else output.to_scale(truth, moments)
    if known is not None and teacher_forcing >= 1 and not bool(known[:, :-1].isnan().any()):
        before = torch.cat([last, known[:, :-1]], dim=1).t()[..., None]
        lengths = torch.full((reads.rows,), steps, device=last.device)
        return body.teacher_forced(reads, before, lengths)

    def following(step: int, raw: Tensor) -> Tensor:
        own = output.scaled_answer(raw[:, None], moments)
        if known is None:
            return own
        true = known[:, step : step + 1]
        return torch.where(true.isnan(), own, _mixed(true, own, teacher_forcing))

    return body.free_running(reads, last, steps, following)


def _mixed(true: Tensor, own: Tensor, share: float) -> Tensor:
    """For each row the true value with probability `share`, else its own."""
    if share >= 1:
        return true
    return torch.where(torch.rand(true.shape, device=true.device) < share, true, own)
