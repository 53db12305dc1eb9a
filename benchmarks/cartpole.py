"""A policy in a closed loop: does a stream file keep a pole upright for 500 steps?

A cart is pushed to the left or to the right at each step, so that the pole hinged on it stays
upright (`tests/cartpole.py`). A hand-written controller demonstrates; a GRU learns from it by
`specs/cartpole.yaml`, is exported with --stream, and acts from its stream, one step a chunk.

`--seen positions` hides the velocities, which the policy then has to remember its way to.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import rnnspec
from tests.cartpole import MOST, Seen, episode, fallen, looked_at, moved, pushed

SPEC = Path(__file__).parent / "specs" / "cartpole.yaml"


def loop(file: Path, seed: int, seen: Seen) -> tuple[int, float]:
    """The steps until the pole falls, at most 500, and seconds that a push took to answer."""
    state = np.random.default_rng(seed).uniform(-0.05, 0.05, 4)
    stream, spent = rnnspec.open(file, threads=1).stream(), 0.0
    for step in range(MOST):
        begin = time.perf_counter()
        (push,) = stream.answer({"seen": [looked_at(state, seen)]})["push"]
        spent += time.perf_counter() - begin
        state = moved(state, pushed(push))
        if fallen(state):
            return step + 1, spent / (step + 1)
    return MOST, spent / MOST


def trained(folder: Path, episodes: int, seen: Seen) -> Path:
    """The stream file of a policy that has learned from so many demonstrations."""
    draw = np.random.default_rng(0)
    rows = [json.dumps(episode(draw, seen)) + "\n" for _ in range(episodes)]
    (folder / "cartpole.jsonl").write_text("".join(rows))
    shutil.copy(SPEC, folder)
    file = "cartpole-stream.onnx"
    for command in (["build", SPEC.name], ["export", "--onnx", "--stream", "--output", file]):
        subprocess.run([sys.executable, "-m", "rnnspec", *command], cwd=folder, check=True)
    return folder / file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seen", choices=["all", "positions"], default="all")
    parser.add_argument("--episodes", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = trained(Path(folder), asked.episodes, asked.seen)
        found = [loop(file, seed, asked.seen) for seed in range(asked.seeds)]
    steps = [each for each, _ in found]
    print(f"steps of {len(steps)} episodes: {' '.join(map(str, steps))}")
    print(f"{np.median([spent for _, spent in found]) * 1e6:.0f} microseconds a push")
    if asked.json:
        asked.json.write_text(json.dumps({"seen": asked.seen, "steps": steps}) + "\n")


if __name__ == "__main__":
    main()
