"""Metrics of numbers and forecasts on random answers, as libraries of the field measure them:
scikit-learn and statsmodels; what they do not have is written out by hand.

True values are missing at random, and answers are NaN where nothing is asked, or where it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error
from statsmodels.tools.eval_measures import meanabs, rmse

from rnnspec.evaluate.metrics import ForecastMetrics, NumericMetrics

Array = NDArray[np.float64]
SEEDS = range(40)


def drawn(seed: int, *shape: int) -> tuple[np.random.Generator, Array, Array]:
    """Answers and true values, of large and small numbers, a third of which are missing; answers
    are NaN at half of these."""
    draw = np.random.default_rng(seed)
    scale = 10.0 ** draw.integers(-6, 6)
    true, answers = scale * draw.normal(size=shape), scale * draw.normal(size=shape)
    missing = draw.random(shape) < 0.33
    missing.flat[0] = False
    answers[missing & (draw.random(shape) < 0.5)] = np.nan
    true[missing] = np.nan
    return draw, answers, true


def batches(draw: np.random.Generator, rows: int) -> Iterator[slice]:
    """The rows in pieces, one of which may be empty."""
    cuts = sorted(draw.integers(0, rows + 1, 2).tolist())
    for first, end in zip([0, *cuts], [*cuts, rows], strict=True):
        yield slice(first, end)


def known(true: Array, *of: Array) -> list[Array]:
    """What stands where there is a true value, one after another; that itself first."""
    there = ~np.isnan(true)
    return [each[there] for each in (true, *of)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", [(9,), (9, 1), (7, 3), (5, 4, 2)], ids=str)
def test_numbers(seed: int, shape: tuple[int, ...]) -> None:
    draw, answers, true = drawn(seed, *shape)
    metrics = NumericMetrics()
    for rows in batches(draw, shape[0]):
        metrics.add(torch.from_numpy(answers[rows]), torch.from_numpy(true[rows]))
    found, (told, answered) = metrics.values(), known(true, answers)
    assert found["mae"] == pytest.approx(mean_absolute_error(told, answered))
    assert found["mae"] == pytest.approx(meanabs(told, answered))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(told, answered))
    assert found["rmse"] == pytest.approx(rmse(told, answered))
    assert metrics.not_finite == 0
    answers.flat[0] = np.nan
    metrics.add(torch.from_numpy(answers), torch.from_numpy(true))
    assert all(map(math.isnan, metrics.values().values())) and metrics.not_finite == 1


LEVELS: Sequence[tuple[float, ...]] = ((), (0.5,), (0.1, 0.5, 0.9), (0.025, 0.25, 0.5, 0.75, 0.99))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_forecasts(seed: int, levels: tuple[float, ...]) -> None:
    draw, point, true = drawn(seed, 8, 4)
    spread = np.nanstd(true) + 1e-12
    parameters = point[..., None] + spread * np.sort(draw.normal(size=(8, 4, len(levels))), -1)
    naive = true + spread * draw.normal(size=true.shape)
    naive[np.isnan(naive)] = 0.0
    naive[draw.random(true.shape) < 0.2] = np.nan  # where the series had a gap a season ago
    naive.flat[0] = 0.0
    unit = spread * draw.uniform(0.5, 2, 8)
    unit[2], unit[5] = 0.0, np.nan  # never changed in training, and too short
    metrics = ForecastMetrics(levels)
    for rows in batches(draw, 8):
        asked, answered, more = (torch.from_numpy(a[rows]) for a in (true, point, parameters))
        metrics.add(answered, asked, more, naive[rows], unit[rows])
    found = metrics.values()
    told, point_told, other = known(true, point, naive)
    assert found["mae"] == pytest.approx(mean_absolute_error(told, point_told))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(told, point_told))
    sizes = [abs(t) + abs(a) for t, a in zip(told, point_told, strict=True)]
    relative = [2 * abs(t - a) / s for t, a, s in zip(told, point_told, sizes, strict=True)]
    assert found["smape"] == pytest.approx(np.mean(relative))
    for step, error in enumerate(metrics.errors.absolute.by_step):
        of_step = known(true[:, step], point[:, step])
        assert len(of_step[0]) == 0 or error == pytest.approx(mean_absolute_error(*of_step))
    reached = ~np.isnan(other)
    ours, theirs = (mean_absolute_error(told[reached], a[reached]) for a in (point_told, other))
    assert found["skill"] == pytest.approx(1 - ours / theirs)
    units = np.broadcast_to(unit[:, None], true.shape)[~np.isnan(true)]
    scaled = units > 0
    weights = np.where(scaled, 1 / np.where(scaled, units, 1), 0)
    mase = mean_absolute_error(told[scaled], point_told[scaled], sample_weight=weights[scaled])
    assert found["mase"] == pytest.approx(mase * weights[scaled].mean())
    both = scaled & reached
    ours, theirs = (
        mean_absolute_error(told[both], a[both], sample_weight=weights[both])
        for a in (point_told, other)
    )
    assert found["scaled_skill"] == pytest.approx(1 - ours / theirs)
    if levels:
        there = ~np.isnan(true)
        pinball = [
            mean_pinball_loss(told, parameters[there][:, at], alpha=level)
            for at, level in enumerate(levels)
        ]
        assert found["pinball"] == pytest.approx(np.mean(pinball))
        low, high = parameters[there][:, 0], parameters[there][:, -1]
        assert found["coverage"] == np.mean(
            [a <= t <= b for a, t, b in zip(low, told, high, strict=True)]
        )
    assert metrics.not_finite == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_one_answer_that_is_nan_spoils_no_more_than_what_it_bears_on(seed: int) -> None:
    """Its step ahead and all means over it; the other steps, and the baseline, stay as they are."""
    draw, point, true = drawn(seed, 6, 3)
    naive = np.nan_to_num(true) + draw.normal(size=true.shape)
    metrics, spoilt = ForecastMetrics(), ForecastMetrics()
    for each in (metrics, spoilt):
        if each is spoilt:
            point.flat[0] = np.nan
        tensors = torch.from_numpy(point.copy()), torch.from_numpy(true)
        each.add(*tensors, naive=naive, unit=np.ones(6))
    assert all(map(math.isnan, spoilt.values().values()))
    assert not any(map(math.isnan, metrics.values().values()))
    before, after = metrics.errors.absolute.by_step, spoilt.errors.absolute.by_step
    assert math.isnan(after[0]) and after[1:] == pytest.approx(before[1:], nan_ok=True)
    assert spoilt.naive.values() == metrics.naive.values()
