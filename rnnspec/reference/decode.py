"""The body of a decoder, one step of one row at a time: nothing is computed ahead, and what a step
leaves for the next is a value of its own, so that several continuations of one beginning are apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.nodes import (
    Attend,
    CopyMix,
    Decoder,
    Delayed,
    FutureInput,
    Node,
    Plan,
    Previous,
    PreviousNumber,
    Recurrent,
    Scores,
)
from rnnspec.reference.attention import AttentionState, attend, initial_attention
from rnnspec.reference.functions import Array, log_sigmoid, log_softmax
from rnnspec.reference.layers import Arrays, first_states, parameters_of, step, value_of


@dataclass(frozen=True, slots=True)
class DecoderState:
    """What the steps so far leave for the next: how many they were, the states of each recurrent
    layer, the value of each node at the last of them, where each attention has looked."""

    steps: int = 0
    states: Mapping[str, Arrays] = field(default_factory=dict)
    last: Arrays = field(default_factory=dict)
    looked: Mapping[str, AttentionState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a decoder of `plan`, over the values `outer` of one row's nodes outside of it."""

    plan: Plan
    decoder: Decoder
    weights: Arrays
    outer: Arrays

    def advance(self, previous: float, left: DecoderState) -> tuple[Array, DecoderState]:
        """One step: the scores after the number or value `previous`, and what the step leaves."""
        found: dict[str, Array] = {}
        states, looked = dict(left.states), dict(left.looked)
        seen = {**self.outer, **self._ahead(left.steps)}
        for node in self.decoder.body:
            values = {**seen, **found}
            match node:
                case Recurrent():
                    states[node.name], out = self._recurrent(node, values, left)
                    found[node.name] = out
                case Attend():
                    memory = self.outer[node.memory]
                    before = left.looked.get(node.name) or initial_attention(node, len(memory))
                    context, looked[node.name] = attend(
                        node, self.weights, values[node.source], memory, before
                    )
                    found[node.name] = context
                case CopyMix():
                    found[node.name] = self._mixed(node, values, looked[node.attend].logs)
                case _:
                    found[node.name] = self._value(node, values, previous, left)
        return found[self.decoder.scores], DecoderState(left.steps + 1, states, found, looked)

    def _ahead(self, number: int) -> dict[str, Array]:
        """Of the outer sequences on the axis of the answer, step `number`."""
        nodes = (self.plan.node(name) for name in self.decoder.reads)
        ahead = (node.name for node in nodes if isinstance(node, FutureInput) and not node.flat)
        return {name: self.outer[name][number] for name in ahead}

    def _value(self, node: Node, values: Arrays, previous: float, left: DecoderState) -> Array:
        match node:
            case Previous():
                return np.asarray(float(previous if previous < node.size else UNKNOWN_ID))
            case PreviousNumber():
                return np.array([previous])
            case Delayed():
                return left.last.get(node.source, np.zeros(node.width))
            case Scores():
                table = f"{node.tied}.table" if node.tied else f"{node.name}.W"
                return self.weights[table] @ values[node.source] + self.weights[f"{node.name}.b"]
            case _:
                return value_of(self.plan, node, self.weights, values)

    def _recurrent(
        self, node: Recurrent, values: Arrays, left: DecoderState
    ) -> tuple[dict[str, Array], Array]:
        given = [values.get(name) for name in node.given]
        states = left.states.get(node.name)
        states = states or first_states(node, "forward", self.weights, given)
        inputs = {"x": values[node.source], "dt": np.ones(())}
        parameters = parameters_of(node, "forward", self.weights)
        return step(node.answering_cell, parameters, inputs, states)

    def _mixed(self, node: CopyMix, values: Arrays, logs: Array) -> Array:
        """Log-probabilities `[size + T]` of the answer's tokens, written or copied; `logs` `[T]`
        are those of the weights of attention."""
        name = node.name
        gate = np.asarray(
            self.weights[f"{name}.w"] @ values[node.gate] + self.weights[f"{name}.b"][0]
        )
        own = log_sigmoid(gate) + log_softmax(values[node.source])
        found = np.append(own, np.full(len(logs), -np.inf))
        for number, log in zip(self.outer[node.tokens].astype(int), logs, strict=True):
            place = number if number >= 0 else ~number
            if place:
                found[place] = np.logaddexp(found[place], log_sigmoid(-gate) + log)
        return found
