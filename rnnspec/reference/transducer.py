"""Texts along the steps of a row: see `TransducerOutput` and `TransducerGreedy` of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Decoder, Plan, TransducerBeam, TransducerOutput
from rnnspec.reference.alignment import NEVER, Span, Tokens
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.functions import Array, Arrays, log_softmax

BLANK = END_ID


@dataclass(frozen=True, slots=True)
class Joint:
    """The output `out` of one row, over the `values` of the nodes outside of its decoder."""

    plan: Plan
    out: TransducerOutput
    weights: Arrays
    values: Arrays

    @property
    def steps(self) -> Array:
        """The vectors of the steps, `[T, hidden]`."""
        return self.values[self.out.source]

    def after(self, token: int, state: DecoderState) -> tuple[Array, DecoderState]:
        """What the decoder gives after one more token, and its state."""
        decoder = self.plan.node(self.out.decoder)
        assert isinstance(decoder, Decoder)
        return Body(self.plan, decoder, self.weights, self.values).advance(token, state)

    def logs(self, step: int, predicted: Array) -> Array:
        """Log-probabilities `[size]`."""
        joined = np.tanh(self.steps[step] + predicted)
        name = self.out.name
        return log_softmax(self.weights[f"{name}.W"] @ joined + self.weights[f"{name}.b"])


def greedy(joint: Joint) -> tuple[Tokens, float, tuple[Span, ...]]:
    """The answer, its log-probability, and the step of each token."""
    tokens, score, spans = list[int](), 0.0, list[Span]()
    predicted, state = joint.after(BLANK, DecoderState())
    for step in range(len(joint.steps)):
        for count in range(joint.out.search.symbols + 1):
            logs = joint.logs(step, predicted)
            allowed = logs.copy()
            allowed[UNKNOWN_ID] = NEVER
            best = int(np.argmax(allowed)) if count < joint.out.search.symbols else BLANK
            score += float(logs[best])
            if best == BLANK:
                break
            tokens.append(best)
            spans.append((step, step))
            predicted, state = joint.after(best, state)
    return tuple(tokens), score, tuple(spans)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The beginning of a text: its log-probability, the row's step that it is at, what the decoder
    gives after it, and its state."""

    score: float
    step: int
    predicted: Array
    state: DecoderState


def beam(joint: Joint, search: TransducerBeam) -> list[tuple[Tokens, float]]:
    """The `n_best` texts with their log-probabilities, the best first."""
    steps, limit = len(joint.steps), search.symbols * len(joint.steps)
    predicted, state = joint.after(BLANK, DecoderState())
    kept: dict[Tokens, _Beginning] = {(): _Beginning(0.0, 0, predicted, state)}
    while any(one.step < steps for one in kept.values()):
        logs = {t: joint.logs(o.step, o.predicted) for t, o in kept.items() if o.step < steps}
        found = {
            tokens: (one.score + (float(logs[tokens][BLANK]) if tokens in logs else 0.0), tokens)
            for tokens, one in kept.items()
        }
        for tokens, of_text in logs.items():
            for number in range(len(of_text)) if len(tokens) < limit else ():
                if number not in (BLANK, UNKNOWN_ID):
                    score = kept[tokens].score + float(of_text[number])
                    before, origin = found.get((*tokens, number), (NEVER, tokens))
                    found[(*tokens, number)] = float(np.logaddexp(before, score)), origin
        best = sorted(found.items(), key=lambda item: -item[1][0])[: search.width]
        kept = {text: _next(joint, kept, text, *of) for text, of in best}
    ranked = [(tokens, one.score) for tokens, one in kept.items()][: search.n_best]
    return ranked + [((), NEVER)] * (search.n_best - len(ranked))


def _next(
    joint: Joint, kept: Mapping[Tokens, _Beginning], text: Tokens, score: float, origin: Tokens
) -> _Beginning:
    one = kept[origin]
    if text == origin:
        return _Beginning(score, min(one.step + 1, len(joint.steps)), one.predicted, one.state)
    predicted, state = joint.after(text[-1], one.state)
    return _Beginning(score, one.step, predicted, state)


def arc_logs(joint: Joint, tokens: Sequence[int]) -> Array:
    """`[T, U + 1, 2]`: the log-probabilities of the blank and of the next token of the text, -inf
    after the last one."""
    predicted, state = joint.after(BLANK, DecoderState())
    columns = []
    for token in (*tokens, None):
        logs = np.array([joint.logs(step, predicted) for step in range(len(joint.steps))])
        logs = logs.reshape(-1, joint.out.size)
        following = np.full(len(logs), NEVER) if token is None else logs[:, token]
        columns.append(np.stack([logs[:, BLANK], following], axis=1))
        if token is not None:
            predicted, state = joint.after(token, state)
    return np.stack(columns, axis=1)


def log_probability(arcs: Array) -> float:
    """Of the text of `arc_logs`, by the forward variables of Graves 2012, equations 16 to 18."""
    steps, count = arcs.shape[:2]
    if steps == 0:
        return 0.0 if count == 1 else NEVER
    forward = np.full((steps, count), NEVER)
    forward[0, 0] = 0.0
    for step in range(steps):
        for at in range(count):
            if step:
                came = forward[step - 1, at] + arcs[step - 1, at, 0]
                forward[step, at] = np.logaddexp(forward[step, at], came)
            if at:
                came = forward[step, at - 1] + arcs[step, at - 1, 1]
                forward[step, at] = np.logaddexp(forward[step, at], came)
    return float(forward[-1, -1] + arcs[-1, -1, 0])
