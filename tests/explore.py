"""Tests on drawn examples, again and again with other seeds: `make explore`, for as long as asked.

`make test` draws the same examples every time. Here each round runs every test on drawn examples,
random specs and random cells among them, with a seed of its own. What fails is shown with the
command that draws the same examples again.
"""

from __future__ import annotations

import argparse
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)


def command(seed: int) -> list[str]:
    """Draws the examples of a seed."""
    chosen = ["--hypothesis-profile", "explore", "--hypothesis-seed", str(seed)]
    return [sys.executable, "-m", "pytest", *chosen]


def findings(seed: int, more: Sequence[str]) -> str:
    """What a round said, if a test failed in it; else nothing."""
    arguments = ["-m", "hypothesis", "-q", "-n", "2", "-p", "no:cacheprovider", *more]
    round = subprocess.run(
        [*command(seed), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if round.returncode == 0:
        return ""
    return f"{round.stdout}{round.stderr}\npytest ended with {round.returncode}"


def again(seed: int, said: str) -> str:
    """The command that fails as a round did."""
    tests = [f"'{test}'" for test in FAILED.findall(said)]
    return " ".join(["pytest", *command(seed)[3:], *tests])


def main() -> int:
    """1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="begin no round after these")
    asked, more = parser.parse_known_args()
    end, rounds, failed = time.monotonic() + asked.seconds, 0, 0
    while time.monotonic() < end or not rounds:
        seed = secrets.randbelow(2**32)
        said = findings(seed, more)
        rounds += 1
        print(f"round {rounds}, seed {seed}: {'a finding' if said else 'nothing'}", flush=True)
        if said:
            failed += 1
            print(f"{said}\nagain: {again(seed, said)}", flush=True)
    print(f"{rounds} rounds, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
