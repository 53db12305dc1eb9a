"""Signs of gradients that vanish or explode through time, measured on a few rows once an epoch.

For each direction of each recurrent layer, as `NAME.LAYER.DIRECTION`:

- `grad`: norm of the loss's gradient with respect to its weights;
- `flow`: norm of the gradient with respect to what the layer reads at the first step, divided by
  that at the last step read (Bengio, Simard and Frasconi 1994, Learning Long-Term Dependencies
  with Gradient Descent is Difficult; Pascanu, Mikolov and Bengio 2013, section 2.1). A loss that
  looks at the end only reaches the first step through all states between, so that a small ratio
  means that the layer cannot learn from far back, and a large one that a step far back moves
  everything;
- `rms`: root mean square of its outputs at real steps, `saturated`: share of them beyond 0.99 in
  size, where the slope of tanh is almost 0.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnspec.data.batches import Budget
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.convolution import followed_moments
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.sequences import Lengths
from rnnspec.train.feed import Feed, MicroBatch, RowFeed
from rnnspec.train.step import TrainStep, gradients

VANISHED, EXPLODED = 1e-6, 1e6
"""Bounds of `flow`, over at least `LEAST` steps: beyond them there is a warning."""
LARGE = 1e4
"""Bound of the mean norm of the gradient; for scaled data the norm is around 1."""
LEAST = 10
PROBED, DRAWN = 8, 512
"""Rows that are measured: the longest of so many that are drawn."""
OVERFLOW = 1e300
"""Stands for an infinite ratio, which JSON cannot write."""


Positional = tuple[Any, ...]
Named = dict[str, Any]
"""The arguments of a kernel."""


@dataclass(slots=True)
class LayerSums:
    """Sums over one direction of a layer. `first` and `last`: squared gradients at the first and
    the last step, of rows with two steps or more."""

    grad: float = 0.0
    first: float = 0.0
    last: float = 0.0
    squares: float = 0.0
    saturated: float = 0.0
    count: int = 0
    steps: int = 0
    weights: list[nn.Parameter] = field(default_factory=list)

    @property
    def flow(self) -> float | None:
        """None where no gradient arrived at the last step; `OVERFLOW` where it is too large."""
        if not self.last:
            return None
        found = math.sqrt(self.first / self.last) if math.isfinite(self.last) else math.inf
        return found if math.isfinite(found) else OVERFLOW


def gradient_statistics(
    train_step: TrainStep, feed: Feed, settings: Train, epoch: int
) -> dict[str, float]:
    """The statistics on a few rows after an epoch, by name; empty without a true answer there."""
    micro_batch, objective = probe(feed, settings.seed, epoch), train_step.objective
    if not any(objective.counts(micro_batch.batch).values()):
        return {}
    compute = partial(gradients, objective, micro_batch, train_step.precision)
    return measure(train_step.model, compute)


def probe(feed: Feed, seed: int, epoch: int) -> MicroBatch:
    """A micro-batch to measure on: the longest of some rows, no more than fit a batch; or the first
    window of streams."""
    if not isinstance(feed, RowFeed):
        return next(feed.micro_batches(epoch, 0))
    draw = np.random.RandomState([seed, epoch, 1])
    # Not np.unique, whose first call imports numpy.ma: longer than a step of a small model.
    rows = np.array(sorted(set(draw.randint(0, feed.data.rows, DRAWN).tolist())), np.int64)
    lengths = feed.data.lengths(rows)
    longest = rows[np.argsort(lengths, kind="stable")]
    if isinstance(feed.batch, Budget):
        most = feed.batch.tokens // max(1, int(lengths.max()))
    else:
        most = feed.batch
    return feed.micro_batch(longest[-max(1, min(PROBED, most)) :])


def measure(model: Model, compute: Callable[[], None]) -> dict[str, float]:
    """The statistics of the gradients that `compute` adds, by name.

    Gradients, random numbers and the moments of batch norms are afterwards what they were before.
    """
    held = [(weight, weight.grad) for weight in model.parameters()]
    moments = [(moment, moment.clone()) for moment in followed_moments(model)]
    for weight, _ in held:
        weight.grad = None
    try:
        with torch.random.fork_rng(), _hooked(model) as sums:
            compute()
            for of_layer in sums.values():
                squares = (w.grad.square().sum() for w in of_layer.weights if w.grad is not None)
                of_layer.grad = math.sqrt(float(sum(squares, start=torch.zeros(()))))
    finally:
        for weight, gradient in held:
            weight.grad = gradient
        for moment, before in moments:
            moment.copy_(before)
    found = (pair for key, of_layer in sums.items() for pair in _values(key, of_layer))
    return {name: value for name, value in found if math.isfinite(value)}


def warnings(
    statistics: Mapping[str, float], cure: Callable[[str, str], str], settled: bool = True
) -> Iterator[tuple[str, str]]:
    """Signs of trouble: a word and a sentence each, which ends with the `cure` of the word in a
    layer.

    `settled`: the weights are no longer the drawn ones, whose `flow` says nothing.
    """
    norm = statistics.get("grad.norm", 0.0)
    if norm > LARGE:
        large = f"gradients are large: their norm was {norm:.0e} on average before it was limited"
        yield "large", f"{large}; {cure('large', '')}"
    flows = {k.removeprefix("flow."): v for k, v in statistics.items() if k.startswith("flow.")}
    for name, flow in flows.items() if settled else ():
        layer = name.rpartition(".")[0]
        if flow > EXPLODED:
            size = f"at the first step they are {flow:.0e} times as large as at the last"
            what = f"gradients explode through time in {name}: {size}"
            yield "exploding", f"{what}; {cure('exploding', layer)}"
        if flow < VANISHED:
            share = f"only {flow:.0e} of the gradient" if flow else "nothing of the gradient"
            lost = f"{share} at the last step arrives at the first, so that what was long ago is"
            what = f"gradients vanish through time in {name}: {lost} not learned"
            yield "vanishing", f"{what}; {cure('vanishing', layer)}"


def _values(key: str, sums: LayerSums) -> Iterator[tuple[str, float]]:
    yield f"grad.{key}", sums.grad
    if sums.flow is not None and sums.steps >= LEAST:
        yield f"flow.{key}", sums.flow
    if sums.count:
        yield f"rms.{key}", math.sqrt(sums.squares / sums.count)
        yield f"saturated.{key}", sums.saturated / sums.count


@contextmanager
def _hooked(model: Model) -> Iterator[dict[str, LayerSums]]:
    """While inside, the kernels of all recurrent layers are measured, by layer and direction."""
    sums: dict[str, LayerSums] = {}
    hooks = []
    for part in model.modules():
        if not isinstance(part, RecurrentLayer):
            continue
        for direction, kernel in zip(part.node.directions, part.kernels, strict=True):
            of_layer = LayerSums(weights=[p for p in kernel.parameters() if p.requires_grad])
            sums[f"{part.node.name}.{direction}"] = of_layer
            turned = direction == "reverse" and isinstance(kernel, NativeKernel)
            before, after = partial(_before, of_layer, turned), partial(_after, of_layer)
            hooks.append(kernel.register_forward_pre_hook(before, with_kwargs=True))
            hooks.append(kernel.register_forward_hook(after, with_kwargs=True))
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


def _before(
    sums: LayerSums, turned: bool, kernel: nn.Module, args: Positional, named: Named
) -> tuple[Positional, Named]:
    """Add the gradient of what a kernel reads; `turned`: each row begins at its end."""
    bound = _bound(kernel, args, named)
    lengths = _lengths(bound)
    if lengths is None:  # single steps of a decoder have no ends
        return args, named
    sums.steps = int(lengths.max())
    steps = bound.arguments["steps"]
    # A tensor of its own: both directions of a layer read the same one.
    steps = steps + 0 if steps.requires_grad else steps.detach().requires_grad_()
    steps.register_hook(lambda gradient: _add_ends(sums, gradient, lengths, turned))
    bound.arguments["steps"] = steps
    return bound.args, bound.kwargs


def _add_ends(sums: LayerSums, gradient: Tensor, lengths: Tensor, turned: bool) -> None:
    rows = torch.nonzero(lengths >= 2)[:, 0]
    ends = [gradient[0, rows], gradient[lengths[rows] - 1, rows]]
    first, last = (float(end.double().square().sum()) for end in (ends[::-1] if turned else ends))
    sums.first += first
    sums.last += last


def _after(sums: LayerSums, kernel: nn.Module, args: Positional, named: Named, answer: Any) -> None:
    """Add the size of what a kernel answers at real steps."""
    out, lengths = answer[0].detach(), _lengths(_bound(kernel, args, named))
    if lengths is None:
        return
    real = torch.arange(len(out), device=out.device)[:, None] < lengths
    values = out[real].double()
    sums.squares += float(values.square().sum())
    sums.saturated += float((values.abs() > 0.99).sum())
    sums.count += values.numel()


def _bound(kernel: nn.Module, args: Positional, named: Named) -> inspect.BoundArguments:
    """The arguments of a kernel by name: kernels differ in what they take beside `steps` and
    `lengths`, and in which order."""
    return inspect.signature(kernel.forward).bind(*args, **named)


def _lengths(bound: inspect.BoundArguments) -> Tensor | None:
    """The lengths of the rows that a kernel is given, `[B]`."""
    found = bound.arguments.get("lengths")
    return found.of_rows if isinstance(found, Lengths) else found
