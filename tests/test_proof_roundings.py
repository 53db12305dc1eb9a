"""The proof where a model makes much of a rounding: a right file passes, a wrong one does not.

The cell `4096 (a p - b p)` with a = b = 1 is 0 without any rounding in the module, in float32 as in
float64, so that what float32 costs is measured as nothing; a rounding of a comes to 5e-4.
"""

from __future__ import annotations

import numpy as np
import pytest

from rnnspec.errors import ExportError
from rnnspec.export import parity
from rnnspec.export.parity import Parity, prove
from rnnspec.export.probes import probes
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.kinds import output, plan_of, spec_data, strong_weights

CELL = {
    "states": ["h"],
    "parameters": {"a": {"shape": ["units"]}, "b": {"shape": ["units"]}},
    "equations": "p = W @ x\nh = 4096 * (a * p - b * p)",
}
ROUNDING = 2.0**-23
COLUMNS = ["out_frames", "keys", "tags"]


def proven(column: str, a: float, answer: float = 1.0) -> Parity:
    """The proof of a file that has the weight `a` in place of 1, and those of the answer times
    `answer`."""
    layer = {"cell": "own", "units": 3}
    cells = {"own": CELL}
    data = spec_data("N:N", ["plain_frames"], [output(column)], [layer], cells=cells)
    plan, facts = plan_of(data)
    weights = strong_weights(plan)
    for name in "ab":
        weights[f"layers.0.forward.{name}"] = np.ones(3, np.float32)
    model = Model(plan).eval()
    model.load_canonical(weights)
    other = weights | {"layers.0.forward.a": np.full(3, a, np.float32)}
    other |= {
        name: value * np.float32(answer)
        for name, value in weights.items()
        if name.startswith("answer.")
    }
    session = Session(to_onnx(plan, facts, other).SerializeToString(), threads=1)
    return prove(session, model, facts, probes(plan, facts, seeds=1), False)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_right_file_of_a_model_that_makes_much_of_a_rounding(
    column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proven(column, 1.0).difference < 1e-6
    assert proven(column, 1 + ROUNDING).difference > 1e-5
    monkeypatch.setattr(parity, "ROUNDINGS", 0)
    with pytest.raises(ExportError, match="differs from the trained module"):
        proven(column, 1 + ROUNDING)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(("a", "answer"), [(1 + 1000 * ROUNDING, 1.0), (1.0, 1.1)])
def test_a_wrong_file_of_it(column: str, a: float, answer: float) -> None:
    with pytest.raises(ExportError, match="differs from the trained module"):
        proven(column, a, answer)
