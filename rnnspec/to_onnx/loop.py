"""A Loop under construction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnspec.to_onnx.emitter import BOOL, INT64, Emitter, Extent
from rnnspec.to_onnx.rows import State


class Loop:
    """A Loop under construction. `step` is the number of the step, int64 `[]`.

    States are added with the values that they have before the first step, and leave in this order.
    """

    def __init__(self, emit: Emitter, name: str) -> None:
        self._outer, self._name = emit, name
        self.emit = emit.body()
        self.step = self.emit.input(f"{name}.step", INT64, [])
        self.going = self.emit.input(f"{name}.going", BOOL, [])
        self._initial: list[str] = []
        self._kinds: list[tuple[int, list[Extent]]] = []

    def state(self, name: str, initial: str, kind: int, extents: Sequence[Extent]) -> str:
        """The body's name of a state before the step, which has these extents in the body."""
        self._initial.append(initial)
        self._kinds.append((kind, list(extents)))
        return self.emit.input(f"{name}.before", kind, extents)

    def carried(
        self, states: Sequence[State], dimension: str, initial: Sequence[str] = ()
    ) -> list[str]:
        """The body's names of states `[dimension, …]`; `initial` overrides their initial values."""
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
        the values of all steps, `[U, …]`.

        `start` says whether it begins at all. `after` are the extents of the states after a step,
        where they differ from those before it.
        """
        body, leaving = self.emit, set[str]()

        def distinct(value: str) -> str:
            """`value`, or a copy where it has left the body already or was not made in it."""
            if value in leaving or not body.emits(value):
                value = body.op("Identity", [value], f"{value}.kept")
            leaving.add(value)
            return value

        body.result(distinct(going), BOOL, [])
        for place, (value, (kind, extents)) in enumerate(zip(states, self._kinds, strict=True)):
            body.result(distinct(value), kind, after[place] if after else extents)
        for value, kind, shape in steps:
            body.result(distinct(value), kind, shape)
        names = [f"{self._name}.state_{index}" for index in range(len(states))]
        names += [f"{self._name}.steps_{index}" for index in range(len(steps))]
        start = start or self._outer.constant(np.array(True), "true")
        graph, inputs = body.graph(f"{self._name}.body"), [trips, start, *self._initial]
        found = self._outer.ops("Loop", inputs, names, body=graph)
        return found[: len(states)], found[len(states) :]
