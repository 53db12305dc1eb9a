"""Greedy and beam search over a decoder of ``seq2seq``."""

from __future__ import annotations

import torch
from torch import Tensor

from twins.seq2seq import END, PAD, START, Memory, Seq2Seq, State

BANNED = (PAD, START)


def step(model: Seq2Seq, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
    """Log-probabilities [N, V] of what follows; padding and START are never written."""
    logits, state = model.decoder(tokens[:, None], state, memory)
    scores = logits[:, 0].float().log_softmax(1)
    scores[:, list(BANNED)] = -torch.inf
    return scores, state


def greedy(model: Seq2Seq, x: Tensor, lengths: Tensor, max_steps: int) -> list[list[int]]:
    """The likeliest token at each step until END; END is left out of the answers."""
    state, memory = model.begin(x, lengths)
    tokens = torch.full((len(x),), START)
    done = torch.zeros(len(x), dtype=torch.bool)
    steps = []
    for _ in range(max_steps):
        scores, state = step(model, tokens, state, memory)
        tokens = scores.argmax(1).masked_fill(done, END)
        done = done | (tokens == END)
        steps.append(tokens)
        if done.all():
            break
    return [row[: row.index(END)] if END in row else row for row in torch.stack(steps, 1).tolist()]


def beam(
    model: Seq2Seq, x: Tensor, lengths: Tensor, max_steps: int, width: int, power: float = 1.0
) -> list[list[int]]:
    """The finished answer with the best log-probability over length ** power, END counted in both.

    A finished answer leaves the beam, which stays ``width`` wide. The search of a row ends when no
    beam in progress does better, at its length so far, than the row's best finished answer; or at
    ``max_steps``, where a row without finished answers gets its best unfinished one.
    """
    size = len(x)
    state, memory = model.begin(x, lengths)
    rows = torch.arange(size).repeat_interleave(width)
    state, memory = state.select(rows), memory.select(rows)
    scores = torch.full((size, width), -torch.inf)
    scores[:, 0] = 0.0  # all beams start alike: one of them counts
    tokens = torch.full((size * width,), START)
    written = torch.empty(size, width, 0, dtype=torch.int64)
    best_score = torch.full((size,), -torch.inf)
    answers: list[list[int]] = [[] for _ in range(size)]
    done = torch.zeros(size, dtype=torch.bool)
    for at in range(1, max_steps + 1):
        found, state = step(model, tokens, state, memory)
        total = scores[:, :, None] + found.view(size, width, -1)
        vocabulary = total.shape[2]
        # Only the first `width` are in the beam. Of all these at most `width` end, one for each
        # beam, so that `width` are left to go on.
        best, index = total.flatten(1).topk(2 * width)
        parent, token = index // vocabulary, index % vocabulary
        ends = token == END
        normal = (best / at**power).masked_fill(~ends, -torch.inf)[:, :width]
        reached, column = normal.max(1)
        better = (reached > best_score) & ~done
        best_score = torch.where(better, reached, best_score)
        for row in better.nonzero()[:, 0].tolist():
            answers[row] = written[row, int(parent[row, column[row]])].tolist()
        scores, kept = best.masked_fill(ends, -torch.inf).topk(width)
        parent, token = parent.gather(1, kept), token.gather(1, kept)
        written = torch.cat(
            [written.gather(1, parent[:, :, None].expand(-1, -1, at - 1)), token[:, :, None]], 2
        )
        done = done | (best_score >= scores[:, 0] / at**power)
        if done.all():
            break
        tokens = token.flatten()
        state = state.select((parent + torch.arange(size)[:, None] * width).flatten())
    for row in best_score.isinf().nonzero()[:, 0].tolist():
        answers[row] = written[row, 0].tolist()
    return answers
