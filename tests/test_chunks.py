"""Matrices in chunks of steps against their loop, in float64: values, states, gradients."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from rnnspec.cells import Cell, CellSource, builtin_cell, compile_cell
from rnnspec.cells.heads import with_heads
from rnnspec.cells.schedule import Chunks, schedule
from rnnspec.to_torch import chunks
from rnnspec.to_torch.generic import GenericKernel

ZERO = "relu(dot(w_f, x) - 0.3)"
"""A decay that is 0 at some steps."""


def own(equations: str) -> Cell:
    return compile_cell(CellSource("own", {"S": ["units", "units"]}, equations, output="y"))


CELLS = {
    **{
        name: builtin_cell(name)
        for name in ("mlstm", "delta_rule", "gated_delta_rule", "gated_linear_attention")
    },
    "a decay of 0": own(f"S = {ZERO} * S + outer(V @ x, K @ x)\ny = tanh(S @ (Q @ x))"),
    "a negative decay": own("S = S - 1.5 * S + outer(V @ x, K @ x)\ny = S @ (Q @ x)"),
    "read before and after": own(
        "p = S @ (Q @ x)\nS = 0.9 * S + outer(V @ x, K @ x)\ny = p + S @ (Q @ x) + S @ tanh(K @ x)"
    ),
    "keys that decay to 0": own("S = rows(relu(K @ x)) * S + outer(V @ x, K @ x)\ny = S @ (Q @ x)"),
    "a delta of other keys": own(
        "z = 0.3 * Z @ x\nS = 0.8 * S + outer(0.5 * (S @ z) + V @ x, 0.3 * K @ x)\ny = S @ (Q @ x)"
    ),
}
STEPS_ONLY = {
    "a gate of values": "S = columns(exp(V @ x)) * S + outer(V @ x, K @ x)\ny = S @ (Q @ x)",
    "not linear": "S = tanh(S) + outer(V @ x, K @ x)\ny = S @ (Q @ x)",
    "read as a whole": "S = 0.9 * S + outer(V @ x, K @ x)\ny = tanh(S) @ (Q @ x)",
    "two terms": "S = S + outer(V @ x, K @ x) + outer(A @ x, B @ x)\ny = S @ (Q @ x)",
    "a query that reads the state": "S = S + outer(V @ x, K @ x)\ny = S @ tanh(S @ (Q @ x))",
}


def kernels(of: Cell) -> list[GenericKernel]:
    """In chunks and in steps, with the same weights."""
    sizes = of.sizes(3, 4, {"keys": 5, "heads": 2})
    found = [GenericKernel(of, sizes, each).double() for each in (False, True)]
    held = [dict(kernel.packed.canonical()) for kernel in found]
    generator = torch.Generator().manual_seed(0)
    for name, value in held[0].items():
        drawn = 0.5 * torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for each in held:
            each[name].copy_(drawn)
    return found


def run(
    kernel: GenericKernel, x: Tensor, states: dict[str, Tensor], lengths: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs within the lengths and the last states; the gradients of what goes in."""
    out, after = kernel(x, states, None, lengths, ends=True)
    within = (torch.arange(len(out))[:, None] < lengths)[..., None]
    real = torch.where(within, out, 0.0)
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).view_as(out)
    loss = (weights * real.sin()).sum() + sum(value.cos().sum() for value in after.values())
    slots = kernel.packed.slots
    wanted = [x, *states.values(), *(kernel.packed.slot(slot) for slot in slots)]
    found = list(grad(loss, wanted, allow_unused=True, materialize_grads=True))
    by_name: dict[str, Tensor] = {}
    for names, gradient in zip(slots.values(), found[len(states) + 1 :], strict=True):
        rows = [kernel.packed.rows[name] for name in names]
        parts = gradient.split(rows) if gradient.dim() else (gradient,)
        by_name |= dict(zip(names, parts, strict=True))
    found = [*found[: len(states) + 1], *(by_name[name] for name in sorted(by_name))]
    return [real, *after.values()], found


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("lengths", [(11, 11, 11), (11, 4, 0)])
def test_chunks_are_the_loop(
    name: str, lengths: Sequence[int], heads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 4)
    monkeypatch.setattr(chunks, "CHUNK_OF_KEYS", 3)
    of = with_heads(CELLS[name]) if heads else CELLS[name]
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    x = draw(11, 3, 3).requires_grad_()
    both = kernels(of)
    assert any(isinstance(phase, Chunks) for phase in both[0].program.schedule.phases)
    assert not any(isinstance(phase, Chunks) for phase in both[1].program.schedule.phases)
    sizes = both[0].sizes
    states = {s: (0.3 * draw(3, sizes[of.state_size(s)])).requires_grad_() for s in of.states}
    (values, gradients), (exact, expected) = (
        run(kernel, x, states, torch.tensor(lengths)) for kernel in both
    )
    for one, other in zip(values, exact, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", STEPS_ONLY)
def test_other_recurrences_are_computed_otherwise(name: str) -> None:
    of = own(STEPS_ONLY[name])
    assert not any(isinstance(phase, Chunks) for phase in schedule(of.graph).phases)


@pytest.mark.parametrize(
    ("name", "gate", "bias"),
    [
        ("gated_linear_attention", "b_a", -220.0),
        ("gated_linear_attention", "b_a", -90.0),
        ("gated_linear_attention", "b_a", 5.0),
        ("mlstm", "b_i", -120.0),
        ("gated_delta_rule", "b_alpha", -120.0),
    ],
)
def test_gates_near_0_and_1_keep_their_digits(name: str, gate: str, bias: float) -> None:
    """Gates of 1e-6 and 0.004, whose sigmoids float32 has no numbers for, of 0.9996, of exp(-120):
    70 steps in float32 are the loop in float64, and so is each gradient."""
    of = builtin_cell(name)
    chunked, exact = kernels(of)
    for kernel in (chunked, exact):
        dict(kernel.packed.canonical())[gate].fill_(bias)
        if name == "mlstm":  # m is at least what is added to that of the step before
            dict(kernel.packed.canonical())["b_f"].fill_(bias)
    generator = torch.Generator().manual_seed(1)
    x, sizes = torch.randn((70, 2, 3), generator=generator), exact.sizes
    states = {state: torch.ones((2, sizes[of.state_size(state)])) for state in of.states}
    found = []
    for kernel in (chunked.float(), exact):
        dtype = next(kernel.parameters()).dtype
        given = x.to(dtype).requires_grad_()
        begin = {state: value.to(dtype).requires_grad_() for state, value in states.items()}
        found.append(run(kernel, given, begin, torch.tensor([70, 33])))
    for one, other in zip(found[0], found[1], strict=True):
        for value, true in zip(one, other, strict=True):
            distance = (value.double() - true).abs().max() / true.abs().max().clamp(min=1e-30)
            assert distance < 1e-3
