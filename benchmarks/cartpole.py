"""A policy in a closed loop: does a stream file keep a pole upright for 500 steps?

A cart is pushed to the left or to the right at each step, so that the pole hinged on it stays
upright (Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve difficult
learning control problems"; Euler's method with 0.02 s and the limits of the environment that is
usual since, CartPole-v1, which gives the same states bit for bit). A hand-written controller
demonstrates; a GRU learns from it by `specs/cartpole.yaml`, is exported with --stream, and acts
from its stream, one step a chunk.

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
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

import rnnspec

SPEC = Path(__file__).parent / "specs" / "cartpole.yaml"
GRAVITY, CART, POLE, HALF = 9.8, 1.0, 0.1, 0.5
"""In m/s², kg, kg and m; of the pole half the length."""
FORCE, TAU = 10.0, 0.02
"""Of a push, in N, and seconds a step."""
EDGE, TILT = 2.4, np.deg2rad(12)
"""Where an episode ends: metres from the middle, radians from upright."""
MOST = 500
State = NDArray[np.float64]
"""Position, velocity, angle, angular velocity."""
Seen = Literal["all", "positions"]


def moved(state: State, push: float) -> State:
    """The state a step later, by equations 1 and 2 of the paper without friction."""
    _, v, angle, turn = state
    sine, cosine = np.sin(angle), np.cos(angle)
    common = (push + POLE * HALF * turn**2 * sine) / (CART + POLE)
    inertia = HALF * (4 / 3 - POLE * cosine**2 / (CART + POLE))
    turning = (GRAVITY * sine - cosine * common) / inertia
    speeding = common - POLE * HALF * turning * cosine / (CART + POLE)
    return state + TAU * np.array([v, speeding, turn, turning])


def fallen(state: State) -> bool:
    return bool(abs(state[0]) > EDGE or abs(state[2]) > TILT)


def demonstrated(state: State) -> str:
    """Under the pole, and with it slowly to the middle."""
    x, v, angle, turn = state
    return "right" if angle + 0.25 * turn + 0.03 * x + 0.08 * v > 0 else "left"


def looked_at(state: State, seen: Seen) -> list[float]:
    return list(map(float, state if seen == "all" else state[[0, 2]]))


def pushed(push: str) -> float:
    return FORCE if push == "right" else -FORCE


def episode(draw: Generator, seen: Seen, steps: int = 200) -> dict[str, list[object]]:
    """A row of a demonstration that is disturbed: a tenth of the pushes go the other way, but what
    the controller says is written down."""
    state = draw.uniform(-1, 1, 4) * [1.0, 0.5, 0.1, 0.5]
    found: dict[str, list[object]] = {"seen": [], "push": []}
    while len(found["push"]) < steps and not fallen(state):
        push = demonstrated(state)
        found["seen"].append(looked_at(state, seen))
        found["push"].append(push)
        state = moved(state, pushed(push) * (-1 if draw.random() < 0.1 else 1))
    return found


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
