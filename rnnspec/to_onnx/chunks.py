"""The states of a graph that answers chunk by chunk: how they come in and leave.

Each state is an input `[B, *shape]` and an output, or a part of one joined tensor. Where a caller
tells that a row ends, its states leave as 0, what they are before a row begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rnnspec.plan.stream import BEGUN, END, JOINED, JOINED_AFTER, WRITE, Stream
from rnnspec.plan.stream_states import StreamState
from rnnspec.to_onnx.emitter import BOOL, DOUBLE, FLOAT, INT64, Emitter, Extent

KINDS = {"float32": FLOAT, "float64": DOUBLE, "int64": INT64}
BATCH = "batch"


@dataclass(slots=True)
class Chunks:
    """The states of one graph. `end`, bool `[B]`, says which rows end; "" where nothing waits
    for what comes later."""

    emit: Emitter
    stream: Stream
    end: str = ""
    _before: dict[str, str] = field(default_factory=dict)
    _after: dict[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The inputs and outputs of the graph for the states, and the end of rows."""
        states = self.stream.states
        found = [JOINED, JOINED_AFTER] if self.stream.joined else [each.name for each in states]
        found += [] if self.stream.joined else [each.after for each in states]
        found += [END] if self.stream.ends else []
        return found + ([WRITE] if self.stream.writes else [])

    def enter(self) -> None:
        """Emit the inputs."""
        if self.stream.ends:
            doc = "whether the row ends with this chunk; its next chunk begins another row"
            self.end = self.emit.input(END, BOOL, [BATCH], doc, reserved=True)
        if self.stream.joined:
            self._enter_joined()
            return
        for state in self.stream.states:
            doc = f"{state.after} of the chunk before; 0 where a row begins"
            shape: list[Extent] = [BATCH, *state.shape]
            kind = KINDS[state.kind]
            self._before[state.name] = self.emit.input(state.name, kind, shape, doc, reserved=True)

    def _enter_joined(self) -> None:
        emit, states = self.emit, self.stream.states
        doc = f"{JOINED_AFTER} of the chunk before; 0 where a row begins"
        size = sum(state.size for state in states)
        whole = emit.input(JOINED, FLOAT, [BATCH, size], doc, reserved=True)
        parts = [whole]
        if len(states) > 1:
            sizes = emit.integers(*(state.size for state in states))
            names = [f"{state.name}.flat" for state in states]
            parts = emit.ops("Split", [whole, sizes], names, axis=1)
        for state, part in zip(states, parts, strict=True):
            shape = emit.integers(0, *state.shape) if state.shape else emit.integers(-1)
            value = part
            if len(state.shape) != 1:
                value = emit.op("Reshape", [part, shape], f"{state.name}.shaped")
            self._before[state.name] = emit.cast(
                value, FLOAT, KINDS[state.kind], f"{state.name}.before"
            )

    def before(self, name: str) -> str:
        """A state as it was after the chunk before, `[B, *shape]`."""
        return self._before[name]

    def after(self, name: str, value: str) -> None:
        """A state after this chunk, `[B, *shape]`."""
        assert name in self._before and name not in self._after, name
        self._after[name] = value

    def given(self, name: str) -> str:
        """What a state was given as its value after this chunk."""
        return self._after[name]

    def has(self, name: str) -> bool:
        """Whether there is such a state."""
        return name in self._before

    def begun(self) -> str:
        """Bool `[B, 1]`: whether the row has had steps before this chunk."""
        if "" not in self._before:
            flag = self.emit.op("Cast", [self.before(BEGUN)], f"{BEGUN}.flag", to=BOOL)
            self._before[""] = self.emit.unsqueeze(flag, 1, f"{BEGUN}.column")
        return self._before[""]

    def leave(self) -> None:
        """Emit the outputs. Raises AssertionError where a state was forgotten."""
        states = self.stream.states
        missing = [state.name for state in states if state.name not in self._after]
        assert not missing, f"no node gives {', '.join(missing)}"
        values = [self._leaving(state) for state in states]
        if self.stream.joined:
            flat = [self._flat(s, v) for s, v in zip(states, values, strict=True)]
            whole = self.emit.concat(flat, 1, f"{JOINED}.after")
            size = sum(state.size for state in states)
            self.emit.output(whole, JOINED_AFTER, FLOAT, [BATCH, size], "the states after it")
            return
        for state, value in zip(states, values, strict=True):
            doc = f"{state.name} after the chunk"
            shape: list[Extent] = [BATCH, *state.shape]
            if not self.emit.can_leave(value):
                value = self.emit.op("Identity", [value], f"{state.name}.after")
            self.emit.output(value, state.after, KINDS[state.kind], shape, doc)

    def _leaving(self, state: StreamState) -> str:
        """0 in rows that end."""
        value, emit = self._after[state.name], self.emit
        if not self.end:
            return value
        end, axes = self.end, range(1, 1 + len(state.shape))
        if state.shape:
            end = emit.op("Unsqueeze", [end, emit.integers(*axes)], f"{state.name}.end")
        zero = emit.constant(np.zeros((), state.kind), f"zero.{state.kind}")
        return emit.op("Where", [end, zero, value], f"{state.name}.or_end")

    def _flat(self, state: StreamState, value: str) -> str:
        """Float `[B, size]`."""
        emit = self.emit
        value = emit.cast(value, KINDS[state.kind], FLOAT, f"{state.name}.float")
        if len(state.shape) == 1:
            return value
        shape = emit.integers(0, state.size) if state.shape else emit.integers(-1, 1)
        return emit.op("Reshape", [value, shape], f"{state.name}.flattened")
