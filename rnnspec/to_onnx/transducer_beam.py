"""The beam of a transducer: texts with as many tokens and steps together, in a Loop of rounds. See
`rnnspec.plan.nodes.TransducerBeam`; texts are known by numbers as in `rnnspec.to_onnx.prefix_beam`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Decoder, TransducerBeam, TransducerOutput
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.ctc import best_of
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence
from rnnspec.to_onnx.prefix_beam import FACTOR, LEAST, NEVER, Steps, answers, log_sum, per_row
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.loop import SearchResult
from rnnspec.to_onnx.transducer_paths import Arcs, Chosen, Paths, spans

BLANK = END_ID


@dataclass(frozen=True, slots=True)
class _Texts:
    """The beam `[B, K]`, the best first: log-probabilities, the step that each text is at, how many
    tokens it has, the last one, and the numbers of the text and of its parent."""

    total: str
    at: str
    count: str
    last: str
    number: str
    parent: str

    def values(self) -> list[str]:
        return [self.total, self.at, self.count, self.last, self.number, self.parent]


@dataclass(frozen=True, slots=True)
class _Best:
    """The best candidates of a round, `[B, K]`: log-probabilities, the text that each comes from,
    whether it is longer, and the token that it is longer by."""

    total: str
    origin: str
    longer: str
    token: str


def search(
    low: Lowering, node: TransducerOutput, settings: TransducerBeam, source: PaddedSequence
) -> tuple[SearchResult, str]:
    """The `n_best` answers to each row; and, with `low.attention`, the steps of each token of the
    best one, int64 `[B, U, 2]`."""
    emit, name, width = low.emit, f"{node.name}.beam", settings.width
    decoder = low.plan.node(node.decoder)
    assert isinstance(decoder, Decoder), f"{node.name} reads no decoder"
    rows = Rows(emit, source.lengths.batch(), width)
    body = Body(low, decoder, rows)
    start = rows.filled(emit.integer(BLANK), f"{name}.start")
    first = [state.initial for state in body.states]
    begun = body.step(emit, rows, emit.integer(0), start, first)
    loop, steps = Loop(emit, name), Steps(name, "", node.size, "", source.lengths.batch())
    initial = _first(width)
    keys = [*initial, ("path", FLOAT, initial[0][2])] if low.attention else initial
    values = [
        loop.state(f"{name}.{key}", per_row(emit, steps, value, f"{name}.{key}.first"), kind,
                   [BATCH, width])
        for key, kind, value in keys
    ]  # fmt: skip
    texts = _Texts(*values[: len(initial)])
    extents: list[Extent] = [rows.dimension, node.hidden]
    predicted = loop.state(f"{name}.predicted", begun.logits, FLOAT, extents)
    before = loop.carried(body.states, rows.dimension, begun.states)
    one = _Round(low, loop.emit, node, settings, source, rows, name)
    best, later, arcs = one.ranked(texts, predicted)
    after, states = one.moved(body, loop.step, texts, best, later, [predicted, *before])
    going = one.goes_on(after)
    recorded, followed = [best.origin, one.added(best)], list[str]()
    if low.attention:
        path = values[-1]
        paths = Paths(loop.emit, f"{name}.path", width, node.size, path, texts.last, texts.at)
        moved = paths.after(arcs, Chosen(best.origin, best.longer, best.token))
        recorded, followed = [*recorded, moved.origin, moved.place], [moved.path]
    wide: list[Extent] = [BATCH, width]
    records = [(each, INT64, wide) for each in recorded]
    leaving = [*after.values(), *followed, *states]
    found, (origins, tokens, *ways) = loop.close(one.trips(), going, leaving, records)
    rounds = emit.extent(origins, 0, f"{name}.rounds")
    known = Steps(name, origins, node.size, rounds, source.lengths.batch())
    result = answers(emit, known, settings.n_best, found[0], origins, tokens, name)
    if not ways:
        return result, ""
    numbers = best_of(emit, result.numbers, settings.n_best, f"{name}.numbers.best")
    return result, spans(emit, known, ways[0], ways[1], numbers)


def _first(width: int) -> Sequence[tuple[str, int, NDArray[np.generic]]]:
    """The empty text, and others that no path reads as, without parents and children."""
    total = np.full(width, NEVER, np.float32)
    total[0] = 0.0
    places = np.arange(width, dtype=np.int64)
    return (
        ("total", FLOAT, total),
        ("at", INT64, 0 * places),
        ("count", INT64, 0 * places),
        ("last", INT64, 0 * places),
        ("number", INT64, -places),
        ("parent", INT64, -places - width),
    )


@dataclass(frozen=True, slots=True)
class _Round:
    """One round, emitted by `emit`."""

    low: Lowering
    emit: Emitter
    node: TransducerOutput
    settings: TransducerBeam
    source: PaddedSequence
    rows: Rows
    name: str

    def trips(self) -> str:
        """The most rounds there may be, int64 `[]`."""
        emit = self.low.emit
        steps = emit.op("Shape", [self.source.name], f"{self.name}.steps", start=0, end=1)
        steps = emit.op("Squeeze", [steps], f"{self.name}.steps.number")
        factor = emit.integer(self.settings.symbols + 1)
        return emit.op("Mul", [steps, factor], f"{self.name}.trips")

    def lengths(self) -> str:
        """`[B, 1]`."""
        return self.emit.unsqueeze(self.source.lengths.name, 1, f"{self.name}.lengths")

    def ranked(self, texts: _Texts, predicted: str) -> tuple[_Best, str, Arcs]:
        """The best candidates, the steps of texts that are not longer, and what followed each."""
        emit, name, size = self.emit, self.name, self.node.size
        logs = self._logs(texts.at, predicted)
        going = emit.op("Less", [texts.at, self.lengths()], f"{name}.going")
        blank = emit.slice(logs, BLANK, BLANK + 1, 2, f"{name}.blank")
        blank = emit.squeeze(blank, 2, f"{name}.blank.flat")
        gained = emit.op("Where", [going, blank, emit.number(0.0)], f"{name}.gained")
        kept = emit.op("Add", [texts.total, gained], f"{name}.kept")
        allowed, room, extended = self._extended(texts, logs, going)
        pairs = [
            emit.unsqueeze(texts.number, 2, f"{name}.number.one"),
            emit.unsqueeze(texts.parent, 1, f"{name}.parent.other"),
        ]
        parents = emit.op("Equal", pairs, f"{name}.parents")
        kept = log_sum(emit, kept, self._merged(texts, extended, parents), f"{name}.kept.all")
        flat = self._without_merged(texts, extended, parents)
        every = emit.concat([kept, flat], 1, f"{name}.every")
        names = [f"{name}.total.next", f"{name}.best"]
        width = self.settings.width
        total, best = emit.ops("TopK", [every, emit.integers(width)], names, axis=-1)
        beyond = emit.op("Sub", [best, emit.integer(width)], f"{name}.beyond")
        longer = emit.op("GreaterOrEqual", [best, emit.integer(width)], f"{name}.longer")
        origin = emit.op("Div", [beyond, emit.integer(size)], f"{name}.origin.longer")
        origin = emit.op("Where", [longer, origin, best], f"{name}.origin")
        token = emit.op("Mod", [beyond, emit.integer(size)], f"{name}.token")
        step = emit.op("Cast", [going], f"{name}.step", to=INT64)
        later = emit.op("Add", [texts.at, step], f"{name}.later")
        arcs = Arcs(gained, allowed, room, parents)
        return _Best(total, origin, longer, token), later, arcs

    def _logs(self, at: str, predicted: str) -> str:
        """Log-probabilities `[B, K, size]` of what follows each text."""
        low, emit, node, name = self.low, self.emit, self.node, f"{self.name}.joint"
        steps = low.emit.op("Shape", [self.source.name], f"{name}.steps", start=0, end=1)
        last = low.emit.op("Sub", [steps, low.emit.integers(1)], f"{name}.last")
        within = emit.op("Min", [at, last], f"{name}.within")
        zero = emit.op("Mul", [at, emit.integer(0)], f"{name}.zero")
        rows = emit.op("Add", [zero, self.source.lengths.rows()], f"{name}.rows")
        both = [emit.unsqueeze(each, 2, f"{each}.column") for each in (within, rows)]
        places = emit.concat(both, 2, f"{name}.places")
        vector = emit.op("GatherND", [self.source.name, places], f"{name}.vector")
        shape = emit.integers(-1, self.settings.width, node.hidden)
        by_row = emit.op("Reshape", [predicted, shape], f"{name}.predicted")
        joined = emit.op("Add", [vector, by_row], f"{name}.sum")
        joined = emit.op("Tanh", [joined], f"{name}.joined")
        matrix = emit.weight(f"{node.name}.W.transposed", low.weights[f"{node.name}.W"].T)
        scores = emit.op("MatMul", [joined, matrix], f"{name}.product")
        scores = emit.op("Add", [scores, low.canonical(f"{node.name}.b")], f"{name}.scores")
        return emit.op("LogSoftmax", [scores], f"{name}.logs", axis=2)

    def _extended(self, texts: _Texts, logs: str, going: str) -> tuple[str, str, str]:
        """Log-probabilities `[B, K, size]` of each token, whether there is room for one,
        `[B, K, 1]`, and each text with each token after it, `[B, K, size]`."""
        emit, name = self.emit, f"{self.name}.extended"
        mask = np.zeros((1, 1, self.node.size), np.float32)
        mask[..., [BLANK, UNKNOWN_ID]] = NEVER
        masked = emit.op("Add", [logs, emit.constant(mask, f"{name}.mask")], f"{name}.allowed")
        total = emit.unsqueeze(texts.total, 2, f"{name}.total")
        every = emit.op("Add", [total, masked], f"{name}.all")
        most = emit.op("Mul", [self.lengths(), emit.integer(self.settings.symbols)], f"{name}.most")
        below = emit.op("Less", [texts.count, most], f"{name}.below")
        room = emit.op("And", [going, below], f"{name}.room")
        room = emit.unsqueeze(room, 2, f"{name}.room.column")
        return masked, room, emit.op("Where", [room, every, emit.number(NEVER)], name)

    def _merged(self, texts: _Texts, extended: str, parents: str) -> str:
        """`[B, K]`: of each text the extension of its parent that reads as it."""
        emit, name, width = self.emit, f"{self.name}.merged", self.settings.width
        last = emit.unsqueeze(texts.last, 1, f"{name}.last")
        last = emit.op("Expand", [last, emit.integers(1, width, 1)], f"{name}.last.each")
        found = emit.op("GatherElements", [extended, last], f"{name}.each", axis=2)
        found = emit.op("Where", [parents, found, emit.number(NEVER)], f"{name}.of_parents")
        return emit.reduce("ReduceMax", found, 1, name)

    def _without_merged(self, texts: _Texts, extended: str, parents: str) -> str:
        """`[B, K * size]` without what reads as another text of the beam."""
        emit, name, width = self.emit, f"{self.name}.others", self.settings.width
        size, none = self.node.size, emit.integer(BLANK)
        flat = emit.op("Reshape", [extended, emit.integers(0, width * size)], f"{name}.flat")
        places = emit.constant(np.arange(width).reshape(1, -1, 1), f"{name}.places")
        parent = emit.op("Where", [parents, places, emit.integer(-1)], f"{name}.parents")
        parent = emit.reduce("ReduceMax", parent, 1, f"{name}.parent")
        first = emit.op("Mul", [parent, emit.integer(size)], f"{name}.first")
        at = emit.op("Add", [first, texts.last], f"{name}.at")
        orphan = emit.op("Less", [parent, emit.integer(0)], f"{name}.orphan")
        at = emit.op("Where", [orphan, none, at], f"{name}.at.all")
        shape = emit.op("Shape", [at], f"{name}.shape")
        nothing = emit.op("Expand", [emit.number(NEVER), shape], f"{name}.none")
        return emit.op("ScatterElements", [flat, at, nothing], name, axis=1)

    def moved(
        self, body: Body, step: str, texts: _Texts, best: _Best, later: str, before: Sequence[str]
    ) -> tuple[_Texts, list[str]]:
        """The texts after the round, and what the decoder gives after each, with its states."""
        emit, name = self.emit, f"{self.name}.moved"

        def of(value: str, what: str) -> str:
            inputs = [value, best.origin]
            return emit.op("GatherElements", inputs, f"{name}.{what}", axis=1)

        def either(longer: str, kept: str, what: str) -> str:
            return emit.op("Where", [best.longer, longer, kept], f"{self.name}.{what}.next")

        parent, count = of(texts.number, "parent.longer"), of(texts.count, "count.kept")
        number = emit.op("Mul", [parent, emit.integer(FACTOR)], f"{name}.number")
        number = emit.op("Add", [number, best.token], f"{name}.number.longer")
        more = emit.op("Add", [count, emit.integer(1)], f"{name}.count.longer")
        after = _Texts(
            best.total,
            either(of(texts.at, "at.longer"), of(later, "at.kept"), "at"),
            either(more, count, "count"),
            either(best.token, of(texts.last, "last.kept"), "last"),
            either(number, parent, "number"),
            either(parent, of(texts.parent, "parent.kept"), "parent"),
        )
        return after, self._decoded(body, step, best, before)

    def _decoded(self, body: Body, step: str, best: _Best, before: Sequence[str]) -> list[str]:
        emit, name = self.emit, f"{self.name}.decoded"
        places = emit.op("Add", [best.origin, self.rows.firsts()], f"{name}.places")
        places = emit.op("Reshape", [places, emit.integers(-1)], f"{name}.places.each")
        kept = [emit.op("Gather", [each, places], f"{each}.moved") for each in before]
        token = emit.op("Reshape", [self.added(best), emit.integers(-1)], f"{name}.token")
        found = body.step(emit, self.rows, step, token, kept[1:])
        longer = emit.op("Reshape", [best.longer, emit.integers(-1, 1)], f"{name}.longer")
        pairs = zip([found.logits, *found.states], kept, strict=True)
        return [emit.op("Where", [longer, new, old], f"{old}.next") for new, old in pairs]

    def added(self, best: _Best) -> str:
        """The token that each text is longer by, or the blank."""
        inputs = [best.longer, best.token, self.emit.integer(BLANK)]
        return self.emit.op("Where", inputs, f"{self.name}.added")

    def goes_on(self, texts: _Texts) -> str:
        """Whether a text of some row is not finished."""
        emit, name = self.emit, f"{self.name}.goes_on"
        there = emit.op("Less", [texts.at, self.lengths()], f"{name}.there")
        real = emit.op("Greater", [texts.total, emit.number(LEAST)], f"{name}.real")
        both = emit.op("And", [there, real], f"{name}.both")
        ones = emit.op("Cast", [both], f"{name}.ones", to=INT64)
        most = emit.op("ReduceMax", [ones], f"{name}.most", keepdims=0)
        return emit.op("Cast", [most], name, to=BOOL)
