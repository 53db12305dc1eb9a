"""Decoders of frames: torch and ONNX write what the reference does, alone and in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.export.laws import told_by_file, told_by_module
from rnnspec.plan.nodes import FramesOutput
from rnnspec.reference import answers, raw_outputs
from rnnspec.reference.frames import Frames as Written
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import Frames
from tests.frame_decoders import LENGTHS, SPECS, output_of, padded, truth
from tests.kinds import batched, feeds, plan_of, random_rows, strong_weights

SIZE = 0.8


def case(name: str) -> tuple[Any, Any, Any, Any]:
    plan, facts = plan_of(SPECS[name])
    weights, rows = strong_weights(plan, size=SIZE), random_rows(plan, LENGTHS)
    return plan, facts, weights, rows


def close(found: Any, expected: Any, about: str) -> None:
    np.testing.assert_allclose(found, expected, atol=2e-4, rtol=2e-4, err_msg=about)


def agree(expected: Written, values: Any, errors: Any, score: Any, about: str) -> None:
    """The frames of a row, without padding."""
    close(values, expected.values, about)
    if expected.errors is not None:
        close(errors, expected.errors, f"{about}: errors")
        close(score, expected.score, f"{about}: score")


def of_torch(found: Frames, row: int) -> tuple[Any, Any, Any]:
    count = int(found.lengths[row])
    assert not found.values[row, count:].any()
    if found.errors is None or found.scores is None:
        return found.values[row, :count], None, None
    assert not found.errors[row, count:].any()
    return found.values[row, :count], found.errors[row, :count], found.scores[row]


@pytest.mark.parametrize("name", SPECS)
def test_torch_writes_what_the_reference_does(name: str) -> None:
    plan, _, weights, rows = case(name)
    column = output_of(plan).column
    expected = answers(plan, weights, rows)[column]
    model = Model(plan).eval()
    model.load_canonical(weights)
    together = model.answers(batched(plan, rows, extra=2, filler=3.7))[column]
    assert isinstance(together, Frames)
    for number, row in enumerate(rows):
        agree(expected[number], *of_torch(together, number), f"row {number} of the batch")
        alone = model.answers(batched(plan, [row]))[column]
        assert isinstance(alone, Frames)
        agree(expected[number], *of_torch(alone, 0), f"row {number} alone")
        if together.parameters is None or alone.parameters is None:
            continue
        count = int(together.lengths[number])
        assert not together.parameters[number, count:].any()
        for found in (together.parameters[number, :count], alone.parameters[0, :count]):
            close(found, expected[number].parameters, f"parameters of row {number}")


@pytest.mark.parametrize("name", SPECS)
def test_torch_is_fed_as_the_reference_is(name: str) -> None:
    """With the true frames: all steps at once, where the decoder allows it, and one by one."""
    plan, _, weights, rows = case(name)
    out = output_of(plan)
    true = truth(plan, rows)
    expected = raw_outputs(plan, weights, rows, [{out.column: one} for one in true])[out.column]
    model = Model(plan).eval()
    model.load_canonical(weights)
    with torch.no_grad():
        targets = {out.column: padded(true, out.width)}
        got = model(batched(plan, rows, extra=1, filler=3.7), targets)[out.column]
    for number, one in enumerate(expected):
        close(got[number, : len(one)], one, f"row {number}")


@pytest.mark.parametrize("name", SPECS)
def test_onnx_writes_what_the_reference_does(name: str) -> None:
    plan, facts, weights, rows = case(name)
    out = output_of(plan)
    expected = answers(plan, weights, rows)[out.column]
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    together = session.run(feeds(plan, rows, 2, 3.7))
    for number, row in enumerate(rows):
        alone, about = session.run(feeds(plan, [row])), f"row {number}"
        agree(expected[number], *of_onnx(together, number), f"{about} of the batch")
        agree(expected[number], *of_onnx(alone, 0), f"{about} alone")
        if expected[number].parameters is not None:
            true = told_by_module(out, expected[number].parameters[None])
            for found, at in ((together, number), (alone, 0)):
                close(of_law(out, found, at), true, f"parameters of {about}")


def of_law(out: FramesOutput, found: Any, row: int) -> Any:
    """What a file tells of the distributions of a row, side by side, without padding."""
    name = answer(found)
    count = int(found[f"{name}.lengths"][row])
    told = [found[name], *(found[f"{name}.{part.name}"] for part in out.law.parts)]
    assert not any(each[row, count:].any() for each in told)
    return told_by_file(out, [each[row : row + 1, :count] for each in told])


def answer(found: Any) -> str:
    (name,) = (each.removesuffix(".lengths") for each in found if each.endswith(".lengths"))
    return str(name)


def of_onnx(found: Any, row: int) -> tuple[Any, Any, Any]:
    name = answer(found)
    count = int(found[f"{name}.lengths"][row])
    values = found[name][row]
    assert not values[count:].any()
    if f"{name}.errors" not in found:
        return values[:count], None, None
    errors = found[f"{name}.errors"][row]
    assert not errors[count:].any()
    return values[:count], errors[:count], found[f"{name}.scores"][row]
