"""Series that are read as their differences, and forecasts that are summed up from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnspec.data import Batch, Dataset, Reading, encode
from rnnspec.errors import DataError, ExportError
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.export import export_onnx
from rnnspec.export.parity import prove
from rnnspec.export.probes import probes
from rnnspec.objective.objective import Objective
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Facts, NumericFacts, Plan, resolve
from rnnspec.plan.nodes.differences import polynomial, summed_up
from rnnspec.plan.stream import stream_of
from rnnspec.run import Model as ModelFile
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.spec.check import findings
from rnnspec.spec.inputs import SeriesInput
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_c import to_c
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.sequences import sequence
from tests.answers import tensor_of
from tests.data_rows import write_rows
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


def lost(source: dict[str, Any], loss: str, ahead: list[float], folder: Path) -> float:
    """The loss of an idle model after a past whose last value is 8."""
    spec = spec_of({"difference": 1, "scale": "none", **source}, loss=loss)
    plan, facts = planned(spec, folder, VALUES)
    past = np.array([[[3.0], [5.0], [4.0], [8.0]]])
    batch = Batch({"sold": (past, np.array([4]))}, {"sold": np.array([ahead])})
    objective = Objective(started(plan, facts), spec.train, loss_settings_of(spec, facts))
    return objective(batch, Precision()).losses["sold"].item()


def test_the_loss_is_of_the_differences_by_hand(tmp_path: Path) -> None:
    """9, 7, 7, 8, 12 after 8 are 1, -2, 0, 1, 4 more, whose squares are 22 together. 16, 8, 8, 4, 4
    are twice, half, once, half, once the value before."""
    assert lost({}, "mse", [9, 7, 7, 8, 12], tmp_path) == pytest.approx(22 / 5)
    of_log = lost({"transform": "log"}, "mae", [16, 8, 8, 4, 4], tmp_path)
    assert of_log == pytest.approx(3 / 5 * np.log(2))


def test_a_gap_of_the_series_that_are_measured(tmp_path: Path) -> None:
    """A step that is left out is filled as `fill` says, by pandas' reindex and diff; a number that
    is missing, before or ahead, is refused, with its line and a cure that leads out."""
    filled = {"every": 1, "fill": 0}
    spec = spec_of({"difference": [1, 2], "scale": "none"}, filled)
    plan, facts = planned(spec, tmp_path, VALUES)
    model, values = started(plan, facts), [3, 5, 4, 8, 6, 8, 9, 2, 7, 8, 12]
    gaps = pd.Series(values).drop([3, 8]).reindex(range(11)).fillna(0)
    steps = {t: v for t, v in enumerate(values) if t not in (3, 8)}
    data = measured(steps, spec, plan, facts, tmp_path)
    values_of, _ = model.values(tensors(data.collate(np.arange(1))))
    read = sequence(values_of["input.sold"]).values[:, 0, 0].numpy()
    expected = (gaps - gaps.shift(1)).pipe(lambda d: d - d.shift(2)).fillna(0)
    np.testing.assert_allclose(read, expected[:HISTORY], atol=1e-5)
    found, _ = evaluate(model, data, spec.train)
    ahead = idle_ahead(gaps[:HISTORY].to_list())
    assert found["mae"] == pytest.approx(np.abs(gaps[HISTORY:] - ahead).mean())
    for place in (3, 8):
        with pytest.raises(DataError, match=rf"csv:{place + 2}: .* remove difference of the input"):
            measured({**dict(enumerate(values)), place: ""}, spec, plan, facts, tmp_path)
    cured = spec_of({"scale": "standard", "missing": "previous"})
    plan, facts = planned(cured, tmp_path, VALUES)
    assert measured({**dict(enumerate(values)), 3: ""}, cured, plan, facts, tmp_path).rows == 1


def idle_ahead(past: list[float]) -> np.ndarray[Any, Any]:
    """With both differences 0 each value is y(t - 1) + y(t - 2) - y(t - 3)."""
    known = list(past)
    for _ in range(HORIZON):
        known.append(known[-1] + known[-2] - known[-3])
    return np.array(known[-HORIZON:])


def measured(steps: dict[int, Any], spec: Spec, plan: Plan, facts: Facts, folder: Path) -> Dataset:
    """The only window of a series of the values at these steps."""
    file = write_rows(
        folder / "measured.csv", [{"id": "a", "t": t, "sold": v} for t, v in steps.items()]
    )
    cache = folder / f"cache{len(list(folder.iterdir()))}"
    return encode(plan, facts, file, Reading.of(spec), cache, "all")


def tensors(batch: Batch) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {k: (torch.from_numpy(v), torch.from_numpy(n)) for k, (v, n) in batch.inputs.items()}


def test_logarithms_have_differences_of_their_own(tmp_path: Path) -> None:
    """By NumPy; an idle model goes on by the mean share, here in units of the data."""
    spec = spec_of({"difference": "seasonal", "transform": "log"})
    plan, facts = planned(spec, tmp_path, VALUES)
    known = facts.inputs["sold"]
    assert isinstance(known, NumericFacts)
    ratios = [np.log(np.array(v[SEASON:]) / np.array(v[:-SEASON])) for v in (LINE, WALK)]
    assert known.mean == pytest.approx((np.concatenate(ratios).mean(),))
    assert known.deviation == pytest.approx((np.concatenate(ratios).std(),))
    batch = batched(plan, [{"sold": np.array([4, 9, 5, 6, 2], np.float32)}])
    with torch.no_grad():
        found = tensor_of(started(plan, facts), batch, "sold")[0, :, 0]
    share = np.exp(known.mean[0])
    expected = [5 * share, 6 * share, 2 * share, 5 * share**2, 6 * share**2]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_the_cure_of_a_number_without_a_logarithm_is_allowed(tmp_path: Path) -> None:
    """`missing` of the input, as any series may have it, is refused beside differences."""
    with pytest.raises(DataError, match=r"no logarithm; write 'transform: none' for the input$"):
        planned(spec_of({"difference": 1, "transform": "log"}), tmp_path, {"a": [1.0] * 12 + [0.0]})


@pytest.mark.parametrize("transform", ["none", "log"])
def test_a_file_of_another_lag_is_no_proof(transform: str, tmp_path: Path) -> None:
    plan, facts = planned(spec_of({"difference": [1], "transform": transform}), tmp_path, VALUES)
    other = resolve(spec_of({"difference": [2], "transform": transform}), facts)
    model = Model(plan).eval()
    model.start(facts, seed=0)
    for of, right in ((plan, True), (other, False)):
        onnx = to_onnx(of, facts, model.canonical_arrays()).SerializeToString()
        session = Session(onnx, threads=1)
        if right:
            assert prove(session, model, facts, probes(plan, facts, seeds=1), False).rows
            continue
        with pytest.raises(ExportError, match="differs from the trained module"):
            prove(session, model, facts, probes(plan, facts, seeds=1), False)


def test_one_lag_needs_no_list() -> None:
    for written, meant in ((7, (7,)), ("seasonal", ("seasonal",)), ([1, 7], (1, 7))):
        (source,) = changed({"difference": written}, {}).data.inputs
        assert isinstance(source, SeriesInput) and source.difference == meant


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
