"""Texts along the steps of a row: see `TransducerOutput` and `TransducerGreedy` of the plan."""

from __future__ import annotations

from collections.abc import Sequence
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
    """The beginning of a text: its log-probability, that of its most probable path, the step of
    each token on it, the row's step that the text is at, what the decoder gives after it, and its
    state."""

    score: float
    path: float
    spans: tuple[Span, ...]
    step: int
    predicted: Array
    state: DecoderState


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A text after the next round, by what it comes from: `origin`."""

    score: float
    path: float
    spans: tuple[Span, ...]
    origin: Tokens

    def merged(self, other: _Candidate) -> _Candidate:
        """The same text, reached by two ways; of equal paths the one that was there before."""
        best = other if other.path > self.path else self
        score = float(np.logaddexp(self.score, other.score))
        return _Candidate(score, best.path, best.spans, self.origin)


def beam(joint: Joint, search: TransducerBeam) -> list[tuple[Tokens, float, tuple[Span, ...]]]:
    """The `n_best` texts, the best first, with log-probabilities and the step of each token."""
    steps, limit = len(joint.steps), search.symbols * len(joint.steps)
    predicted, state = joint.after(BLANK, DecoderState())
    kept: dict[Tokens, _Beginning] = {(): _Beginning(0.0, 0.0, (), 0, predicted, state)}
    while any(one.step < steps for one in kept.values()):
        logs = {t: joint.logs(o.step, o.predicted) for t, o in kept.items() if o.step < steps}
        found = {}
        for tokens, one in kept.items():
            blank = float(logs[tokens][BLANK]) if tokens in logs else 0.0
            found[tokens] = _Candidate(one.score + blank, one.path + blank, one.spans, tokens)
        for tokens, of_text in logs.items():
            for number in range(len(of_text)) if len(tokens) < limit else ():
                if number not in (BLANK, UNKNOWN_ID):
                    one, log = kept[tokens], float(of_text[number])
                    spans = (*one.spans, (one.step, one.step))
                    new = _Candidate(one.score + log, one.path + log, spans, tokens)
                    before = found.get((*tokens, number))
                    found[(*tokens, number)] = new if before is None else before.merged(new)
        best = sorted(found.items(), key=lambda item: -item[1].score)[: search.width]
        kept = {text: _next(joint, kept[of.origin], text, of) for text, of in best}
    ranked = [(tokens, one.score, one.spans) for tokens, one in kept.items()][: search.n_best]
    return ranked + [((), NEVER, ())] * (search.n_best - len(ranked))


def _next(joint: Joint, origin: _Beginning, text: Tokens, found: _Candidate) -> _Beginning:
    after = found.score, found.path, found.spans
    if text == found.origin:
        step = min(origin.step + 1, len(joint.steps))
        return _Beginning(*after, step, origin.predicted, origin.state)
    predicted, state = joint.after(text[-1], origin.state)
    return _Beginning(*after, origin.step, predicted, state)


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
