"""A Loop under construction, and the most steps that a search may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from rnnspec.plan.nodes import Search
from rnnspec.to_onnx.attention import State
from rnnspec.to_onnx.emitter import BOOL, INT64, Emitter, Extent
from rnnspec.to_onnx.lowering import TIME, Lowering

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
        return Limits(emit.integer(search.limit), "")
    lengths = low.axes[TIME].name
    exact = emit.op("Cast", [lengths], f"{name}.lengths", {"to": TensorProto.DOUBLE})
    factor = emit.constant(np.array(search.factor, np.float64), f"{name}.factor")
    product = emit.op("Mul", [exact, factor], f"{name}.product")
    whole = emit.op("Cast", [product], f"{name}.whole", {"to": INT64})
    rows = emit.op("Add", [whole, emit.integer(search.limit)], f"{name}.most")
    return Limits(emit.op("ReduceMax", [rows], f"{name}.trips", {"keepdims": 0}), rows)


class Loop:
    """`step` is the number of the step, int64 `[]`; states are added with the values that they have
    before the first step, and leave in the same order."""

    def __init__(self, emit: Emitter, name: str) -> None:
        self._outer, self._name = emit, name
        self.emit = emit.body()
        self.step = self.emit.input(f"{name}.step", INT64, [])
        self.going = self.emit.input(f"{name}.going", BOOL, [])
        self._initial: list[str] = []
        self._kinds: list[tuple[int, list[Extent]]] = []

    def state(self, name: str, initial: str, kind: int, extents: Sequence[Extent]) -> str:
        """The body's name of a state before the step. Its extents are those inside the body."""
        self._initial.append(initial)
        self._kinds.append((kind, list(extents)))
        return self.emit.input(f"{name}.before", kind, extents)

    def carried(
        self, states: Sequence[State], dimension: str, initial: Sequence[str] = ()
    ) -> list[str]:
        """The body's names of states `[dimension, …]`, which begin with `initial`, if given."""
        begin = initial or [state.initial for state in states]
        return [
            self.state(state.name, value, state.kind, [dimension, *state.extents])
            for state, value in zip(states, begin, strict=True)
        ]

    def close(
        self,
        trips: str,
        going: str,
        states: Sequence[str],
        steps: Sequence[tuple[str, int, list[Extent]]] = (),
        start: str = "",
        after: Sequence[Sequence[Extent]] = (),
    ) -> tuple[list[str], list[str]]:
        """Emit the Loop: the last states, and for each value of `steps` (its name, type and shape)
        the values of all steps, `[U, …]`. `start` says whether it begins at all; `after` are the
        extents of the states after a step, where they are others."""
        body, leaving = self.emit, set[str]()

        def own(value: str) -> str:
            """A value leaves once, and only one that was made here."""
            if value in leaving or not body.made(value):
                value = body.op("Identity", [value], f"{value}.kept")
            leaving.add(value)
            return value

        body.result(own(going), BOOL, [])
        for place, (value, (kind, extents)) in enumerate(zip(states, self._kinds, strict=True)):
            body.result(own(value), kind, after[place] if after else extents)
        for value, kind, shape in steps:
            body.result(own(value), kind, shape)
        names = [f"{self._name}.state_{index}" for index in range(len(states))]
        names += [f"{self._name}.steps_{index}" for index in range(len(steps))]
        start = start or self._outer.constant(np.array(True), "true")
        attributes = {"body": body.graph(f"{self._name}.body")}
        found = self._outer.ops("Loop", [trips, start, *self._initial], names, attributes)
        return found[: len(states)], found[len(states) :]


def cut(emit: Emitter, steps: str, lengths: str, name: str) -> str:
    """`[U, …]` with as many steps as the longest of `lengths`, but one at least."""
    longest = emit.op("ReduceMax", [lengths], f"{name}.longest", {"keepdims": 0})
    end = emit.op("Max", [longest, emit.integer(1)], f"{name}.end")
    extent = emit.op("Unsqueeze", [end, emit.integers(0)], f"{name}.extent")
    return emit.op("Slice", [steps, emit.integers(0), extent, emit.integers(0)], name)
