"""Gradients gathered over the steps of a loop, against those that autograd adds up step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn import functional as F

from rnnspec.cells import builtin_cell, identify
from rnnspec.to_torch.gathered import Gathered, bmm, gathered, gathering, linear
from rnnspec.to_torch.native import NativeKernel

Step = Callable[[Tensor], Tensor]
STEPS = 4


def run(step: Step, start: Tensor, shared: bool) -> Tensor:
    """The sum over the states of a loop."""
    loop, state, total = Gathered(), start, torch.zeros((), dtype=start.dtype)
    for _ in range(STEPS):
        if shared:
            with gathering(loop):
                state = step(state)
        else:
            state = step(state)
        total = total + state.sin().sum()
    return total


def assert_same_gradients(step: Step, start: Tensor, read: list[Tensor]) -> None:
    expected = grad(run(step, start, shared=False), read)
    total = run(step, start, shared=True)
    for _ in range(2):  # the way back can be gone twice
        for one, other in zip(grad(total, read, retain_graph=True), expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("biased", [False, True])
def test_products_with_a_matrix(biased: bool) -> None:
    w, b, start = drawn(3, 3), drawn(3), drawn(2, 3)
    bias = b if biased else None
    read = [w, start, b] if biased else [w, start]
    assert_same_gradients(lambda state: linear(state, w, bias).tanh(), start, read)


def test_products_with_the_matrices_of_rows() -> None:
    values, start = drawn(2, 5, 5), drawn(2, 1, 5)
    assert_same_gradients(lambda state: bmm(state.softmax(-1), values), start, [values, start])


def test_steps_of_a_gru() -> None:
    cell = builtin_cell("gru")
    match = identify(cell)
    assert match is not None
    kernel = NativeKernel(cell, match, 4, 4).double()
    for parameter in kernel.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    start, h = drawn(3, 4), drawn(3, 4)

    def step(state: Tensor) -> Tensor:
        out, after = kernel(F.softplus(state)[None], {"h": h * state})
        state = after["h"]
        torch.testing.assert_close(out[0], state, atol=0, rtol=0)
        return state

    assert_same_gradients(step, start, [start, h, *kernel.parameters()])


def test_nothing_is_gathered_without_a_gradient() -> None:
    like = drawn(2)
    assert gathered(like) is None
    with gathering(Gathered()):
        assert gathered(like) is not None
        with torch.no_grad():
            assert gathered(like) is None
        with torch.autocast("cpu", torch.bfloat16):
            assert gathered(like) is None
