"""A model in chunks: what each node keeps from one chunk of a stream to the next.

A stream is a row that comes in chunks of any number of steps, none included. With the states of
`Stream` the answers of all chunks, one after the other, are those of the whole row, wherever it is
cut. Every state is 0 where a row begins: what begins otherwise is in the model.

A node that reads steps ahead answers later than its input comes: `Lag` says by how much. Its last
answers come when the row ends, which the caller tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rnnspec.errors import ExportError
from rnnspec.plan import nodes
from rnnspec.plan.names import first_sequence, first_sequences, splits_text
from rnnspec.plan.nodes import Node, Plan
from rnnspec.plan.stream_rules import CannotStream, Reading, states_of
from rnnspec.plan.stream_states import HELD, Lag, States, StreamState, waiting_of


@dataclass(frozen=True, slots=True)
class Stream:
    """How a plan is answered chunk by chunk: the states by node, and the lags of sequences.

    `joined`: all states come in and leave as one tensor. `step`: a chunk is just one step of each
    row.
    """

    plan: Plan
    of_nodes: Mapping[str, tuple[StreamState, ...]]
    lags: Mapping[str, Lag]
    joined: bool = False
    step: bool = False

    @property
    def states(self) -> tuple[StreamState, ...]:
        """All states, in the order of the graph's inputs."""
        return tuple(state for states in self.of_nodes.values() for state in states)

    @property
    def ahead(self) -> int:
        """The most steps, of sound samples, that an answer reads ahead."""
        return max((lag.ahead for lag in self.lags.values()), default=0)

    @property
    def ends(self) -> bool:
        """Whether the caller tells which rows end: something waits for what comes later."""
        held = any(state.name.endswith(HELD) for state in self.states)
        return bool(self.ahead) or held

    def waiting(self, node: Node) -> Mapping[str, int]:
        """The sources of a node that are ahead of its last one, each with the most values that
        have to wait."""
        lags = {name: self.lags[name] for name in node.sources() if name in self.lags}
        return waiting_of(lags)

    @property
    def writes(self) -> bool:
        """Whether tokens are written on after a chunk, as many as the caller asks for."""
        return any(isinstance(node, nodes.TextOutput) and node.prompt for node in self.plan.outputs)

    def answers_later(self, output: nodes.Output) -> bool:
        """Whether an answer of each step has other steps than the chunk."""
        lag = self.lags.get(output.source)
        return lag is not None and bool(lag.ahead)


BEGUN = "begun"
"""The state of a whole model: 1 once a row has had a step."""
END = "end"
"""The input of a model that reads ahead or keeps bytes back: whether a row ends with this chunk."""
WRITE = "write"
"""The input of a language model that writes on: how many tokens to write after a chunk."""
JOINED, JOINED_AFTER = "state", "stateN"
"""The input and the output of all states as one tensor, by the names that others have for it."""


OF_ALL_STEPS = nodes.PositionOutput | nodes.PointerOutput | nodes.FramesOutput
"""Answers that may be made of all steps, whatever the layers are: their reason is told first, for
what helps with a layer would not help."""


def stream_of(plan: Plan, ids: bool = False, *, joined: bool = False, step: bool = False) -> Stream:
    """The states of a plan. Raises ExportError with the first layer that needs the whole row, and
    why; for states that cannot be `joined`, and for a layer that does not answer each `step` at
    once.

    `ids`: texts come in as numbers of tokens.
    """
    if first_sequence(plan) is None:
        raise ExportError(
            f"{plan.name} reads no steps, so that there is nothing to stream; leave out --stream"
        )
    reading = Reading(plan, ids, step, nodes.shapes(plan))
    if len(first_sequences(plan)) > 1:
        names = " and ".join(repr(node.column) for node in first_sequences(plan).values())
        raise ExportError(
            f"{plan.name} cannot answer chunk by chunk: {names} have steps of their own, and a"
            " chunk has one number of steps"
        )
    found: dict[str, States] = {}
    for node in sorted(plan.nodes, key=lambda node: not isinstance(node, OF_ALL_STEPS)):
        try:
            found[node.name] = states_of(reading, node)
        except CannotStream as reason:
            raise ExportError(
                f"{plan.name} cannot answer chunk by chunk: {_title(node)} {reason}"
            ) from None
    begun: dict[str, States] = {BEGUN: (StreamState(BEGUN, ()),)} if reading.begun else {}
    found = {node.name: found[node.name] for node in plan.nodes}
    states = begun | {name: own for name, own in found.items() if own}
    stream = Stream(plan, states, reading.lags, joined, step)
    if joined:
        _check_joined(stream)
    if step:
        _check_step(stream, ids)
    return stream


def _check_joined(stream: Stream) -> None:
    """Raises ExportError where there is nothing to join, or float32 would round it."""
    for state in stream.states:
        if state.kind == "float64":
            raise ExportError(
                f"the state {state.name} has float64 numbers, which one tensor of float32 would"
                " round; leave out --state joined"
            )
    if not stream.states:
        raise ExportError(f"{stream.plan.name} keeps no states; leave out --state joined")


def _check_step(stream: Stream, ids: bool) -> None:
    """Raises ExportError for what does not answer each step at once."""
    first = first_sequence(stream.plan)
    assert first is not None
    if stream.writes:
        raise ExportError(
            "--step takes one token of each row, and a text that is written on is read in chunks of"
            " any number of tokens; leave out --step"
        )
    if splits_text(first, ids):
        raise ExportError(
            f"--step takes one token of each row, and column {first.column!r} is a text, which the"
            " file splits; add --ids, with which token numbers come in"
        )
    for name, lag in stream.lags.items():
        if lag.ahead or lag.stride > 1:
            raise ExportError(
                f"--step answers each step at once, and {name} reads steps ahead or answers fewer;"
                " leave out --step: chunks of one step do as well"
            )


def _title(node: Node) -> str:
    column = getattr(node, "column", "")
    return f"column {column!r}" if column else node.name
