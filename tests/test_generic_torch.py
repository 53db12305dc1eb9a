"""The generic torch lowering: values, and gradients by the table of derivatives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import grad, gradcheck

from rnnspec.cells import FUNCTIONS, Cell, builtin_cell, builtin_names, identify
from rnnspec.cells.graph import ParameterSource
from rnnspec.cells.schedule import ACTIVATIONS, JoinedProduct, Loop, Scan, schedule
from rnnspec.to_torch.derivatives import DERIVATIVES, of_activation
from rnnspec.to_torch.functions import OPERATIONS
from rnnspec.to_torch.generic import GenericKernel
from rnnspec.to_torch.native import NATIVE, NativeKernel
from tests.equations import ORACLE, cells, run_by_autograd
from tests.kernels import INPUTS, UNITS, cell, kernel, random_inputs, run, total

PRIMITIVES = {"add", "sub", "mul", "div", "neg", "pow"}


# ---------------------------------------------------------------- the tables


def test_the_tables_are_complete() -> None:
    assert set(FUNCTIONS) | PRIMITIVES <= set(OPERATIONS)
    assert set(OPERATIONS) == set(DERIVATIVES)
    for name, function in FUNCTIONS.items():
        assert len(DERIVATIVES[name]) == function.arity


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_is_differentiated_in_place(name: str) -> None:
    value = torch.linspace(-4, 4, 41, dtype=torch.float64).add_(0.01).requires_grad_()
    result = ORACLE[name](value)
    expected = grad(result.sum(), value)[0] * 3
    gradient = torch.full_like(value, 3.0)
    of_activation(name)(gradient, result.detach(), gradient)
    torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=0)


# ---------------------------------------------------------------- gradients


ARGUMENT = {1: "{}(2 + 0.7 * tanh({}))", 2: "{}({}, 0.3 * c - 0.1)"}
"""Positive arguments, for the logarithm and the root; and two different ones."""

EXPRESSIONS = {
    **{f"{f.name} of values": ARGUMENT[f.arity] for f in FUNCTIONS.values()},
    **{f"{name} of a product": "{}({})" for name in sorted(ACTIVATIONS)},
    "add of values": "{1} + c * b_2 + b_2",
    "sub of values": "({1} - c) - (b_2 - c * c)",
    "mul of values": "{1} * c * b_2 * 0.5",
    "div of values": "{1} / (2 + c * c) + 1 / (3 + {1} * {1})",
    "neg of values": "-({1}) * -c",
    "pow of values": "(2 + tanh({1})) ** 1.5 - c ** 3 + c ** 0 + c ** 1",
}


@pytest.mark.parametrize("case", EXPRESSIONS)
def test_every_operation_against_finite_differences(case: str) -> None:
    """In a loop, with states, inputs, a matrix and vectors behind it."""
    expression = EXPRESSIONS[case].format(case.split()[0], "(U @ h + V @ x + b_1)")
    loop = kernel(cell(f"v = {expression}\nc = 0.5 * c + tanh(h)\nh = 0.3 * v + c", "h", "c"))
    assert any(isinstance(phase, Loop) for phase in loop.program.schedule.phases)
    inputs, states = random_inputs(loop, length=3, rows=2)
    wanted = [*inputs.values(), *states.values(), *loop.parameters()]
    assert gradcheck(lambda *_: run(loop, inputs, states), wanted, fast_mode=True)


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize(("length", "rows"), [(4, 2), (1, 1)])
def test_built_in_cells_against_finite_differences(name: str, length: int, rows: int) -> None:
    built = kernel(builtin_cell(name))
    inputs, states = random_inputs(built, length, rows)
    if name == "slstm":  # a normaliser that was built up from nothing is never near 0
        states = {state: value.detach() * 0 for state, value in states.items()}
    tensors = [*inputs.values(), *states.values(), *built.parameters()]
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    assert gradcheck(lambda *_: run(built, inputs, states), wanted, fast_mode=True)


@settings(max_examples=60)
@given(cells(), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_random_cells_against_autograd_and_finite_differences(
    of: Cell, length: int, rows: int, given_states: bool
) -> None:
    built = kernel(of)
    inputs, states = random_inputs(built, length, rows)
    if not given_states:
        states = {name: torch.zeros_like(value) for name, value in states.items()}
    parameters = {name: built.packed.part(name) for name in of.parameters}
    out, after = run_by_autograd(of, parameters, inputs, states, built.sizes)
    # The exponential of an exponential leaves what float64 can tell within a few steps.
    assume(all(bool((value.abs() < 1e3).all()) for value in (out, *after.values())))
    reference = total(out, after)
    found = run(built, inputs, states if given_states else None)
    torch.testing.assert_close(found, reference, atol=1e-9, rtol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(run(built, inputs, states), reference.detach())
    everything = [*inputs.values(), *states.values(), *built.parameters()]
    wanted = [tensor for tensor in everything if tensor.requires_grad]
    if not found.requires_grad:
        return
    gradients = grad(found, wanted, allow_unused=True, materialize_grads=True)
    expected = grad(reference, wanted, allow_unused=True, materialize_grads=True)
    for one, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)
    along = sum(float((gradient * gradient).sum()) for gradient in gradients)
    step = 1e-6 / max(1.0, along) ** 0.5
    ends = []
    for sign in (1, -1):
        _move(wanted, gradients, sign * step)
        ends.append(float(run(built, inputs, states).detach()))
        _move(wanted, gradients, -sign * step)
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(along, rel=1e-3, abs=1e-4)


def _move(tensors: list[Tensor], by: tuple[Tensor, ...], step: float) -> None:
    for tensor, gradient in zip(tensors, by, strict=True):
        tensor.data.add_(gradient, alpha=step)


def test_gradients_only_where_they_are_wanted() -> None:
    built = kernel(builtin_cell("lstm_peephole"))
    inputs, states = random_inputs(built, 3, 2)
    everything = [*inputs.values(), *states.values(), *built.parameters()]
    expected = grad(run(built, inputs, states), everything)
    for chosen, full in zip(everything, expected, strict=True):
        for tensor in everything:
            tensor.requires_grad_(tensor is chosen)
        torch.testing.assert_close(grad(run(built, inputs, states), chosen)[0], full)


def test_a_second_backward_pass_gives_the_same_gradients() -> None:
    built = kernel(builtin_cell("gru"))
    inputs, states = random_inputs(built, 3, 2)
    loss = run(built, inputs, states)
    first = grad(loss, [*built.parameters()], retain_graph=True)
    for one, other in zip(first, grad(loss, [*built.parameters()]), strict=True):
        assert torch.equal(one, other)


def test_gradients_of_gradients_are_refused() -> None:
    built = kernel(builtin_cell("gru"))
    inputs, states = random_inputs(built, 3, 2)
    (first,) = grad(run(built, inputs, states), inputs["x"], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


# ---------------------------------------------------------------- against torch's kernels


@pytest.mark.parametrize("name", sorted(NATIVE))
@pytest.mark.parametrize(("length", "rows"), [(20, 5), (1, 1)])
def test_native_and_generic_kernels_are_equal(name: str, length: int, rows: int) -> None:
    of = builtin_cell(name)
    match = identify(of)
    assert match is not None
    torch.manual_seed(0)
    kernels: list[NativeKernel | GenericKernel] = [
        NativeKernel(of, match, 6, 8),
        GenericKernel(of, of.sizes(6, 8)),
    ]
    weights = {name: torch.randn(held.shape) * 0.4 for name, held in kernels[0].packed.canonical()}
    steps = torch.randn(length, rows, 6)
    before = {state: torch.randn(rows, 8) for state in of.states}
    found = []
    for one in kernels:
        for weight, held in one.packed.canonical():
            held.copy_(weights[weight])
        x = steps.clone().requires_grad_()
        states = {state: value.clone().requires_grad_() for state, value in before.items()}
        out, after = one(x, states)
        total(out, after).backward()
        gradients = {"x": x.grad, **{f"state {s}": v.grad for s, v in states.items()}}
        for parameter in one.parameters():
            assert parameter.grad is not None
            parameter.data.copy_(parameter.grad)
        gradients |= dict(one.packed.canonical())
        found.append(({"out": out.detach(), **after}, gradients))
    for name, value in found[0][0].items():
        torch.testing.assert_close(found[1][0][name], value, atol=1e-5, rtol=0)
    for name, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], value, atol=1e-6, rtol=1e-4)


# ---------------------------------------------------------------- phases


@pytest.mark.parametrize("name", ["mingru", "minlstm"])
def test_linear_recurrences_are_scanned(name: str) -> None:
    phases = schedule(builtin_cell(name).graph).phases
    assert any(isinstance(phase, Scan) for phase in phases)
    assert not any(isinstance(phase, Loop) for phase in phases)


def test_nothing_but_elements_is_computed_in_the_loop_of_indrnn() -> None:
    (loop,) = (p for p in schedule(builtin_cell("indrnn").graph).phases if isinstance(p, Loop))
    assert not any(isinstance(entry, JoinedProduct) for entry in loop.entries)


ODD = {
    "states change places": ("g = h\nh = c\nc = tanh(g + W @ x)", ("h", "c"), None),
    "a state one step late": ("g = h\nh = tanh(W @ x + U @ c)\nc = g", ("h", "c"), "c"),
    "two states, one value": ("h = tanh(W @ x + U @ h + V @ c)\nc = h", ("h", "c"), None),
    "weights alone": ("h = b", ("h",), None),
    "a counter": ("h = h + 1 - 1 * b", ("h",), None),
    "a matrix on two operands": ("r = sigmoid(U @ h)\nh = tanh(W @ x + U @ (r * h))", ("h",), None),
    "a known sum read twice": (
        "v = W @ x + b\nh = tanh(v + U @ h) * sigmoid(v + V @ h) + v",
        ("h",),
        None,
    ),
    "a part of a product that is read again on the way back": (
        "g = V @ x\nh = tanh(W @ x + U @ h) * g * g",
        ("h",),
        None,
    ),
    "a scan behind a loop behind a scan": (
        "c = sigmoid(W @ x) * c + V @ x\nh = tanh(U @ h + c)\nm = sigmoid(M @ h) * m + h",
        ("h", "c", "m"),
        "m",
    ),
    "a residual around the step": ("h = tanh(W @ x + U @ h)\ny = x + O @ h", ("h",), "y"),
    "a state one step late under a product": (
        "c = tanh(W @ x + V @ c)\ny = c + h\nh = U @ x",
        ("h", "c"),
        "y",
    ),
    "a state that is looked up, added to a product": (
        "g = W @ x + h\nh = tanh(V @ x)\nc = sigmoid(g) * c + g",
        ("h", "c"),
        "c",
    ),
    "a maximum": ("p = max(p, K @ x)\ny = p * p", ("p",), "y"),
    "a numerator in a linear recurrence": ("h = (1 - b) * h / 2 - (W @ x - -h) / 4", ("h",), None),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("length", [1, 4])
def test_odd_cells(case: str, length: int) -> None:
    equations, names, output = ODD[case]
    of = cell(equations, *names, output=output)
    built = GenericKernel(of, of.sizes(UNITS, UNITS)).double()
    torch.manual_seed(0)
    for parameter in built.parameters():
        parameter.data.normal_(0, 0.5)
    x = torch.randn(length, 2, UNITS, dtype=torch.float64, requires_grad=True)
    states = {s: torch.randn(2, UNITS, dtype=torch.float64, requires_grad=True) for s in names}
    parameters = {name: built.packed.part(name) for name in of.parameters}
    expected = total(*run_by_autograd(of, parameters, {"x": x}, states, built.sizes))
    found = total(*built(x, states))
    torch.testing.assert_close(found, expected)
    wanted = [x, *states.values(), *built.parameters()]
    gradients = [
        grad(end, wanted, allow_unused=True, materialize_grads=True) for end in (found, expected)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ["lstm", "mingru"])
def test_long_sequences_go_piece_by_piece(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built = kernel(builtin_cell(name))
    inputs, states = random_inputs(built, 7, 2)
    wanted = [inputs["x"], *states.values(), *built.parameters()]
    expected = grad(run(built, inputs, states), wanted)
    monkeypatch.setattr("rnnspec.to_torch.generic.PIECE", 3 * 2 * built._widest)
    for one, other in zip(grad(run(built, inputs, states), wanted), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_autocast_changes_nothing() -> None:
    built = kernel(builtin_cell("gru")).float()
    steps = torch.randn(4, 2, INPUTS)
    with torch.autocast("cpu", torch.bfloat16):
        out, after = built(steps.bfloat16())
    expected, _ = built(steps.bfloat16().float())
    assert out.dtype == after["h"].dtype == torch.float32
    assert torch.equal(out, expected)


def test_no_steps_give_no_outputs_and_the_same_states() -> None:
    built = kernel(builtin_cell("lstm"))
    inputs, states = random_inputs(built, 0, 2)
    out, after = built(inputs["x"], states)
    assert out.shape == (0, 2, UNITS)
    assert after == states


# ---------------------------------------------------------------- weights


def test_canonical_weights_are_the_parameters_own_memory() -> None:
    built = kernel(cell("r = sigmoid(U @ h)\nh = tanh(W @ x + U @ (r * h) + V @ h)"))
    given_weights = {name: torch.randn_like(held) for name, held in built.packed.canonical()}
    assert set(given_weights) == set(built.cell.parameters)
    for name, held in built.packed.canonical():
        held.copy_(given_weights[name])
    assert all(torch.equal(held, given_weights[name]) for name, held in built.packed.canonical())
    inputs, states = random_inputs(built, 3, 2)
    run(built, inputs, states).backward()
    torch.optim.SGD(built.parameters(), lr=0.1).step()
    changed = {
        name: not torch.equal(h, given_weights[name]) for name, h in built.packed.canonical()
    }
    assert all(changed.values())


def test_weights_that_are_not_trained_stay() -> None:
    source = {"U": ParameterSource(trained=False)}
    built = kernel(cell("h = tanh(W @ x + U @ h + V @ h + b)", parameters=source))
    inputs, states = random_inputs(built, 3, 2)
    run(built, inputs, states).backward()
    without = {slot for slot in built.packed.slots if built.packed.slot(slot).grad is None}
    assert without == {"U"}
