"""Interleaved timing: A B A B …, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def interleave(contestants: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, by contestant, after one untimed round; nobody always goes first.

    CPU seconds of this process: what a call takes on a core of its own when it uses one thread,
    whoever else uses the machine.
    """
    for call in contestants.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for _ in range(rounds):
        for name in names:
            started = time.process_time()
            contestants[name]()
            seconds[name].append(time.process_time() - started)
        names.append(names.pop(0))
    return seconds


def ratio(of: list[float], to: list[float]) -> float:
    """Median over rounds of the quotient of two contestants' seconds in the same round."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))
