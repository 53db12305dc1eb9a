"""States after the last step, as a bridge reads them: native operators, Scan, any length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rnnspec.cells import Cell, CellSource, builtin_cell, builtin_names, compile_cell
from rnnspec.plan import Plan
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Direction,
    FinalState,
    FramesInput,
    InitialState,
    Join,
    Node,
    Pool,
    Recurrent,
    VectorInput,
    verify,
)
from rnnspec.reference import answers
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.native import NATIVE
from tests.models import START, frames_facts, random_frames, random_weights
from tests.onnx_models import feeds, opened

LENGTHS = (7, 1, 4, 0, 9, 2)
DIRECTIONS: tuple[Direction, ...] = ("forward", "reverse", "bidirectional")


def plan_of(
    cell: Cell, direction: Direction, states: Sequence[str], initial: InitialState, pooled: bool
) -> Plan:
    """Frames through a layer, its states after the last step side by side, to four classes."""
    # Sizes unlike the units, so that no state has the width of another by chance.
    sizes = tuple((size, START + 2 + i) for i, size in enumerate(cell.own_sizes))
    given = tuple("input.start" if i == 0 else "" for i in range(len(cell.states)))
    layer = Recurrent(
        "layers.0", "input.frames", cell, 3, START, direction, sizes,
        initial=initial, given=given if initial == "given" else (),
    )  # fmt: skip
    nodes: list[Node] = [FramesInput("input.frames", "frames", 3, False)]
    if initial == "given":
        nodes.insert(0, VectorInput("input.start", "start", START))
    nodes.append(layer)
    finals = [FinalState(f"final.{state}", "layers.0", state) for state in states]
    width = sum(layer.state_width(state) for state in states) * len(layer.directions)
    nodes += finals
    names = [node.name for node in finals]
    if pooled:
        nodes.append(Pool("pool", "layers.0", "last", layer.width, 0))
        names.append("pool")
        width += layer.width
    nodes.append(Join("finals", tuple(names)))
    nodes.append(Dense("answer", "finals", width, 4, "none"))
    nodes.append(ClassOutput("output.label", "answer", "label", 4))
    return verify(Plan("finals", "N:1", tuple(nodes)))


def check(plan: Plan, generic: bool) -> None:
    weights, rows = random_weights(plan), random_frames(LENGTHS)
    session = opened(to_onnx(plan, frames_facts(), weights, generic=generic))
    reads_start = any(isinstance(node, VectorInput) for node in plan.inputs)

    def ask(rows: Sequence[dict[str, np.ndarray]], time: int, filler: float) -> np.ndarray:
        found = feeds(rows, time, filler)
        if reads_start:
            found["start"] = np.stack([row["start"] for row in rows])
        shares: np.ndarray = session.run(["label.probabilities"], found)[0]
        return shares

    expected = answers(plan, weights, rows)["label"]
    for time, filler in ((9, 0.0), (14, np.nan)):
        np.testing.assert_allclose(ask(rows, time, filler), expected, atol=1e-5)
    for row, wanted in zip(rows, expected, strict=True):
        alone = ask([row], len(row["frames"]), 0.0)
        np.testing.assert_allclose(alone, [wanted], atol=1e-5)
    empty = random_frames((0, 0))
    for time in (0, 3):
        found = ask(empty, time, np.nan)
        np.testing.assert_allclose(found, answers(plan, weights, empty)["label"], atol=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", [n for n in builtin_names() if not builtin_cell(n).inputs])
def test_every_state_of_every_cell(name: str, direction: Direction) -> None:
    cell = builtin_cell(name)
    initials: tuple[InitialState, ...] = ("zeros", "learned")
    for initial in initials:
        plan = plan_of(cell, direction, list(cell.states), initial, pooled=False)
        for generic in (False, True) if name in NATIVE else (False,):
            check(plan, generic)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "mingru", "lstm_projected", "slstm"])
def test_one_state_beside_the_last_output(name: str, direction: Direction) -> None:
    cell = builtin_cell(name)
    for state in cell.states:
        for pooled in (True, False):
            plan = plan_of(cell, direction, [state], "zeros", pooled)
            for generic in (False, True) if name in NATIVE else (False,):
                check(plan, generic)


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "slstm", "mingru"])
def test_rows_of_no_steps_keep_the_state_given(name: str, generic: bool) -> None:
    cell = builtin_cell(name)
    for direction in DIRECTIONS:
        check(plan_of(cell, direction, list(cell.states), "given", pooled=True), generic)


@pytest.mark.parametrize(
    "equations",
    [
        "h = tanh(W @ x + c)\nc = exp(p_c) - 0.5",
        "n = tanh(W @ x)\nh = 0.5 * h + n * c\nc = n",
        "old = h + 0\nh = tanh(W @ x + c)\nc = old",
    ],
)
def test_states_that_are_looked_up_or_only_weights(equations: str) -> None:
    cell = compile_cell(CellSource("own", ("h", "c"), equations))
    for direction in DIRECTIONS:
        check(plan_of(cell, direction, ["h", "c"], "learned", pooled=True), generic=False)
