"""What every module of a node has: its weights by their canonical names."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Weighted(nn.Module):
    """A module whose own parameters and buffers are its canonical weights, under their names."""

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, value.detach()) for name, value in self.named_parameters(recurse=False))
        yield from self.named_buffers(recurse=False)


class Scaling(Weighted):
    """Mean and deviation of the training rows, `[width]` each, where `scaled`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, scaled: bool) -> None:
        super().__init__()
        self.scaled = scaled
        if scaled:
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("deviation", torch.ones(width))

    def scale(self, values: Tensor) -> Tensor:
        """`[..., width]` in the units of the data to mean 0 and deviation 1."""
        return (values - self.mean) / self.deviation if self.scaled else values

    def unscale(self, values: Tensor) -> Tensor:
        """`[..., width]` back to the units of the data."""
        return values * self.deviation + self.mean if self.scaled else values
