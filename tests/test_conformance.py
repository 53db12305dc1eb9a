"""One suite over all cells and all back ends: the same plan gives the same numbers everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.cells import builtin_cell, builtin_names, identify
from rnnspec.plan.nodes import Direction, PoolKind, Recurrent
from rnnspec.reference import answers
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.native import native_match
from rnnspec.to_torch import Model
from tests.answers import tensor_of
from tests.models import frames_facts, frames_plan, padded, random_frames, random_weights

LENGTHS = (7, 1, 4, 0, 9, 2)
"""Of the rows in a batch: among them 0, 1 and T."""
CASES = [
    (cell, direction, depth)
    for cell in builtin_names()
    for direction in ("forward", "reverse", "bidirectional")
    for depth in ((1,) if cell == "gru_d" else (1, 3))
]


def pools(cell: str) -> tuple[PoolKind, ...]:
    """What a pooling reads depends on the direction, not on the cell: all of them with one cell."""
    return ("last", "mean", "max", "attention") if cell == "gru" else ("last",)


@pytest.mark.parametrize(("cell", "direction", "depth"), CASES)
def test_torch_agrees_with_the_reference(cell: str, direction: Direction, depth: int) -> None:
    for pool in pools(cell):
        plan = frames_plan(cell, direction, depth, pool=pool)
        weights = random_weights(plan)
        rows = random_frames(LENGTHS)
        expected = answers(plan, weights, rows)["label"]
        for generic in (False, True):
            model = Model(plan, generic).eval()
            model.load_canonical(weights)
            got = tensor_of(model, padded(rows, max(LENGTHS), 0.0)).numpy()
            np.testing.assert_allclose(got, expected, atol=1e-5, err_msg=f"{pool} {generic=}")


@pytest.mark.parametrize(("cell", "direction", "depth"), CASES)
@pytest.mark.parametrize("generic", [False, True])
def test_padding_and_batch_mates_change_nothing(
    cell: str, direction: Direction, depth: int, generic: bool
) -> None:
    for pool in pools(cell):
        plan = frames_plan(cell, direction, depth, pool=pool)
        model = Model(plan, generic).eval()
        model.load_canonical(random_weights(plan))
        rows = random_frames(LENGTHS)
        together = tensor_of(model, padded(rows, max(LENGTHS) + 5, 3.7))
        for row, got in zip(rows, together, strict=True):
            alone = tensor_of(model, padded([row], max(1, len(row["frames"])), 0.0))[0]
            torch.testing.assert_close(got, alone, atol=1e-6, rtol=0)


def feeds(rows: list[dict[str, NDArray[np.float32]]], longest: int) -> dict[str, NDArray[Any]]:
    """The rows in one batch for onnxruntime, with garbage past each length."""
    values, lengths = padded(rows, longest, 3.7)["frames"]
    return {"frames": values.numpy(), "frames.lengths": lengths.numpy()}


@pytest.mark.parametrize(("cell", "direction", "depth"), CASES)
@pytest.mark.parametrize("generic", [False, True])
def test_onnx_agrees_with_the_reference_whatever_the_batch(
    cell: str, direction: Direction, depth: int, generic: bool
) -> None:
    """Native operators and Scan: every batch of another size, steps never seen before."""
    for pool in pools(cell):
        plan = frames_plan(cell, direction, depth, pool=pool)
        weights = random_weights(plan)
        model = to_onnx(plan, frames_facts(), weights, generic=generic)
        operators = {node.op_type for node in model.graph.node}
        layer = plan.node("layers.0")
        assert isinstance(layer, Recurrent)
        native = not generic and native_match(layer) is not None
        assert ("Scan" not in operators) == native, "the wrong lowering was tested"
        session = Session(model.SerializeToString())
        rows = random_frames(LENGTHS)
        expected = answers(plan, weights, rows)["label"]
        for longest in (max(LENGTHS), max(LENGTHS) + 13):
            together = session.run(feeds(rows, longest))["label.probabilities"]
            np.testing.assert_allclose(together, expected, atol=1e-5, err_msg=pool)
        for row, in_batch in zip(rows, together, strict=True):
            alone = session.run(feeds([row], len(row["frames"])))["label.probabilities"][0]
            np.testing.assert_allclose(alone, in_batch, atol=1e-6, err_msg=pool)


def test_every_built_in_cell_is_its_own_match() -> None:
    for name in builtin_names():
        found = identify(builtin_cell(name))
        assert found is not None
        assert found.pattern == name
        assert all(ours == theirs for ours, theirs in found.parameters.items())
