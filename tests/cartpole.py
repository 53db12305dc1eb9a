"""A pole on a cart that is pushed to the left or to the right, so that the pole stays upright.

Barto, Sutton and Anderson 1983, "Neuronlike adaptive elements that can solve difficult learning
control problems"; Euler's method with 0.02 s and the limits of the environment that is usual since,
CartPole-v1, which gives the same states bit for bit. A hand-written controller demonstrates.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

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
