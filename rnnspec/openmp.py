"""How long threads of OpenMP, which torch computes with, wait awake for the next operation."""

from __future__ import annotations

import os

SPINS = 1000
"""Turns that a thread waits awake before it sleeps; GNU's OpenMP takes 300,000 and more.

A thread that waits awake holds the processor that another program, or the thread it waits for,
would work on. Measured with two threads on two cores (`benchmarks/waiting_threads.py`), median
milliseconds of a training step of an LSTM (128 units, 32 rows, 30 steps):

    turns       idle   another program on one core   on both
    GNU's own    5.0    123 to 1,944                  458
    10,000       4.9    20 to 52                      157
    1,000        4.9    20 to 30                      34
    0           13.9    17 to 44                      45
    one thread   9.2    14 to 31                      33
"""


def spin_briefly() -> None:
    """Set `SPINS`, if the environment says nothing of how threads wait. GNU's OpenMP reads it once,
    when it is loaded: this comes before the import of torch, or changes nothing."""
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
