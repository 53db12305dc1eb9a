"""Prefix beam search: the most probable readings of a sequence of log-probabilities, in a Loop over
its steps. See `rnnspec.plan.nodes.PrefixBeam`.

A prefix is known by a number: 0 for the empty one, and number * FACTOR + token, modulo 2^64, for
one that is a token longer. Each carries the number of its parent, the prefix without its last
token, so that a prefix and the extension that reads as it are found by comparing K x K numbers.
The numbers are not proven to differ: of a beam of K in T steps, T K^2 pairs are compared, and two
different prefixes have one number with a probability of about 2^-64 each, together 1.4e-14 at 1000
steps and a beam of 16. Then an extension is taken for another prefix, and its paths count for that
one. (Texts that are made for it can do so: Thue and Morse's of 1024 tokens and their mirror.) The
reference and torch compare tokens.

To compare tokens in the file too takes 1.4 to 2.1 times as long. Measured in onnxruntime 1.31
beside this, on one core with 30 tokens, a beam of 8, and one row or 16 at a time (52 and 90 us a
step): a matrix of which prefix begins which, and their tokens, carried from step to step, 71 and
190 us; numbers in pairs, 59 and 107 us; sums of logarithms by ReduceLogSumExp, 50 and 94 us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import PrefixBeam
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH
from rnnspec.to_onnx.search.loop import SearchResult, trimmed

BLANK = END_ID
NEVER = -1e30
"""Stands for a log-probability of -inf, of which onnxruntime would make NaN."""
LEAST = -1e29
"""A log-probability below it is that of a prefix that no path reads as."""
FACTOR = 6364136223846793005
MANY = 4096
"""More candidates than this at a step: only as many tokens of each step are looked at as can be
among the best. With 5,000 tokens and a beam of 16 a step takes 150 us in place of 420."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Log-probabilities float `[T, B, size]` of the numbers at each step, and T and B, int64 `[1]`.
    Past a row's length the blank is certain."""

    name: str
    logs: str
    size: int
    time: str
    batch: str

    def filled(self, emit: Emitter, value: str, name: str) -> str:
        """`[1, B]` of a value `[1]`."""
        shape = emit.concat([emit.integers(1), self.batch], 0, f"{name}.shape")
        return emit.op("Expand", [value, shape], name)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The tokens that may follow at each step: their log-probabilities `[T, B, M]`.

    Where they are not all of the vocabulary, `numbers` `[T, B, M]` are the tokens, the last one
    none, and `places` `[T, B, size]` where each number stands among them.
    """

    logs: str
    count: int
    numbers: str = ""
    places: str = ""

    @property
    def none(self) -> int:
        """The place of a token that never follows."""
        return self.count - 1 if self.numbers else BLANK


@dataclass(frozen=True, slots=True)
class _Prefixes:
    """The prefixes `[B, K]`, the best first.

    Log-probabilities of all paths so far, of those that end in the blank and in the last token;
    the last token, and the numbers of the prefix and its parent.
    """

    total: str
    by_blank: str
    by_token: str
    last: str
    number: str
    parent: str

    def values(self) -> list[str]:
        return [self.total, self.by_blank, self.by_token, self.last, self.number, self.parent]


def search(emit: Emitter, steps: Steps, settings: PrefixBeam) -> SearchResult:
    """The `n_best` answers to each row."""
    name, width = f"{steps.name}.beam", settings.width
    extending = _without_blank(emit, steps)
    tokens = _tokens(emit, steps, extending, width)
    loop = Loop(emit, name)
    body = _Step(loop.emit, steps, extending, tokens, name, width)
    before = _Prefixes(*(
        loop.state(f"{name}.{key}", per_row(emit, steps, value, f"{name}.{key}.first"), kind,
                   [BATCH, width])
        for key, kind, value in _first(width)
    ))  # fmt: skip
    after, origin, token = body.after(before, loop.step)
    trips = emit.op("Squeeze", [steps.time], f"{name}.trips")
    wide: list[Extent] = [BATCH, width]
    records = [(origin, INT64, wide), (token, INT64, wide)]
    (total, *_), (origins, found) = loop.close(trips, loop.going, after.values(), records)
    return answers(emit, steps, settings.n_best, total, origins, found, name)


def _without_blank(emit: Emitter, steps: Steps) -> str:
    mask = np.zeros((1, 1, steps.size), np.float32)
    mask[..., BLANK] = NEVER
    inputs = [steps.logs, emit.constant(mask, f"{steps.name}.without_blank")]
    return emit.op("Add", inputs, f"{steps.name}.tokens.logs")


def _tokens(emit: Emitter, steps: Steps, extending: str, width: int) -> _Tokens:
    """All tokens, or of each step the 2 K most probable: of a prefix at most K - 1 are left out,
    since the beam has what they read as, and one has fewer paths, as the last token again."""
    most = 2 * width
    if steps.size * width <= MANY or steps.size <= most:
        return _Tokens(extending, steps.size)
    name = f"{steps.name}.likely"
    names = [f"{name}.logs", f"{name}.numbers"]
    best, numbers = emit.ops("TopK", [extending, emit.integers(most)], names, axis=-1)
    pads = emit.integers(0, 0, 0, 0, 0, 1)
    logs = emit.op("Pad", [best, pads, emit.number(NEVER)], f"{name}.logs.and_none")
    shape = emit.op("Shape", [extending], f"{name}.shape")
    places = emit.op("Expand", [emit.integer(most), shape], f"{name}.nowhere")
    extents = emit.op("Shape", [numbers], f"{name}.extents")
    ranks = emit.constant(np.arange(most, dtype=np.int64), f"{name}.ranks")
    ranks = emit.op("Expand", [ranks, extents], f"{name}.ranks.each")
    places = emit.op("ScatterElements", [places, numbers, ranks], f"{name}.places", axis=2)
    numbers = emit.op("Pad", [numbers, pads, emit.integer(BLANK)], f"{name}.numbers.and_none")
    return _Tokens(logs, most + 1, numbers, places)


def _first(width: int) -> Sequence[tuple[str, int, NDArray[np.generic]]]:
    """Before the first step: the empty prefix, and others that no path reads as and that have no
    parents and no children."""
    never = np.full(width, NEVER, np.float32)
    empty = never.copy()
    empty[0] = 0.0
    places = np.arange(width, dtype=np.int64)
    last, number, parent = np.zeros_like(places), -places, -places - width
    return (
        ("total", FLOAT, empty),
        ("by_blank", FLOAT, empty),
        ("by_token", FLOAT, never),
        ("last", INT64, last),
        ("number", INT64, number),
        ("parent", INT64, parent),
    )


def per_row(emit: Emitter, steps: Steps, value: NDArray[np.generic], name: str) -> str:
    shape = emit.concat([steps.batch, emit.integers(1)], 0, f"{name}.shape")
    return emit.op("Expand", [emit.constant(value[np.newaxis], f"{name}.one"), shape], name)


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of the search."""

    emit: Emitter
    steps: Steps
    extending: str
    tokens: _Tokens
    name: str
    width: int

    def after(self, before: _Prefixes, step: str) -> tuple[_Prefixes, str, str]:
        """The prefixes after a step; of each the place it comes from, and the token that it is
        longer by, or the blank."""
        emit, name, width = self.emit, self.name, self.width
        again = self._at(self._of_step(self.extending, step), before.last, "again")
        logs = self._of_step(self.steps.logs, step)
        blank = emit.slice(logs, BLANK, BLANK + 1, 1, f"{name}.blank")
        by_blank = emit.op("Add", [before.total, blank], f"{name}.by_blank.kept")
        parents = self._pairs("Equal", before.number, before.parent, "parents")
        by_token = self._by_token(before, parents, again)
        kept = log_sum(emit, by_blank, by_token, f"{name}.kept")
        place = self._place(before.last, step)
        longer = self._longer(before, parents, again, place, step)
        every = emit.concat([kept, longer], 1, f"{name}.every")
        names = [f"{name}.total.next", f"{name}.best"]
        total, best = emit.ops("TopK", [every, emit.integers(width)], names, axis=-1)
        return self._moved(before, total, best, by_blank, by_token, step)

    def _of_step(self, value: str, step: str) -> str:
        return self.emit.op("Gather", [value, step], f"{self.name}.step")

    def _at(self, values: str, places: str, what: str) -> str:
        inputs = [values, places]
        return self.emit.op("GatherElements", inputs, f"{self.name}.{what}", axis=1)

    def _pairs(self, kind: str, one: str, other: str, what: str) -> str:
        """`[B, K, K]`: of each prefix i and each j."""
        emit, name = self.emit, f"{self.name}.{what}"
        inputs = [emit.unsqueeze(one, 2, f"{name}.one"), emit.unsqueeze(other, 1, f"{name}.other")]
        return emit.op(kind, inputs, name)

    def _by_token(self, before: _Prefixes, parents: str, again: str) -> str:
        """The paths to each prefix that end in its last token: those that did before, and those of
        its parent, if the beam has it; where both end in one token, only those with a blank
        between."""
        emit, name = self.emit, f"{self.name}.by_token"
        repeats = self._pairs("Equal", before.last, before.last, "repeats")
        alone = emit.unsqueeze(before.by_blank, 2, f"{name}.alone")
        total = emit.unsqueeze(before.total, 2, f"{name}.total")
        mass = emit.op("Where", [repeats, alone, total], f"{name}.mass")
        mass = emit.op("Where", [parents, mass, emit.number(NEVER)], f"{name}.of_parents")
        mass = emit.reduce("ReduceMax", mass, 1, f"{name}.of_parent")
        both = log_sum(emit, before.by_token, mass, f"{name}.both")
        return emit.op("Add", [both, again], f"{name}.kept")

    def _place(self, last: str, step: str) -> str:
        """Where the last tokens stand among those that may follow."""
        if not self.tokens.places:
            return last
        return self._at(self._of_step(self.tokens.places, step), last, "place")

    def _longer(self, before: _Prefixes, parents: str, again: str, place: str, step: str) -> str:
        """`[B, K * M]`: each prefix and each token that may follow it. What reads as another prefix
        of the beam is left out."""
        emit, name, count = self.emit, f"{self.name}.longer", self.tokens.count
        never, none = emit.number(NEVER), emit.integer(self.tokens.none)
        total = emit.unsqueeze(before.total, 2, f"{name}.total")
        logs = emit.unsqueeze(self._of_step(self.tokens.logs, step), 1, f"{name}.logs")
        every = emit.op("Add", [total, logs], f"{name}.all")
        repeated = emit.op("Add", [before.by_blank, again], f"{name}.repeated")
        if self.tokens.places:
            lost = emit.op("Equal", [place, none], f"{name}.lost")
            repeated = emit.op("Where", [lost, never, repeated], f"{name}.repeated.there")
        inputs = [every, emit.unsqueeze(place, 2, f"{name}.place")]
        inputs.append(emit.unsqueeze(repeated, 2, f"{name}.repeated.each"))
        every = emit.op("ScatterElements", inputs, f"{name}.each", axis=2)
        flat = emit.op("Reshape", [every, emit.integers(0, self.width * count)], f"{name}.flat")
        places = emit.constant(np.arange(self.width).reshape(1, -1, 1), f"{name}.numbers")
        parent = emit.op("Where", [parents, places, emit.integer(-1)], f"{name}.parents")
        parent = emit.reduce("ReduceMax", parent, 1, f"{name}.parent")
        first = emit.op("Mul", [parent, emit.integer(count)], f"{name}.first")
        at = emit.op("Add", [first, place], f"{name}.at")
        orphan = emit.op("Less", [parent, emit.integer(0)], f"{name}.orphan")
        at = emit.op("Where", [orphan, none, at], f"{name}.at.all")
        nothing = emit.op(
            "Expand", [never, emit.op("Shape", [at], f"{name}.shape")], f"{name}.none"
        )
        return emit.op("ScatterElements", [flat, at, nothing], name, axis=1)

    def _moved(
        self, before: _Prefixes, total: str, best: str, by_blank: str, by_token: str, step: str
    ) -> tuple[_Prefixes, str, str]:
        """The prefixes at the places `best` of all candidates."""
        emit, name = self.emit, f"{self.name}.moved"
        count = emit.integer(self.tokens.count)
        beyond = emit.op("Sub", [best, emit.integer(self.width)], f"{name}.beyond")
        longer = emit.op("GreaterOrEqual", [best, emit.integer(self.width)], f"{name}.longer")
        origin = emit.op("Div", [beyond, count], f"{name}.origin.longer")
        origin = emit.op("Where", [longer, origin, best], f"{name}.origin")
        token = emit.op("Mod", [beyond, count], f"{name}.place")
        if self.tokens.numbers:
            token = self._at(self._of_step(self.tokens.numbers, step), token, "token")

        def chosen(if_longer: str, if_kept: str, what: str) -> str:
            kept = self._at(if_kept, origin, f"{what}.kept")
            return emit.op("Where", [longer, if_longer, kept], f"{self.name}.{what}.next")

        parent = self._at(before.number, origin, "parent.longer")
        number = emit.op("Mul", [parent, emit.integer(FACTOR)], f"{name}.number")
        number = emit.op("Add", [number, token], f"{name}.number.longer")
        after = _Prefixes(
            total,
            chosen(emit.number(NEVER), by_blank, "by_blank"),
            chosen(total, by_token, "by_token"),
            chosen(token, before.last, "last"),
            emit.op("Where", [longer, number, parent], f"{self.name}.number.next"),
            chosen(parent, before.parent, "parent"),
        )
        added = emit.op("Where", [longer, token, emit.integer(BLANK)], f"{name}.added")
        return after, origin, added


