"""Random cells through all back ends, in batches of rows of unequal lengths.

Gradients of the kernel in float64 are those of autograd row by row; the module and the exported
file answer as the reference does. `python -m tests.explore` draws other cells than `make test`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from hypothesis import assume, example, given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import grad

from rnnspec.cells import Cell, CellSource, ParameterSource, compile_cell
from rnnspec.cells.heads import with_heads
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Direction
from rnnspec.reference import answers
from rnnspec.reference.interpret import values_of
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.generic import GenericKernel
from tests.answers import tensor_of
from tests.equations import cells, run_by_autograd
from tests.kernels import cell, kernel, random_inputs
from tests.models import frames_facts, frames_plan, padded, random_frames, random_weights

RESIDUAL = cell("h = tanh(W @ x + U @ h)\ny = x + O @ h", "h", output="y")
TIMED = cell("h = tanh(W @ x + dt)\nc = 0.5 * c + h", "h", "c", inputs=["dt"], output="c")
MAXIMUM = cell("p = max(p, K @ x)\ny = p * p", "p", output="y")
NUMBER = cell(
    "h = tanh(W @ x + a + U @ h) + a * h", "h", parameters={"a": ParameterSource(shape=())}
)
MATRICES = compile_cell(
    CellSource(
        "own",
        {"S": ["units", "few"], "h": "units", "m": []},
        """
        k = softmax(K @ concat(x, h))
        m = 0.9 * max(m, dot(w_m, h)) + floor(sin(m)) * 0.1
        T = tanh(rows(k) * S + columns(h) * cos(A))
        S = 0.5 * transpose(transpose(T) * 0.3) + outer(V @ x, k) / sqrt(few)
        R = 0.2 * outer(k, h) @ S
        z = P @ h
        e = concat(z[1::2], sin(z)[0::2])
        q = S @ z[2*units:] + e[0:units]
        p = where(z[0:units] > z[units:2*units], q, sum(R @ k) * h)
        h = tanh(layer_norm(p) + m)
        """,
        output="h",
        sizes=["few"],
        parameters={
            "A": ParameterSource(shape=("units", "few")),
            "P": ParameterSource(shape=("2*units + few", "units")),
        },
    )
)
"""Each operation of another shape, in a loop."""
EXAMPLES = (RESIDUAL, TIMED, MAXIMUM, NUMBER)
LENGTHS = (7, 1, 4, 0, 9, 2)
MODERATE = 1e3
"""Beyond it little is left of float32, and of float64 where gradients are taken."""


def by_row(
    of: GenericKernel,
    inputs: Mapping[str, Tensor],
    states: Mapping[str, Tensor],
    lengths: list[int],
) -> tuple[Tensor, dict[str, Tensor]]:
    """What autograd makes of each row alone: outputs of all real steps, one after the other, and
    the states after each row's last."""
    parameters = {name: of.packed.part(name) for name in of.cell.parameters}
    outputs: list[Tensor] = []
    ends: dict[str, list[Tensor]] = {state: [] for state in states}
    for row, length in enumerate(lengths):
        after = {state: value[row : row + 1] for state, value in states.items()}
        if length:
            read = {name: value[:length, row : row + 1] for name, value in inputs.items()}
            out, after = run_by_autograd(of.cell, parameters, read, after, of.sizes)
            outputs.append(out.flatten(0, 1))
        for state, value in after.items():
            ends[state].append(value)
    width = of.sizes[of.cell.output_size]
    joined = torch.cat([torch.zeros(0, width, dtype=torch.float64), *outputs])
    return joined, {state: torch.cat(each) for state, each in ends.items()}


def number_of(out: Tensor, ends: Mapping[str, Tensor]) -> Tensor:
    """One number that every value goes into in a way of its own."""
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).view_as(out)
    return (weights * out.sin()).sum() + sum(value.cos().sum() for value in ends.values())


