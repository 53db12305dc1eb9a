"""Builds that are killed at random moments, each resumed: do they end as if nothing had happened?

  python benchmarks/kills.py [--kills 50] [--json FILE]

Trains two small models, first undisturbed, then again and again with SIGKILL at random moments:
while data are read, within an epoch, while files are written. One is a bidirectional LSTM over rows
with dropout, a moving average of the weights and a cosine schedule; the other a language model over
streams with carried states, momentum, a plateau and the mean of the last epochs. After each kill
every file of the build is read. Prints a line a build: how often it was killed, and whether its
weights and metrics equal the undisturbed ones bit for bit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.kills import SPEC, STREAM, Survived, survive, undisturbed, write_spec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds: list[Survived] = []
    with tempfile.TemporaryDirectory() as folder:
        specs = [
            write_spec(Path(folder) / name, text)
            for name, text in (("rows", SPEC), ("stream", STREAM))
        ]
        wholes = [undisturbed(spec) for spec in specs]
        kills = 0
        while kills < options.kills:
            most = min(10, options.kills - kills)
            which = len(rounds) % len(specs)
            whole, seconds = wholes[which]
            found = survive(specs[which], whole, seconds / 2, most, seed=len(rounds))
            rounds.append(found)
            kills += found.kills
            print(
                f"build {len(rounds)} ({specs[which].parent.name}): {found.kills} kills,"
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
