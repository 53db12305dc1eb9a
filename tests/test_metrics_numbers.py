"""Metrics of numbers and of forecasts against their definitions."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import pytest
import torch

from rnnspec.evaluate.metrics import ForecastMetrics, NumericMetrics
from rnnspec.evaluate.metrics.forecasts import Array


def test_numbers() -> None:
    metrics = NumericMetrics()
    metrics.add(torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.tensor([[0.0, 2.0], [1.0, np.nan]]))
    metrics.add(torch.zeros(0, 2), torch.zeros(0, 2))
    assert metrics.values() == pytest.approx({"mae": 1.0, "rmse": (5 / 3) ** 0.5})
    assert all(map(isnan, NumericMetrics().values().values()))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def windows(seed: int = 0) -> tuple[Array, Array, Array, Array, Array]:
    """Answers, truth and seasonal-naive `[7, 3]`, quantiles `[7, 3, 3]`, units `[7]`."""
    draw = np.random.default_rng(seed)
    answer, true, naive = draw.normal(size=(3, 7, 3))
    quantiles = np.sort(draw.normal(size=(7, 3, 3)), axis=-1)
    true[2, 1] = true[5, 0] = np.nan
    naive[3, 2] = naive[2, 1] = np.nan
    unit = draw.uniform(0.5, 2, 7)
    unit[6] = 0.0  # a series that never changed
    return answer, true, naive, quantiles, unit


def test_forecasts() -> None:
    answer, true, naive, quantiles, unit = windows()
    metrics = ForecastMetrics((0.1, 0.5, 0.8))
    for part in (slice(0, 4), slice(4, 7)):
        point, targets, bands = (torch.from_numpy(a[part]) for a in (answer, true, quantiles))
        metrics.add(point, targets, bands, naive[part], unit[part])
    cells = [(b, h) for b in range(7) for h in range(3) if not np.isnan(true[b, h])]
    error = {cell: answer[cell] - true[cell] for cell in cells}
    values = metrics.values()
    assert values["mae"] == pytest.approx(mean([abs(e) for e in error.values()]))
    assert values["rmse"] == pytest.approx(mean([e**2 for e in error.values()]) ** 0.5)
    relative = [2 * abs(e) / (abs(answer[c]) + abs(true[c])) for c, e in error.items()]
    assert values["smape"] == pytest.approx(mean(relative))
    scaled = [abs(e) / unit[c[0]] for c, e in error.items() if unit[c[0]]]
    assert values["mase"] == pytest.approx(mean(scaled))
    reached = [c for c in cells if not np.isnan(naive[c])]
    ratio = sum(abs(error[c]) for c in reached) / sum(abs(naive[c] - true[c]) for c in reached)
    assert values["skill"] == pytest.approx(1 - ratio)
    pinball = [
        q * (true[c] - quantiles[c][i])
        if true[c] >= quantiles[c][i]
        else (1 - q) * (quantiles[c][i] - true[c])
        for c in cells
        for i, q in enumerate((0.1, 0.5, 0.8))
    ]
    assert values["pinball"] == pytest.approx(mean(pinball))
    inside = [quantiles[c][0] <= true[c] <= quantiles[c][2] for c in cells]
    assert values["coverage"] == pytest.approx(mean(inside))
    by_step = [mean([abs(e) for (_, h), e in error.items() if h == step]) for step in range(3)]
    assert metrics.errors.absolute.by_step == pytest.approx(by_step)


def test_forecasts_of_nothing_and_of_zeros() -> None:
    values = ForecastMetrics().values()
    assert all(map(isnan, values.values()))
    metrics = ForecastMetrics()
    zeros = torch.zeros(2, 2)
    metrics.add(zeros, zeros, None, np.zeros((2, 2)), np.ones(2))
    assert metrics.values()["smape"] == 0.0
    assert isnan(metrics.values()["skill"])  # a naive forecast without errors cannot be beaten