@settings(max_examples=60)
@given(cells(), st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans())
@example(RESIDUAL, [4, 1, 0], True)
@example(TIMED, [4, 1, 0], False)
@example(MAXIMUM, [3, 0, 1], False)
@example(MAXIMUM, [3, 0, 1], True)
@example(NUMBER, [2, 5, 0], True)
@example(MATRICES, [3, 5, 0], True)
@example(with_heads(MATRICES), [3, 5, 0], False)
def test_gradients_of_rows_of_unequal_lengths(of: Cell, lengths: list[int], ends: bool) -> None:
    """As autograd's of each row alone, in float64; what stands past an end gets none."""
    note(of.equations)
    built = kernel(of)
    inputs, states = random_inputs(built, max(1, *lengths), len(lengths))
    parameters = list(built.parameters())
    wanted = [*inputs.values(), *states.values(), *parameters]
    out, after = by_row(built, inputs, states, lengths)
    assume(all(bool((value.abs() < MODERATE).all()) for value in (out, *after.values())))
    told = {} if not ends else after
    of_rows = torch.tensor(lengths)
    more = {name: value for name, value in inputs.items() if name != "x"}
    found, found_after = built(inputs["x"], states, more, of_rows, ends)
    assert bool(found.isfinite().all()), "what stands past the ends is finite"
    row_major = found.transpose(0, 1)
    times = torch.arange(len(found))
    real = torch.cat(
        [row_major[:0, 0], *(row_major[row, times < n] for row, n in enumerate(lengths))]
    )
    torch.testing.assert_close(real, out, atol=1e-9, rtol=1e-9)
    for state, value in told.items():
        torch.testing.assert_close(found_after[state], value, atol=1e-9, rtol=1e-9)
    both = []
    for values, last in ((real, {s: found_after[s] for s in told}), (out, told)):
        loss = number_of(values, last) + sum(0 * tensor.sum() for tensor in wanted)
        both.append(grad(loss, wanted, allow_unused=True, materialize_grads=True))
    for one, other in zip(*both, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-8)


def feeds(rows: list[dict[str, NDArray[np.float32]]]) -> dict[str, NDArray[Any]]:
    """The rows in one batch for onnxruntime, with garbage past each length."""
    values, lengths = padded(rows, max(len(row["frames"]) for row in rows) + 2, 3.7)["frames"]
    return {"frames": values.numpy(), "frames.lengths": lengths.numpy()}


def tolerance(plan: Plan, weights: dict[str, NDArray[np.float32]], rows: Any, right: Any) -> float:
    """What float32 may cost: what weights moved by a millionth change in float64, and 1e-5."""
    draw = np.random.default_rng(1)
    moved = {
        name: value * (1 + 1e-6 * draw.choice([-1.0, 1.0], value.shape))
        for name, value in weights.items()
    }
    return 1e-5 + float(np.abs(answers(plan, moved, rows)["label"] - right).max())


def reach(plan: Plan, weights: dict[str, NDArray[np.float32]], rows: Any) -> float:
    """The largest number, in float64, of any node's value; what answers saturate may be larger."""
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    found = [value for row in rows for value in values_of(plan, exact, row).values()]
    return max(float(np.abs(value).max(initial=0)) for value in found)


@settings(max_examples=25)
@given(
    cells(),
    st.sampled_from(["forward", "reverse", "bidirectional"]),
    st.integers(1, 2),
    st.integers(0, 2**16),
)
@example(RESIDUAL, "bidirectional", 2, 0)
@example(TIMED, "reverse", 1, 0)
@example(MAXIMUM, "forward", 2, 0)
@example(NUMBER, "bidirectional", 1, 0)
@example(MATRICES, "bidirectional", 1, 0)
def test_back_ends_agree(of: Cell, direction: Direction, depth: int, seed: int) -> None:
    """The module and the file, in a batch and row by row, with the reference."""
    note(of.equations)
    plan = frames_plan(of, direction, depth, pool="mean")
    weights, rows = random_weights(plan, seed), random_frames(LENGTHS, seed=seed)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = answers(plan, weights, rows)["label"]
        assume(bool(np.isfinite(expected).all()))
        close = tolerance(plan, weights, rows, expected)
        assume(reach(plan, weights, rows) < 1e18)  # a square beyond it is infinite in float32
    assume(close < 1e-3)
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(to_onnx(plan, frames_facts(), weights).SerializeToString())
    got = tensor_of(model, padded(rows, max(LENGTHS) + 2, 3.7)).numpy()
    np.testing.assert_allclose(got, expected, atol=close, rtol=0, err_msg="torch")
    told = session.run(feeds(rows))["label.probabilities"]
    np.testing.assert_allclose(told, expected, atol=close, rtol=0, err_msg="onnx")
    for row, one in zip(rows, expected, strict=True):
        alone = tensor_of(model, padded([row], max(1, len(row["frames"])), 0.0))[0].numpy()
        np.testing.assert_allclose(alone, one, atol=close, rtol=0, err_msg="torch, alone")
        alone = session.run(feeds([row]))["label.probabilities"][0]
        np.testing.assert_allclose(alone, one, atol=close, rtol=0, err_msg="onnx, alone")
