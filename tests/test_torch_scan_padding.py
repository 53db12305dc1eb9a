"""Scans are the loops they stand for; steps past the end of a row change no gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from rnnspec.cells import builtin_cell, builtin_names
from rnnspec.cells.bounds import is_bounded
from rnnspec.to_torch.scan import BLOCK, scan
from tests.kernels import cell, kernel, random_inputs

# ---------------------------------------------------------------- scans


@pytest.mark.parametrize("length", [1, 2, 2 * BLOCK - 1, 2 * BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("largest", [1.0, 1.05])
@pytest.mark.parametrize("rows", [1, 3000])
def test_a_scan_is_the_loop(length: int, largest: float, rows: int) -> None:
    """In blocks and in one pass: factors beyond 1 and wide batches are not cut."""
    torch.manual_seed(0)
    factors = (torch.rand(length, rows, 1, dtype=torch.float64) * 2 - 1) * largest
    addends, before = torch.randn_like(factors), torch.randn_like(factors[0])
    wanted = [tensor.requires_grad_() for tensor in (factors, addends, before)]
    held, steps = before, []
    for factor, addend in zip(factors, addends, strict=True):
        held = factor * held + addend
        steps.append(held)
    expected, found = torch.stack(steps), scan(factors, addends, before)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    weights = torch.randn_like(found)
    for one, other in zip(
        grad((weights * found).sum(), wanted), grad((weights * expected).sum(), wanted), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-11)


def test_a_scan_survives_products_that_underflow_or_would_overflow() -> None:
    length = 4 * BLOCK
    addends, before = torch.ones(length, 1, 2), torch.zeros(1, 2)
    tiny = torch.full((length, 1, 2), 1e-30)
    assert torch.equal(scan(tiny, addends, before)[-1], addends[-1])
    huge = torch.full((length, 1, 2), 1e30)
    assert torch.equal(scan(huge, addends * 0, before), addends * 0)


# ---------------------------------------------------------------- padding


GROWING = "h = tanh(0.1 * exp(W @ x + U @ h + b))"


@pytest.mark.parametrize("of", [*builtin_names(), GROWING])
def test_padding_leaves_the_gradients_of_real_steps_alone(of: str) -> None:
    built = kernel(cell(GROWING) if of == GROWING else builtin_cell(of))
    lengths = torch.tensor([3, 0, 12, 1])
    inputs, states = random_inputs(built, 12, len(lengths))
    inputs = {
        name: value.detach().abs() if name != "x" else value for name, value in inputs.items()
    }
    states = {name: torch.zeros_like(value) for name, value in states.items()}
    past = torch.arange(12)[:, None] >= lengths
    inputs["x"].data.masked_fill_(past[..., None], 0).add_(past[..., None] * 1e5)
    parameters = [p for p in built.parameters() if p.requires_grad]
    wanted = [inputs["x"], *parameters]
    more = {name: value for name, value in inputs.items() if name != "x"}
    out, _ = built(inputs["x"], states, more, lengths)
    assert bool(out.isfinite().all())
    found = grad(out.masked_fill(past[..., None], 0).sin().sum(), wanted)
    alone: list[Tensor] = []
    for row, length in enumerate(lengths.tolist()):
        mine = {name: value[:length, row : row + 1] for name, value in inputs.items()}
        own = {name: value[row : row + 1] for name, value in states.items()}
        extra = {name: value for name, value in mine.items() if name != "x"}
        alone.append(built(mine["x"], own, extra)[0].sin().sum())
    for one, other in zip(found, grad(torch.stack(alone).sum(), wanted), strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_the_states_after_a_padded_row_are_those_after_its_last_step() -> None:
    built = kernel(cell(GROWING))
    lengths = torch.tensor([3, 0, 5])
    inputs, states = random_inputs(built, 5, 3)
    _, after = built(inputs["x"], states, None, lengths)
    for row, length in enumerate(lengths.tolist()):
        own = {name: value[row : row + 1] for name, value in states.items()}
        _, expected = built(inputs["x"][:length, row : row + 1], own)
        torch.testing.assert_close(after["h"][row : row + 1], expected["h"])


def test_rows_that_are_all_empty_give_zeros() -> None:
    built = kernel(cell(GROWING))
    inputs, states = random_inputs(built, 2, 2)
    out, after = built(inputs["x"] * 1e6, states, None, torch.tensor([0, 0]))
    assert not out.any()
    assert after == states


BOUNDED = (
    "rnn",
    "lstm",
    "lstm_peephole",
    "gru",
    "gru_reset_before",
    "mgu",
    "mingru",
    "minlstm",
    "echo_state",
)


def test_which_cells_are_bounded() -> None:
    assert [name for name in BOUNDED if not is_bounded(builtin_cell(name).graph)] == []
    unbounded = ("rnn_relu", "indrnn", "slstm")
    assert [name for name in unbounded if is_bounded(builtin_cell(name).graph)] == []
