"""How well distributions of numbers fit: CRPS, and the share of true values within intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.evaluate.metrics.crps import crps, crps_of_draws
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.evaluate.prediction_intervals import within
from rnnspec.plan.nodes import ForecastOutput, FramesOutput, NumericOutput
from rnnspec.plan.nodes.quantiles import ends
from rnnspec.spec.named_metrics import level_of
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import FramesOutput as FramesModule
from rnnspec.to_torch.outputs import ForecastOutput as ForecastModule
from rnnspec.to_torch.outputs import NumericOutput as NumericModule
from rnnspec.to_torch.quantiles import quantile

Array = NDArray[np.float64]
Distributed = NumericOutput | ForecastOutput | FramesOutput


@dataclass(slots=True)
class OfDistributions:
    """`crps` and `coverage@…` of an output, over all known numbers of its rows, steps and vectors;
    of frames that a decoder writes each after the true ones before it. Of forecasts with paths over
    the paths or, while training, of each step after the point answers before it.
    A parameter that is NaN makes them NaN. Of `weibull` a time that is only known to be longer is
    left out."""

    node: Distributed
    model: Model
    names: Sequence[str]
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    @np.errstate(invalid="ignore", over="ignore", divide="ignore")  # of parameters that are NaN
    def see(self, measured: MeasuredBatch) -> None:
        if isinstance(self.node, ForecastOutput) and self.node.paths and not measured.greedy:
            self._see_paths(measured)
            return
        parameters, true = self._laws(measured)
        known = ~np.isnan(true).any(axis=-1)
        if self.node.law.name == "weibull":
            known &= (true > 0).all(axis=-1)
        parameters, true = parameters[known], true[known]
        lost = ~np.isfinite(parameters).all(axis=-1, keepdims=True)
        safe, self.count = np.where(lost, 0.5, parameters), self.count + true.size
        for name in self.names:
            level = level_of(name)
            found = (
                crps(self.node.law, safe, true)
                if level is None
                else self._inside(safe, true, level)
            )
            self._add(name, np.where(lost, np.nan, found))

    def _see_paths(self, measured: MeasuredBatch) -> None:
        column = self.node.column
        true = measured.forward.targets[column].double().cpu().numpy()
        paths = measured.own[column].double().cpu().numpy().transpose(0, 2, 1)
        known = ~np.isnan(true)
        draws, true = paths[known], true[known]
        lost, self.count = ~np.isfinite(draws).all(axis=-1), self.count + true.size
        safe = np.where(lost[:, None], 0.5, draws)
        for name in self.names:
            level = level_of(name)
            if level is None:
                found = crps_of_draws(safe, true)
            else:
                lower, upper = np.quantile(safe, ends([level]), axis=-1)
                found = within(lower, upper, true)
            self._add(name, np.where(lost, np.nan, found))

    def _add(self, name: str, found: Array) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + float(found.sum())

    def _inside(self, parameters: Array, true: Array, level: float) -> Array:
        shares = torch.tensor(ends([level]), dtype=torch.float64)
        found = quantile(self.node.law, torch.from_numpy(parameters), shares).numpy()
        return within(found[..., 0], found[..., 1], true)

    def _laws(self, measured: MeasuredBatch) -> tuple[Array, Array]:
        """Parameters `[n, K]` and true values `[n, D]`; a law of several numbers is known where all
        of them are."""
        column, module = self.node.column, self.model.output(self.node.column)
        true = measured.forward.targets[column]
        if isinstance(module, ForecastModule):
            found = measured.tensor(column)
            if module.node.paths:
                moments = self.model.moments(column, measured.forward.inputs)
                found = module.answer(measured.own[column], moments)
        else:
            assert isinstance(module, NumericModule | FramesModule)
            raw = measured.forward.logits[column]
            if isinstance(module, FramesModule):
                raw, true = self._after_true_frames(module, measured, raw)
            found = module.answer(raw)
        law = self.node.law
        arrays = (each.double().cpu().numpy() for each in (found, true))
        parameters, values = arrays
        return parameters.reshape(-1, law.size), values.reshape(-1, law.width)

    def _after_true_frames(
        self, module: FramesModule, measured: MeasuredBatch, raw: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Raw numbers `[B, U, raw]` of a decoder that was fed with the true frames, and these
        `[B, U, width]`, both in the order of writing."""
        true = measured.forward.targets[self.node.column]
        lengths = self.model.true_lengths(module.node, measured.forward.inputs, true)
        return raw[:, : true.shape[1], : module.node.raw], module.ordered(true, lengths)

    def values(self) -> dict[str, float]:
        nothing = float("nan")
        return {
            name: self.sums.get(name, 0.0) / self.count if self.count else nothing
            for name in self.names
        }
