"""Texts along the steps of a sequence, in a Loop of rounds: in each a row writes a token, or goes
on to its next step. See `rnnspec.plan.nodes.TransducerOutput` and `TransducerGreedy`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.names import answer_name
from rnnspec.plan.nodes import Decoder, Node, TransducerBeam, TransducerOutput
from rnnspec.to_onnx import transducer_beam
from rnnspec.to_onnx.body import Body, StepOutput
from rnnspec.to_onnx.ctc import gathered, numbers_to
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, Vector
from rnnspec.to_onnx.prefix_beam import NEVER, Steps
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.loop import ANSWER, SearchResult
from rnnspec.to_onnx.text import answer_text, output

BLANK = END_ID
SCORES = "log-probability of the answer along its steps"


def lower_transducer(low: Lowering, node: TransducerOutput) -> Vector:
    """The outputs of every text; with `low.attention` also `<name>.alignment` int64 `[B, U, 2]`."""
    decoder, source = low.plan.node(node.decoder), low.steps(node.source)
    if isinstance(node.search, TransducerBeam):
        found, steps = transducer_beam.search(low, node, node.search, source)
        answer_text(low, node, found, f"{SCORES}, as far as the beam kept its paths")
    else:
        assert isinstance(decoder, Decoder), f"{node.name} reads no decoder"
        rows = Rows(low.emit, source.lengths.batch())
        search = _Search(low, node, source, Body(low, decoder, rows), rows)
        numbers, places, score = search.rounds()
        found, token = search.answers(numbers, score)
        answer_text(low, node, found, SCORES)
        steps = search.spans(token, places, found.numbers) if low.attention else ""
    if low.attention:
        doc = "the first and the last step of each token, from 0; -1 past the end"
        name = f"{answer_name(low.plan, node)}.alignment"
        output(low, steps, name, INT64, [BATCH, ANSWER, 2], doc)
    return Vector(found.log_probs)


def _carried(node: Node) -> list[str]:
    return [f"{node.name}.{state.name}" for state in node.carried() or ()]


@dataclass(frozen=True, slots=True)
class _Search:
    low: Lowering
    node: TransducerOutput
    source: PaddedSequence
    body: Body
    rows: Rows

    def rounds(self) -> tuple[str, str, str]:
        """Of each round the number chosen and the step it is of, int64 `[N, B]`; and the
        log-probabilities of the rows, `[B]`."""
        emit, name, lengths = self.low.emit, self.node.name, self.source.lengths
        start = self.rows.filled(emit.integer(BLANK), f"{name}.start")
        first = [state.initial for state in self.body.states]
        begun = self.body.step(emit, self.rows, emit.integer(0), start, first)
        loop = Loop(emit, f"{name}.rounds")
        at = loop.state(f"{name}.at", start, INT64, [BATCH])
        count = loop.state(f"{name}.count", start, INT64, [BATCH])
        zero, prediction, memory = self._kept(begun)
        score = loop.state(f"{name}.score", zero, FLOAT, [BATCH])
        predicted = loop.state(f"{name}.predicted", prediction, FLOAT, [BATCH, self.node.hidden])
        before = loop.carried(self.body.states, BATCH, memory)
        number, gained = self._chosen(loop.emit, at, count, predicted)
        after = self._moved(loop, at, count, number, predicted, before)
        total = loop.emit.op("Add", [score, gained], f"{name}.score.next")
        inner, rest = loop.emit, after[2:]
        there = inner.op("Less", [after[0], lengths.name], f"{name}.there")
        going = inner.op("Cast", [there], f"{name}.there.number", to=INT64)
        going = inner.op("ReduceMax", [going], f"{name}.most", keepdims=0)
        going = inner.op("Cast", [going], f"{name}.going.on", to=BOOL)
        time = emit.op("Squeeze", [lengths.time()], f"{name}.time")
        time = emit.op("Max", [time, emit.integer(1)], f"{name}.time.least")
        trips = emit.op("Mul", [time, emit.integer(self.node.search.symbols + 1)], f"{name}.trips")
        extents: list[Extent] = [BATCH]
        records = [(number, INT64, extents), (at, INT64, extents)]
        states, (numbers, places) = loop.close(
            trips, going, [after[0], after[1], total, *rest], records
        )
        self._keep(states[2:])
        return numbers, places, states[2]

    def _kept(self, begun: StepOutput) -> tuple[str, str, list[str]]:
        """Score, prediction and states of the decoder before the first round; `begun` are those
        before the first token."""
        emit, name, chunks = self.low.emit, self.node.name, self.low.chunks
        if chunks is None:
            zero = self.rows.filled(emit.number(0.0), f"{name}.score.start")
            return zero, begun.logits, begun.states
        first = [begun.logits, *begun.states]
        found = [
            emit.op("Where", [chunks.begun(), chunks.before(kept), new], f"{kept}.or_first")
            for kept, new in zip(self._names(), first, strict=True)
        ]
        return chunks.before(f"{name}.score"), found[0], found[1:]

    def _keep(self, states: Sequence[str]) -> None:
        """Score, prediction and states of the decoder after the last round."""
        chunks = self.low.chunks
        if chunks is not None:
            names = [f"{self.node.name}.score", *self._names()]
            for kept, value in zip(names, states, strict=True):
                chunks.after(kept, value)

    def _names(self) -> list[str]:
        """The states that stay, but for the score."""
        body = [state for each in self.body.node.body for state in _carried(each)]
        return [f"{self.node.name}.predicted", *body]

    def _chosen(self, emit: Emitter, at: str, count: str, predicted: str) -> tuple[str, str]:
        """The number of each row, the blank in those that are past their end, and its
        log-probability, 0 there."""
        name, node = f"{self.node.name}.joint", self.node
        logs = self._logs(emit, at, predicted)
        mask = np.zeros((1, node.size), np.float32)
        mask[0, UNKNOWN_ID] = NEVER
        allowed = emit.op("Add", [logs, emit.constant(mask, f"{name}.mask")], f"{name}.allowed")
        best = emit.op("ArgMax", [allowed], f"{name}.best", axis=1, keepdims=0)
        room = emit.op("Less", [count, emit.integer(node.search.symbols)], f"{name}.room")
        active = emit.op("Less", [at, self.source.lengths.name], f"{name}.active")
        both = emit.op("And", [room, active], f"{name}.open")
        number = emit.op("Where", [both, best, emit.integer(BLANK)], f"{name}.number")
        column = emit.unsqueeze(number, 1, f"{name}.number.column")
        log = emit.op("GatherElements", [logs, column], f"{name}.log", axis=1)
        log = emit.squeeze(log, 1, f"{name}.log.flat")
        return number, emit.op("Where", [active, log, emit.number(0.0)], f"{name}.gained")

    def _logs(self, emit: Emitter, at: str, predicted: str) -> str:
        """Log-probabilities `[B, size]` of what follows."""
        low, name, node = self.low, f"{self.node.name}.joint", self.node
        steps = low.emit.op("Shape", [self.source.name], f"{name}.steps", start=0, end=1)
        last = low.emit.op("Sub", [steps, low.emit.integers(1)], f"{name}.last")
        within = emit.op("Min", [at, last], f"{name}.within")
        column = emit.unsqueeze(within, 1, f"{name}.column")
        places = emit.concat([column, self.source.lengths.rows()], 1, f"{name}.places")
        vector = emit.op("GatherND", [self.source.name, places], f"{name}.vector")
        joined = emit.op("Add", [vector, predicted], f"{name}.sum")
        joined = emit.op("Tanh", [joined], f"{name}.joined")
        matrix = emit.weight(f"{node.name}.W.transposed", low.weights[f"{node.name}.W"].T)
        inputs = [joined, matrix, low.canonical(f"{node.name}.b")]
        scores = emit.op("Gemm", inputs, f"{name}.scores")
        return emit.op("LogSoftmax", [scores], f"{name}.logs", axis=1)

    def _moved(
        self, loop: Loop, at: str, count: str, number: str, predicted: str, before: Sequence[str]
    ) -> list[str]:
        """The next step and count of each row, its prediction and the states of the decoder."""
        emit, name = loop.emit, f"{self.node.name}.moved"
        written = emit.op("Greater", [number, emit.integer(BLANK)], f"{name}.written")
        active = emit.op("Less", [at, self.source.lengths.name], f"{name}.active")
        stays = emit.op("Or", [written, emit.op("Not", [active], f"{name}.ended")], f"{name}.stays")
        later = emit.op("Add", [at, emit.integer(1)], f"{name}.later")
        one = emit.op("Add", [count, emit.integer(1)], f"{name}.one_more")
        step = self.body.step(emit, self.rows, loop.step, number, before)
        column = emit.unsqueeze(written, 1, f"{name}.column")
        pairs = zip([step.logits, *step.states], [predicted, *before], strict=True)
        return [
            emit.op("Where", [stays, at, later], f"{name}.at"),
            emit.op("Where", [written, one, emit.integer(0)], f"{name}.count"),
            *(emit.op("Where", [column, new, old], f"{old}.next") for new, old in pairs),
        ]

    def answers(self, numbers: str, score: str) -> tuple[SearchResult, str]:
        """The answers, and which token of the answer each round wrote, int64 `[N, B]`; -1 for
        none."""
        emit, name = self.low.emit, f"{self.node.name}.found"
        count = emit.extent(numbers, 0, f"{name}.rounds")
        rounds = Steps(name, numbers, self.node.size, count, self.source.lengths.batch())
        written = emit.op("Greater", [numbers, emit.integer(BLANK)], f"{name}.written")
        tokens, lengths, places = gathered(emit, rounds, numbers, written, name)
        token = emit.op("Where", [written, places, emit.integer(-1)], f"{name}.token")
        return SearchResult(tokens, lengths, score, ""), token

    def spans(self, token: str, places: str, numbers: str) -> str:
        """Int64 `[B, U, 2]`: the step of each token, twice."""
        emit, name = self.low.emit, f"{self.node.name}.spans"
        column = emit.unsqueeze(token, 2, f"{name}.column")
        own = emit.op("Equal", [column, numbers_to(emit, numbers, 1, f"{name}.tokens")], name)
        steps = emit.unsqueeze(places, 2, f"{name}.steps")
        found = emit.op("Where", [own, steps, emit.integer(-1)], f"{name}.each")
        step = emit.reduce("ReduceMax", found, 0, f"{name}.step")
        step = emit.unsqueeze(step, 2, f"{name}.step.column")
        return emit.concat([step, step], 2, f"{name}.both")
