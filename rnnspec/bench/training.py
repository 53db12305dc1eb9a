"""Steps of training on the user's own rows: how many a second, and where the time goes."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch

from rnnspec.bench.clock import peak
from rnnspec.bench.threads import advised, by_threads, numbers_of_threads
from rnnspec.bench.work import Extents, inside, multiply_adds
from rnnspec.data import Batch, Dataset
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Plan
from rnnspec.plan.names import first_sequences
from rnnspec.spec import Spec
from rnnspec.store.folder import Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, device_of
from rnnspec.to_torch.threads import computing_with, subnormals_as_zero, threads_for
from rnnspec.train.feed import MicroBatch, feed_of
from rnnspec.train.step import TrainStep, gradients

WARM = 3
"""Batches before the clock is started."""
OF_A_STEP = 3
"""Multiply-adds of a step of training for one of its forward pass: the gradient of a product has
two products of its size."""


@dataclass(frozen=True, slots=True)
class Training:
    """Means of one batch each, in seconds of the clock; `layers` are shares of the forward pass.

    `filled`: the share of steps that are no padding. `work`: multiply-adds of a step of training a
    second, `peak` the most that the machine does. `by_threads`: the median seconds of a step with
    other numbers of threads, in turns on the same batches; none where there is one number alone, or
    a GPU computes. `threads_advised`: a number that gains over `threads` by more than chance.
    """

    batches: int
    rows: float
    steps: float
    filled: float
    threads: int
    step: float
    forward: float
    backward: float
    optimizer: float
    layers: dict[str, float]
    work: float
    peak: float
    by_threads: dict[int, float]
    threads_advised: int | None


def measure_training(trained: Trained, data: Dataset, seconds: float) -> Training:
    """Steps on batches of `data`, in the order of the first epoch, for about so many `seconds`, and
    as long again with other numbers of threads."""
    spec = trained.spec
    threads = threads_for(trained.plan, spec.train.batch, spec.train.threads)
    counts = numbers_of_threads(threads)
    with subnormals_as_zero(), computing_with(threads):
        return _measured(trained, spec, data, seconds, threads, counts)


def _measured(
    trained: Trained,
    spec: Spec,
    data: Dataset,
    seconds: float,
    threads: int,
    counts: tuple[int, ...],
) -> Training:
    model = Model(trained.plan)
    model.start(trained.facts, spec.train.seed)
    precision = Precision(device_of(spec.train))
    made = TrainStep(
        model, spec.train, precision, loss_settings=loss_settings_of(spec, trained.facts)
    )
    clock = _Clock(made, precision)
    batches = list(islice(feed_of(data, spec.train).micro_batches(0, 0), 64))
    for number in range(WARM):
        made.step([batches[number % len(batches)]], number=number)
    end = time.perf_counter() + seconds
    taken: list[tuple[MicroBatch, float]] = []
    while not taken or time.perf_counter() < end:
        batch = batches[len(taken) % len(batches)]
        taken.append((batch, clock.of(partial(made.step, [batch], number=WARM))))
    seen = [batch for batch, _ in taken]
    forward, backward, optimizer = clock.parts(seen[:LEAST], seconds / 4)
    step = sum(each for _, each in taken) / len(taken)
    layers = clock.layers(seen[:LEAST])
    others = {}
    if precision.device.type == "cpu" and len(counts) > 1:
        others = by_threads(
            lambda batch: clock.of(partial(made.step, [batch], number=WARM)),
            batches,
            counts,
            seconds,
        )
    work = sum(sum(multiply_adds(trained.plan, extents_of(trained.plan, b)).values()) for b in seen)
    return Training(
        len(taken),
        sum(b.rows for b in seen) / len(seen),
        sum(b.real for b in seen) / len(seen),
        sum(b.real for b in seen) / max(1, sum(b.padded for b in seen)),
        threads,
        step,
        forward * step,
        backward * step,
        optimizer * step,
        layers,
        OF_A_STEP * work / len(seen) / step,
        peak(threads),
        others,
        advised(others, threads),
    )


OTHERS = "loss and the rest"
LEAST = 8
"""Batches whose forward and backward pass are timed apart."""


@dataclass(slots=True)
class _Clock:
    made: TrainStep
    precision: Precision

    def of(self, call: Callable[[], object]) -> float:
        """Seconds of one call, until the device has done its work."""
        self._wait()
        start = time.perf_counter()
        call()
        self._wait()
        return time.perf_counter() - start

    def parts(self, batches: list[MicroBatch], seconds: float) -> tuple[float, float, float]:
        """Shares of a step: the forward pass with its loss, the backward pass, the optimizer. They
        are timed in turns for about so many `seconds`, each batch twice at least, and of each batch
        the shortest times count."""
        best = [[math.inf] * 3 for _ in batches]
        end, turn = time.perf_counter() + seconds, 0
        while turn < 2 * len(batches) or time.perf_counter() < end:
            batch = batches[turn % len(batches)]
            calls: tuple[Callable[[], object], ...] = (
                partial(self._forward, batch),
                partial(self._gradients, batch),
                partial(self.made.step, [batch], number=WARM),
            )
            own = best[turn % len(batches)]
            own[:] = [min(least, self.of(call)) for least, call in zip(own, calls, strict=True)]
            turn += 1
        forward, both, step = (sum(each) for each in zip(*best, strict=True))
        both = max(both, forward)
        step = max(step, both)
        return forward / step, (both - forward) / step, (step - both) / step

    def layers(self, batches: list[MicroBatch]) -> dict[str, float]:
        """Shares of the forward pass by node, largest first, and of what is in no node (`OTHERS`);
        what is below a hundredth is left out."""
        with _timed(self.made.model, self.of_device) as spent:
            total = sum(self.of(partial(self._forward, batch)) for batch in batches)
        spent[OTHERS] = max(0.0, total - sum(spent.values()))
        ordered = sorted(spent.items(), key=lambda each: -each[1])
        return {name: each / total for name, each in ordered if each >= 0.01 * total}

    def of_device(self) -> float:
        self._wait()
        return time.perf_counter()

    def _forward(self, batch: MicroBatch) -> None:
        states, reset = None, None
        if batch.reset is not None:
            reset = torch.ones(len(batch.reset), dtype=torch.bool, device=self.precision.device)
            states = self.made.model.first_states(len(reset))
        self.made.objective(batch.batch, self.precision, states, reset)

    def _gradients(self, batch: MicroBatch) -> None:
        for weight in self.made.trained:
            weight.grad = None
        gradients(self.made.objective, batch, self.precision)

    def _wait(self) -> None:
        if self.precision.device.type == "cuda":
            torch.cuda.synchronize()


CALLED = ("forward", "with_ends", "carry", "step", "teacher_forced", "free_running")
"""By what names the parts of a model are called."""


@contextmanager
def _timed(model: Model, now: Callable[[], float]) -> Iterator[dict[str, float]]:
    """The seconds that the module of each node takes, without those that run inside it."""
    spent: dict[str, float] = defaultdict(float)
    inside: list[float] = []

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:
            start = now()
            inside.append(0.0)
            try:
                return call(*given, **named)
            finally:
                took = now() - start
                spent[name] += took - inside.pop()
                if inside:
                    inside[-1] += took

        return instead

    changed = [
        (part, method, timed(name, getattr(part, method)))
        for name, part in [*model.named_parts(), *model.bodies.items()]
        for method in CALLED
        if hasattr(part, method)
    ]
    for part, method, call in changed:
        setattr(part, method, call)
    try:
        yield spent
    finally:
        for part, method, _ in changed:
            delattr(part, method)


def extents_of(plan: Plan, batch: MicroBatch) -> Extents:
    """The padded sizes of a batch."""
    firsts = first_sequences(plan)
    own = {axis: _steps(batch.batch, first.key) for axis, first in firsts.items()}
    steps = next(iter(own.values()), 1)
    for node in plan.inputs:
        for axis, size in inside(node, *batch.batch.inputs[node.key]).items():
            own[axis] = max(size, own.get(axis, 0))
    texts = [values.shape[1] for values in batch.batch.targets.values() if values.ndim > 1]
    return Extents(batch.rows, steps, max(texts, default=1), own)


def _steps(batch: Batch, key: str) -> int:
    values, _ = batch.inputs[key]
    return int(values.shape[1])
