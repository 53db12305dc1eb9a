"""Sample paths of forecasts: every back end against the reference, and against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from rnnspec.errors import ModelFileError
from rnnspec.plan import Plan
from rnnspec.plan.names import SEED, answer_name
from rnnspec.plan.nodes import Decoder, ForecastOutput
from rnnspec.reference import answers
from rnnspec.reference.interpret import values_of
from rnnspec.reference.outputs import sampled_paths
from rnnspec.run.seeds import checked_seed
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.answers import close
from tests.draws import LEVELS, SEEDS, check_proof
from tests.kinds import HORIZON, batched, feeds, plan_of, random_rows, spec_data, strong_weights
from tests.test_recursive_forecasts import CENTRE, MATRIX, PAST, SCALE, SHIFT, autoregression, row

Array = NDArray[np.float64]
GRU = {"layers": [{"cell": "gru", "units": 4}]}
ATTENDING = {**GRU, "attention": "additive", "input_feeding": True}


def sampled(names: dict[str, Any], decoder: dict[str, Any] = GRU, **more: Any) -> dict[str, Any]:
    """A spec of forecasts with these distributions, by series."""
    paths = {"samples": 5, "quantiles": LEVELS}
    ahead = {"as": "forecast", "horizon": HORIZON, "paths": paths, **more}
    targets = [{"column": name, **ahead, "distribution": law} for name, law in names.items()]
    return spec_data("N:M", ["number", *names], targets, decoder=decoder)


SPECS = {
    "gaussian": sampled({"series": "gaussian"}),
    "student_t": sampled({"double_window_series": "student_t"}, residual="last"),
    "negative_binomial": sampled({"double_series": "negative_binomial"}, ATTENDING),
    "beta and poisson": sampled({"series": "beta", "mean_series": "poisson"}),
    "several": sampled(
        {"series": "laplace", "window_series": "weibull", "known_series": {"mixture": 2}}
    ),
}


def exact_weights(plan: Plan) -> dict[str, Array]:
    return {name: value.astype(np.float64) for name, value in strong_weights(plan).items()}


@pytest.mark.parametrize("name", SPECS)
def test_draw_by_draw(name: str) -> None:
    """Every path, and what is answered of them, in a batch and alone."""
    plan, facts = plan_of(SPECS[name])
    weights, rows = exact_weights(plan), random_rows(plan, (5, 1, 0, 3))
    expected, paths = answers(plan, weights, rows, SEEDS), list[dict[str, Array]]()
    decoder = plan.node("decoder")
    assert isinstance(decoder, Decoder)
    for each, seed in zip(rows, SEEDS, strict=True):
        values = values_of(plan, weights, each)
        paths.append(sampled_paths(plan, decoder, weights, values, seed))
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(
        to_onnx(plan, facts, strong_weights(plan), ids=True).SerializeToString(), threads=1
    )
    for own in (slice(0, 4), slice(1, 2)):
        batch, seeds = batched(plan, rows[own]), torch.tensor(SEEDS[own])
        with torch.no_grad():
            of_module, drawn = model.answers(batch, seeds), model.paths(batch, seeds)
        of_file = session.run({**feeds(plan, rows[own]), SEED: seeds.numpy()})
        for out in plan.outputs:
            column, answer = out.column, answer_name(plan, out)
            true = np.stack([each[column] for each in paths[own]])
            close(drawn[column].numpy(), true, column)
            close(of_file[f"{answer}.paths"], true, column)
            levels = of_module[column]
            assert isinstance(levels, torch.Tensor)
            close(levels.numpy(), expected[column][own], column)
            close(of_file[f"{answer}.quantiles"], expected[column][own], column)
            np.testing.assert_array_equal(of_file[answer], of_file[f"{answer}.quantiles"][..., 1])


@pytest.mark.parametrize("name", ["negative_binomial", "student_t"])
def test_the_proof_goes_draw_by_draw(name: str) -> None:
    """It holds, and fails of a file whose draws are those of other seeds."""
    plan, facts = plan_of(SPECS[name])
    check_proof(plan, facts, strong_weights(plan))


def test_paths_of_a_linear_autoregression() -> None:
    """z_h is normal, of mean A^h z_0 + (A^(h - 1) + ... + 1) c and covariance the sum of
    A^i D (A^i)^T over i < h, D the variances of a step."""
    many = 4000
    plan, facts, given = autoregression(
        distribution="gaussian", paths={"samples": many, "quantiles": LEVELS}
    )
    deviations = np.array([0.7, 0.4])
    given["decoder.answer.b"][1::2] = np.log(np.expm1(deviations))
    session = Session(to_onnx(plan, facts, given, ids=True).SerializeToString())
    found = session.run({**feeds(plan, [row()]), SEED: np.array([11])})
    powers = [np.linalg.matrix_power(MATRIX, h) for h in range(7)]
    z = (PAST[-1] - CENTRE) / SCALE
    covariance = np.zeros((2, 2))
    both = np.stack([found[f"{column}.forecast.paths"][0] for column in "ab"])
    for h in range(1, 7):
        covariance = covariance + powers[h - 1] @ np.diag(deviations**2) @ powers[h - 1].T
        mean = (powers[h] @ z + sum(powers[:h]) @ SHIFT) * SCALE + CENTRE
        spread = np.sqrt(np.diag(covariance)) * SCALE
        for at, column in enumerate("ab"):
            true = norm.ppf(LEVELS, mean[at], spread[at])
            levels = found[f"{column}.forecast.quantiles"][0, h - 1]
            assert np.abs(levels - true).max() < 6 * spread[at] / np.sqrt(many)
        seen = np.cov(both[:, :, h - 1]) / np.outer(SCALE, SCALE)
        np.testing.assert_allclose(seen, covariance, atol=6 * covariance.max() / np.sqrt(many))


def test_plans_say_what_is_answered() -> None:
    plan, _ = plan_of(SPECS["gaussian"])
    (out,) = plan.outputs
    assert isinstance(out, ForecastOutput)
    assert (out.law.name, out.answered.name, out.answered.middle) == ("gaussian", "quantiles", 1)


@pytest.mark.parametrize("seed", [2**62, -(2**63) - 1, 1.5, "7", None])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    assert checked_seed(np.int64(-3)) == -3
    with pytest.raises(ModelFileError, match="expected a whole number from"):
        checked_seed(seed)
