"""How the processor computes: with how many threads, and with subnormal numbers as 0."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rnnspec.data.processors import processors
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Recurrent
from rnnspec.spec.train import TokenBudget

SHARED_FROM = 10_000_000
"""Multiplications of one step of a layer from which a second thread gains more than it costs.

Measured on two cores: a GRU of 64 units at batch 64 (2 million) takes three times the processor
time with two threads and no less of the clock; an LSTM of 256 units at batch 32 (17 million) is
1.6 times as fast.
"""

SHARED_ELEMENTS = 2**16
"""Elements per thread from which torch certainly shares an element-wise operation."""

STEPS = 30
"""Steps assumed of a row, if a batch is a number of steps."""


def threads_for(plan: Plan, batch: int | TokenBudget, wanted: int | None) -> int:
    """`wanted`, else all allowed threads where a step is large enough, else one.

    This depends on the plan and the machine, never on a measurement: the number of threads decides
    the order of sums, and the same build must give the same numbers.
    """
    if wanted is not None:
        return wanted
    rows = batch if isinstance(batch, int) else max(1, batch.tokens // STEPS)
    return allowed_threads() if largest_step(plan, rows) >= SHARED_FROM else 1


def allowed_threads() -> int:
    """The number torch is set to, but at most `processors`.

    A thread without a processor costs more than it gives: all others wait for it at the end of each
    operation.
    """
    return min(processors(), torch.get_num_threads())


def largest_step(plan: Plan, batch: int) -> int:
    """Multiplications of one step of one direction of the largest recurrent layer."""
    layers = [node for node in plan.every_node() if isinstance(node, Recurrent)]
    sizes = [sum(weight.size for weight in n.weights()) // len(n.directions) for n in layers]
    return batch * max(sizes, default=0)


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
