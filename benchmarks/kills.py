"""Builds that are killed at random moments, each resumed: do they end as if nothing had happened?

  python benchmarks/kills.py [--kills 50] [--json FILE]

Trains a small bidirectional LSTM with dropout, a moving average and a schedule, first undisturbed,
then again and again with SIGKILL at random moments: while data are read, within an epoch, while
files are written. After each kill every file of the build is read. Prints a line a build: how often
it was killed, and whether its weights and metrics equal the undisturbed ones bit for bit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.kills import Survived, survive, undisturbed, write_spec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds: list[Survived] = []
    with tempfile.TemporaryDirectory() as folder:
        spec = write_spec(Path(folder))
        whole, seconds = undisturbed(spec)
        print(f"undisturbed: {seconds:.1f} s")
        kills = 0
        while kills < options.kills:
            most = min(10, options.kills - kills)
            found = survive(spec, whole, seconds / 2, most, seed=len(rounds))
            rounds.append(found)
            kills += found.kills
            print(
                f"build {len(rounds)}: {found.kills} kills,"
                f" weights {'equal' if found.same else 'DIFFER'},"
                f" metrics {'equal' if found.metrics_same else 'DIFFER'}",
                flush=True,
            )
    same = sum(found.same and found.metrics_same for found in rounds)
    print(f"{kills} kills; {same} of {len(rounds)} builds ended bit-equal")
    if options.json:
        options.json.write_text(json.dumps([asdict(found) for found in rounds], indent=2) + "\n")
    sys.exit(same != len(rounds))


if __name__ == "__main__":
    main()
