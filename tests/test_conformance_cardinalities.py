"""Every kind of input with every kind of output: torch and ONNX against the reference.

Texts, which a decoder writes, are in `test_conformance_decoder.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.reference import answers, raw_outputs
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.answers import bounds_agree, close, of_torch, onnx_agrees
from tests.cardinalities import SPECS
from tests.kinds import HORIZON, batched, feeds, plan_of, random_rows, strong_weights
from tests.onnx_models import assert_all_is_read, assert_no_texts
from tests.targets import labels_of

LENGTHS = (5, 1, 0, 3)
"""Of the rows in a batch: among them 0, 1 and T."""


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    return random_rows(plan, LENGTHS)


@pytest.mark.parametrize("name", SPECS)
def test_torch_agrees_with_the_reference(name: str) -> None:
    plan, _ = plan_of(SPECS[name])
    weights, rows = strong_weights(plan), rows_of(plan)
    model = Model(plan).eval()
    model.load_canonical(weights)
    expected, raw = answers(plan, weights, rows), raw_outputs(plan, weights, rows)
    batch = batched(plan, rows, extra=2, filler=3.7)
    with torch.no_grad():
        forward = model(batch)
    for column, got in of_torch(model, batch).items():
        close(got, expected[column], column)
        bounds_agree(plan, column, got, expected[column])
        if column in raw:  # states have no scores
            close(forward[column].numpy(), raw[column], f"scores of {column}")
    for number, row in enumerate(rows):
        for column, got in of_torch(model, batched(plan, [row])).items():
            close(got, expected[column][number : number + 1], f"{column} alone")


@pytest.mark.parametrize("name", SPECS)
def test_onnx_agrees_with_the_reference(name: str) -> None:
    plan, facts = plan_of(SPECS[name])
    weights, rows, labels = strong_weights(plan), rows_of(plan), labels_of(plan, facts)
    expected = answers(plan, weights, rows)
    file = to_onnx(plan, facts, weights, ids=True)
    assert_all_is_read(file)
    assert_no_texts(file)
    session = Session(file.SerializeToString(), threads=1)
    for extra in (0, 7):
        onnx_agrees(plan, session.run(feeds(plan, rows, extra, 3.7)), expected, labels)
    for number, row in enumerate(rows):
        one = {column: found[number : number + 1] for column, found in expected.items()}
        onnx_agrees(plan, session.run(feeds(plan, [row])), one, labels)


@pytest.mark.parametrize("name", [name for name in SPECS if "recursive" in name])
def test_teacher_forced_forecasts(name: str) -> None:
    """A true value is read in the place of the model's own, a missing one is not."""
    plan, _ = plan_of(SPECS[name])
    weights, rows = strong_weights(plan), rows_of(plan)
    truths, rng = dict[str, NDArray[np.float32]](), np.random.default_rng(3)
    for out in plan.outputs:
        truth = rng.normal(1, 2, (len(rows), HORIZON)).astype(np.float32)
        assert isinstance(out, ForecastOutput)
        truth = np.exp(truth) if out.log else truth
        truth[1, 0] = truth[2] = np.nan
        truths[out.column] = truth
    each = [{column: truth[row] for column, truth in truths.items()} for row in range(len(rows))]
    expected = raw_outputs(plan, weights, rows, each)
    model = Model(plan).eval()
    model.load_canonical(weights)
    with torch.no_grad():
        targets = {column: torch.from_numpy(truth) for column, truth in truths.items()}
        got = model(batched(plan, rows), targets)
    for column, found in got.items():
        close(found.numpy(), expected[column], f"{name}: {column}")
