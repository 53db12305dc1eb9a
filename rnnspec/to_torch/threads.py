"""How the processor computes: with how many threads, and with subnormal numbers as 0."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rnnspec.cells import identify
from rnnspec.data.processors import processors
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Recurrent
from rnnspec.spec.train import TokenBudget

MULTIPLICATIONS = {"lstm": 2_000_000}
OTHERS = 5_000_000
"""Multiplications of one step of a layer for each thread: with fewer, a thread costs more than it
gives.

Measured on two cores, once as fast with two threads as with one, forward and backward over 30
steps: an LSTM 1.6 at 2 million (16 rows of 128 units), 1.8 at 4 and more, since its kernel shares
all of a step; a GRU 1.2 up to 12 million, 1.5 at 25. Whole training steps gain less, 1.3 to 1.5 for
LSTMs of 4 to 7 million (`rnnspec bench`).
"""

SHARED_ELEMENTS = 2**16
"""Elements per thread from which torch certainly shares an element-wise operation."""

STEPS = 30
"""Steps assumed of a row, if a batch is a number of steps."""


def threads_for(plan: Plan, batch: int | TokenBudget, wanted: int | None) -> int:
    """`wanted`, else as many of the allowed threads as the largest layer has work for.

    This depends on the plan and the machine, never on a measurement: the number of threads decides
    the order of sums, and the same build must give the same numbers.
    """
    if wanted is not None:
        return wanted
    rows = batch if isinstance(batch, int) else max(1, batch.tokens // STEPS)
    layers = [node for node in plan.every_node() if isinstance(node, Recurrent)]
    useful = max((threads_of(layer, rows) for layer in layers), default=1)
    return max(1, min(allowed_threads(), useful))


def allowed_threads() -> int:
    """The number torch is set to, but at most `processors`.

    A thread without a processor costs more than it gives: all others wait for it at the end of each
    operation.
    """
    return min(processors(), torch.get_num_threads())


def threads_of(layer: Recurrent, rows: int) -> int:
    """Threads that one step of one direction of a layer has work for."""
    masked = layer.zoneout or layer.recurrent_dropout  # then equations replace the kernel
    kernel = None if masked else identify(layer.cell)
    size = rows * sum(weight.size for weight in layer.weights()) // len(layer.directions)
    return size // MULTIPLICATIONS.get(kernel.pattern if kernel else "", OTHERS)


@contextmanager
def computing_with(count: int) -> Iterator[None]:
    """In the block torch computes with `count` threads, all of which take subnormal numbers as 0;
    after it, with as many as before.

    Threads that torch had started before keep their setting, which costs time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        if count > 1:
            with subnormals_as_zero():
                torch.zeros(count * SHARED_ELEMENTS).add_(1.0)
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """In the block, subnormal numbers (below 1.2e-38, in float64 below 2.2e-308) are read and
    written as 0.

    Gradients that vanish over many steps are subnormal, and so are Adam's moments of embeddings
    that are seldom seen; each costs a processor over a hundred cycles. A training step of an LSTM
    with 128 units over 32 rows of 200 steps, of which the last is answered, takes 0.07 s instead of
    0.92.

    This holds for the calling thread and for threads that torch starts in the block
    (`computing_with`).
    """
    before = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
