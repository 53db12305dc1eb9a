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
    """Mean and deviation of the training rows, `[width]` each, where `scaled`.

    Numbers that are `double`, or are scaled by a row's own moments, are float64 in the units of the
    data; scaled they are as precise as the module.
    """

    mean: Tensor
    deviation: Tensor
    rest: Tensor
    one: Tensor

    def __init__(self, width: int, scaled: bool, double: bool = False) -> None:
        super().__init__()
        self.scaled, self.of_doubles = scaled, double
        if scaled:
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("deviation", torch.ones(width))
            if double:
                self.register_buffer("rest", torch.zeros(width))
        self.register_buffer("one", torch.ones(()), persistent=False)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, value) for name, value in super().canonical() if name != "one")

    def of_training(self) -> tuple[Tensor, Tensor]:
        """Centre and scale of the training rows, `[width]` each."""
        if self.of_doubles:
            return self.mean.to(torch.float64) + self.rest, self.deviation.to(torch.float64)
        return self.mean, self.deviation

    def scale(self, values: Tensor) -> Tensor:
        """`[..., width]` in the units of the data to mean 0 and deviation 1."""
        if not self.scaled:
            return self.narrow(values)
        centre, scale = self.of_training()
        return self.narrow((values - centre) / scale)

    def unscale(self, values: Tensor) -> Tensor:
        """`[..., width]` back to the units of the data."""
        if not self.scaled:
            return values
        centre, scale = self.of_training()
        return values * scale + centre

    def narrow(self, values: Tensor) -> Tensor:
        """As precise as the module."""
        return values.to(self.one.dtype)
