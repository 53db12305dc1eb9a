"""Times of a call, and what the machine multiplies at most."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

LEAST, MOST = 5, 10_000
"""Calls of a measurement."""
SIDE = 512
"""Of the square matrices whose product is the limit."""


def in_turns(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The median time of each call, in seconds of the clock. They take turns, so that what else
    the machine does falls on all; each takes `seconds` in sum, or `MOST` turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    waiting = list(calls)
    while waiting:
        for name in list(waiting):
            start = time.perf_counter()
            calls[name]()
            own = taken[name]
            own.append(time.perf_counter() - start)
            if len(own) >= LEAST and (sum(own) >= seconds or len(own) >= MOST):
                waiting.remove(name)
    return {name: statistics.median(own) for name, own in taken.items()}


def peak(threads: int, seconds: float = 0.3) -> float:
    """Multiply-adds a second of a product of float32 matrices, with so many threads of torch: the
    best of all calls."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        one, other = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
        best, end = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            torch.mm(one, other)
            best = min(best, time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return SIDE**3 / best
