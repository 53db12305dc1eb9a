"""What the loops of all searches have in common: their states, their end, what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from rnnspec.plan.nodes import Search
from rnnspec.to_onnx.attention import MEMORY, State
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.values import TIME, Lowering

ANSWER = "steps"
"""Name of the dimension of the steps of an answer."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found: `numbers` int64 `[B, U]`, END_ID past the end, `lengths` int64 `[B]`
    without the end mark, `scores` float `[B]`, the true log-probabilities, and the `weights`
    `[B, U, T]` of the attention, if asked for. A beam with `n_best` above 1 has `[B, n_best, U]`,
    `[B, n_best]`, and the weights of the best."""

    numbers: str
    lengths: str
    scores: str
    weights: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The most steps: of all rows, int64 `[]`, at least 1; and of each, int64 `[B]`, "" where it is
    the same number for all."""

    trips: str
    rows: str


def limits_of(low: Lowering, name: str, search: Search) -> Limits:
    """`limit + floor(factor * lengths)` in double precision."""
    emit = low.emit
    if not search.factor:
        return Limits(emit.integer(max(search.limit, 1)), "")
    lengths = low.axes[TIME].name
    exact = emit.op("Cast", [lengths], f"{name}.lengths", {"to": TensorProto.DOUBLE})
    factor = emit.constant(np.array(search.factor, np.float64), f"{name}.factor")
    product = emit.op("Mul", [exact, factor], f"{name}.product")
    whole = emit.op("Cast", [product], f"{name}.whole", {"to": INT64})
    rows = emit.op("Add", [whole, emit.integer(search.limit)], f"{name}.most")
    longest = emit.op("ReduceMax", [rows], f"{name}.longest", {"keepdims": 0})
    trips = emit.op("Max", [longest, emit.integer(1)], f"{name}.trips")
    return Limits(trips, rows)


class Loop:
    """A Loop under construction: `states` with their values before the first step, then what each
    step gives, in order of the calls."""

    def __init__(self, emit: Emitter, name: str, dimension: str) -> None:
        self._outer, self._name, self._dimension = emit, name, dimension
        self.emit = emit.body()
        self.step = self.emit.input(f"{name}.step", INT64, [])
        self.going = self.emit.input(f"{name}.going", BOOL, [])
        self._initial: list[str] = []
        self._kinds: list[tuple[int, list[Extent]]] = []

    def state(self, name: str, initial: str, kind: int, extents: Sequence[Extent]) -> str:
        """The body's name of a state before the step."""
        self._initial.append(initial)
        self._kinds.append((kind, list(extents)))
        return self.emit.input(f"{name}.before", kind, extents)

    def carried(self, states: Sequence[State], initial: Sequence[str] = ()) -> list[str]:
        """The body's names of states `[R, …]`, which begin with `initial`, if it is given."""
        begin = initial or [state.initial for state in states]
        return [
            self.state(state.name, value, state.kind, [self._dimension, *state.extents])
            for state, value in zip(states, begin, strict=True)
        ]

    def close(
        self,
        trips: str,
        going: str,
        states: Sequence[str],
        steps: Sequence[tuple[str, int, list[Extent]]] = (),
    ) -> tuple[list[str], list[str]]:
        """Emit the Loop: the last states, and for each value of `steps` (its name, type and shape)
        the values of all steps, `[U, …]`."""
        body, leaving = self.emit, set[str]()

        def own(value: str) -> str:
            """A value leaves once, and only one that was made here."""
            if value in leaving or not body.made(value):
                value = body.op("Identity", [value], f"{value}.kept")
            leaving.add(value)
            return value

        body.result(own(going), BOOL, [])
        for value, (kind, extents) in zip(states, self._kinds, strict=True):
            body.result(own(value), kind, extents)
        for value, kind, extents in steps:
            body.result(own(value), kind, extents)
        start = self._outer.constant(np.array(True), "true")
        names = [f"{self._name}.state_{index}" for index in range(len(states))]
        names += [f"{self._name}.steps_{index}" for index in range(len(steps))]
        found = self._outer.ops(
            "Loop",
            [trips, start, *self._initial],
            names,
            {"body": body.graph(f"{self._name}.body")},
        )
        return found[: len(states)], found[len(states) :]


__all__ = ["ANSWER", "FLOAT", "MEMORY", "Found", "Limits", "Loop", "limits_of"]
