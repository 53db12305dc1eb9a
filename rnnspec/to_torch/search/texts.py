"""What a search gives: token numbers of the answers, with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Texts:
    """Of B rows the N best answers, the best first.

    `numbers` `[B, N, U]` of tokens, END_ID past the end, from the size of the vocabulary on those
    that were copied; `lengths` `[B, N]` without the end mark;
    `scores` `[B, N]`, the true log-probability (natural logarithm) of all tokens, with that of the
    end mark where it was reached; an answer that is lacking has no tokens and -inf. `attention`
    `[B, U, T]`, the weights behind each token of the best answer, 0 past its end, or None.
    """

    numbers: Tensor
    lengths: Tensor
    scores: Tensor
    attention: Tensor | None = None


def stacked(steps: Sequence[Tensor], longest: int, like: Tensor) -> Tensor:
    """The first `longest` of some steps `[B, ...]` as `[B, longest, ...]`; of none, zeros."""
    if not steps:
        return like.new_zeros((len(like), longest))
    return torch.stack(list(steps[:longest]), dim=1)