def log_sum(emit: Emitter, one: str, other: str, name: str) -> str:
    """ln(exp(one) + exp(other)) of finite numbers."""
    apart = emit.op("Sub", [one, other], f"{name}.apart")
    near = emit.op("Neg", [emit.op("Abs", [apart], f"{name}.distance")], f"{name}.near")
    more = emit.op("Softplus", [near], f"{name}.more")
    return emit.op("Add", [emit.op("Max", [one, other], f"{name}.larger"), more], name)


def answers(
    emit: Emitter, steps: Steps, count: int, total: str, origins: str, tokens: str, name: str
) -> SearchResult:
    """From the last step back to the first: the tokens of each of the `count` best prefixes."""
    scores = emit.slice(total, 0, count, 1, f"{name}.scores")
    missing = emit.op("Less", [scores, emit.number(LEAST)], f"{name}.missing")
    scores = emit.op("Where", [missing, emit.number(-np.inf), scores], f"{name}.scores.or_none")
    places = np.arange(count, dtype=np.int64)
    loop = Loop(emit, f"{name}.back")
    first = per_row(emit, steps, places, f"{name}.back.first")
    at, inner = loop.state(f"{name}.back.at", first, INT64, [BATCH, count]), loop.emit
    trips = emit.op("Squeeze", [steps.time], f"{name}.back.trips")
    number = inner.op("Sub", [trips, loop.step], f"{name}.back.left")
    number = inner.op("Sub", [number, inner.integer(1)], f"{name}.back.number")
    of_step = [inner.op("Gather", [each, number], f"{each}.of_step") for each in (origins, tokens)]
    before, token = (
        inner.op("GatherElements", [each, at], f"{each}.of_best", axis=1) for each in of_step
    )
    _, (found,) = loop.close(trips, loop.going, [before], [(token, INT64, [BATCH, count])])
    found = emit.op("Where", [missing, emit.integer(BLANK), found], f"{name}.found")
    numbers, lengths = _from_the_end(emit, found, f"{name}.tokens")
    if count == 1:
        scores = emit.squeeze(scores, 1, f"{name}.score")
        lengths = emit.squeeze(lengths, 1, f"{name}.length")
        numbers = emit.squeeze(numbers, 1, f"{name}.number_of_best")
    return SearchResult(numbers, lengths, scores, "")


def _from_the_end(emit: Emitter, found: str, name: str) -> tuple[str, str]:
    """The tokens of `[T, B, n]`, whose last ones come first and have blanks between, as
    `[B, n, U]`; and how many they are, `[B, n]`."""
    ones = emit.op("Sign", [found], f"{name}.ones")
    lengths = emit.reduce("ReduceSum", ones, 0, f"{name}.lengths")
    so_far = emit.op("CumSum", [ones, emit.integer(0)], f"{name}.so_far")
    places = emit.op("Sub", [lengths, so_far], f"{name}.places")
    room = emit.op("Pad", [found, emit.integers(0, 0, 0, 1, 0, 0)], f"{name}.padded")
    room = emit.op("Mul", [room, emit.integer(0)], f"{name}.room")
    real = emit.op("Cast", [ones], f"{name}.real", to=BOOL)
    rest = emit.op("Squeeze", [emit.extent(found, 0, f"{name}.time")], f"{name}.rest")
    at = emit.op("Where", [real, places, rest], f"{name}.at")
    numbers = emit.op("ScatterElements", [room, at, found], f"{name}.all", axis=0)
    short = trimmed(emit, numbers, lengths, f"{name}.cut")
    return emit.transpose(short, [1, 2, 0], name), lengths
