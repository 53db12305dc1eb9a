"""One step of the optimizer: losses, gradients, clipping, and the new weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from rnnspec.objective.objective import Objective, states_before
from rnnspec.objective.settings import LossSettings
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.convolution import followed_moments
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.threads import subnormals_as_zero
from rnnspec.train.averaging import average_of
from rnnspec.train.distributed import ALONE, Processes
from rnnspec.train.feed import MicroBatch
from rnnspec.train.optimizers import Updates, groups_of


@dataclass(frozen=True, slots=True)
class StepResult:
    """The mean `loss` over `weight` answers of all processes, and the `norm` of the gradient before
    it was clipped, NaN where it was not measured.

    `failure` says what is not finite, the loss or the gradient: the step was then not made.
    """

    loss: float
    weight: float
    norm: float
    failure: str = ""


class TrainStep:
    """The state that changes from step to step: weights, optimizer, averages, carried states."""

    def __init__(
        self,
        model: Model,
        settings: Train,
        precision: Precision | None = None,
        processes: Processes = ALONE,
        loss_settings: LossSettings | None = None,
    ) -> None:
        self.model, self.settings, self.processes = model, settings, processes
        self.precision = precision or Precision()
        model.to(self.precision.device, self.precision.weights)
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.penalties = list(model.penalties())
        self.objective = Objective(model, settings, loss_settings)
        self.optimizer = Updates(settings.optimizer, groups_of(settings.optimizer, model))
        self.average = average_of(settings, [*self.trained, *followed_moments(model)])
        scaled = self.precision.name == "float16"
        self.scaler = torch.amp.GradScaler(self.precision.device.type, enabled=scaled)
        self.carried: dict[str, Tensor] | None = None

    @subnormals_as_zero()
    def step(
        self, micro_batches: Sequence[MicroBatch], rate: float = 1.0, number: int = 0
    ) -> StepResult:
        """Step number `number` (from 0), with the gradient of all micro-batches together, at `rate`
        times the optimizer's lr. Where the loss or the gradient is not finite, nothing changes."""
        counts = [self.objective.counts(each.batch) for each in micro_batches]
        totals = self._totals(counts)
        for weight in self.trained:  # as zero_grad does, which takes longer
            weight.grad = None
        pairs = zip(micro_batches, counts, strict=True)
        loss = sum(self._gradients(*pair, totals) for pair in pairs)
        if self.processes.count > 1:
            (loss,) = self.processes.total([loss])
            self.processes.add_up(self._all_gradients())
        if not math.isfinite(loss):
            return StepResult(loss, max(totals.values()), math.nan, f"the loss became {loss}")
        norm = self._clip()
        if self._not_finite(norm):
            return StepResult(loss, max(totals.values()), norm, "the gradient became infinite")
        self.optimizer.lr = rate * self.settings.optimizer.lr
        self.scaler.step(self._as_torchs())
        self.scaler.update()
        self.average.after_step(number + 1)
        return StepResult(loss, max(totals.values()), norm)

    def _totals(self, counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """The answers to each output in the step, in all micro-batches and processes."""
        totals = {column: sum(each[column] for each in counts) for column in self.objective.outputs}
        summed = self.processes.total(list(totals.values()))
        return dict(zip(totals, summed, strict=True))

    def _gradients(
        self, micro_batch: MicroBatch, counts: Mapping[str, float], totals: Mapping[str, float]
    ) -> float:
        """Add the gradient of a micro-batch; its part of the step's loss."""
        reset = self._reset(micro_batch)
        idle = not any(counts.values()) if reset is None else not len(reset)
        if idle:  # this process has no part in the micro-batch
            return 0.0
        before = None if reset is None else self.states_before(micro_batch)
        forward = self.objective(micro_batch.batch, self.precision, before, reset)
        losses, after, active = forward.losses, forward.states, forward.activity
        del forward  # or its logits would stay in memory through the backward pass
        if before is not None:
            self.carried = {name: value.detach() for name, value in after.items()}
        shares = {c: counts[c] / totals[c] if totals[c] else 0.0 for c in losses}
        first, *others = (v if shares[c] == 1.0 else v * shares[c] for c, v in losses.items())
        loss = sum(others, start=first)
        value = loss.item()
        if active is not None:  # the reported loss leaves penalties out
            answered = sum(1 for column in losses if totals[column])
            loss = loss + active * (sum(shares.values()) / answered)
        if math.isfinite(value):
            self.scaler.scale(loss).backward()
        return value

    def states_before(self, micro_batch: MicroBatch) -> dict[str, Tensor]:
        """The states before a window: carried ones, or first states where a sequence begins."""
        reset = self._reset(micro_batch)
        assert reset is not None
        return states_before(self.model, reset, self.carried)

    def _reset(self, micro_batch: MicroBatch) -> Tensor | None:
        """The lanes of a window in which a sequence begins."""
        if micro_batch.reset is None:
            return None
        return torch.from_numpy(micro_batch.reset).to(self.precision.device)

    def _as_torchs(self) -> torch.optim.Optimizer:
        """The optimizer for `torch.amp.GradScaler`, which reads `param_groups` and calls `step`."""
        return cast(torch.optim.Optimizer, self.optimizer)

    def _all_gradients(self) -> list[Tensor]:
        for weight in self.trained:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return [weight.grad for weight in self.trained if weight.grad is not None]

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(weight.isfinite().all()) for weight in self.trained)

    def _not_finite(self, norm: float) -> bool:
        """Whether a step would make weights NaN, where the `norm` is not finite.

        Finite entries whose norm is too large for its type were clipped to 0. The scaler of float16
        leaves out a step that is not finite.
        """
        if math.isfinite(norm) or self.settings.clip_norm is None or self.scaler.is_enabled():
            return False
        return not all(bool(w.grad.isfinite().all()) for w in self.trained if w.grad is not None)

    def _clip(self) -> float:
        """Add the gradient of the penalties and clip; the norm before clipping."""
        self.scaler.unscale_(self._as_torchs())
        for weight, l2 in self.penalties:  # the reported loss leaves penalties out
            if weight.grad is not None:
                weight.grad.add_(weight.detach(), alpha=l2)
        if self.settings.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.trained, self.settings.clip_value)
        if self.settings.clip_norm is None:
            return math.nan
        held = [weight.grad for weight in self.trained if weight.grad is not None]
        return clipped(held, self.settings.clip_norm)


@subnormals_as_zero()
def gradients(objective: Objective, micro_batch: MicroBatch, precision: Precision) -> None:
    """Add the gradient of the loss; a window of a stream starts from first states."""
    states, reset = None, None
    if micro_batch.reset is not None:
        reset = torch.ones(len(micro_batch.reset), dtype=torch.bool, device=precision.device)
        states = objective.model.first_states(len(reset))
    losses = objective(micro_batch.batch, precision, states, reset).losses
    sum(losses.values(), start=torch.zeros((), device=precision.device)).backward()


def clipped(gradients: list[Tensor], limit: float) -> float:
    """Scale gradients so that their norm is at most `limit`; the norm before that.

    The numbers of `torch.nn.utils.clip_grad_norm_`, which multiplies by 1 where the norm is smaller
    and takes several times as long for a small model.
    """
    if not gradients:
        return 0.0
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    factor = limit / (norm + 1e-6)
    if not factor >= 1.0:
        torch._foreach_mul_(gradients, factor)
    return float(norm)
