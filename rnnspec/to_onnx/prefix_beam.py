"""Prefix beam search: the most probable readings of a sequence of log-probabilities, in a Scan over
its steps. See `rnnspec.plan.nodes.PrefixBeam`.

A prefix is known by a number: 0 for the empty one, and number * FACTOR + token, modulo 2^64, for
one that is a token longer. Each carries the number of its parent, the prefix without its last
token, so that a prefix and the extension that reads as it are found by comparing K x K numbers.
The numbers are not proven to differ: of a beam of K in T steps, T K^2 pairs are compared, and two
different prefixes have one number with a probability of about 2^-64 each, together 1.4e-14 at 1000
steps and a beam of 16. Then an extension is taken for another prefix, and its paths count for that
one. (Texts that are made for it can do so: Thue and Morse's of 1024 tokens and their mirror.) The
reference and torch compare tokens.

Written for few operators in a step, of which most take longer to start than to run: in onnxruntime
1.31, on one core with 30 tokens and a beam of 8, a step takes 40 us of one row and 80 of 16. It
took 52 and 90 in a Loop that looked its steps up, with places of candidates by arithmetic; from
there, a matrix of which prefix begins which, and their tokens, carried from step to step, took 71
and 190 us, numbers in pairs 59 and 107, and sums of logarithms by ReduceLogSumExp 50 and 94. To
compare tokens in the file too took 1.4 to 2.1 times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import PrefixBeam
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.lowering import BATCH
from rnnspec.to_onnx.search.loop import SearchResult, trimmed

BLANK = END_ID
NEVER = -1e30
"""Stands for a log-probability of -inf, of which onnxruntime would make NaN."""
LEAST = -1e29
"""A log-probability below it is that of a prefix that no path reads as."""
FACTOR = 6364136223846793005
NONE = 0
"""The place of a token that never follows: that of the blank, or before the likely ones."""
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
    """The tokens that may follow at each step: how many, and where they are not all of the
    vocabulary, the values of all steps that say which (see `_OfStep`): what each is called, its
    type and its extent, and its name."""

    count: int
    likely: Sequence[tuple[str, int, int, str]] = ()


@dataclass(frozen=True, slots=True)
class _OfStep:
    """What a step reads: log-probabilities `[B, size]`, with the blank and without.

    Where not all of the vocabulary may follow: the log-probabilities of those that may, `[B, M]`,
    their `numbers` `[B, M]`, of which the first is none, and the `places` `[B, size]` where each
    number stands among them.
    """

    logs: str
    extending: str
    likely: str = ""
    numbers: str = ""
    places: str = ""


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
    never = per_row(emit, steps, np.full(width, NEVER, np.float32), f"{name}.never")
    first = [per_row(emit, steps, value, f"{name}.{key}.first") for key, _, value in _first(width)]
    body = emit.body()
    wide: list[Extent] = [BATCH, width]
    before = _Prefixes(*(
        body.input(f"{name}.{key}.before", kind, wide) for key, kind, _ in _first(width)
    ))  # fmt: skip
    step = _OfStep(
        body.input(f"{name}.step.logs", FLOAT, [BATCH, steps.size]),
        body.input(f"{name}.step.extending", FLOAT, [BATCH, steps.size]),
        *(
            body.input(f"{name}.step.{key}", kind, [BATCH, extent])
            for key, kind, extent, _ in tokens.likely
        ),
    )
    every = [steps.logs, extending, *(value for *_, value in tokens.likely)]
    after, origin, token = _Step(body, tokens.count, never, step, name, width).after(before)
    for value, (_, kind, _) in zip(after.values(), _first(width), strict=True):
        body.result(value, kind, wide)
    body.result(origin, INT64, wide)
    body.result(token, INT64, wide)
    names = [f"{name}.{key}.last" for key, *_ in _first(width)]
    found = emit.ops(
        "Scan",
        [*first, *every],
        [*names, f"{name}.origins", f"{name}.added"],
        body=body.graph(f"{name}.body"),
        num_scan_inputs=len(every),
    )
    return answers(emit, steps, settings.n_best, found[0], found[-2], found[-1], name)


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
        return _Tokens(steps.size)
    name = f"{steps.name}.likely"
    names = [f"{name}.logs", f"{name}.numbers"]
    best, numbers = emit.ops("TopK", [extending, emit.integers(most)], names, axis=-1)
    pads = emit.integers(0, 0, 1, 0, 0, 0)
    logs = emit.op("Pad", [best, pads, emit.number(NEVER)], f"{name}.logs.and_none")
    shape = emit.op("Shape", [extending], f"{name}.shape")
    places = emit.op("Expand", [emit.integer(NONE), shape], f"{name}.nowhere")
    extents = emit.op("Shape", [numbers], f"{name}.extents")
    ranks = emit.constant(np.arange(1, most + 1, dtype=np.int64), f"{name}.ranks")
    ranks = emit.op("Expand", [ranks, extents], f"{name}.ranks.each")
    places = emit.op("ScatterElements", [places, numbers, ranks], f"{name}.places", axis=2)
    numbers = emit.op("Pad", [numbers, pads, emit.integer(BLANK)], f"{name}.numbers.and_none")
    likely = (
        ("likely", FLOAT, most + 1, logs),
        ("numbers", INT64, most + 1, numbers),
        ("places", INT64, steps.size, places),
    )
    return _Tokens(most + 1, likely)


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
    """One step of the search. `count` tokens may follow; `never` `[B, K]` is filled with NEVER."""

    emit: Emitter
    count: int
    never: str
    of: _OfStep
    name: str
    width: int

    def after(self, before: _Prefixes) -> tuple[_Prefixes, str, str]:
        """The prefixes after a step; of each the place it comes from, and the token that it is
        longer by, or the blank."""
        emit, name, width = self.emit, self.name, self.width
        again = self._at(self.of.extending, before.last, "again")
        blank = emit.slice(self.of.logs, BLANK, BLANK + 1, 1, f"{name}.blank")
        by_blank = emit.op("Add", [before.total, blank], f"{name}.by_blank.kept")
        by_token = before.by_token
        place = self._at(self.of.places, before.last, "place") if self.of.places else before.last
        longer = self._longer(before, again, place)
        if width > 1:
            parents = self._pairs("Equal", before.number, before.parent, "parents")
            at = self._extensions(parents, place)
            of_parent = self._of_parent(before, parents)
            by_token = log_sum(emit, by_token, of_parent, f"{name}.by_token.both")
            inputs = [longer, at, self.never]
            longer = emit.op("ScatterElements", inputs, f"{name}.longer", axis=1)
        by_token = emit.op("Add", [by_token, again], f"{name}.by_token.kept")
        kept = log_sum(emit, by_blank, by_token, f"{name}.kept")
        every = emit.concat([kept, longer], 1, f"{name}.every")
        names = [f"{name}.total.next", f"{name}.best"]
        total, best = emit.ops("TopK", [every, emit.integers(width)], names, axis=-1)
        return self._moved(before, total, best, by_blank, by_token)

    def _at(self, values: str, places: str, what: str) -> str:
        return self.emit.pick(values, places, f"{self.name}.{what}")

    def _pairs(self, kind: str, one: str, other: str, what: str) -> str:
        """`[B, K, K]`: of each prefix i and each j."""
        emit, name = self.emit, f"{self.name}.{what}"
        inputs = [emit.unsqueeze(one, 2, f"{name}.one"), emit.unsqueeze(other, 1, f"{name}.other")]
        return emit.op(kind, inputs, name)

    def _longer(self, before: _Prefixes, again: str, place: str) -> str:
        """`[B, K * M]`: each prefix and each token that may follow it. Its last token once more
        needs a blank between."""
        emit, name = self.emit, f"{self.name}.longer"
        logs = self.of.likely or self.of.extending
        every = self._pairs("Add", before.total, logs, "longer.all")
        repeated = emit.op("Add", [before.by_blank, again], f"{name}.repeated")
        if self.of.places:
            lost = emit.op("Equal", [place, emit.integer(NONE)], f"{name}.lost")
            inputs = [lost, emit.number(NEVER), repeated]
            repeated = emit.op("Where", inputs, f"{name}.repeated.there")
        inputs = [every, emit.unsqueeze(place, 2, f"{name}.place")]
        inputs.append(emit.unsqueeze(repeated, 2, f"{name}.repeated.each"))
        every = emit.op("ScatterElements", inputs, f"{name}.each", axis=2)
        shape = emit.integers(0, self.width * self.count)
        return emit.op("Reshape", [every, shape], f"{name}.flat")

    def _extensions(self, parents: str, place: str) -> str:
        """Int64 `[B, K]`: where among what is longer each prefix stands as an extension of its
        parent, if the beam has that; else at none, which never is."""
        emit, name = self.emit, f"{self.name}.extension"
        starts = np.arange(self.width).reshape(1, -1, 1) * self.count
        inputs = [emit.constant(starts, f"{name}.starts"), emit.unsqueeze(place, 1, f"{name}.row")]
        places = emit.op("Add", inputs, f"{name}.places")
        places = emit.op("Where", [parents, places, emit.integer(NONE)], f"{name}.own")
        return emit.reduce("ReduceMax", places, 1, name)

    def _of_parent(self, before: _Prefixes, parents: str) -> str:
        """The paths to the parent of each prefix, if the beam has that; where both end in one
        token, only those that end in the blank."""
        emit, name = self.emit, f"{self.name}.of_parent"
        repeats = self._pairs("Equal", before.last, before.last, "repeats")
        alone = emit.unsqueeze(before.by_blank, 2, f"{name}.alone")
        total = emit.unsqueeze(before.total, 2, f"{name}.total")
        mass = emit.op("Where", [repeats, alone, total], f"{name}.each")
        mass = emit.op("Where", [parents, mass, emit.number(NEVER)], f"{name}.own")
        return emit.reduce("ReduceMax", mass, 1, name)

    def _moved(
        self, before: _Prefixes, total: str, best: str, by_blank: str, by_token: str
    ) -> tuple[_Prefixes, str, str]:
        """The prefixes at the places `best` of all candidates."""
        emit, name = self.emit, f"{self.name}.moved"
        longer = emit.op("GreaterOrEqual", [best, emit.integer(self.width)], f"{name}.longer")
        origins, tokens = self._candidates()
        origin = emit.op("Gather", [origins, best], f"{name}.origin")
        token = emit.op("Gather", [tokens, best], f"{name}.token")
        if self.of.numbers:
            token = self._at(self.of.numbers, token, "token")

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
        return after, origin, token

    def _candidates(self) -> tuple[str, str]:
        """Of each candidate the prefix that it comes from, and the place of the token that it is
        longer by, none for prefixes that are kept: int64 `[K + K * M]`."""
        emit, name, kept = self.emit, f"{self.name}.candidates", np.arange(self.width)
        origins = np.concatenate([kept, kept.repeat(self.count)])
        tokens = np.concatenate([0 * kept + NONE, np.tile(np.arange(self.count), self.width)])
        return emit.constant(origins, f"{name}.origins"), emit.constant(tokens, f"{name}.tokens")


def log_sum(emit: Emitter, one: str, other: str, name: str) -> str:
    """ln(exp(one) + exp(other)) of finite numbers."""
    larger = emit.op("Max", [one, other], f"{name}.larger")
    smaller = emit.op("Min", [one, other], f"{name}.smaller")
    near = emit.op("Sub", [smaller, larger], f"{name}.near")
    return emit.op("Add", [larger, emit.op("Softplus", [near], f"{name}.more")], name)


def answers(
    emit: Emitter, steps: Steps, count: int, total: str, origins: str, tokens: str, name: str
) -> SearchResult:
    """From the last step back to the first: the tokens of each of the `count` best prefixes."""
    scores = emit.slice(total, 0, count, 1, f"{name}.scores")
    missing = emit.op("Less", [scores, emit.number(LEAST)], f"{name}.missing")
    scores = emit.op("Where", [missing, emit.number(-np.inf), scores], f"{name}.scores.or_none")
    places = np.arange(count, dtype=np.int64)
    first = per_row(emit, steps, places, f"{name}.back.first")
    body = emit.body()
    wide: list[Extent] = [BATCH, count]
    at = body.input(f"{name}.back.at", INT64, wide)
    of_step = [body.input(f"{each}.of_step", INT64, [BATCH, "width"]) for each in (origins, tokens)]
    for each in of_step:
        body.result(body.pick(each, at, f"{each}.of_best"), INT64, wide)
    _, found = emit.ops(
        "Scan",
        [first, origins, tokens],
        [f"{name}.back.begun", f"{name}.back.found"],
        body=body.graph(f"{name}.back"),
        num_scan_inputs=2,
        scan_input_directions=[1, 1],
    )
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
