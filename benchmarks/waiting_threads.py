"""What a second thread gives to a training step of an LSTM and a GRU, by the size of a step, and
what it costs beside other programs, by how long threads wait awake (GOMP_SPINCOUNT).

Wall clock. The first table needs an idle machine, the second one makes it busy by itself.

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
        print(json.dumps([median_of(step, count, options.turn) for count in (1, 2)]))
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
    """Milliseconds of a step with one and two threads beside 0, 1 and 2 other programs."""
    found: list[dict[str, float | str]] = []
    for others in range(3):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        for turns in TURNS:
            said = {"GOMP_SPINCOUNT": turns} if turns else {}
            kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT",)}
            done = subprocess.run(
                [sys.executable, __file__, "--turn", "3"],
                env=kept | said | {"OMP_NUM_THREADS": "2"},
                capture_output=True,
                text=True,
                check=True,
            )
            one, two = json.loads(done.stdout)
            found.append({"others": others, "turns": turns or "its own", "one": one, "two": two})
            print(f"{others} others, {turns or 'its own':>8} turns{one:9.1f} ms{two:9.1f} ms")
        for each in busy:
            each.kill()
    return found


if __name__ == "__main__":
    main()
