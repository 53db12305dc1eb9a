"""How much longer `rnnspec --help` and `rnnspec check` take than a Python that does nothing.

The three take turns, so that other work on the machine falls on all alike. The difference of the
minimums is the figure: 0.4 s is what each may take on two cores. Modules are byte-compiled before.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "rnnspec --help": ["-m", "rnnspec", "--help"],
    "rnnspec check": ["-m", "rnnspec", "check", "specs/trec.yaml"],
}


def timed(arguments: list[str]) -> tuple[float, float]:
    """Seconds that one run takes: on the clock, and of processor time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    passed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return passed, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    compileall.compile_dir(ROOT / "rnnspec", quiet=1)
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, arguments in COMMANDS.items():
            runs[name].append(timed(arguments))
    report = {}
    nothing = runs["python -c pass"]
    print(f"{'seconds, over python -c pass':<30}{'minimum':>9}{'median':>9}{'CPU':>9}")
    for name, of_name in runs.items():
        clock, used = zip(*of_name, strict=True)
        base_clock, base_used = zip(*nothing, strict=True)
        row = {
            "minimum": min(clock) - min(base_clock),
            "median": statistics.median(clock) - statistics.median(base_clock),
            "cpu": min(used) - min(base_used),
        }
        report[name] = row
        print(f"{name:<30}" + "".join(f"{value:>9.3f}" for value in row.values()))
    if options.json:
        load = os.getloadavg()[0]
        options.json.write_text(json.dumps({"seconds": report, "load": load}, indent=2) + "\n")


if __name__ == "__main__":
    main()
