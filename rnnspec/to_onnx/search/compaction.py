"""The loop of a search, which drops the rows that have ended from the batch.

A row that has ended costs as much as an active one while it stays in the batch. So an outer loop
takes the rows that are still active together, and an inner loop runs the steps until a quarter of
them has ended. What the decoder reads of its rows (memory, keys) is gathered once for each pass of
the outer loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.to_onnx.emitter import BOOL, INT64, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH
from rnnspec.to_onnx.rows import ACTIVE, ACTIVE_HYPOTHESES, Rows, State
from rnnspec.to_onnx.search.loop import Task

LEFT, LEFT_HYPOTHESES = "left", "left_hypotheses"
"""Names of the dimensions of rows and hypotheses that go on to the next pass."""
ALL_STEPS = "all_steps"


@dataclass(frozen=True, slots=True)
class Record:
    """A value `[B, *extents]` that each step records, and `fill`, which stands for it where a row
    has ended before. `sizes`, int64, are the numbers behind the extents."""

    value: str
    kind: int
    extents: tuple[Extent, ...]
    sizes: str
    fill: float


@dataclass(frozen=True, slots=True)
class SearchStep:
    """The next states, whether each row is still active, bool `[B]`, and what is recorded."""

    states: Sequence[str]
    active: str
    records: Sequence[Record]


EmitStep = Callable[[Emitter, Rows, str, str, Sequence[str]], SearchStep]
"""`(emit, rows, step, active, states)`: emit one step of these rows."""


class CompactingLoop:
    """The loops of one search; `states` are of each hypothesis, `of_rows` of each row."""

    def __init__(self, task: Task, states: Sequence[State], of_rows: Sequence[State] = ()) -> None:
        self._low, self._rows, self._limits = task.low, task.rows, task.limits
        self._name = f"{task.name}.search"
        self._states, self._by_hypothesis = [*states, *of_rows], len(states)

    def run(self, emit_step: EmitStep) -> list[str]:
        """The records of all steps, each `[U, B, *extents]`, and one step of `fill` at the end."""
        low, name = self._low, self._name
        first = self._first_rows()
        outer = Loop(low.emit, f"{name}.phases")
        emit = outer.emit
        done = outer.state(f"{name}.done", low.emit.integer(0), INT64, [])
        chosen = outer.state(f"{name}.rows", first, INT64, [ACTIVE])
        every = [state.initial for state in self._states]
        initial = self._chosen(low.emit, first, every, bool(self._limits.rows))
        before = self._before(outer, initial)
        count = emit.op("Shape", [chosen], f"{name}.count")
        rows = Rows(emit, count, self._rows.width, chosen)
        records, (active, *states), steps = self._steps(emit, rows, done, before, emit_step)
        taken = emit.extent(steps[0], 0, f"{name}.taken")
        taken = emit.op("Squeeze", [taken], f"{name}.taken.number")
        found = emit.op("NonZero", [active], f"{name}.places.line")
        places = emit.squeeze(found, 0, f"{name}.places")
        following = [
            emit.op("Add", [done, taken], f"{name}.done.next"),
            emit.op("Gather", [chosen, places], f"{name}.rows.next"),
            *self._chosen(emit, places, states, True),
            *self._all(outer, rows, chosen, records, steps),
        ]
        after: list[list[Extent]] = [[], [LEFT]]
        after += [self._extents(n, LEFT, LEFT_HYPOTHESES) for n in range(len(states))]
        after += [[ALL_STEPS, BATCH, *record.extents] for record in records]
        within = emit.op("Less", [following[0], self._limits.trips], f"{name}.within")
        going = emit.op("And", [self._some(emit, places), within], f"{name}.going_on")
        start = self._some(low.emit, first)
        last, _ = outer.close(self._limits.trips, going, following, (), start, after)
        ends = last[-len(records) :]
        return [self._with_one(low.emit, t, v, 0) for t, v in zip(records, ends, strict=True)]

    def _first_rows(self) -> str:
        """Int64: the rows that may have a step at all."""
        emit, name = self._low.emit, f"{self._name}.first_rows"
        if not self._limits.rows:
            return self._rows.numbers(self._rows.batch)
        some = emit.op("Greater", [self._limits.rows, emit.integer(0)], f"{name}.some")
        found = emit.op("NonZero", [some], f"{name}.line")
        return emit.squeeze(found, 0, name)

    def _some(self, emit: Emitter, rows: str) -> str:
        size = emit.op("Size", [rows], f"{rows}.size")
        return emit.op("Greater", [size, emit.integer(0)], f"{rows}.some")

    def _before(self, loop: Loop, initial: Sequence[str]) -> list[str]:
        """The names in the body of a loop of all states before the step."""
        return [
            loop.state(s.name, value, s.kind, self._extents(place, ACTIVE, ACTIVE_HYPOTHESES))
            for place, (s, value) in enumerate(zip(self._states, initial, strict=True))
        ]

    def _extents(self, place: int, row: str, hypothesis: str) -> list[Extent]:
        """Of a state, with these names for the dimensions of rows and of hypotheses."""
        several = place < self._by_hypothesis and self._rows.width > 1
        return [hypothesis if several else row, *self._states[place].extents]

    def _chosen(self, emit: Emitter, places: str, states: Sequence[str], some: bool) -> list[str]:
        """The states of the rows at `places`; all states unless only `some` rows are there."""
        if not some:
            return list(states)
        each, width = places, self._rows.width
        if width > 1:
            column = emit.unsqueeze(places, 1, f"{places}.column")
            first = emit.op("Mul", [column, emit.integer(width)], f"{places}.first")
            own = emit.constant(np.arange(width), f"integers.below_{width}")
            grid = emit.op("Add", [first, own], f"{places}.grid")
            each = emit.op("Reshape", [grid, emit.integers(-1)], f"{places}.each")
        return [
            emit.op("Gather", [value, each if n < self._by_hypothesis else places], f"{value}.left")
            for n, value in enumerate(states)
        ]

    def _steps(
        self, emit: Emitter, rows: Rows, done: str, before: Sequence[str], emit_step: EmitStep
    ) -> tuple[Sequence[Record], list[str], list[str]]:
        """The inner loop: the records of a step, the last `active` and states, and the records of
        all steps, `[u, A, …]`."""
        name = self._name
        inner = Loop(emit, f"{name}.steps")
        true = emit.constant(np.array(True), "true")
        all_active = emit.op("Expand", [true, rows.batch], f"{name}.all_active")
        active = inner.state(f"{name}.active", all_active, BOOL, [ACTIVE])
        states = self._before(inner, before)
        number = inner.emit.op("Add", [inner.step, done], f"{name}.step.number")
        step = emit_step(inner.emit, rows, number, active, states)
        flags = inner.emit.op("Cast", [step.active], f"{name}.flags", to=INT64)
        left = inner.emit.op("ReduceSum", [flags], f"{name}.left", keepdims=0)
        going = inner.emit.op("Greater", [left, self._least(emit, rows)], f"{name}.many_left")
        trips = emit.op("Sub", [self._limits.trips, done], f"{name}.trips_left")
        outputs = [
            (record.value, record.kind, [ACTIVE, *record.extents]) for record in step.records
        ]
        last, found = inner.close(trips, going, [step.active, *step.states], outputs)
        return step.records, last, found

    def _least(self, emit: Emitter, rows: Rows) -> str:
        """Int64 `[]`: with no more active rows than this many a new pass begins."""
        name = f"{self._name}.least"
        count = emit.op("Squeeze", [rows.batch], f"{name}.count")
        most = emit.op("Mul", [count, emit.integer(3)], f"{name}.times_3")
        return emit.op("Div", [most, emit.integer(4)], name)

    def _all(
        self, outer: Loop, rows: Rows, chosen: str, records: Sequence[Record], steps: Sequence[str]
    ) -> list[str]:
        """The records of all steps so far and of this pass, `[U, B, …]`: `fill` for rows that
        are not active any more."""
        emit, name, low = outer.emit, f"{self._name}.told", self._low
        none = emit.op("Expand", [rows.batch, self._rows.batch], f"{name}.none")
        numbers = rows.numbers(rows.batch)
        inverse = emit.op("ScatterElements", [none, chosen, numbers], f"{name}.inverse")
        found = []
        for record, value in zip(records, steps, strict=True):
            parts = [emit.integers(0), self._rows.batch, record.sizes]
            shape = low.emit.concat([*filter(None, parts)], 0, f"{name}.shape")
            empty = low.emit.op("Expand", [self._fill(low.emit, record), shape], f"{name}.empty")
            so_far = outer.state(name, empty, record.kind, [ALL_STEPS, BATCH, *record.extents])
            more = self._with_one(emit, record, value, 1)
            every = emit.op("Gather", [more, inverse], f"{name}.every", axis=1)
            found.append(emit.concat([so_far, every], 0, f"{name}.so_far"))
        return found

    def _fill(self, emit: Emitter, record: Record) -> str:
        return emit.integer(int(record.fill)) if record.kind == INT64 else emit.number(record.fill)

    def _with_one(self, emit: Emitter, record: Record, value: str, axis: int) -> str:
        """`value` with one more element on an axis, the fill."""
        rank = 2 + len(record.extents)
        pads = [0] * (2 * rank)
        pads[rank + axis] = 1
        inputs = [value, emit.integers(*pads), self._fill(emit, record)]
        return emit.op("Pad", inputs, f"{value}.and_none")
