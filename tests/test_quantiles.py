"""Quantiles and draws of distributions: all back ends alike, draws against scipy."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from rnnspec.plan.nodes import Law
from rnnspec.plan.nodes.quantiles import uniforms
from rnnspec.reference import quantiles as reference
from rnnspec.reference.distributions import cdf
from rnnspec.to_onnx import quantiles as to_onnx
from rnnspec.to_onnx.emitter import DOUBLE, Emitter, Extent
from rnnspec.to_torch import quantiles as to_torch
from tests.test_distributions import NAMES, drawn, of_scipy

Array = NDArray[np.float64]
SHARES = np.array([0.001, 0.025, 0.5, 0.9, 0.975])
ROWS, DRAWS = 60, 9


def mixture(width: int, correlated: bool = False) -> tuple[Law, Array]:
    draw = np.random.default_rng(width)
    law = Law("mixture", components=3, width=width, correlated=correlated)
    parts = [draw.dirichlet(np.ones(3), ROWS), draw.normal(0, 2, (ROWS, 3 * width))]
    parts.append(draw.uniform(0.01, 3, (ROWS, 3 * width)))
    if correlated:
        parts.append(draw.uniform(-0.9, 0.9, (ROWS, 3)))
    return law, np.concatenate(parts, -1)


LAWS = [
    *((Law(name), drawn(name)[:ROWS]) for name in NAMES),  # type: ignore[arg-type]
    mixture(1),
    mixture(3),
    mixture(2, correlated=True),
]
OF_LAWS = pytest.mark.parametrize("number", range(len(LAWS)), ids=lambda n: LAWS[n][0].name)


def uniform(law: Law) -> Array:
    whole = np.random.default_rng(5).integers(0, 2**23, (ROWS, DRAWS, uniforms(law)))
    return (whole + 0.5) / 2**23


@cache
def session(law: Law) -> onnxruntime.InferenceSession:
    """A graph of the parameters and of uniform draws: `bounds`, of laws of one number, and
    `draws`."""
    emit, of = Emitter(), dict[str, str]()
    emit.reserve([*(part.name for part in law.parameters), "bounds", "draws"])
    for part in law.parameters:
        wide: list[Extent] = ["batch", law.count(part)]
        if law.width > 1 and part.axes == "values":
            wide = ["batch", law.components, law.width]
        of[part.name] = emit.input(part.name, DOUBLE, wide, reserved=True)
    given = emit.input("uniform", DOUBLE, ["batch", DRAWS, uniforms(law)])
    if law.width == 1:
        found = to_onnx.quantile(emit, law, of, emit.constant(SHARES, "p"), "bound", 1)
        emit.output(found, "bounds", DOUBLE, ["batch", len(SHARES)], "")
    found = to_onnx.draw(emit, law, of, given, "draw", 1)
    numbers: list[Extent] = [law.width] if law.width > 1 else []
    emit.output(found, "draws", DOUBLE, ["batch", *numbers, DRAWS], "")
    return onnxruntime.InferenceSession(emit.model("laws", "", "0").SerializeToString())


def in_onnx(law: Law, parameters: Array, given: Array) -> dict[str, Array]:
    feeds = {"uniform": given}
    for part, start, end in law.placed():
        values = parameters[:, start:end]
        if law.width > 1 and part.axes == "values":
            values = values.reshape(-1, law.components, law.width)
        feeds[part.name] = values
    found = session(law)
    names = [each.name for each in found.get_outputs()]
    return dict(zip(names, found.run(names, feeds), strict=True))


@OF_LAWS
def test_torch_and_onnx_have_the_quantiles_and_draws_of_the_reference(number: int) -> None:
    law, parameters = LAWS[number]
    given, many = uniform(law), torch.from_numpy(parameters)
    expected = np.moveaxis(reference.draws(law, parameters, given), -1, -2)
    found = in_onnx(law, parameters, given)
    torches = to_torch.draws(law, many, torch.from_numpy(given)).numpy()
    np.testing.assert_allclose(torches, expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found["draws"].reshape(expected.shape), expected, 1e-8, 1e-8)
    quantiles = [reference.quantile(law, parameters, share) for share in SHARES]
    bounds = np.stack(quantiles, -1)
    torches = to_torch.quantile(law, many, torch.from_numpy(SHARES)).numpy()
    np.testing.assert_allclose(torches, bounds, rtol=1e-8, atol=1e-8)
    if law.width == 1:
        np.testing.assert_allclose(found["bounds"], bounds[:, 0], rtol=1e-8, atol=1e-8)


@OF_LAWS
def test_parameters_that_are_no_numbers_have_no_quantiles(number: int) -> None:
    law, parameters = LAWS[number]
    lost = np.where(np.arange(ROWS)[:, None] == 1, np.nan, parameters)
    found = in_onnx(law, lost, uniform(law))
    for values in found.values():
        np.testing.assert_array_equal(
            np.isnan(values.reshape(ROWS, -1)).all(1), np.arange(ROWS) == 1
        )


MANY = 4000


@pytest.mark.parametrize("name", NAMES)
def test_draws_are_distributed_as_in_scipy(name: str) -> None:
    """The test of Kolmogorov and Smirnov of one row's draws, for three rows; of counts it holds
    the more."""
    law = Law(name)  # type: ignore[arg-type]
    parameters = drawn(name, seed=3)[:3]
    given = to_torch.uniform_draws(torch.tensor([0, 1, -7]), MANY)
    found = to_torch.draws(law, torch.from_numpy(parameters), given[..., None]).numpy()[:, 0]
    for row in range(3):
        true = of_scipy(name, parameters[row : row + 1])
        assert stats.kstest(found[row], true.cdf).statistic < _limit(name, found[row])


def _limit(name: str, values: Array) -> float:
    """1.95 / sqrt(n), which one in a thousand samples exceeds; of counts with the largest share of
    one of them, below which no draw can come."""
    steps = (
        np.unique(values, return_counts=True)[1].max() / MANY
        if name in ("poisson", "negative_binomial")
        else 0.0
    )
    return float(1.95 / np.sqrt(MANY) + steps)


def test_draws_of_mixtures_are_distributed_as_their_probabilities_say() -> None:
    law, parameters = mixture(2, correlated=True)
    given = to_torch.uniform_draws(torch.tensor([3]), 3 * MANY).reshape(1, MANY, 3)
    found = to_torch.draws(law, torch.from_numpy(parameters[:1]), given).numpy()[0]
    for number in range(2):

        def below(values: Array, number: int = number) -> Array:
            both = np.zeros((len(values), 2))
            both[:, number] = values
            return cdf(law, np.repeat(parameters[:1], len(values), 0), both)[:, number]

        assert stats.kstest(found[number], below).statistic < 1.95 / np.sqrt(MANY)
    weights, means = parameters[0, :3], parameters[0, 3:9].reshape(3, 2)
    deviations, r = parameters[0, 9:15].reshape(3, 2), parameters[0, 15:]
    within = (weights * (means.prod(1) + r * deviations.prod(1))).sum()
    expected = within - (weights @ means).prod()
    assert abs(np.cov(found)[0, 1] - expected) < 0.1 * np.abs(np.cov(found)).max()
