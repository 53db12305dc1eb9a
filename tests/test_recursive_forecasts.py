"""Recursive forecasts of several series, against a vector autoregression computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.plan import Facts, NumericFacts, Plan, resolve, weights
from rnnspec.reference import answers
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.decoder import States, Step
from rnnspec.to_torch.decoder_stages import Reads
from tests.answers import of_torch
from tests.kinds import batched, feeds

Array = NDArray[np.float64]
HORIZON = 6
MATRIX: Array = np.array([[0.5, 0.3], [-0.4, 0.8]])
SHIFT: Array = np.array([0.2, -0.1])
CENTRE, SCALE = np.array([3.0, -1.0]), np.array([2.0, 0.5])
CELL = {"states": ["h"], "equations": "h = W @ x + U @ h"}
PAST: Array = np.array([[1.0, 0.5], [4.0, -0.5], [2.5, -1.75]])


def autoregression(**output: Any) -> tuple[Plan, Facts, dict[str, NDArray[np.float32]]]:
    """Of z, the values of two series as they are scaled: z' = MATRIX z + SHIFT."""
    ahead = {"as": "forecast", "horizon": HORIZON, **output}
    data = {
        "name": "var",
        "cardinality": "N:M",
        "data": {
            "train": "rows.csv",
            "series": {"history": 8},
            "input": [{"column": c, "as": "series", "scale": "standard"} for c in "ab"],
            "output": [{"column": c, **ahead} for c in "ab"],
        },
        "cells": {"linear": CELL},
        "encoder": {"layers": [{"cell": "linear", "units": 2}]},
        "decoder": {"layers": [{"cell": "linear", "units": 2}]},
    }
    spec = Spec.model_validate(data)
    known = {
        column: NumericFacts(1, (CENTRE[at],), (SCALE[at],), longest=8)
        for at, column in enumerate("ab")
    }
    facts = Facts(20, known, known)
    plan = resolve(spec, facts)
    found = {each.name: np.zeros(each.shape, np.float32) for each in weights(plan)}
    model = Model(plan)
    model.start(facts, 0)
    found |= {k: v for k, v in model.canonical_arrays().items() if not k.startswith("decoder")}
    found["decoder.layers.0.forward.W"] = MATRIX.astype(np.float32)
    parameters = len(found["decoder.answer.b"]) // 2
    found["decoder.answer.W"][::parameters] = np.eye(2)
    found["decoder.answer.b"][::parameters] = SHIFT
    return plan, facts, found


def row(past: Array = PAST) -> dict[str, Any]:
    return {column: past[:, at].astype(np.float32) for at, column in enumerate("ab")}


@pytest.mark.parametrize("distribution", ["point", "gaussian"])
def test_answers_of_all_series_are_fed_back(distribution: str) -> None:
    """z_h = A^h z_0 + (A^(h - 1) + ... + 1) c."""
    plan, facts, given = autoregression(distribution=distribution)
    powers = [np.linalg.matrix_power(MATRIX, h) for h in range(HORIZON + 1)]
    z = (PAST[-1] - CENTRE) / SCALE
    expected = [
        (powers[h] @ z + sum(powers[:h]) @ SHIFT) * SCALE + CENTRE for h in range(1, HORIZON + 1)
    ]
    rows = [row(), row()]
    model = Model(plan).eval()
    model.load_canonical(given)
    session = Session(to_onnx(plan, facts, given, ids=True).SerializeToString())
    of_file = session.run(feeds(plan, rows))
    of_module, of_reference = of_torch(model, batched(plan, rows)), answers(plan, given, rows)
    for at, column in enumerate("ab"):
        ahead = np.array(expected)[:, at]
        np.testing.assert_allclose(of_reference[column][0, :, 0], ahead, rtol=1e-6)
        np.testing.assert_allclose(of_module[column][1, :, 0], ahead, rtol=1e-5)
        np.testing.assert_allclose(of_file[f"{column}.forecast"][1], ahead, rtol=1e-5)


def test_the_decoder_runs_once_for_all_its_forecasts(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _, given = autoregression()
    model = Model(plan).eval()
    model.load_canonical(given)
    (body,) = model.bodies.values()
    steps, step = list[int](), body.step

    def counted(reads: Reads, previous: torch.Tensor, states: States, at: int, masks: Any) -> Step:
        steps.append(at)
        return step(reads, previous, states, at, masks)

    monkeypatch.setattr(body, "step", counted)
    with torch.no_grad():
        model(batched(plan, [row()]))
    assert steps == list(range(HORIZON))
