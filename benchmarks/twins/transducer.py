"""The transducer by hand (Graves 2012): its network, its loss over a loop of steps, greedy search.

torchaudio, whose loss one would take, is not among the wheels of every torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twins.seq2seq import END, PAD

BLANK = PAD
MOST = 10
"""Tokens at one step, at most."""
MOST_IN_BEAM = 2
"""The same of the beam."""


@dataclass(frozen=True)
class Predicting:
    """embed, units: of the network over the tokens so far; hidden: where the two meet."""

    embed: int = 16
    units: int = 32
    hidden: int = 64
    dropout: float = 0.0


class Joint(nn.Module):
    """States [B, T, W] and tokens written before [B, U] to log-probabilities [B, T, U, size]."""

    def __init__(self, shape: Predicting, width: int, size: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, shape.embed)
        self.cell = nn.GRU(shape.embed, shape.units, batch_first=True)
        self.dropout = nn.Dropout(shape.dropout)
        self.heard = nn.Linear(width, shape.hidden)
        self.written = nn.Linear(shape.units, shape.hidden)
        self.answer = nn.Linear(shape.hidden, size)

    def predicted(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[B, U, hidden] after each of the tokens, and the state after all."""
        y, state = self.cell(self.embed(tokens), state)
        return self.written(self.dropout(y)), state

    def logs(self, heard: Tensor, predicted: Tensor) -> Tensor:
        found: Tensor = self.answer(torch.tanh(heard + predicted)).log_softmax(-1)
        return found

    def forward(self, states: Tensor, written: Tensor) -> Tensor:
        predicted, _ = self.predicted(written)
        return self.logs(self.heard(states)[:, :, None], predicted[:, None])


def transducer_loss(logs: Tensor, lengths: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """-ln p [B], of logs [B, T, U + 1, size], lengths [B], targets [B, U] and their counts [B].

    With a = ln of the paths to a place, exp a(t, u) = exp(a(t - 1, u) + blank(t - 1, u)) +
    exp(a(t, u - 1) + token(t, u - 1)) is solved along u at once: with E(u) the sum of the token
    scores before u, a - E is a cumulative log-sum-exp.
    """
    blanks = logs[..., BLANK]
    index = targets[:, None, :, None].expand(-1, logs.shape[1], -1, -1)
    tokens = logs[:, :, :-1].gather(3, index)[..., 0]
    sums = F.pad(tokens.cumsum(2), (1, 0))
    alpha = sums[:, 0]
    found = [alpha]
    for t in range(1, logs.shape[1]):
        alpha = sums[:, t] + torch.logcumsumexp(alpha + blanks[:, t - 1] - sums[:, t], 1)
        found.append(alpha)
    rows, last = torch.arange(len(logs)), lengths - 1
    alphas = torch.stack(found, 1)
    return -(alphas[rows, last, counts] + blanks[rows, last, counts])


@torch.no_grad()
def greedy(joint: Joint, states: Tensor, lengths: Tensor) -> list[list[int]]:
    """Of each row the likeliest token or blank at each step, MOST tokens a step at most."""
    heard, rows = joint.heard(states), torch.arange(len(states))
    start = torch.full((len(states), 1), BLANK)
    predicted, state = joint.predicted(start)
    found: list[list[int]] = [[] for _ in rows]
    for t in range(states.shape[1]):
        active = t < lengths
        for _ in range(MOST):
            logs = joint.logs(heard[:, t], predicted[:, 0])
            logs[:, 1 : END + 1] = -torch.inf
            best = logs.argmax(1)
            wrote = active & (best != BLANK)
            if not wrote.any():
                break
            for row in wrote.nonzero()[:, 0].tolist():
                found[row].append(int(best[row]))
            after, later = joint.predicted(best[:, None], state)
            predicted = torch.where(wrote[:, None, None], after, predicted)
            state = torch.where(wrote[None, :, None], later, state)
            active = wrote
    return found


@dataclass
class Text:
    """A text so far: ln of the paths that write it, and the predicting network after it."""

    score: float
    predicted: Tensor
    state: Tensor


@torch.no_grad()
def beam(joint: Joint, states: Tensor, lengths: Tensor, width: int) -> list[list[int]]:
    """Row by row, the text whose paths are likeliest together of `width` kept after each step."""
    heard = joint.heard(states)
    return [
        _best(joint, row[:length], width)
        for row, length in zip(heard, lengths.tolist(), strict=True)
    ]


def _best(joint: Joint, heard: Tensor, width: int) -> list[int]:
    start = joint.predicted(torch.tensor([[BLANK]]))
    texts: dict[tuple[int, ...], Text] = {(): Text(0.0, *start)}
    for step in heard:
        ended: dict[tuple[int, ...], Text] = {}
        for _ in range(MOST_IN_BEAM + 1):
            logs = joint.logs(step, torch.cat([text.predicted[:, 0] for text in texts.values()]))
            for (tokens, text), blank in zip(texts.items(), logs[:, BLANK].tolist(), strict=True):
                score = text.score + blank
                if tokens in ended:
                    score = float(np.logaddexp(score, ended[tokens].score))
                ended[tokens] = Text(score, text.predicted, text.state)
            texts = _longer(joint, texts, logs, width)
        best = sorted(ended.items(), key=lambda each: -each[1].score)[:width]
        texts = dict(best)
    return list(next(iter(texts)))


def _longer(
    joint: Joint, texts: dict[tuple[int, ...], Text], logs: Tensor, width: int
) -> dict[tuple[int, ...], Text]:
    """The likeliest texts of one token more."""
    logs = logs.clone()
    logs[:, : END + 1] = -torch.inf
    totals = logs + torch.tensor([text.score for text in texts.values()])[:, None]
    scores, places = totals.flatten().topk(min(width, len(texts) * (logs.shape[1] - END - 1)))
    before, found = list(texts.items()), {}
    for score, place in zip(scores.tolist(), places.tolist(), strict=True):
        tokens, text = before[place // logs.shape[1]]
        token = place % logs.shape[1]
        after = joint.predicted(torch.tensor([[token]]), text.state)
        found[(*tokens, token)] = Text(score, *after)
    return found
