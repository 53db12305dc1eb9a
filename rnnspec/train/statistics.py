"""Signs of gradients that vanish or explode through time, measured on a few rows once an epoch.

Of each direction of each recurrent layer, as `NAME.LAYER.DIRECTION`:

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
from typing import Any

import torch
from torch import Tensor, nn

from rnnspec.to_torch import Model
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.steps import Lengths

VANISHED, EXPLODED = 1e-6, 1e6
"""Of `flow`, over at least `LEAST` steps: below and above them a warning is due."""
LARGE = 1e4
"""Mean norm of the gradient above which steps go anywhere; of scaled data it is around 1."""
LEAST = 10
OVERFLOW = 1e300
"""Stands for a ratio that is no number: JSON has none for it."""


@dataclass(slots=True)
class Seen:
    """What hooks have seen of one direction of a layer; gradients at the first and last step of
    each row that has two steps or more, squared and added up."""

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


def measure(model: Model, gradients: Callable[[], None]) -> dict[str, float]:
    """The statistics of the loss whose gradients the function computes, by name.

    Gradients and random numbers are afterwards what they were before.
    """
    held = [(weight, weight.grad) for weight in model.parameters()]
    for weight, _ in held:
        weight.grad = None
    try:
        with torch.random.fork_rng(), _watched(model) as seen:
            gradients()
            for of_layer in seen.values():
                squares = (w.grad.square().sum() for w in of_layer.weights if w.grad is not None)
                of_layer.grad = math.sqrt(float(sum(squares, start=torch.zeros(()))))
    finally:
        for weight, gradient in held:
            weight.grad = gradient
    found = (pair for key, of_layer in seen.items() for pair in _values(key, of_layer))
    return {name: value for name, value in found if math.isfinite(value)}


def warnings(
    statistics: Mapping[str, float], cure: Callable[[str, str], str], settled: bool = True
) -> Iterator[tuple[str, str]]:
    """What is wrong, each in one word and in a sentence with the way out, which is the `cure` of
    the word in a layer.

    `settled`: the weights are no longer those that were drawn, of which nothing can be said of what
    goes through time.
    """
    norm = statistics.get("grad.norm", 0.0)
    if norm > LARGE:
        told = f"gradients are large: their norm was {norm:.0e} on average before it was limited"
        yield "large", f"{told}; {cure('large', '')}"
    flows = {k.removeprefix("flow."): v for k, v in statistics.items() if k.startswith("flow.")}
    for name, flow in flows.items() if settled else ():
        layer = name.rpartition(".")[0]
        if flow > EXPLODED:
            told = f"at the first step they are {flow:.0e} times as large as at the last"
            what = f"gradients explode through time in {name}: {told}"
            yield "exploding", f"{what}; {cure('exploding', layer)}"
        if flow < VANISHED:
            share = f"only {flow:.0e} of the gradient" if flow else "nothing of the gradient"
            told = f"{share} at the last step arrives at the first, so that what was long ago is"
            what = f"gradients vanish through time in {name}: {told} not learned"
            yield "vanishing", f"{what}; {cure('vanishing', layer)}"


def _values(key: str, seen: Seen) -> Iterator[tuple[str, float]]:
    yield f"grad.{key}", seen.grad
    if seen.flow is not None and seen.steps >= LEAST:
        yield f"flow.{key}", seen.flow
    if seen.count:
        yield f"rms.{key}", math.sqrt(seen.squares / seen.count)
        yield f"saturated.{key}", seen.saturated / seen.count


@contextmanager
def _watched(model: Model) -> Iterator[dict[str, Seen]]:
    """While inside, the kernels of all recurrent layers are watched, by layer and direction."""
    seen: dict[str, Seen] = {}
    hooks = []
    for part in model.modules():
        if not isinstance(part, RecurrentLayer):
            continue
        for direction, kernel in zip(part.node.directions, part.kernels, strict=True):
            of_layer = Seen(weights=[p for p in kernel.parameters() if p.requires_grad])
            seen[f"{part.node.name}.{direction}"] = of_layer
            turned = direction == "reverse" and isinstance(kernel, NativeKernel)
            note = _reading(of_layer, turned)
            hooks.append(kernel.register_forward_pre_hook(note, with_kwargs=True))
            hooks.append(kernel.register_forward_hook(_answering(of_layer), with_kwargs=True))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""What a kernel is called with, by position and by name."""


def _reading(
    seen: Seen, turned: bool
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Arguments]:
    """Notes the gradient of what a kernel reads, with `turned` from each row's end."""

    def note(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
        bound = _bound(module, args, named)
        lengths = _lengths(bound)
        if lengths is None:  # single steps of a decoder have no ends
            return args, named
        seen.steps = int(lengths.max())
        steps = bound.arguments["steps"]
        # A tensor of its own: both directions of a layer read the same one.
        steps = steps + 0 if steps.requires_grad else steps.detach().requires_grad_()
        steps.register_hook(lambda gradient: _note_ends(seen, gradient, lengths, turned))
        bound.arguments["steps"] = steps
        return bound.args, bound.kwargs

    return note


def _bound(
    kernel: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
) -> inspect.BoundArguments:
    """The arguments of a kernel by their names: kernels differ in what they take beside `steps`
    and `lengths`, and in which order."""
    return inspect.signature(kernel.forward).bind(*args, **named)


def _lengths(bound: inspect.BoundArguments) -> Tensor | None:
    """The lengths of the rows that a kernel is given, `[B]`."""
    found = bound.arguments.get("lengths")
    return found.of_rows if isinstance(found, Lengths) else found


def _note_ends(seen: Seen, gradient: Tensor, lengths: Tensor, turned: bool) -> None:
    rows = torch.nonzero(lengths >= 2)[:, 0]
    ends = [gradient[0, rows], gradient[lengths[rows] - 1, rows]]
    first, last = (float(end.double().square().sum()) for end in (ends[::-1] if turned else ends))
    seen.first += first
    seen.last += last


def _answering(
    seen: Seen,
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
    """Notes the size of what a kernel answers at real steps."""

    def note(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any], answer: Any) -> None:
        out, lengths = answer[0].detach(), _lengths(_bound(module, args, named))
        if lengths is None:
            return
        real = torch.arange(len(out), device=out.device)[:, None] < lengths
        values = out[real].double()
        seen.squares += float(values.square().sum())
        seen.saturated += float((values.abs() > 0.99).sum())
        seen.count += values.numel()

    return note
