"""Metrics of forecasts, beside the seasonal-naive one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass(slots=True)
class ForecastMetrics:
    """Errors of the point forecast over all windows and steps ahead, in the units of the data.

    `mae`, `rmse`; `mase`, the mean absolute error divided by that of the seasonal-naive forecast in
    training (Hyndman and Koehler 2006); `smape`, 2 |e| / (|answer| + |true|), 0 where both are 0
    (from 0 to 2); `skill`, 1 - mae / mae of the seasonal-naive forecast of the same windows. Of
    quantiles also `pinball`, the mean over quantiles of max(q e, (q - 1) e), and `coverage`, the
    share of true values between the lowest and the highest. True values that are NaN are left out.
    """

    quantiles: Sequence[float] = ()
    errors: list[Array] = field(default_factory=list)
    """Answer less true, `[B, H]` a batch, NaN where there is no true value."""
    naive: list[Array] = field(default_factory=list)
    scaled: list[Array] = field(default_factory=list)
    relative: list[Array] = field(default_factory=list)
    pinball: list[Array] = field(default_factory=list)
    inside: list[Array] = field(default_factory=list)

    def add(
        self,
        point: Tensor,
        targets: Tensor,
        parameters: Tensor | None = None,
        naive: NDArray[np.floating] | None = None,
        unit: NDArray[np.floating] | None = None,
    ) -> None:
        """`point` and `targets` `[B, H]`, `parameters` the quantiles `[B, H, Q]`; `naive` the
        seasonal-naive forecast `[B, H]`, and `unit` its mean absolute error in training `[B]`."""
        answer, true = point.double().cpu().numpy(), targets.double().cpu().numpy()
        error = answer - true
        self.errors.append(error)
        size = np.abs(answer) + np.abs(true)
        share = np.divide(2 * np.abs(error), size, out=np.zeros_like(error), where=size > 0)
        self.relative.append(np.where(np.isnan(true), np.nan, share))
        if naive is not None:
            self.naive.append(np.asarray(naive, np.float64) - true)
        if unit is not None:
            self.scaled.append(error / np.asarray(unit, np.float64)[:, None])
        if parameters is not None and self.quantiles:
            found = parameters.double().cpu().numpy()
            short = true[..., None] - found
            levels = np.asarray(self.quantiles)
            self.pinball.append(np.maximum(levels * short, (levels - 1) * short).mean(-1))
            within = (true >= found[..., 0]) & (true <= found[..., -1])
            self.inside.append(np.where(np.isnan(true), np.nan, within))

    def values(self) -> dict[str, float]:
        error = _joined(self.errors)
        found = {
            "mae": _mean(np.abs(error)),
            "rmse": _mean(error**2) ** 0.5,
            "smape": _mean(_joined(self.relative)),
        }
        if self.scaled:
            found["mase"] = _mean(np.abs(_joined(self.scaled)))
        if self.naive:
            naive = _mean(np.abs(_joined(self.naive)))
            found["skill"] = 1 - found["mae"] / naive if naive > 0 else float("nan")
        if self.pinball:
            found["pinball"] = _mean(_joined(self.pinball))
            found["coverage"] = _mean(_joined(self.inside))
        return found


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros((0, 1))


def _mean(values: Array) -> float:
    """Over what is not NaN; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
