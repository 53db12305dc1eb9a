"""Forecasts in logarithms, by the level of the window, and as the distance from the past."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from rnnspec.data import Batch, Reading, encode, survey
from rnnspec.errors import DataError, ExportError
from rnnspec.export import export_onnx
from rnnspec.objective.objective import Objective
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Facts, NumericFacts, Plan
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.stream import stream_of
from rnnspec.run import Model as ModelFile
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_c import to_c
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.sequences import sequence
from tests.answers import all_values, tensor_of
from tests.data_rows import write_rows
from tests.kinds import batched, output, plan_of, spec_data
from tests.sold import HISTORY, HORIZON, SEASON, planned, spec_of, started
from tests.test_export_kinds import quick as quick

DRAW = np.random.default_rng(0)
Array = NDArray[np.float64]
VALUES = {name: np.exp(DRAW.normal(level, 0.4, 30)) for name, level in (("a", 2.0), ("b", 9.0))}

COUNTS = {name: np.round(values) for name, values in VALUES.items()}


def answered(plan: Plan, facts: Facts, past: list[float], idle: bool = True) -> torch.Tensor:
    """The parameters that the module answers, `[H, k]`; an `idle` one answers raw numbers of 0."""
    row = {"sold": np.array(past, np.float32)}
    with torch.no_grad():
        return tensor_of(started(plan, facts, idle), batched(plan, [row]), "sold")[0]


@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("scale", ["level", "window", "standard"])
@pytest.mark.parametrize(("residual", "season"), [("last", 1), ("seasonal", SEASON)])
def test_a_model_that_says_nothing_repeats_the_past(
    residual: str, season: int, scale: str, transform: str, tmp_path: Path
) -> None:
    spec = spec_of({"scale": scale, "transform": transform}, residual=residual)
    plan, facts = planned(spec, tmp_path, VALUES)
    for past in ([3.0, 5.0, 2.0, 7.0, 1.0, 4.0], [3.0, 5.0]):
        last = past[-season:] if len(past) >= season else past[-1:]
        expected = np.resize(last, HORIZON)
        np.testing.assert_allclose(answered(plan, facts, past)[:, 0], expected, rtol=1e-4)


def test_all_quantiles_move_and_of_a_deviation_nothing(tmp_path: Path) -> None:
    past = [3.0, 5.0, 2.0, 7.0, 1.0, 4.0]
    levels = {"quantiles": [0.1, 0.5, 0.9]}
    for distribution, moved in ((levels, 3), ("gaussian", 1)):
        spec = spec_of({}, residual="seasonal", distribution=distribution)
        plan, facts = planned(spec, tmp_path, VALUES)
        found = answered(plan, facts, past).numpy()
        expected = np.resize(past[-SEASON:], HORIZON)
        for number in range(moved):
            np.testing.assert_allclose(found[:, number], expected, rtol=1e-4)
        if distribution == "gaussian":
            deviation = facts.inputs["sold"].deviation[0]  # type: ignore[union-attr]
            np.testing.assert_allclose(found[:, 1], np.log(2) * deviation, rtol=1e-4)


@pytest.mark.parametrize("transform", ["none", "log"])
def test_levels_have_the_deviation_of_windows(transform: str, tmp_path: Path) -> None:
    _, facts = planned(spec_of({"scale": "level", "transform": transform}), tmp_path, VALUES)
    known = facts.inputs["sold"]
    assert isinstance(known, NumericFacts)
    values = {k: np.log(v) if transform == "log" else v for k, v in VALUES.items()}
    windows = np.concatenate([v.reshape(-1, HISTORY) for v in values.values()])
    assert known.deviation == pytest.approx((np.sqrt(windows.var(1).mean()),))
    assert known.mean == pytest.approx((np.concatenate(list(values.values())).mean(),))
    assert bool(known.lost) == (transform == "none")  # of logarithms float32 loses nothing


def test_logarithms_do_not_see_the_unit(tmp_path: Path) -> None:
    """A series of a hundred times the size has answers of a hundred times the size."""
    plan, facts = planned(spec_of({"scale": "level", "transform": "log"}), tmp_path, VALUES)
    past = np.array([3.0, 5.0, 2.0, 7.0, 1.0, 4.0])
    one, other = (answered(plan, facts, (f * past).tolist(), idle=False) for f in (1, 100))
    np.testing.assert_allclose(other, 100 * one, rtol=1e-4)
    assert one.unique().numel() > 1


def test_a_file_answers_in_the_unit_of_the_data_and_refuses_what_has_no_logarithm(
    tmp_path: Path,
) -> None:
    distribution = {"quantiles": [0.1, 0.5, 0.9]}
    source = {"scale": "level", "transform": "log", "missing": "previous"}
    spec = spec_of(source, residual="seasonal", distribution=distribution)
    plan, facts = planned(spec, tmp_path, VALUES)
    module = Model(plan)
    module.start(facts, seed=1)
    weights = module.canonical_arrays()
    exported = tmp_path / "model.onnx"
    assert export_onnx(Trained(BuildFolder(tmp_path), spec, plan, facts, weights), exported).rows
    model = ModelFile.load(exported)
    past = [30.0, None, 20.0, 70.0, 10.0, 40.0]
    (answer,) = model.answer([{"sold": past}])
    row = {"sold": np.array([np.nan if v is None else v for v in past], np.float32)}
    with torch.no_grad():
        expected = tensor_of(module.eval(), batched(plan, [row]), "sold")[0]
    np.testing.assert_allclose(answer["sold"], expected[:, 1], rtol=1e-4)
    np.testing.assert_allclose(answer["sold.quantiles"]["0.9"], expected[:, 2], rtol=1e-4)
    with pytest.raises(DataError, match=r"is 0, which has no logarithm; leave the number out$"):
        list(model.answer([{"sold": [3.0, 0.0]}]))
    rows = [{"id": "a", "t": time, "sold": time % 5} for time in range(30)]
    file = write_rows(tmp_path / "zeros.csv", rows)
    with pytest.raises(DataError, match=r"column 'sold' is 0, which has no logarithm"):
        survey(spec, file)
    with pytest.raises(DataError, match=r"column 'sold' is 0, which has no logarithm"):
        encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "all")


PASTS = ([3.0, 5, 2, 7, 1, 4], [100.0, 90, 130, np.nan, 80], [np.nan, 6.0, 6])
KNOWN = ([3.0, 5, 2, 7, 1, 4], [100.0, 90, 130, 130, 80], [6.0, 6])
"""The pasts by `missing: previous`."""
AHEAD = np.array(
    [[3, 4, np.nan, 8, 2], [100, 70, 90, 120, 130], [7, np.nan, np.nan, np.nan, 5]], np.float64
)


def units(scale: str, log: bool) -> Array:
    """The unit of each past as it is scaled, `[3]`, by NumPy."""
    every = (
        np.log(np.concatenate([*COUNTS.values()])) if log else np.concatenate([*COUNTS.values()])
    )
    known = [np.log(past) if log else np.array(past) for past in KNOWN]
    match scale:
        case "window":
            return np.array([past.std() or np.abs(past).mean() for past in known])
        case "mean":
            return np.array([np.abs(past).mean() for past in known])
        case "robust":
            low, high = np.percentile(every, [25, 75])
            return np.full(3, (high - low) / 1.349)
        case _:
            return np.full(3, every.std())


def surprises(name: str, found: Array) -> Array:
    """-ln of the density of what lies ahead by the parameters `[3, H, k]`, as SciPy has it."""
    first, *more = np.moveaxis(found, -1, 0)
    match name:
        case "gaussian":
            return np.asarray(-stats.norm.logpdf(AHEAD, first, *more))
        case "student_t":
            return np.asarray(-stats.t.logpdf(AHEAD, more[1], first, more[0]))
        case "poisson":
            return np.asarray(-stats.poisson.logpmf(AHEAD, first))
        case _:
            return np.asarray(-stats.nbinom.logpmf(AHEAD, 1 / more[0], 1 / (1 + more[0] * first)))


CASES = (
    ("gaussian", "window", "none", "last"),
    ("student_t", "mean", "none", "seasonal"),
    ("poisson", "window", "none", "none"),
    ("negative_binomial", "mean", "none", "none"),
    ("negative_binomial", "robust", "none", "none"),
    ("point", "mean", "none", "last"),
    ("point", "window", "log", "seasonal"),
    ("quantiles", "window", "log", "last"),
    ("quantiles", "robust", "log", "last"),
    ("quantiles", "standard", "log", "none"),
    ("quantiles", "mean", "none", "seasonal"),
)


@pytest.mark.parametrize(("name", "scale", "transform", "residual"), CASES)
def test_the_loss_is_that_of_what_is_answered(
    name: str, scale: str, transform: str, residual: str, tmp_path: Path
) -> None:
    """Of what the model answers in the unit of the data: -ln of the density by SciPy, and the
    absolute error or the pinball loss of scikit-learn in units of the scale. The mean over what is
    known."""
    distribution: Any = {"quantiles": [0.1, 0.5, 0.9]} if name == "quantiles" else name
    source = {"scale": scale, "transform": transform, "missing": "previous"}
    more: dict[str, Any] = {"loss": "mae"} if name == "point" else {}
    spec = spec_of(source, residual=residual, distribution=distribution, **more)
    plan, facts = planned(spec, tmp_path, COUNTS)
    model = Model(plan).eval().double()
    model.start(facts, seed=1)
    rows = [{"sold": np.array(past)} for past in PASTS]
    inputs = {k: (v.numpy(), n.numpy()) for k, (v, n) in batched(plan, rows).items()}
    objective = Objective(model, spec.train, loss_settings_of(spec, facts))
    forward = objective(Batch(inputs, {"sold": AHEAD.copy()}), Precision(name="float64"))
    found = tensor_of(model, batched(plan, rows), "sold").detach().double().numpy()
    known, log = ~np.isnan(AHEAD), transform == "log"
    if name in ("point", "quantiles"):
        unit = units(scale, log)[:, None]
        true, answers = (np.log(each) if log else each for each in (AHEAD, found))
        true, answers = (true / unit)[known], (answers / unit[..., None])[known]
        levels = (0.1, 0.5, 0.9) if name == "quantiles" else (0.5,)
        each = [mean_pinball_loss(true, a, alpha=q) for q, a in zip(levels, answers.T, strict=True)]
        expected = float(np.mean(each)) * (2 if name == "point" else 1)
    else:
        expected = float(surprises(name, found)[known].mean())
    assert forward.losses["sold"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("scale", "read"),
    [
        ("standard", np.concatenate([*VALUES.values()]).mean()),
        ("robust", np.median(np.concatenate([*VALUES.values()]))),
        ("window", 4.0),
        ("level", 4.0),
        ("mean", 0.0),
    ],
)
def test_a_missing_number_is_the_centre_of_the_scale(
    scale: str, read: float, tmp_path: Path
) -> None:
    """And so is a lag from before the first step: of the window 3, 5 it is 4."""
    plan, facts = planned(
        spec_of({"scale": scale, "missing": "mean", "lags": [2]}), tmp_path, VALUES
    )
    model = Model(plan).eval()
    model.start(facts, seed=0)
    missing = {"sold": np.array([3, np.nan, 5], np.float32)}
    found = [all_values(model, batched(plan, [missing]))]
    filled = {"sold": np.array([3, read, 5], np.float32)}
    if scale in ("standard", "robust", "mean"):  # the others would see another window
        found.append(all_values(model, batched(plan, [filled])))
    for values in found:
        steps = sequence(values["input.sold"]).values[:, 0, 0]
        assert abs(float(steps[1])) < 1e-6
        assert not sequence(values["input.sold.lags"]).values[:2].any()


def test_what_is_known_is_said_with_how_long_ago(tmp_path: Path) -> None:
    """By hand: of `. 5 . . 7` the steps since the last known number are 1 0 1 2 0."""
    spec = spec_of({"missing": "previous", "observed": True})
    plan, facts = planned(spec, tmp_path, VALUES)
    model = Model(plan).eval()
    model.start(facts, seed=0)
    row = {"sold": np.array([np.nan, 5, np.nan, np.nan, 7], np.float32)}
    values = all_values(model, batched(plan, [row]))
    found = sequence(values["input.sold.observed"]).values[:, 0]
    known, since = [0, 1, 0, 0, 1], np.log1p([1, 0, 1, 2, 0])
    np.testing.assert_allclose(found.numpy(), np.stack([known, since], 1), atol=1e-6)
    with pytest.raises(ExportError, match="without 'observed'"):
        stream_of(plan)


def test_what_is_read_again_at_the_end_does_not_stream(tmp_path: Path) -> None:
    plan, facts = planned(spec_of({}, residual="last"), tmp_path, VALUES)
    with pytest.raises(ExportError, match="without 'residual'"):
        stream_of(plan)
    with pytest.raises(ExportError, match="the last season of a row"):
        to_c(plan, facts, {})
    plan, facts = planned(spec_of({"transform": "log"}), tmp_path, VALUES)
    with pytest.raises(ExportError, match="is read as its logarithm"):
        to_c(plan, facts, Model(plan).canonical_arrays())


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_vectors_of_new_labels_are_learned_of_rows_that_count_as_unknown(share: float) -> None:
    """The labels of this batch are known: without a share no gradient reaches the unknown's row,
    and where nothing is trained all labels are read."""
    data = spec_data("1:1", ["category"], [output("class")])
    data["data"]["input"][0]["unknown"] = share
    plan, facts = plan_of(data)
    model = Model(plan)
    model.start(facts, seed=0)
    torch.manual_seed(0)
    rows = {"category": (torch.full((200,), 2), torch.ones(200, dtype=torch.int64))}
    table = dict(model.named_parameters())
    (gradient,) = torch.autograd.grad(model(rows)["class"].square().sum(), [_table(table)])
    assert bool(gradient[UNKNOWN_ID].any()) == bool(share)
    read = all_values(model, rows)
    numbers = read["input.category"]
    assert isinstance(numbers, torch.Tensor)
    assert float((numbers == UNKNOWN_ID).float().mean()) == pytest.approx(share, abs=0.1)
    of_all, _ = model.eval().values(rows)
    numbers = of_all["input.category"]
    assert isinstance(numbers, torch.Tensor) and bool((numbers == 2).all())


def _table(parameters: dict[str, torch.nn.Parameter]) -> torch.nn.Parameter:
    """The vectors of the labels."""
    return next(value for value in parameters.values() if value.shape == (4, 3))
