"""One step of the optimizer: losses, gradients, limits, and the new weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.objective.objective import Objective, states_before
from rnnspec.objective.settings import LossSettings
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.subnormals import subnormals_as_zero
from rnnspec.train.averaging import average_of
from rnnspec.train.distributed import ALONE, Processes
from rnnspec.train.feed import MicroBatch
from rnnspec.train.optimizers import groups_of, optimizer_of, set_rate


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step found: the mean `loss` over `weight` answers of all processes, and the `norm` of
    the gradient before it was limited, NaN where it was not measured.

    `lost` says what is no finite number, the loss or the gradient: the step was then not made.
    """

    loss: float
    weight: float
    norm: float
    lost: str = ""


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
        self.optimizer = optimizer_of(settings.optimizer, groups_of(settings.optimizer, model))
        self.average = average_of(settings, self.trained)
        scaled = self.precision.name == "float16"
        self.scaler = torch.amp.GradScaler(self.precision.device.type, enabled=scaled)
        self.carried: dict[str, Tensor] | None = None

    @subnormals_as_zero()
    def step(self, pieces: Sequence[MicroBatch], rate: float = 1.0, number: int = 0) -> StepResult:
        """One step with the gradient of all pieces together, at `rate` times the optimizer's lr.

        `number` is that of the step, from 0. Where the loss or the gradient is not finite, nothing
        is changed.
        """
        counts = [self.objective.counts(piece.batch) for piece in pieces]
        totals = self._totals(counts)
        for weight in self.trained:  # as zero_grad does, which takes longer
            weight.grad = None
        loss = sum(self._gradients(*each, totals) for each in zip(pieces, counts, strict=True))
        if self.processes.count > 1:
            (loss,) = self.processes.total([loss])
            self.processes.add_up(self._all_gradients())
        if not math.isfinite(loss):
            return StepResult(loss, max(totals.values()), math.nan, f"the loss became {loss}")
        norm = self._limit()
        if self._spoilt(norm):
            return StepResult(loss, max(totals.values()), norm, "the gradient became infinite")
        set_rate(self.optimizer, rate * self.settings.optimizer.lr)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.after_step(number + 1)
        return StepResult(loss, max(totals.values()), norm)

    def _totals(self, counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Answers to each output in the step, of all pieces and processes."""
        totals = {column: sum(each[column] for each in counts) for column in self.objective.outputs}
        summed = self.processes.total(list(totals.values()))
        return dict(zip(totals, summed, strict=True))

    def _gradients(
        self, piece: MicroBatch, counts: Mapping[str, float], totals: Mapping[str, float]
    ) -> float:
        """Add the gradient of a piece; its part of the step's loss."""
        idle = not any(counts.values()) if piece.reset is None else not len(piece.reset)
        if idle:  # this process has no part in the piece
            return 0.0
        before = None if piece.reset is None else self.states_before(piece)
        losses, after = self.objective(piece.batch, self.precision, before, self._reset(piece))
        if before is not None:
            self.carried = {name: value.detach() for name, value in after.items()}
        shares = {c: counts[c] / totals[c] if totals[c] else 0.0 for c in losses}
        first, *others = (v if shares[c] == 1.0 else v * shares[c] for c, v in losses.items())
        loss = sum(others, start=first)
        value = loss.item()
        if math.isfinite(value):
            self.scaler.scale(loss).backward()
        return value

    def states_before(self, piece: MicroBatch) -> dict[str, Tensor]:
        """The carried states, and those of a new sequence where one begins."""
        reset = self._reset(piece)
        assert reset is not None
        return states_before(self.model, reset, self.carried)

    def _reset(self, piece: MicroBatch) -> Tensor | None:
        """In which lanes a sequence begins, of a window."""
        if piece.reset is None:
            return None
        return torch.from_numpy(piece.reset).to(self.precision.device)

    def _all_gradients(self) -> list[Tensor]:
        for weight in self.trained:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return [weight.grad for weight in self.trained if weight.grad is not None]

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(bool(weight.isfinite().all()) for weight in self.trained)

    def _spoilt(self, norm: float) -> bool:
        """Whether a step would leave weights that are no numbers, as far as the `norm` tells.

        Finite entries whose norm is too large for its type were cut to 0; float16 leaves out a step
        that is not finite.
        """
        if math.isfinite(norm) or self.settings.clip_norm is None or self.scaler.is_enabled():
            return False
        return not all(bool(w.grad.isfinite().all()) for w in self.trained if w.grad is not None)

    def _limit(self) -> float:
        """Add the penalties' gradient and shorten what is too long; the norm before that."""
        self.scaler.unscale_(self.optimizer)
        for weight, l2 in self.penalties:  # of the penalty, which the reported loss leaves out
            if weight.grad is not None:
                weight.grad.add_(weight.detach(), alpha=l2)
        if self.settings.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.trained, self.settings.clip_value)
        if self.settings.clip_norm is None:
            return math.nan
        held = [weight.grad for weight in self.trained if weight.grad is not None]
        return shortened(held, self.settings.clip_norm)


def shortened(gradients: list[Tensor], limit: float) -> float:
    """Shorten gradients that are together longer than `limit`; their norm before that.

    The numbers of `torch.nn.utils.clip_grad_norm_`, which multiplies by 1 where nothing is too long
    and takes several times as long for a small model.
    """
    if not gradients:
        return 0.0
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    factor = limit / (norm + 1e-6)
    if not factor >= 1.0:
        torch._foreach_mul_(gradients, factor)
    return float(norm)
