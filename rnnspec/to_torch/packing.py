"""Canonical weights joined into the larger tensors that kernels multiply with, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Packed(nn.Module):
    """Parameters each of which joins the rows of several canonical weights.

    `slots` maps a parameter's name to the canonical names it holds, in order; `shapes` gives the
    shape of each canonical weight.
    """

    def __init__(
        self, slots: Mapping[str, tuple[str, ...]], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__()
        self.slots = dict(slots)
        self.rows = {name: shape[0] for name, shape in shapes.items()}
        for slot, names in self.slots.items():
            extents = (sum(self.rows[name] for name in names), *shapes[names[0]][1:])
            self.register_parameter(slot, nn.Parameter(torch.zeros(extents)))

    def slot(self, name: str) -> Tensor:
        return self.get_parameter(name)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """Canonical names and the views of the parameters that hold them."""
        for slot, names in self.slots.items():
            parts = self.get_parameter(slot).detach().split([self.rows[name] for name in names])
            yield from zip(names, parts, strict=True)
