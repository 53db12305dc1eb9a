"""A recurrent layer in torch: one kernel a direction."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rnnspec.cells import identify
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_torch.generic import GenericKernel
from rnnspec.to_torch.native import NATIVE, NativeKernel
from rnnspec.to_torch.packing import Packed
from rnnspec.to_torch.steps import Steps, reversed_by_length


class RecurrentLayer(nn.Module):
    """`rnnspec.plan.nodes.Recurrent`. With `generic`, torch's own kernels are not used."""

    def __init__(self, node: Recurrent, generic: bool = False) -> None:
        super().__init__()
        self.directions = node.directions
        self.kernels = nn.ModuleList(_kernel(node, generic) for _ in node.directions)

    def forward(self, source: Steps) -> Steps:
        """`[T, B, inputs]` to `[T, B, width]`; past a row's length the values are arbitrary."""
        outputs = []
        for direction, kernel in zip(self.directions, self.kernels, strict=True):
            steps = source.values
            if direction == "reverse":
                steps = reversed_by_length(steps, source.lengths)
            out, _ = kernel(steps)
            if direction == "reverse":
                out = reversed_by_length(out, source.lengths)
            outputs.append(out)
        values = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        return Steps(values, source.lengths)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """Canonical names below the layer's own, and the tensors that hold them."""
        for direction, kernel in zip(self.directions, self.kernels, strict=True):
            packed = kernel.packed
            assert isinstance(packed, Packed)
            yield from ((f"{direction}.{name}", value) for name, value in packed.canonical())


def _kernel(node: Recurrent, generic: bool) -> GenericKernel | NativeKernel:
    match = None if generic else identify(node.cell)
    if match is not None and match.pattern in NATIVE:
        return NativeKernel(node.cell, match, node.inputs, node.units)
    return GenericKernel(node.cell, node.inputs, node.units)
