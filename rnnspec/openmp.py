"""How long threads of OpenMP, which torch computes with, wait awake for the next operation."""

from __future__ import annotations

import os

SPINS = 1000
"""Turns that a thread waits awake before it sleeps; GNU's OpenMP takes 300,000 and more.

A thread that waits awake holds the processor that another program would work on, or the very
thread it waits for: beside another program both share a core now and then. With two threads on two
cores (`benchmarks/waiting_threads.py`), milliseconds of a training step of an LSTM (128 units, 32
rows, 30 steps), which meets about 600 times; one thread takes 9:

    turns       a core each   both on one core
    GNU's own       5.6            1,328
    10,000          5.3               93
    1,000           5.3               19
    0              13.9               11
"""


def spin_briefly() -> None:
    """Set `SPINS`, if the environment says nothing of how threads wait. GNU's OpenMP reads it once,
    when it is loaded: this comes before the import of torch, or changes nothing."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
