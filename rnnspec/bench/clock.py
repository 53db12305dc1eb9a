"""Times of a call, what the machine multiplies at most, and what else it does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from rnnspec.to_torch.threads import computing_with

LEAST, MOST = 5, 10_000
"""Calls of a measurement."""
SIDE = 512
"""Of the square matrices whose product is the limit."""


def in_turns(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The median time of each call, in seconds of the clock. They take turns, all of them as many,
    so that what else the machine does falls on all, for about `seconds` a call in sum."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + seconds * len(calls)
    for turn in range(MOST):
        if turn >= LEAST and time.perf_counter() >= end:
            break
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(own) for name, own in taken.items()}


def peak(threads: int, seconds: float = 0.3) -> float:
    """Multiply-adds a second of a product of float32 matrices, with so many threads of torch: the
    best of all calls."""
    return SIDE**3 / min(_products(threads, seconds))


def processors_got(threads: int, seconds: float = 0.3) -> float:
    """How many processors so many threads of torch get, which have work all the time: less than
    `threads` where other programs or a quota take some."""
    start, used = time.perf_counter(), time.process_time()
    _products(threads, seconds)
    return (time.process_time() - used) / (time.perf_counter() - start)


def _products(threads: int, seconds: float) -> list[float]:
    """The seconds of each product, one after the other for so many `seconds`."""
    with computing_with(threads):
        one, other = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
        taken: list[float] = []
        end = time.perf_counter() + seconds
        while not taken or time.perf_counter() < end:
            start = time.perf_counter()
            torch.mm(one, other)
            taken.append(time.perf_counter() - start)
    return taken
