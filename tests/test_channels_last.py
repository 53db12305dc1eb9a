"""Gradients of the kernels that take channels last, whatever the order of the gradient given.

Batch norm of torch 2.13 reads a gradient of shape [1, C, N, 1] in a wrong order.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.convolution import BatchNorm, Conv, LocalPool
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from rnnspec.to_torch.weighted import Weighted

LENGTHS = (9, 4, 0, 7)
WIDTH = 6


def conv(stride: int, groups: int) -> Weighted:
    return Conv(nodes.Conv("conv", "x", WIDTH, WIDTH, (4,), (stride,), (1,), groups))


def pool(kind: nodes.LocalPoolKind) -> Callable[[], Weighted]:
    return lambda: LocalPool(nodes.LocalPool("pool", "x", kind, (3,), (2,)))


LAYERS: dict[str, Callable[[], Weighted]] = {
    "convolution": lambda: conv(2, 1),
    "by channel": lambda: conv(1, WIDTH),
    "max": pool("max"),
    "mean": pool("mean"),
    "batch norm": lambda: BatchNorm(nodes.BatchNorm("norm", "x", WIDTH)),
}
ORDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "steps": lambda g: g.contiguous(),
    "rows": lambda g: g.transpose(0, 1).contiguous().transpose(0, 1),
    "channels": lambda g: g.permute(1, 2, 0).contiguous().permute(2, 0, 1),
}


def gradients(layer: Weighted, values: Tensor, gradient: Tensor) -> list[Tensor]:
    """Of the own values and of all weights."""
    values = values.clone().requires_grad_()
    lengths = Lengths(torch.tensor(LENGTHS), max(LENGTHS))
    found = layer(PaddedSequence(values, lengths))
    own = found.lengths.mask[..., None]
    weights = list(layer.parameters())
    return list(torch.autograd.grad(found.values, (values, *weights), gradient * own))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_do_not_depend_on_the_order_in_memory(name: str, order: str) -> None:
    draw = torch.Generator().manual_seed(0)
    narrow, wide = LAYERS[name]().train(), LAYERS[name]().double().train()
    for weight, other in zip(wide.parameters(), narrow.parameters(), strict=True):
        weight.data.copy_(torch.randn(weight.shape, generator=draw))
        other.data.copy_(weight.data)
    values = torch.randn((max(LENGTHS), len(LENGTHS), WIDTH), generator=draw)
    lengths = Lengths(torch.tensor(LENGTHS), max(LENGTHS))
    shape = narrow(PaddedSequence(values, lengths)).values.shape
    gradient = torch.randn(shape, generator=draw)
    expected = gradients(wide, values.double(), gradient.double())
    found = gradients(narrow, values, ORDERS[order](gradient))
    for got, true in zip(found, expected, strict=True):
        torch.testing.assert_close(got.double(), true, atol=1e-5, rtol=1e-5)


def test_batch_norm_is_that_of_its_definition_in_float64() -> None:
    layer = BatchNorm(nodes.BatchNorm("norm", "x", WIDTH)).double().train()
    layer.scale.data.uniform_(0.5, 2)
    values = torch.randn((max(LENGTHS), len(LENGTHS), WIDTH), dtype=torch.float64)
    own = (torch.arange(max(LENGTHS))[:, None] < torch.tensor(LENGTHS))[..., None]

    def by_hand(values: Tensor) -> Tensor:
        vectors = values[own[..., 0]]
        centred = values - vectors.mean(0)
        scaled = centred / (vectors.var(0, correction=0) + 1e-5).sqrt()
        return scaled * layer.scale + layer.shift

    gradient = torch.randn(values.shape, dtype=torch.float64) * own
    given = values.clone().requires_grad_()
    (expected,) = torch.autograd.grad(by_hand(given), given, gradient)
    found = gradients(layer, values, gradient)[0]
    torch.testing.assert_close(found, expected)


def test_one_vector_alone_is_learned_from_by_batch_norm() -> None:
    """As the last batch may be. Its mean is followed, and it has no variance; normalized it is 0,
    whatever it was."""
    layer = BatchNorm(nodes.BatchNorm("norm", "x", WIDTH)).double().train()
    with torch.no_grad():
        layer.scale.fill_(2.0)
        layer.variance.fill_(3.0)
    alone = torch.full((1, WIDTH), 7.0, dtype=torch.float64, requires_grad=True)
    (found := layer(alone)).sum().backward()
    assert torch.equal(found, layer.shift.expand(1, -1))
    assert alone.grad is not None and layer.shift.grad is not None
    assert not alone.grad.any() and bool((layer.shift.grad == 1).all())
    torch.testing.assert_close(layer.mean, torch.full_like(layer.mean, 0.7))
    assert bool((layer.variance == 3.0).all())
