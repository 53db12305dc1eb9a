"""The body of a decoder, one step of one row at a time.

The state between steps is an immutable value: one beginning may have several continuations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.reference.attention import AttentionState, attend, initial_attention
from rnnspec.reference.convolution import conv
from rnnspec.reference.functions import Array, Arrays, log_sigmoid, log_softmax
from rnnspec.reference.layers import LAYERS, first_states, parameters_of, step


@dataclass(frozen=True, slots=True)
class DecoderState:
    """The state between two steps: the number of steps before, the states of each recurrent layer,
    the value of each node at the last step, and the state of each attention."""

    steps: int = 0
    states: Mapping[str, Arrays] = field(default_factory=dict)
    last: Arrays = field(default_factory=dict)
    attention: Mapping[str, AttentionState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a decoder of `plan`, over the values `outer` of one row's nodes outside of it."""

    plan: Plan
    decoder: nodes.Decoder
    weights: Arrays
    outer: Arrays

    def advance(self, previous: float | Array, state: DecoderState) -> tuple[Array, DecoderState]:
        """One step after the number, value or frame `previous`: logits, and the state after it."""
        values = {**self.outer, **self._ahead(state.steps)}
        now = _Step(self, previous, state, values, dict(state.states), dict(state.attention))
        for node in self.decoder.body:
            if type(node) in BODY:
                values[node.name] = BODY[type(node)](now, node)
            else:
                values[node.name] = LAYERS[type(node)](self.plan, node, self.weights, values)
        last = {node.name: values[node.name] for node in self.decoder.body}
        after = DecoderState(state.steps + 1, now.states, last, now.attention)
        return last[self.decoder.scores], after

    def _ahead(self, number: int) -> dict[str, Array]:
        """Step `number` of the outer sequences on the axis of the answer."""
        read = [self.plan.node(name) for name in self.decoder.reads]
        known = nodes.FutureInput | nodes.CalendarFuture | nodes.SeasonAgo | nodes.LagsAhead
        known |= nodes.FramesInput | nodes.KeysInput
        found = [n.name for n in read if isinstance(n, known) and not getattr(n, "flat", False)]
        embedded = (n for n in read if isinstance(n, nodes.Embed | nodes.CalendarEmbed))
        found += [n.name for n in embedded if self._of_steps(n)]
        if self.decoder.reverse:
            return {name: self.outer[name][len(self.outer[name]) - 1 - number] for name in found}
        return {name: self.outer[name][number] for name in found}

    def _of_steps(self, node: nodes.Embed | nodes.CalendarEmbed) -> bool:
        """Whether the vectors are those of the steps ahead."""
        ahead = nodes.CategoriesFuture | nodes.CalendarFuture
        return isinstance(self.plan.node(node.source), ahead)


@dataclass(slots=True)
class _Step:
    """A step of `body` after `previous` and the state `before`: the `values` so far, and what the
    step leaves of the states of layers and attentions."""

    body: Body
    previous: float | Array
    before: DecoderState
    values: dict[str, Array]
    states: dict[str, Arrays]
    attention: dict[str, AttentionState]


def _previous(now: _Step, node: nodes.Previous) -> Array:
    previous = float(now.previous)
    known = not node.size or previous < node.size
    return np.asarray(previous if known else float(UNKNOWN_ID))


def _recurrent(now: _Step, node: nodes.Recurrent) -> Array:
    weights, given = now.body.weights, [now.values.get(name) for name in node.given]
    states = now.before.states.get(node.name)
    states = states or first_states(node, "forward", weights, given)
    inputs = {"x": now.values[node.source], "dt": np.ones(())}
    parameters = parameters_of(node, "forward", weights)
    now.states[node.name], out = step(node.answering_cell, parameters, inputs, states, node.extents)
    return out


def _conv(now: _Step, node: nodes.Conv) -> Array:
    """The last output over all inputs so far, which are the state."""
    so_far = now.before.states.get(node.name, {"x": np.zeros((0, node.inputs))})["x"]
    so_far = np.concatenate([so_far, now.values[node.source][None]])
    now.states[node.name] = {"x": so_far}
    return np.asarray(conv(now.body.plan, node, now.body.weights, {node.source: so_far})[-1])


def _attend(now: _Step, node: nodes.Attend) -> Array:
    memory = now.values[node.memory]
    before = now.before.attention.get(node.name) or initial_attention(node, len(memory))
    context, now.attention[node.name] = attend(
        node, now.body.weights, now.values[node.source], memory, before
    )
    return context


def _copy_mix(now: _Step, node: nodes.CopyMix) -> Array:
    """Log-probabilities `[size + T]` of the tokens of the answer, generated or copied."""
    weights, values = now.body.weights, now.values
    gate = np.asarray(weights[f"{node.name}.w"] @ values[node.gate] + weights[f"{node.name}.b"][0])
    own = log_sigmoid(gate) + log_softmax(values[node.source])
    steps = sum(len(values[tokens]) for tokens in node.all_tokens)
    found = np.append(own, np.full(steps, -np.inf))
    for (read_by, tokens), share in zip(node.copied, _log_shares(now, node), strict=True):
        logs = share + now.attention[read_by].logs
        for number, log in zip(values[tokens].astype(int), logs, strict=True):
            place = number if number >= 0 else ~number
            if place:
                found[place] = np.logaddexp(found[place], log_sigmoid(-gate) + log)
    return found


def _log_shares(now: _Step, node: nodes.CopyMix) -> Array:
    """The logarithm of how much is copied from each source, of what is copied."""
    if not node.others:
        return np.zeros(1)
    weights = now.body.weights
    scores = weights[f"{node.name}.W_s"] @ now.values[node.gate] + weights[f"{node.name}.b_s"]
    there = np.array([len(now.values[tokens]) > 0 for tokens in node.all_tokens])
    found = np.full(len(scores), -np.inf)
    if there.any():
        found[there] = log_softmax(scores[there])
    return found


def _pointed(now: _Step, node: nodes.Pointed) -> Array:
    step = int(now.values[node.source]) - nodes.FIRST_STEP
    return now.values[node.memory][step] if step >= 0 else now.body.weights[f"{node.name}.first"]


def _pointer(now: _Step, node: nodes.Pointer) -> Array:
    """Of the end, of the unknown, then of each step."""
    own = {
        name: now.body.weights[f"{node.name}.{name}"] for name in ("W_q", "W_m", "b", "v", "end")
    }
    asked = own["W_q"] @ now.values[node.source]
    keys = [own["end"], *(own["W_m"] @ step + own["b"] for step in now.values[node.memory])]
    end, *steps = (own["v"] @ np.tanh(asked + key) for key in keys)
    return np.array([end, -np.inf, *steps])


BODY: dict[type[nodes.Node], Callable[[_Step, Any], Array]] = {
    nodes.Previous: _previous,
    nodes.PreviousNumber: lambda now, node: np.array(now.previous),
    nodes.PreviousFrame: lambda now, node: (
        np.asarray(now.previous) if node.fed else np.zeros(node.width)
    ),
    nodes.Delayed: lambda now, node: now.before.last.get(node.source, np.zeros(node.width)),
    nodes.Recurrent: _recurrent,
    nodes.Conv: _conv,
    nodes.Attend: _attend,
    nodes.CopyMix: _copy_mix,
    nodes.Pointed: _pointed,
    nodes.Pointer: _pointer,
}
"""Types of nodes that are in a body only, or computed differently there; the others by `LAYERS`."""
