"""Series that are read as their differences, and forecasts that are summed up from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.errors import ExportError
from rnnspec.export import export_onnx
from rnnspec.plan import NumericFacts
from rnnspec.plan.nodes.differences import polynomial, summed_up
from rnnspec.plan.stream import stream_of
from rnnspec.run import Model as ModelFile
from rnnspec.spec import Spec
from rnnspec.spec.check import findings
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_c import to_c
from rnnspec.to_torch.sequences import sequence
from tests.answers import tensor_of
from tests.kinds import batched
from tests.sold import HISTORY, HORIZON, SEASON, planned, spec_of, started
from tests.test_export_kinds import quick as quick

GRU = {"cell": "gru", "units": 4}
PATTERN = (0.0, 8.0, -3.0)
"""Of a season of 3 steps, on a line that rises by 2 a step."""
LINE = [100.0 + 2 * t + PATTERN[t % SEASON] for t in range(30)]
DRAW = np.random.default_rng(0)
WALK = [round(float(v), 3) for v in 50 + np.cumsum(DRAW.normal(0.5, 1, 30))]
VALUES = {"line": LINE, "walk": WALK}


def test_the_matrices_undo_the_differences_of_numpy() -> None:
    """By `numpy.diff` and products of polynomials."""
    values = DRAW.normal(0, 1, 20)
    of_seven = np.polynomial.polynomial.polymul([1, -1], [1, 0, 0, 0, 0, 0, 0, -1])
    np.testing.assert_array_equal(polynomial([1, 7]), of_seven)
    for lags, order in (((1,), 1), ((1, 1), 2), ((1, 1, 1), 3)):
        of_differences, of_base = map(np.array, summed_up(lags, 20 - order))
        found = of_differences @ np.diff(values, order) + of_base @ values[:order]
        np.testing.assert_allclose(found, values[order:])
    season = values[7:] - values[:-7]
    of_differences, of_base = map(np.array, summed_up((1, 7), 12))
    found = of_differences @ np.diff(season) + of_base @ values[:8]
    np.testing.assert_allclose(found, values[8:])


def test_a_model_that_says_nothing_goes_on_with_trend_and_season(tmp_path: Path) -> None:
    """Of a line with a season all differences of both are 0: with `scale: none`, nothing is added.
    By hand from 100, 110, 101, 106, 116, 107: 112, 122, 113, 118, 128."""
    plan, facts = planned(
        spec_of({"difference": [1, "seasonal"], "scale": "none"}), tmp_path, VALUES
    )
    assert LINE[:HISTORY] == [100, 110, 101, 106, 116, 107]
    batch = batched(plan, [{"sold": np.array(LINE[:HISTORY], np.float32)}])
    with torch.no_grad():
        found = tensor_of(started(plan, facts), batch, "sold")[0, :, 0]
    np.testing.assert_allclose(found.numpy(), [112, 122, 113, 118, 128], rtol=1e-6)
    short = batched(
        plan, [{"sold": np.array([4.0], np.float32)}, {"sold": np.zeros(0, np.float32)}]
    )
    with torch.no_grad():
        found = tensor_of(started(plan, facts), short, "sold")[:, :, 0]
    np.testing.assert_allclose(found.numpy(), [[4.0] * HORIZON, [0.0] * HORIZON])


def test_differences_have_facts_of_their_own(tmp_path: Path) -> None:
    """Mean and deviation are those of `numpy.diff` within each series."""
    _, facts = planned(spec_of({"difference": [1]}), tmp_path, VALUES)
    known = facts.inputs["sold"]
    assert isinstance(known, NumericFacts)
    every = np.concatenate([np.diff(LINE), np.diff(WALK)])
    assert known.mean == pytest.approx((every.mean(),))
    assert known.deviation == pytest.approx((every.std(),))
    numbers = np.array([*LINE, *WALK])
    rounding = np.sqrt(((numbers.astype(np.float32) - numbers) ** 2).mean())
    assert known.lost == pytest.approx((rounding / every.std(),))


def test_what_is_read_and_lost_are_scaled_differences(tmp_path: Path) -> None:
    plan, facts = planned(spec_of({"difference": [1]}, loss="mse"), tmp_path, VALUES)
    known = facts.inputs["sold"]
    assert isinstance(known, NumericFacts)
    (mean,), (deviation,) = known.mean, known.deviation
    model = started(plan, facts)
    past = np.array([3.0, 5.0, 4.0, 8.0], np.float32)
    values, _ = model.values(batched(plan, [{"sold": past}]))
    found = sequence(values["input.sold"]).values[:, 0, 0]
    expected = (np.diff(past) - mean) / deviation
    np.testing.assert_allclose(found.numpy(), [0, *expected], rtol=1e-4, atol=1e-6)
    module = model.output("sold")
    ahead, base = torch.tensor([[9.0, 7.0, 7.0, 8.0, 12.0]]), torch.tensor([[8.0]])
    scaled = module.to_scale(ahead, None, base)  # type: ignore[operator]
    wanted = (np.array([[1.0, -2.0, 0.0, 1.0, 4.0]]) - mean) / deviation
    np.testing.assert_allclose(scaled.numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_a_file_sums_up_and_neither_streams_nor_is_c(tmp_path: Path) -> None:
    """An idle file adds the mean difference at each step: by hand."""
    spec = spec_of({"difference": [1]})
    plan, facts = planned(spec, tmp_path, VALUES)
    known, weights = facts.inputs["sold"], started(plan, facts).canonical_arrays()
    assert isinstance(known, NumericFacts)
    exported = tmp_path / "model.onnx"
    assert export_onnx(Trained(BuildFolder(tmp_path), spec, plan, facts, weights), exported).rows
    (answer,) = ModelFile.load(exported).answer([{"sold": [3.0, 5.0, 4.0, 8.0]}])
    expected = 8 + known.mean[0] * np.arange(1, HORIZON + 1)
    np.testing.assert_allclose(answer["sold"], expected, rtol=1e-5)
    with pytest.raises(ExportError, match="without 'difference'"):
        stream_of(plan)
    with pytest.raises(ExportError, match="differences"):
        to_c(plan, facts, weights)


@pytest.mark.parametrize(
    ("source", "output", "place", "word"),
    [
        ({"difference": [7]}, {}, "difference", "history to 7 or more"),
        ({"difference": ["seasonal"]}, {"season": 1}, "difference", "season: 7"),
        ({"transform": "log"}, {}, "transform", "remove it"),
        ({"scale": "window"}, {}, "scale", "standard, robust or none"),
        ({"missing": "mean"}, {}, "missing", "fill the gaps"),
        ({"known": True}, {}, "known", "remove it"),
        ({}, {"distribution": "gaussian"}, "distribution", "use point"),
        ({}, {"distribution": {"quantiles": [0.1, 0.5]}}, "distribution", "use point"),
        ({}, {"residual": "last"}, "residual", "remove it"),
        ({}, {"horizon": 3000}, "horizon", "fewer steps"),
    ],
)
def test_what_cannot_be_summed_up_is_refused(
    source: dict[str, Any], output: dict[str, Any], place: str, word: str
) -> None:
    (found,) = findings(changed({"difference": [1], **source}, output))
    assert place in found.path and word in found.hint


def test_a_decoder_is_refused() -> None:
    (found,) = findings(changed({"difference": [1]}, {}, decoder={"layers": [GRU]}))
    assert found.path == ("decoder",) and "remove it" in found.hint


def changed(source: dict[str, Any], output: dict[str, Any], **more: Any) -> Spec:
    """The spec above with other options, which no check has seen."""
    sold = {"column": "sold", "as": "series", **source}
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON, "season": SEASON, **output}
    series = {"time": "t", "id": "id", "history": HISTORY}
    data = {"train": "rows.csv", "series": series, "input": [sold], "output": [ahead]}
    encoder = {"layers": [GRU]}
    whole = {"name": "test", "cardinality": "N:M", "data": data, "encoder": encoder, **more}
    return Spec.model_validate(whole)
