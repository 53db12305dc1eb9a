"""What a search is given: the decoder after the prompt, and what each row may do."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rnnspec.to_torch.decoder import Body, States
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.search.rules import Rules


@dataclass(frozen=True)
class Task:
    """Of B rows: the states before the first step, `previous` `[B]`, the number read by it, the
    most steps `limits` `[B]`, `prompt` `[B, P]`, its numbers at the right and -1 before them, and
    the rows' `seeds` `[B]`."""

    body: Body
    reads: Reads
    states: States
    previous: Tensor
    rules: Rules
    limits: Tensor
    prompt: Tensor
    seeds: Tensor

    @property
    def rows(self) -> int:
        return self.reads.rows
