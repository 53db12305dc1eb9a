"""Whether torch's kernels for packed sequences are faster on a GPU, by trial where training begins.

On a CPU nothing is tried: the tables of `rnnspec.to_torch.native` are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, shortest
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.steps import Lengths
from rnnspec.train.checkpoint import packed_below_of
from rnnspec.train.distributed import Processes
from rnnspec.train.feed import Feed

SHARES = (0.25, 0.5, 0.75, 0.9)
"""Shares of real steps that are tried."""
GAIN = 0.95
"""A packed sequence is taken where it takes at most this share of the time of the padded batch."""
LONGEST = 256
"""Steps of a trial at most."""

Seconds = Callable[[Callable[[], None], torch.device], float]


def choose_packing(
    model: Model,
    settings: Train,
    feed: Feed,
    checkpoint: Path,
    precision: Precision,
    processes: Processes,
) -> None:
    """Tell each native kernel from which share of real steps on batches are to be packed.

    What a checkpoint was begun with is kept; all processes do as the first one found. Never packed
    on a CPU, nor where the same numbers are asked for on the same device.
    """
    if precision.device.type == "cpu" or settings.deterministic:
        return
    if checkpoint.exists():
        model.pack_below(packed_below_of(checkpoint))
        return
    piece = next(feed.pieces(0, 0))
    longest = max(2, min(LONGEST, piece.padded // max(1, piece.rows)))
    rows = max(2, piece.rows // processes.count)
    model.pack_below(processes.from_first(lambda: tried(model, (longest, rows), precision)))


def tried(
    model: Model, shape: tuple[int, int], precision: Precision, seconds: Seconds = shortest
) -> dict[str, float]:
    """By layer and direction, the share of real steps below which its kernel is faster packed.

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
    """Spread evenly about `share` of all steps, one of them all."""
    longest, rows = shape
    least = max(1.0, (2 * share - 1) * longest)
    lengths = torch.linspace(least, 2 * share * longest - least, rows).round().long()
    lengths[0] = longest
    return lengths.clamp(1, longest)


def _pass(
    kernel: NativeKernel, lengths: torch.Tensor, shape: tuple[int, int], precision: Precision
) -> None:
    """Forward and back over a batch."""
    longest, rows = shape
    width = kernel.packed.slot("input").shape[1]
    steps = torch.full((longest, rows, width), 0.1, device=precision.device, requires_grad=True)
    with precision.mixed():
        out, _ = kernel(steps, None, Lengths(lengths, longest))
    out.float().sum().backward()
    kernel.zero_grad(set_to_none=True)
