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
    for _ in range(2):  # the way back can be gone twice, and before it the way to one of them alone
        grad(total, read[-1:], retain_graph=True)
        grad(total, read[:1], retain_graph=True)
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


def test_a_matrix_with_and_without_a_bias() -> None:
    w, b, start = drawn(3, 3), drawn(3), drawn(2, 3)
    assert_same_gradients(
        lambda state: linear(state, w, b).tanh() + linear(state, w).sin(), start, [w, start, b]
    )


def test_a_way_back_that_fails_leaves_nothing() -> None:
    w, start = drawn(3, 3), drawn(2, 3)
    read, failing = [w, start], True

    def fail(_: Tensor) -> None:
        if failing:
            raise ValueError("no way back")

    def step(state: Tensor) -> Tensor:
        found = linear(state, w).tanh()
        if state is not start:
            state.register_hook(fail)
        return found

    total = run(step, start, shared=True)
    with pytest.raises(ValueError, match="no way back"):
        grad(total, read, retain_graph=True)
    failing = False
    expected = grad(run(lambda state: F.linear(state, w).tanh(), start, shared=False), read)
    for one, other in zip(grad(total, read), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


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
