"""Choices made by trial where training begins: the precision, and on a GPU from which lengths on
torch's kernels for packed sequences are faster.

On a CPU no kernel is tried: the tables of `rnnspec.to_torch.native` are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from rnnspec.objective.objective import Objective
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, device_of, shortest, tried
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.sequences import Lengths
from rnnspec.train.checkpoint import packed_below_of, precision_of
from rnnspec.train.distributed import Processes
from rnnspec.train.feed import Feed
from rnnspec.train.step import gradients

SHARES = (0.25, 0.5, 0.75, 0.9)
"""Shares of real steps that are tried."""
GAIN = 0.95
"""A packed sequence is taken where it takes at most this share of the time of the padded batch."""
LONGEST = 256
"""Steps of a trial at most."""

Seconds = Callable[[Callable[[], None], torch.device], float]


def precision_for(
    model: Model, settings: Train, feed: Feed, checkpoint: Path, processes: Processes
) -> tuple[Precision, str]:
    """Device and precision of a training, and why it is not what the spec asks for, if it is not.

    A checkpoint keeps the precision that it was begun in. Raises BuildError for a GPU that is not
    there.
    """
    device = device_of(settings)
    if checkpoint.exists():
        return Precision(device, precision_of(checkpoint)), ""
    model.to(device)

    def step(precision: Precision) -> None:
        gradients(Objective(model, settings), next(feed.micro_batches(0, 0)), precision)
        model.zero_grad(set_to_none=True)

    with torch.random.fork_rng(enabled=settings.precision not in ("float32", "float64")):
        precision, why = tried(settings.precision, device, step, not settings.deterministic)
    precision, why = processes.from_first(lambda: (precision, why))
    return Precision(device, precision), why


def choose_packing(
    model: Model,
    settings: Train,
    feed: Feed,
    checkpoint: Path,
    precision: Precision,
    processes: Processes,
) -> None:
    """Set for each native kernel the share of real steps below which batches are packed.

    A checkpoint keeps what it was begun with; all processes do as the first one found. Nothing is
    packed on a CPU, nor where the same numbers are asked for on the same device.
    """
    if precision.device.type == "cpu" or settings.deterministic:
        return
    if checkpoint.exists():
        model.pack_below(packed_below_of(checkpoint))
        return
    first = next(feed.micro_batches(0, 0))
    longest = max(2, min(LONGEST, first.padded // max(1, first.rows)))
    rows = max(2, first.rows // processes.count)
    model.pack_below(processes.from_first(lambda: packing(model, (longest, rows), precision)))


def packing(
    model: Model, shape: tuple[int, int], precision: Precision, seconds: Seconds = shortest
) -> dict[str, float]:
    """The share of real steps below which a kernel is faster packed, by layer and direction.

    `shape`: steps and rows of a batch. Layers of the same sizes are tried once.
    """
    found: dict[str, float] = {}
    known: dict[object, float] = {}
    for name, kernel in model.native_kernels():
        sizes = (kernel.native.states, *(tuple(p.shape) for p in kernel.parameters()))
        if sizes not in known:
            known[sizes] = _limit(kernel, shape, precision, seconds)
        found[name] = known[sizes]
    return found


def _limit(
    kernel: NativeKernel, shape: tuple[int, int], precision: Precision, seconds: Seconds
) -> float:
    kernel.to(precision.device)
    found = 0.0
    for share in SHARES:
        call = partial(_pass, kernel, _lengths(share, shape).to(precision.device), shape, precision)
        padded = seconds(call, precision.device)
        kernel.packed_below = 2.0
        packed = seconds(call, precision.device)
        kernel.packed_below = 0.0
        if packed > GAIN * padded:
            break
        found = share
    return found


def _lengths(share: float, shape: tuple[int, int]) -> torch.Tensor:
    """Lengths spread evenly, of about `share` of all steps; one row has all steps."""
    longest, rows = shape
    least = max(1.0, (2 * share - 1) * longest)
    lengths = torch.linspace(least, 2 * share * longest - least, rows).round().long()
    lengths[0] = longest
    return lengths.clamp(1, longest)


def _pass(
    kernel: NativeKernel, lengths: torch.Tensor, shape: tuple[int, int], precision: Precision
) -> None:
    """The forward and the backward pass over a batch."""
    longest, rows = shape
    width = kernel.packed.slot("input").shape[1]
    steps = torch.full((longest, rows, width), 0.1, device=precision.device, requires_grad=True)
    with precision.mixed():
        out, _ = kernel(steps, None, Lengths(lengths, longest))
    out.float().sum().backward()
    kernel.zero_grad(set_to_none=True)
