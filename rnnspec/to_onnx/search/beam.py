"""Beam search: live hypotheses in the loop, what finishes told step by step and ranked after it.

Every step tells, for each of K hypotheses, the token and the hypothesis it came from, what finished
with the end mark, and the live ones of rows that end here. The loop itself keeps only the values of
finished ones, which its end depends on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import TextOutput
from rnnspec.to_onnx.attention import MEMORY
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.rows import HYPOTHESES, Rows
from rnnspec.to_onnx.search.backtrack import Told, answers
from rnnspec.to_onnx.search.choice import NEVER, Choice
from rnnspec.to_onnx.search.loop import Found, Limits, Loop
from rnnspec.to_onnx.search.prompt import Begun
from rnnspec.to_onnx.search.value import Coverage, normed
from rnnspec.to_onnx.values import BATCH, Lowering


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
    low: Lowering, node: TextOutput, body: Body, rows: Rows, begun: Begun, limits: Limits
) -> Found:
    """The `n_best` answers to each row."""
    name, width, choice = node.name, node.search.width, Choice(low, node, rows, begun.prompt)
    penalty = Coverage(low, node, rows) if node.search.coverage_penalty else None
    loop = Loop(low.emit, f"{name}.search", HYPOTHESES)
    emit = loop.emit
    previous = loop.state(f"{name}.previous", begun.previous, INT64, [HYPOTHESES])
    score = loop.state(f"{name}.live", _first(low, name, rows, limits), FLOAT, [HYPOTHESES, 1])
    nothing = rows.per_row(low.emit.number(NEVER), f"{name}.nothing", width)
    values = loop.state(f"{name}.values", nothing, FLOAT, [BATCH, width])
    of_body = loop.carried(body.states, begun.states)
    of_choice = loop.carried(choice.states)
    sums = loop.carried(penalty.states) if penalty else []

    stepped = body.step(emit, loop.step, previous, of_body)
    logs = choice.logs(emit, stepped.scores, of_choice)
    parted = choice.parted(emit, logs, loop.step, of_choice)
    found = _candidates(emit, node, rows, score, parted)
    count = emit.op("Add", [loop.step, emit.integer(1)], f"{name}.count")
    if penalty:
        sums = [emit.op("Add", [sums[0], stepped.weights], f"{name}.covered")]
    finished = normed(emit, node, found.finished, count, f"{name}.finished.value")
    penalties = [penalty.of(emit, sums[0], f"{name}.penalty")] if penalty else []
    if penalties:
        finished = emit.op("Add", [finished, penalties[0]], f"{name}.finished.rank")
    ranked = _ranked(emit, name, values, finished, width)
    ended = _ended(low, emit, node, found, ranked, count, limits)
    never = emit.number(NEVER)
    going_on = emit.op("Where", [ended, never, found.live], f"{name}.going_on")
    left = emit.op("Where", [ended, found.live, never], f"{name}.left")

    flat = emit.op("Add", [found.parents, rows.firsts()], f"{name}.places")
    places = emit.op("Reshape", [flat, emit.integers(-1)], f"{name}.places.each")
    moved = [
        [emit.op("Gather", [value, places], f"{value}.moved") for value in group]
        for group in (stepped.states, of_choice, sums)
    ]
    tokens = emit.op("Reshape", [found.tokens, emit.integers(-1)], f"{name}.tokens.each")
    after = choice.following(emit, tokens, moved[1])
    following = emit.op("Reshape", [going_on, emit.integers(-1, 1)], f"{name}.live.next")
    most = emit.op("ReduceMax", [going_on], f"{name}.most", {"keepdims": 0})
    going = emit.op("Greater", [most, never], f"{name}.going")
    if penalty:
        penalties.append(penalty.of(emit, moved[2][0], f"{name}.penalty.left"))
    shape: list[Extent] = [BATCH, width]
    told = [(value, INT64, shape) for value in (found.tokens, found.parents)]
    told += [(value, FLOAT, shape) for value in (found.finished, left, *penalties)]
    if low.attention:
        told.append((stepped.weights, FLOAT, [HYPOTHESES, MEMORY]))
    carried = [tokens, following, ranked, *moved[0], *after, *moved[2]]
    _, steps = loop.close(limits.trips, going, carried, told)
    weights = steps.pop() if low.attention else ""
    tokens, parents, ends, lefts, *coverage = steps
    scores = (coverage[0], coverage[1]) if coverage else ("", "")
    return answers(low, node, rows, limits, Told(tokens, parents, ends, lefts, *scores, weights))


def _first(low: Lowering, name: str, rows: Rows, limits: Limits) -> str:
    """Float `[R, 1]`: 0 for the first hypothesis of each row, which is the empty one, -inf for the
    others, and for all of a row that may have no steps."""
    emit = low.emit
    only = np.full((1, rows.width), NEVER, np.float32)
    only[0, 0] = 0.0
    first = rows.per_row(emit.constant(only, f"{name}.only_first"), f"{name}.first", rows.width)
    if limits.rows:
        none = emit.op("LessOrEqual", [limits.rows, emit.integer(0)], f"{name}.no_steps")
        column = emit.op("Unsqueeze", [none, emit.integers(1)], f"{name}.no_steps.column")
        first = emit.op("Where", [column, emit.number(NEVER), first], f"{name}.first.some")
    return emit.op("Reshape", [first, emit.integers(-1, 1)], f"{name}.first.each")


def _candidates(
    emit: Emitter, node: TextOutput, rows: Rows, score: str, parted: tuple[str, str]
) -> Candidates:
    """From the log-probabilities `[R, size]` of all tokens but the end mark, and its own
    `[R, 1]`."""
    name, width = node.name, rows.width
    sums = emit.op("Add", [parted[0], score], f"{name}.sums")
    row = emit.op("Reshape", [sums, emit.integers(-1, width * node.size)], f"{name}.sums.row")
    names = [f"{name}.live.best", f"{name}.live.number"]
    live, number = emit.ops("TopK", [row, emit.integers(width)], names, {"axis": -1})
    size = emit.integer(node.size)
    parents = emit.op("Div", [number, size], f"{name}.parents")
    tokens = emit.op("Mod", [number, size], f"{name}.tokens")
    ending = emit.op("Add", [parted[1], score], f"{name}.ending")
    ending = emit.op("Reshape", [ending, emit.integers(-1, width)], f"{name}.ending.row")
    bounds = map(emit.integers, (width - 1, width, 1))
    last = emit.op("Slice", [live, *bounds], f"{name}.live.last")
    enough = emit.op("GreaterOrEqual", [ending, last], f"{name}.enough")
    finished = emit.op("Where", [enough, ending, emit.number(NEVER)], f"{name}.finished")
    return Candidates(live, parents, tokens, finished)


def _ranked(emit: Emitter, name: str, values: str, finished: str, width: int) -> str:
    """The best values of finished hypotheses so far, `[B, K]`, the best first."""
    both = emit.op("Concat", [values, finished], f"{name}.values.all", {"axis": 1})
    names = [f"{name}.values.next", f"{name}.values.number"]
    return emit.ops("TopK", [both, emit.integers(width)], names, {"axis": -1})[0]


def _ended(
    low: Lowering,
    emit: Emitter,
    node: TextOutput,
    found: Candidates,
    values: str,
    count: str,
    limits: Limits,
) -> str:
    """Bool `[B, 1]`: whether a row ends with this step, of which there are `count` by now."""
    name, search = node.name, node.search
    one = emit.integers(1)

    def column(value: str, place: int, what: str) -> str:
        bounds = [emit.integers(place), emit.integers(place + 1), one]
        return emit.op("Slice", [value, *bounds], f"{name}.{what}")

    last = column(values, search.width - 1, "last_value")
    reasons = [emit.op("Greater", [last, emit.number(NEVER)], f"{name}.full")]
    if search.stop == "bound":
        most = _most(low, node, limits)
        bound = normed(emit, node, column(found.live, 0, "best_live"), most, f"{name}.bound")
        least = column(values, search.n_best - 1, "least_value") if search.n_best else last
        reasons.append(emit.op("LessOrEqual", [bound, least], f"{name}.bounded"))
    elif search.stop == "first":
        best = emit.op("ReduceMax", [found.finished, one], f"{name}.best_now", {"keepdims": 1})
        live = column(found.live, 0, "best_live")
        reasons.append(emit.op("GreaterOrEqual", [best, live], f"{name}.first_best"))
    limit = _most(low, node, limits)
    reasons.append(emit.op("GreaterOrEqual", [count, limit], f"{name}.at_limit"))
    ended = reasons[0]
    for reason in reasons[1:]:
        ended = emit.op("Or", [ended, reason], f"{name}.ended")
    return ended


def _most(low: Lowering, node: TextOutput, limits: Limits) -> str:
    """The most steps: `[]`, or `[B, 1]` where rows differ."""
    if not limits.rows:
        return limits.trips
    return low.emit.op("Unsqueeze", [limits.rows, low.emit.integers(1)], f"{node.name}.limits")
