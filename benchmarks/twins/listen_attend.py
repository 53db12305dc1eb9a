"""A decoder with location attention (Chorowski et al. 2015), which reads before it writes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from twins.seq2seq import END, PAD, START
from twins.speech import below

MOST = 13
"""Tokens of an answer, at most."""


class Speller(nn.Module):
    """States [B, T, W] and lengths [B] to logits of the token after each of those written.

    At each step the last output asks: v . tanh(W s + V h + U f), f of 8 filters of 15 steps over
    the weights before. The GRU reads the embedded token and what was found; its output and that
    give the answer through a dense tanh layer.
    """

    def __init__(self, width: int, size: int, embed: int, units: int) -> None:
        super().__init__()
        self.start = nn.Linear(width, units)
        self.embed = nn.Embedding(size, embed)
        self.key = nn.Linear(width, units)
        self.query = nn.Linear(units, units, bias=False)
        self.where = nn.Conv1d(1, 8, 15, padding=7, bias=False)
        self.place = nn.Linear(8, units, bias=False)
        self.energy = nn.Linear(units, 1, bias=False)
        self.cell = nn.GRUCell(embed + width, units)
        self.hidden = nn.Linear(units + width, units)
        self.answer = nn.Linear(units, size)

    def begin(self, states: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The first state [B, units], of the ends of both directions, and weights [B, T]."""
        half = states.shape[2] // 2
        last = states[torch.arange(len(states)), lengths - 1, :half]
        first = torch.tanh(self.start(torch.cat([last, states[:, 0, half:]], 1)))
        return first, states.new_zeros(states.shape[:2])

    def step(
        self, token: Tensor, h: Tensor, weights: Tensor, keys: Tensor, states: Tensor, own: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the answer is made of [B, units + W], the next state and weights."""
        place = self.place(self.where(weights[:, None]).transpose(1, 2))
        energies = self.energy(torch.tanh(keys + self.query(h)[:, None] + place))[..., 0]
        weights = energies.masked_fill(~own, -torch.inf).softmax(1)
        context = (weights[:, None] @ states)[:, 0]
        h = self.cell(torch.cat([self.embed(token), context], 1), h)
        return torch.cat([h, context], 1), h, weights

    def forward(self, states: Tensor, lengths: Tensor, written: Tensor) -> Tensor:
        """Logits [B, U, size]."""
        h, weights = self.begin(states, lengths)
        keys, own = self.key(states), below(lengths, states.shape[1])
        found = []
        for token in written.unbind(1):
            y, h, weights = self.step(token, h, weights, keys, states, own)
            found.append(y)
        logits: Tensor = self.answer(torch.tanh(self.hidden(torch.stack(found, 1))))
        return logits


@torch.no_grad()
def attended_greedy(speller: Speller, states: Tensor, lengths: Tensor) -> list[list[int]]:
    """The likeliest token at each step until END, which is left out."""
    h, weights = speller.begin(states, lengths)
    keys, own = speller.key(states), below(lengths, states.shape[1])
    token = torch.full((len(states),), START)
    found = []
    for _ in range(MOST):
        y, h, weights = speller.step(token, h, weights, keys, states, own)
        logits = speller.answer(torch.tanh(speller.hidden(y)))
        logits[:, [PAD, START]] = -torch.inf
        token = logits.argmax(1)
        found.append(token)
    rows = torch.stack(found, 1).tolist()
    return [row[: row.index(END)] if END in row else row for row in rows]
