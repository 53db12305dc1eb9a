"""Connectionist temporal classification (Graves et al. 2006) for the twins: loss and best path."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from twins.pairs import PairBatch
from twins.seq2seq import PAD

BLANK = PAD


def texts_of(batch: PairBatch) -> tuple[Tensor, Tensor]:
    """The texts [B, U], PAD behind each, and their lengths [B]."""
    texts = batch.written[:, 1:]
    return texts, (texts != PAD).sum(1)


def answers_in(batch: PairBatch) -> int:
    """Tokens of the texts, and one for the end of each."""
    return int((batch.wanted != PAD).sum())


def ctc_loss(logits: Tensor, lengths: Tensor, batch: PairBatch) -> Tensor:
    """Sum of -ln p of the texts, from logits [B, T, size]."""
    texts, counts = texts_of(batch)
    logs = logits.log_softmax(2).transpose(0, 1)
    return F.ctc_loss(logs, texts, lengths, counts, reduction="sum", zero_infinity=True)


def best_path(logits: Tensor, lengths: Tensor) -> list[list[int]]:
    """The likeliest number at each step, repeats and blanks left out."""
    found = []
    for row, length in zip(logits.argmax(2), lengths.tolist(), strict=True):
        numbers = torch.unique_consecutive(row[:length]).tolist()
        found.append([number for number in numbers if number != BLANK])
    return found
