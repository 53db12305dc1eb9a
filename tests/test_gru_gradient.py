"""A GRU's steps with a gradient of their own, against torch's kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import grad, gradcheck

from rnnspec.cells import builtin_cell, identify
from rnnspec.to_torch.gru_gradient import LEAST_STEPS, gru_steps, is_faster
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.sequences import Lengths, LookedUp

Given = tuple[Tensor, ...]


def drawn(length: int, rows: int, inputs: int, units: int) -> Given:
    """Steps, the state before, W, U, b and c of `torch.nn.GRU`, in float64."""
    generator = torch.Generator().manual_seed(length)
    shapes = ((length, rows, inputs), (rows, units), (3 * units, inputs), (3 * units, units))
    return tuple(
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in (*shapes, (3 * units,), (3 * units,))
    )


def own(steps: Tensor, before: Tensor, *weights: Tensor) -> Given:
    return gru_steps(steps, before, weights)


def by_torch(steps: Tensor, before: Tensor, *weights: Tensor) -> Given:
    out, last = torch.gru(steps, before[None], weights, True, 1, 0.0, True, False, False)
    return out, last[0]


@settings(max_examples=40)
@given(*(st.integers(1, most) for most in (9, 4, 3, 4)), st.sampled_from(["both", "out", "last"]))
def test_values_and_gradients_are_those_of_torch(
    length: int, rows: int, inputs: int, units: int, read: str
) -> None:
    tensors = drawn(length, rows, inputs, units)

    def one_number(found: Given) -> Tensor:
        used = {"both": found, "out": found[:1], "last": found[1:]}[read]
        return sum((value.sin().sum() for value in used), start=torch.zeros(()))

    ours, theirs = own(*tensors), by_torch(*tensors)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    expected = grad(one_number(theirs), tensors)
    for one, other in zip(grad(one_number(ours), tensors), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


def test_gradients_are_finite_differences() -> None:
    assert gradcheck(own, drawn(3, 2, 2, 3))


def test_the_way_back_can_be_gone_twice() -> None:
    tensors = drawn(5, 2, 3, 4)
    loss = own(*tensors)[0].sin().sum()
    once = grad(loss, tensors, retain_graph=True)
    for one, other in zip(once, grad(loss, tensors), strict=True):
        assert torch.equal(one, other)


def test_steps_without_a_gradient_get_none() -> None:
    steps, *others = drawn(5, 2, 3, 4)
    found = own(steps.detach(), *others)[0].sum()
    expected = by_torch(steps.detach(), *others)[0].sum()
    for one, other in zip(grad(found, others), grad(expected, others), strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.parametrize(("lengths", "reverse"), [((9, 9), False), ((9, 8), True), ((9, 4), True)])
def test_steps_of_a_table_give_its_rows_the_gradients_of_their_steps(
    lengths: tuple[int, ...], reverse: bool
) -> None:
    """As those of the steps looked up before; row 0 gets none."""
    cell = builtin_cell("gru")
    match = identify(cell)
    assert match is not None
    kernel = NativeKernel(cell, match, 3, 4).double()
    kernel.cut_cost, kernel.moving = 0.0, -1e6  # unequal lengths are cut: one part is too short
    for parameter in kernel.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    numbers = torch.arange(18).view(9, 2) % 4
    table = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    read = [table, *kernel.parameters()]
    steps = torch.nn.functional.embedding(numbers, table, padding_idx=0)
    of = Lengths(torch.tensor(lengths), 9)

    def taught(looked_up: LookedUp | None) -> Given:
        out = kernel(steps, None, of, reverse, looked_up=looked_up)[0].sin()
        return grad(out.masked_fill(~of.mask[..., None], 0.0).sum(), read, retain_graph=True)

    looked_up = LookedUp(numbers, table, 0)
    assert looked_up.repeat
    found, expected = taught(looked_up), taught(None)
    assert not found[0][0].any()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=0)


@pytest.mark.parametrize("length", [LEAST_STEPS - 1, LEAST_STEPS])
def test_it_is_used_for_gradients_alone(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = builtin_cell("gru")
    match = identify(cell)
    assert match is not None
    kernel, called = NativeKernel(cell, match, 3, 4), []

    def noted(*given: Any) -> tuple[Tensor, Tensor]:
        called.append(True)
        return gru_steps(*given)

    monkeypatch.setattr(kernel, "native", replace(kernel.native, trained=noted))
    steps = torch.randn(length, 2, 3)
    out, _ = kernel(steps)
    assert bool(called) == (length == LEAST_STEPS) == is_faster(steps)
    with torch.inference_mode():
        torch.testing.assert_close(kernel(steps)[0], out, atol=1e-6, rtol=0)
    assert len(called) <= 1
