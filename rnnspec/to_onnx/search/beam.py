"""Beam search: live hypotheses in the loop, what finishes told step by step and ranked after it.

Every step tells, for each of K hypotheses, the token and the hypothesis it came from, what finished
with the end mark, and the live ones of rows that end here. The loop itself keeps only the values of
finished ones, which its end depends on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from rnnspec.plan.nodes import Beam, TextOutput
from rnnspec.to_onnx.attention import MEMORY, State
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.copies import Entries
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.backtrack import Told, answers
from rnnspec.to_onnx.search.choice import NEVER, Choice
from rnnspec.to_onnx.search.compaction import Phases, Step, Tell
from rnnspec.to_onnx.search.loop import Found, Limits
from rnnspec.to_onnx.search.prompt import Begun
from rnnspec.to_onnx.search.value import Coverage, normed


@dataclass(frozen=True, slots=True)
class Candidates:
    """The next live hypotheses, `[B, K]` and the best first: their log-probabilities, where they
    come from, and their tokens. `finished` `[B, K]` are the log-probabilities of what finishes now,
    -inf where nothing does."""

    live: str
    parents: str
    tokens: str
    finished: str


def search(
    low: Lowering,
    node: TextOutput,
    beam: Beam,
    body: Body,
    rows: Rows,
    begun: Begun,
    limits: Limits,
    entries: Entries,
) -> Found:
    """The `n_best` answers to each row."""
    name, width = node.name, beam.width
    choice = Choice(low, node, rows, entries, begun.prompt)
    coverage = Coverage(low, node, rows) if beam.coverage_penalty else None
    own = [
        State(f"{name}.previous", begun.previous, (), INT64),
        State(f"{name}.live", _first(low, name, rows), (1,)),
    ]
    groups = [own, begun.states, choice.states, coverage.states if coverage else []]
    kept = _kept(node)
    nothing = rows.per_row(low.emit.number(NEVER), f"{name}.nothing", kept)
    values = State(f"{name}.values", nothing, (kept,))
    parts = list(accumulate((len(group) for group in groups), initial=0))

    def run(emit: Emitter, rows: Rows, step: str, active: str, before: Sequence[str]) -> Step:
        (previous, score), of_body, of_choice, sums = (
            list(before[start:end]) for start, end in pairwise(parts)
        )
        stepped = body.step(emit, rows, step, previous, of_body)
        logs = choice.logs(emit, stepped.scores, of_choice)
        parted = choice.parted(emit, rows, logs, step, of_choice)
        found = _candidates(emit, node, rows, score, parted, entries)
        count = emit.op("Add", [step, emit.integer(1)], f"{name}.count")
        finished, penalties = normed(emit, node, found.finished, count, f"{name}.value"), []
        if coverage:
            sums = [emit.op("Add", [sums[0], stepped.weights], f"{name}.covered")]
            penalties.append(coverage.of(emit, rows, sums[0], f"{name}.penalty"))
            finished = emit.op("Add", [finished, penalties[0]], f"{name}.rank")
        ranked = _ranked(emit, name, before[-1], finished, kept)
        ended = _ended(emit, node, rows, found, ranked, count, limits)
        never = emit.number(NEVER)
        live = emit.op("Where", [ended, never, found.live], f"{name}.going_on")
        left = emit.op("Where", [ended, found.live, never], f"{name}.left")

        flat = emit.op("Add", [found.parents, rows.firsts()], f"{name}.places")
        places = emit.op("Reshape", [flat, emit.integers(-1)], f"{name}.places.each")
        of_body, of_choice, sums = (
            [emit.op("Gather", [value, places], f"{value}.moved") for value in group]
            for group in (stepped.states, of_choice, sums)
        )
        tokens = emit.op("Reshape", [found.tokens, emit.integers(-1)], f"{name}.tokens.each")
        score = emit.op("Reshape", [live, emit.integers(-1, 1)], f"{name}.live.next")
        of_choice = choice.following(emit, tokens, of_choice)
        if coverage:
            penalties.append(coverage.of(emit, rows, sums[0], f"{name}.penalty.left"))
        going = emit.op("Squeeze", [ended, emit.integers(1)], f"{name}.ended.flat")
        going = emit.op("Not", [going], f"{name}.going")
        sizes = emit.integers(width)
        told = [Tell(v, INT64, (width,), sizes, 0) for v in (found.tokens, found.parents)]
        told += [Tell(v, FLOAT, (width,), sizes, NEVER) for v in (found.finished, left)]
        told += [Tell(v, FLOAT, (width,), sizes, 0.0) for v in penalties]
        if low.attention:
            told.append(_weights(low, body, emit, name, stepped.weights, width))
        return Step([tokens, score, *of_body, *of_choice, *sums, ranked], going, told)

    states = [state for group in groups for state in group]
    steps = Phases(low, f"{name}.search", rows, limits, states, [values]).run(run)
    weights = steps.pop() if low.attention else ""
    tokens, parents, ends, lefts, *of_coverage = steps
    scores = (of_coverage[0], of_coverage[1]) if of_coverage else ("", "")
    told = Told(tokens, parents, ends, lefts, *scores, weights)
    return answers(low, node, rows, limits, told)


def _weights(low: Lowering, body: Body, emit: Emitter, name: str, weights: str, width: int) -> Tell:
    """Those of each hypothesis before the step, `[B, K, T]`."""
    extent = body.memory_extent()
    sizes = low.emit.op("Concat", [emit.integers(width), extent], f"{name}.sizes", {"axis": 0})
    shape = low.emit.op("Concat", [emit.integers(-1), sizes], f"{name}.shape", {"axis": 0})
    by_row = emit.op("Reshape", [weights, shape], f"{name}.weights.by_row")
    return Tell(by_row, FLOAT, (width, MEMORY), sizes, 0.0)


def _first(low: Lowering, name: str, rows: Rows) -> str:
    """Float `[R, 1]`: 0 for the first hypothesis of each row, which is the empty one, -inf for the
    others."""
    emit = low.emit
    only = np.full((1, rows.width), NEVER, np.float32)
    only[0, 0] = 0.0
    first = rows.per_row(emit.constant(only, f"{name}.only_first"), f"{name}.first", rows.width)
    return emit.op("Reshape", [first, emit.integers(-1, 1)], f"{name}.first.each")


def _candidates(
    emit: Emitter,
    node: TextOutput,
    rows: Rows,
    score: str,
    parted: tuple[str, str],
    entries: Entries,
) -> Candidates:
    """From the log-probabilities `[R, W]` of all tokens but the end mark, and its own `[R, 1]`."""
    name, width = node.name, rows.width
    sums = emit.op("Add", [parted[0], score], f"{name}.sums")
    row = emit.op("Reshape", [sums, entries.side_by_side(width)], f"{name}.sums.row")
    names = [f"{name}.live.best", f"{name}.live.number"]
    live, number = emit.ops("TopK", [row, emit.integers(width)], names, {"axis": -1})
    parents = emit.op("Div", [number, entries.count()], f"{name}.parents")
    tokens = emit.op("Mod", [number, entries.count()], f"{name}.tokens")
    ending = emit.op("Add", [parted[1], score], f"{name}.ending")
    ending = emit.op("Reshape", [ending, emit.integers(-1, width)], f"{name}.ending.row")
    bounds = map(emit.integers, (width - 1, width, 1))
    last = emit.op("Slice", [live, *bounds], f"{name}.live.last")
    enough = emit.op("GreaterOrEqual", [ending, last], f"{name}.enough")
    finished = emit.op("Where", [enough, ending, emit.number(NEVER)], f"{name}.finished")
    return Candidates(live, parents, tokens, finished)


def _kept(node: TextOutput) -> int:
    """How many values of finished hypotheses the end of a row depends on."""
    search = node.search
    assert isinstance(search, Beam)
    return search.width if search.stop in ("full", "first") else search.n_best


def _ranked(emit: Emitter, name: str, values: str, finished: str, kept: int) -> str:
    """The best values of finished hypotheses so far, `[B, kept]`, the best first."""
    if kept == 1:
        one = emit.integers(1)
        best = emit.op("ReduceMax", [finished, one], f"{name}.finished.best", {"keepdims": 1})
        return emit.op("Max", [values, best], f"{name}.values.next")
    both = emit.op("Concat", [values, finished], f"{name}.values.all", {"axis": 1})
    names = [f"{name}.values.next", f"{name}.values.number"]
    return emit.ops("TopK", [both, emit.integers(kept)], names, {"axis": -1})[0]


def _ended(
    emit: Emitter,
    node: TextOutput,
    rows: Rows,
    found: Candidates,
    values: str,
    count: str,
    limits: Limits,
) -> str:
    """Bool `[B, 1]`: whether a row ends with this step, of which there are `count` by now."""
    name, search = node.name, node.search
    assert isinstance(search, Beam)
    one = emit.integers(1)

    def column(value: str, place: int, what: str) -> str:
        bounds = [emit.integers(place), emit.integers(place + 1), one]
        return emit.op("Slice", [value, *bounds], f"{name}.{what}")

    limit = _most(emit, node, rows, limits)
    reasons = [emit.op("GreaterOrEqual", [count, limit], f"{name}.at_limit")]
    if search.stop in ("full", "first"):
        last = column(values, search.width - 1, "last_value")
        reasons.append(emit.op("Greater", [last, emit.number(NEVER)], f"{name}.full"))
    if search.stop in ("best", "bound"):
        most = limit if search.stop == "bound" else count
        bound = normed(emit, node, column(found.live, 0, "best_live"), most, f"{name}.bound")
        least = values
        if search.n_best > 1:
            least = column(values, search.n_best - 1, "least_value")
        reasons.append(emit.op("LessOrEqual", [bound, least], f"{name}.bounded"))
    elif search.stop == "first":
        best = emit.op("ReduceMax", [found.finished, one], f"{name}.best_now", {"keepdims": 1})
        live = column(found.live, 0, "best_live")
        reasons.append(emit.op("GreaterOrEqual", [best, live], f"{name}.first_best"))
    ended = reasons[0]
    for reason in reasons[1:]:
        ended = emit.op("Or", [ended, reason], f"{name}.ended")
    return ended


def _most(emit: Emitter, node: TextOutput, rows: Rows, limits: Limits) -> str:
    """The most steps: `[]`, or `[B, 1]` where rows differ."""
    if not limits.rows:
        return limits.trips
    own = rows.at(limits.rows)
    return emit.op("Unsqueeze", [own, emit.integers(1)], f"{node.name}.limits")
