"""Penalties of what layers put out, part of the loss: see `rnnspec.plan.nodes.Recurrent`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnspec.plan import Plan, nodes
from rnnspec.to_torch.sequences import PaddedSequence, sequence
from rnnspec.to_torch.values import Values


def penalized(plan: Plan) -> tuple[nodes.Recurrent, ...]:
    """The layers whose outputs are part of the loss."""
    layers = (node for node in plan.nodes if isinstance(node, nodes.Recurrent))
    return tuple(node for node in layers if node.activation_l2 or node.temporal_l2)


def activity(layers: Sequence[nodes.Recurrent], values: Values) -> Tensor | None:
    """The sum of all penalties, a scalar; None where no layer has one."""
    parts = [_of_layer(node, values) for node in layers]
    return torch.stack(parts).sum() if parts else None


def _of_layer(node: nodes.Recurrent, values: Values) -> Tensor:
    own = sequence(values[node.name])
    found = own.values.new_zeros(())
    if node.activation_l2:
        dropped = values.get(f"{node.name}.dropout")
        read = dropped if isinstance(dropped, PaddedSequence) else own
        found = found + node.activation_l2 * _mean_square(read.values, own.lengths.mask)
    if node.temporal_l2:
        both = own.lengths.mask[1:]  # a step and the one before it
        change = own.values[1:] - own.values[:-1]
        found = found + node.temporal_l2 * _mean_square(change, both)
    return found


def _mean_square(values: Tensor, mask: Tensor) -> Tensor:
    """Over the steps of `mask` `[T, B]`; 0 where there are none."""
    known = values.masked_fill(~mask[..., None], 0.0)
    return known.square().sum() / (mask.sum() * values.shape[-1]).clamp(min=1)
