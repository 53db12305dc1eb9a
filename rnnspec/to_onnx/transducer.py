"""Texts along the steps of a sequence, in a Loop of rounds: in each a row goes on to the first of
the next few steps at which it writes a token, or past them. See
`rnnspec.plan.nodes.TransducerOutput` and `TransducerGreedy`.

What the steps are joined with changes by a token only, so those up to the next token are looked at
together. A round for each step and each token took 2.6 times as long of one row of 200 steps, and
1.9 times of 16 rows, where one step in seven writes a token.
"""

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
AHEAD = 8
"""So many steps are looked at in a round. Half as many are 10 to 20 % faster where a step writes
more than one token, and slower by half where few do."""
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
class _Round:
    """Of each row `[B]`: the number written, or the blank; whether one is written, at which step,
    and the step that follows; how many tokens there are at that so far; and the log-probability of
    what was passed."""

    number: str
    written: str
    place: str
    next: str
    count: str
    gained: str


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
        round_ = self._round(loop.emit, at, count, predicted)
        after = self._moved(loop, round_, predicted, before)
        number, place = round_.number, round_.place
        total = loop.emit.op("Add", [score, round_.gained], f"{name}.score.next")
        inner, rest = loop.emit, after[2:]
        there = inner.op("Less", [after[0], lengths.name], f"{name}.there")
        going = inner.op("Cast", [there], f"{name}.there.number", to=INT64)
        going = inner.op("ReduceMax", [going], f"{name}.most", keepdims=0)
        going = inner.op("Cast", [going], f"{name}.going.on", to=BOOL)
        time = emit.op("Squeeze", [lengths.time()], f"{name}.time")
        time = emit.op("Max", [time, emit.integer(1)], f"{name}.time.least")
        trips = emit.op("Mul", [time, emit.integer(self.node.search.symbols + 1)], f"{name}.trips")
        extents: list[Extent] = [BATCH]
        records = [(number, INT64, extents), (place, INT64, extents)]
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

    def _round(self, emit: Emitter, at: str, count: str, predicted: str) -> _Round:
        name, zero = f"{self.node.name}.joint", emit.integer(0)
        numbers = emit.constant(np.arange(self.ahead)[np.newaxis], f"{name}.ahead")
        column = emit.unsqueeze(at, 1, f"{name}.at")
        steps = emit.op("Add", [column, numbers], f"{name}.steps")
        there = emit.op("Less", [steps, self._lengths()], f"{name}.there")
        logs = self._logs(emit, steps, predicted)
        tokens = self._tokens(emit, logs, count, there)
        sign = emit.op("Sign", [tokens], f"{name}.sign")
        # onnxruntime 1.17 has no ArgMax of int64.
        written = emit.op("Cast", [sign], f"{name}.written", to=FLOAT)
        first = emit.op("ArgMax", [written], f"{name}.first", axis=1, keepdims=1)
        number = emit.squeeze(emit.pick(tokens, first, f"{name}.token"), 1, f"{name}.number")
        some = emit.op("Greater", [number, zero], f"{name}.some")
        beyond = emit.integer(self.ahead)
        first = emit.squeeze(first, 1, f"{name}.first.flat")
        moved = emit.op("Where", [some, first, beyond], f"{name}.moved")
        place = emit.op("Add", [at, moved], f"{name}.place")
        again = emit.op("Equal", [moved, zero], f"{name}.again")
        here = emit.op("Where", [again, count, zero], f"{name}.here")
        more = emit.op("Add", [here, emit.integer(1)], f"{name}.more")
        return _Round(
            number,
            some,
            place,
            emit.op("Min", [place, self.source.lengths.name], f"{name}.next"),
            emit.op("Where", [some, more, zero], f"{name}.count"),
            self._gained(emit, logs, tokens, there, moved),
        )

    @property
    def ahead(self) -> int:
        return min(AHEAD, self.source.lengths.steps or AHEAD)

    def _lengths(self) -> str:
        """Int64 `[B, 1]`."""
        return self.low.emit.unsqueeze(self.source.lengths.name, 1, f"{self.node.name}.lengths")

    def _tokens(self, emit: Emitter, logs: str, count: str, there: str) -> str:
        """Int64 `[B, A]`: the number at each step, the blank in those that are past the end, and in
        one that has its tokens."""
        name, node = f"{self.node.name}.joint", self.node
        mask = np.zeros((1, 1, node.size), np.float32)
        mask[..., UNKNOWN_ID] = NEVER
        allowed = emit.op("Add", [logs, emit.constant(mask, f"{name}.mask")], f"{name}.allowed")
        best = emit.op("ArgMax", [allowed], f"{name}.best", axis=2, keepdims=0)
        most = np.full((1, self.ahead), 2**62)
        most[0, 0] = node.search.symbols  # later steps have none so far
        inputs = [emit.unsqueeze(count, 1, f"{name}.so_far"), emit.constant(most, f"{name}.most")]
        room = emit.op("Less", inputs, f"{name}.room")
        both = emit.op("And", [room, there], f"{name}.open")
        return emit.op("Where", [both, best, emit.integer(BLANK)], f"{name}.tokens")

    def _gained(self, emit: Emitter, logs: str, tokens: str, there: str, moved: str) -> str:
        """Float `[B]`: the log-probability of the blanks up to the token, and of the token."""
        name = f"{self.node.name}.joint"
        each = emit.unsqueeze(tokens, 2, f"{name}.tokens.column")
        log = emit.op("GatherElements", [logs, each], f"{name}.log", axis=2)
        log = emit.squeeze(log, 2, f"{name}.log.flat")
        numbers = emit.constant(np.arange(self.ahead)[np.newaxis], f"{name}.ahead")
        passed = [numbers, emit.unsqueeze(moved, 1, f"{name}.moved.column")]
        own = emit.op("LessOrEqual", passed, f"{name}.passed")
        own = emit.op("And", [own, there], f"{name}.own")
        log = emit.op("Where", [own, log, emit.number(0.0)], f"{name}.log.own")
        return emit.reduce("ReduceSum", log, 1, f"{name}.gained")

    def _logs(self, emit: Emitter, steps: str, predicted: str) -> str:
        """Log-probabilities `[B, A, size]` of what follows at steps `[B, A]`."""
        low, name, node = self.low, f"{self.node.name}.joint", self.node
        outer, lengths = low.emit, self.source.lengths
        flat = outer.op("Flatten", [self.source.name], f"{name}.flat", axis=2)
        batch = outer.op("Squeeze", [lengths.batch()], f"{name}.batch")
        count = outer.op("Shape", [self.source.name], f"{name}.steps.count", start=0, end=1)
        last = outer.op("Sub", [count, outer.integers(1)], f"{name}.last")
        within = emit.op("Min", [steps, last], f"{name}.within")
        start = emit.op("Mul", [within, batch], f"{name}.start")
        places = emit.op("Add", [start, lengths.rows()], f"{name}.places")
        vectors = emit.op("Gather", [flat, places], f"{name}.vectors")
        inputs = [vectors, emit.unsqueeze(predicted, 1, f"{name}.predicted")]
        joined = emit.op("Tanh", [emit.op("Add", inputs, f"{name}.sum")], f"{name}.joined")
        matrix = emit.weight(f"{node.name}.W.transposed", low.weights[f"{node.name}.W"].T)
        scores = emit.op("MatMul", [joined, matrix], f"{name}.product")
        scores = emit.op("Add", [scores, low.canonical(f"{node.name}.b")], f"{name}.scores")
        return emit.op("LogSoftmax", [scores], f"{name}.logs", axis=2)

    def _moved(
        self, loop: Loop, round_: _Round, predicted: str, before: Sequence[str]
    ) -> list[str]:
        """The next step and count of each row, its prediction and the states of the decoder."""
        emit = loop.emit
        step = self.body.step(emit, self.rows, loop.step, round_.number, before)
        column = emit.unsqueeze(round_.written, 1, f"{self.node.name}.moved.column")
        pairs = zip([step.logits, *step.states], [predicted, *before], strict=True)
        return [
            round_.next,
            round_.count,
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
