"""Peak resident memory of whole builds, over that of a process that steps an LSTM in torch.

Each build is a process of its own, one epoch long, in a folder that goes afterwards. The bare
process imports torch and makes one step of Adam on one small LSTM.

  python benchmarks/memory.py specs/trec.yaml specs/slots.yaml
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

BARE = """
import torch
lstm = torch.nn.LSTM(8, 8)
adam = torch.optim.Adam(lstm.parameters())
lstm(torch.zeros(5, 2, 8))[0].sum().backward()
adam.step()
"""


def peak(arguments: Sequence[str]) -> tuple[float, float]:
    """Peak resident memory in MB, and seconds of CPU, of a Python with these arguments."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return used.ru_maxrss / 1024, used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("specs", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    bare, seconds = peak(["-c", BARE])
    print(f"{'bare torch':24} {bare:6.0f} MB        {seconds:6.1f} s of CPU")
    for _ in range(asked.rounds):
        for spec in asked.specs:
            with TemporaryDirectory() as folder:
                build = ["build", str(spec), "--builds", folder, "--set", "train.epochs=1"]
                size, seconds = peak(["-m", "rnnspec", *build, "--quiet"])
            print(f"{spec.stem:24} {size:6.0f} MB  {size / bare:4.2f}  {seconds:6.1f} s of CPU")


if __name__ == "__main__":
    main()
