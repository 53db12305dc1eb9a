"""How many processor threads training takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rnnspec.data.processors import processors
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Recurrent
from rnnspec.spec.train import TokenBudget
from rnnspec.to_torch.subnormals import subnormals_as_zero

SHARED_FROM = 10_000_000
"""Multiplications of one layer's step from which a second thread gains more than it costs.

Measured on two cores: a GRU of 64 units at batch 64 (2 million) takes three times the processor
time with two threads and no less of the clock; an LSTM of 256 units at batch 32 (17 million) is
1.6 times as fast.
"""

SHARED_ELEMENTS = 2**16
"""Numbers a thread from which torch certainly shares an operation on each of them."""

STEPS = 30
"""Steps of a row, where a batch is a number of steps."""


def threads_for(plan: Plan, batch: int | TokenBudget, wanted: int | None) -> int:
    """`wanted`, or one thread for small layers and as many as are allowed where a step is worth
    sharing.

    A function of the plan and the machine, not of a measurement: the number of threads decides
    the order of sums, and the same build must give the same numbers.
    """
    if wanted is not None:
        return wanted
    rows = batch if isinstance(batch, int) else max(1, batch.tokens // STEPS)
    return allowed_threads() if largest_step(plan, rows) >= SHARED_FROM else 1


def allowed_threads() -> int:
    """As many as torch is set to, which may be for good reason, and never more than `processors`.

    On a busy machine or above a quota a thread too many costs more than it gives: all of them wait
    at the end of each operation for the one that has no processor.
    """
    return min(processors(), torch.get_num_threads())


def largest_step(plan: Plan, batch: int) -> int:
    """Multiplications of one step of one direction of the largest recurrent layer."""
    layers = [node for node in plan.every_node() if isinstance(node, Recurrent)]
    sizes = [sum(weight.size for weight in n.weights()) // len(n.directions) for n in layers]
    return batch * max(sizes, default=0)


@contextmanager
def computing_with(count: int) -> Iterator[None]:
    """torch computes with `count` threads in the block, started so that all take subnormal numbers
    for 0, and after it with as many as before.

    Threads that torch has started before in this process stay as they are, which costs time.
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
