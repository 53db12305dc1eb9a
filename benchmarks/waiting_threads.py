"""What a second thread gives to a training step of an LSTM and a GRU, by the size of a step, and
what it costs where both threads share a core, as they do now and then beside another program, by
how long threads wait awake (GOMP_SPINCOUNT).

Wall clock, on an idle machine.

  python benchmarks/waiting_threads.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SIZES = ((64, 64), (128, 16), (128, 32), (128, 64), (256, 32), (256, 64))
TURNS = ("", "10000", "1000", "0")
STEPS, ROUNDS, PIECE = 30, 12, 0.08


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turn", type=float, metavar="SECONDS", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    if options.turn:
        step = training("LSTM", 128, 32)
        taken = [median_of(step, count, options.turn) for count in (1, 2)]
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), {min(os.sched_getaffinity(0))})
        print(json.dumps([*taken, median_of(step, 2, options.turn)]))
        return
    found = {"gains": gains(), "waits": waits()}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def training(cell: str, units: int, rows: int) -> Callable[[], None]:
    """Forward and backward of one layer over `STEPS`."""
    import torch

    torch.set_flush_denormal(True)
    layer = getattr(torch.nn, cell)(units, units)
    steps = torch.randn(STEPS, rows, units)

    def step() -> None:
        layer.zero_grad()
        layer(steps)[0].sum().backward()

    return step


def median_of(step: Callable[[], None], threads: int, seconds: float) -> float:
    """Median milliseconds of a step."""
    import torch

    torch.set_num_threads(threads)
    step()
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        step()
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)


def gains() -> list[dict[str, float | str]]:
    """How many times as fast two threads are, in turns, by cell and size."""
    found: list[dict[str, float | str]] = []
    for cell, matrices in (("LSTM", 8), ("GRU", 6)):
        for units, rows in SIZES:
            step = training(cell, units, rows)
            pairs = [[median_of(step, n, PIECE) for n in (1, 2)] for _ in range(ROUNDS)]
            one, two = (min(each) for each in zip(*pairs, strict=True))
            size = matrices * units * units * rows / 1e6
            found.append({"cell": cell, "millions": size, "gain": one / two})
            print(f"{cell:6}{units:5} units{rows:5} rows{size:8.1f} million{one / two:8.2f} x")
    return found


def waits() -> list[dict[str, float | str]]:
    """Milliseconds of a step with one thread, with two, and with two on one core, the least of
    three rounds in turns."""
    taken: dict[str, list[list[float]]] = {turns: [] for turns in TURNS}
    for _ in range(3):
        for turns, rounds in taken.items():
            said = {"GOMP_SPINCOUNT": turns} if turns else {}
            kept = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
            done = subprocess.run(
                [sys.executable, __file__, "--turn", "1.5"],
                env=kept | said | {"OMP_NUM_THREADS": "2"},
                capture_output=True,
                text=True,
                check=True,
            )
            rounds.append(json.loads(done.stdout))
    found: list[dict[str, float | str]] = []
    for turns, rounds in taken.items():
        one, two, shared = (min(each) for each in zip(*rounds, strict=True))
        name = turns or "its own"
        found.append({"turns": name, "one": one, "two": two, "two on one core": shared})
        print(f"{name:>8} turns: one {one:.1f} ms, two {two:.1f}, two on one core {shared:.1f}")
    return found


if __name__ == "__main__":
    main()
