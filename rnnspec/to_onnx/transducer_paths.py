"""The most probable path of each text of a transducer's beam, and the step of each token on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.to_onnx.ctc import numbers_to
from rnnspec.to_onnx.emitter import INT64, Emitter
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH
from rnnspec.to_onnx.prefix_beam import NEVER, Steps


@dataclass(frozen=True, slots=True)
class Arcs:
    """What follows each text of a beam: log-probabilities of the blank `[B, K]` and of each token
    `[B, K, size]`; whether there is `room` for a token, `[B, K, 1]`; and which text is the parent
    of which, `[B, K, K]`."""

    blank: str
    tokens: str
    room: str
    parents: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The texts of the next round `[B, K]`: the text that each comes from, whether it is longer,
    and by which token."""

    origin: str
    longer: str
    token: str


@dataclass(frozen=True, slots=True)
class Followed:
    """A round of the paths `[B, K]`: their log-probabilities after it, the place in the beam that
    each comes from, and the step of the token that it wrote, -1 for none."""

    path: str
    origin: str
    place: str


@dataclass(frozen=True, slots=True)
class Paths:
    """Of the beam `[B, K]` before a round: log-probabilities of the paths, last tokens, steps."""

    emit: Emitter
    name: str
    width: int
    size: int
    path: str
    last: str
    at: str

    def after(self, arcs: Arcs, chosen: Chosen) -> Followed:
        emit, name = self.emit, self.name
        tokens = self._tokens(arcs)
        by_blank = emit.op("Add", [self.path, arcs.blank], f"{name}.by_blank")
        merged = self._merged(tokens, arcs.parents)
        by_token = emit.reduce("ReduceMax", merged, 1, f"{name}.by_token")
        parent = emit.op("ArgMax", [merged], f"{name}.parent", axis=1, keepdims=0)
        wrote = emit.op("Greater", [by_token, by_blank], f"{name}.wrote")
        kept = emit.op("Max", [by_blank, by_token], f"{name}.kept")
        own = emit.constant(np.arange(self.width, dtype=np.int64)[np.newaxis], f"{name}.own")
        origin = emit.op("Where", [wrote, parent, own], f"{name}.origin.kept")
        place = self._at(self.at, parent, "step.parent")
        place = emit.op("Where", [wrote, place, emit.integer(-1)], f"{name}.place.kept")

        def either(longer: str, kept: str, what: str) -> str:
            kept = self._at(kept, chosen.origin, f"{what}.of_origin")
            return emit.op("Where", [chosen.longer, longer, kept], f"{name}.{what}.next")

        return Followed(
            either(self._longer(tokens, chosen), kept, "path"),
            either(chosen.origin, origin, "origin"),
            either(self._at(self.at, chosen.origin, "step"), place, "place"),
        )

    def _at(self, values: str, places: str, what: str) -> str:
        return self.emit.op("GatherElements", [values, places], f"{self.name}.{what}", axis=1)

    def _tokens(self, arcs: Arcs) -> str:
        """`[B, K, size]`: the paths with one token more."""
        emit, name = self.emit, f"{self.name}.tokens"
        path = emit.unsqueeze(self.path, 2, f"{name}.path")
        every = emit.op("Add", [path, arcs.tokens], f"{name}.all")
        return emit.op("Where", [arcs.room, every, emit.number(NEVER)], name)

    def _merged(self, tokens: str, parents: str) -> str:
        """`[B, K, K]`: of each text i the path to text j, if it is its parent."""
        emit, name = self.emit, f"{self.name}.merged"
        last = emit.unsqueeze(self.last, 1, f"{name}.last")
        last = emit.op("Expand", [last, emit.integers(1, self.width, 1)], f"{name}.last.each")
        found = emit.op("GatherElements", [tokens, last], f"{name}.each", axis=2)
        return emit.op("Where", [parents, found, emit.number(NEVER)], name)

    def _longer(self, tokens: str, chosen: Chosen) -> str:
        """`[B, K]`: the paths to texts that are longer, by the text and token chosen."""
        emit, name = self.emit, f"{self.name}.longer"
        shape = emit.integers(0, self.width * self.size)
        flat = emit.op("Reshape", [tokens, shape], f"{name}.flat")
        first = emit.op("Mul", [chosen.origin, emit.integer(self.size)], f"{name}.first")
        at = emit.op("Add", [first, chosen.token], f"{name}.at")
        return self._at(flat, at, "longer.path")


def spans(emit: Emitter, rounds: Steps, origins: str, places: str, numbers: str) -> str:
    """Int64 `[B, U, 2]`: the step of each token of the first text, twice, from what each round
    recorded, `[N, B, K]`, and the tokens `[B, U]`; -1 past the end."""
    name = f"{rounds.name}.spans"
    written = _from_the_last(emit, rounds, origins, places, f"{name}.back")
    none = rounds.filled(emit, emit.integers(-1), f"{name}.none")
    written = emit.concat([written, none], 0, f"{name}.written")  # no round has no largest step
    is_token = emit.op("GreaterOrEqual", [written, emit.integer(0)], f"{name}.is_token")
    ones = emit.op("Cast", [is_token], f"{name}.ones", to=INT64)
    so_far = emit.op("CumSum", [ones, emit.integer(0)], f"{name}.so_far")
    count = emit.reduce("ReduceSum", ones, 0, f"{name}.count")
    at = emit.op("Sub", [count, so_far], f"{name}.at")
    column = emit.unsqueeze(at, 2, f"{name}.column")
    own = emit.op("Equal", [column, numbers_to(emit, numbers, 1, f"{name}.tokens")], f"{name}.own")
    step = emit.unsqueeze(written, 2, f"{name}.steps")
    found = emit.op("Where", [own, step, emit.integer(-1)], f"{name}.each")
    step = emit.reduce("ReduceMax", found, 0, f"{name}.step")
    step = emit.unsqueeze(step, 2, f"{name}.step.column")
    return emit.concat([step, step], 2, f"{name}.both")


def _from_the_last(emit: Emitter, rounds: Steps, origins: str, places: str, name: str) -> str:
    """Int64 `[N, B]`, the last round first: the step of the token that the path wrote, or -1."""
    first = rounds.filled(emit, emit.integers(0), f"{name}.first")
    loop = Loop(emit, name)
    start = emit.transpose(first, [1, 0], f"{name}.start")
    at, inner = loop.state(f"{name}.at", start, INT64, [BATCH, 1]), loop.emit
    trips = emit.op("Squeeze", [rounds.time], f"{name}.trips")
    left = inner.op("Sub", [trips, loop.step], f"{name}.left")
    number = inner.op("Sub", [left, inner.integer(1)], f"{name}.number")
    before, written = (
        inner.op("GatherElements", [inner.op("Gather", [each, number], f"{each}.of_round"), at],
                 f"{each}.of_path", axis=1)
        for each in (origins, places)
    )  # fmt: skip
    flat = inner.squeeze(written, 1, f"{name}.written")
    _, (found,) = loop.close(trips, loop.going, [before], [(flat, INT64, [BATCH])])
    return found
