"""Texts by connectionist temporal classification: what the steps read as, and the steps of each
token. See `rnnspec.plan.nodes.CtcOutput` and `rnnspec.plan.nodes.search`.

Past a row's length the blank is certain, so that padding reads as nothing and costs nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.names import answer_name
from rnnspec.plan.nodes import BestPath, CtcOutput, PrefixBeam
from rnnspec.to_onnx.chunks import Chunks
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering, Vector
from rnnspec.to_onnx.prefix_beam import NEVER, Steps, search
from rnnspec.to_onnx.search.loop import ANSWER, SearchResult, trimmed
from rnnspec.to_onnx.text import answer_text, output

BLANK = END_ID
SCORES = {
    "greedy": "log-probability of the path that reads as the answer",
    "beam": "log-probability of the paths that read as the answer, as far as the beam kept them",
}


def lower_ctc(low: Lowering, node: CtcOutput) -> Vector:
    """The outputs of every text; with `low.attention` also `<name>.alignment` int64 `[B, U, 2]`."""
    steps = _steps(low, node)
    if low.chunks is not None:
        return _of_chunk(low, node, steps, low.chunks)
    match node.search:
        case BestPath():
            none = steps.filled(low.emit, low.emit.integers(BLANK), f"{steps.name}.path.none")
            found, tokens, _ = _best_path(low.emit, steps, none)
        case PrefixBeam():
            found, tokens = search(low.emit, steps, node.search), ""
        case _:
            assert_never(node.search)
    answer_text(low, node, found, SCORES[node.search.strategy])
    if low.attention:
        emit, n_best, turned = low.emit, node.search.n_best, not tokens
        tokens = tokens or _most_probable(emit, steps, found, n_best)
        numbers = best_of(emit, found.numbers, n_best, f"{node.name}.numbers.best")
        spans = _spans(emit, steps, tokens, numbers, turned)
        doc = "the first and the last step of each token, from 0; -1 past the end"
        name = f"{answer_name(low.plan, node)}.alignment"
        output(low, spans, name, INT64, [BATCH, ANSWER, 2], doc)
    return Vector(found.log_probs)


def _steps(low: Lowering, node: CtcOutput) -> Steps:
    """The log-probabilities, without the unknown."""
    emit, source, name = low.emit, low.steps(node.source), node.name
    logs = emit.op("LogSoftmax", [source.name], f"{name}.logs.all", axis=-1)
    allowed = np.zeros((1, 1, node.size), np.float32)
    allowed[..., UNKNOWN_ID] = NEVER
    certain = np.full((1, 1, node.size), NEVER, np.float32)
    certain[..., BLANK] = 0.0
    known = emit.op("Add", [logs, emit.constant(allowed, f"{name}.allowed")], f"{name}.logs.known")
    blank = emit.constant(certain, f"{name}.certain")
    logs = emit.op("Where", [source.lengths.mask(), known, blank], f"{name}.logs")
    return Steps(
        name, logs, node.size, emit.extent(logs, 0, f"{name}.time"), source.lengths.batch()
    )


def _of_chunk(low: Lowering, node: CtcOutput, steps: Steps, chunks: Chunks) -> Vector:
    """What a chunk of a stream adds to the answer, and the score so far. Keeps the number of the
    last step: an equal one is no further token."""
    emit, name = low.emit, node.name
    before = emit.unsqueeze(chunks.before(f"{name}.previous"), 0, f"{name}.previous.step")
    found, _, path = _best_path(emit, steps, before)
    place = emit.unsqueeze(low.steps(node.source).lengths.name, 0, f"{name}.last.place")
    last = emit.op("GatherElements", [path, place], f"{name}.last.step", axis=0)
    chunks.after(f"{name}.previous", emit.squeeze(last, 0, f"{name}.last"))
    score = emit.op("Add", [chunks.before(f"{name}.score"), found.log_probs], f"{name}.score.now")
    chunks.after(f"{name}.score", score)
    found = replace(found, log_probs=score)
    answer_text(low, node, found, f"{SCORES['greedy']}, of all chunks so far")
    return Vector(score)


def _best_path(emit: Emitter, steps: Steps, none: str) -> tuple[SearchResult, str, str]:
    """The answers; int64 `[T, B]`, which token of the answer each step is, -1 for none; and the
    numbers of the path, `none` `[1, B]` before its first, `[T + 1, B]`."""
    name = f"{steps.name}.path"
    best = emit.reduce("ReduceMax", steps.logs, 2, f"{name}.best")
    path = emit.op("ArgMax", [steps.logs], name, axis=2, keepdims=0)
    is_token = emit.op("Greater", [path, emit.integer(BLANK)], f"{name}.is_token")
    later = emit.concat([none, path], 0, f"{name}.later")
    before = emit.slice(later, 0, steps.time, 0, f"{name}.before")
    same = emit.op("Equal", [path, before], f"{name}.same")
    differs = emit.op("Not", [same], f"{name}.differs")
    first = emit.op("And", [is_token, differs], f"{name}.first")
    numbers, lengths, places = gathered(emit, steps, path, first, name)
    score = emit.reduce("ReduceSum", best, 0, f"{name}.score")
    nothing = emit.integer(-1)
    tokens = emit.op("Where", [is_token, places, nothing], f"{name}.tokens")
    return SearchResult(numbers, lengths, score, ""), tokens, later


def gathered(emit: Emitter, steps: Steps, path: str, first: str, name: str) -> tuple[str, str, str]:
    """The numbers of `path` `[T, B]` at the steps `first`, one after the other, `[B, U]`; how many
    they are, `[B]`; and the place of the last one so far, `[T, B]`."""
    ones = emit.op("Cast", [first], f"{name}.ones", to=INT64)
    lengths = emit.reduce("ReduceSum", ones, 0, f"{name}.lengths")
    so_far = emit.op("CumSum", [ones, emit.integer(0)], f"{name}.so_far")
    places = emit.op("Sub", [so_far, emit.integer(1)], f"{name}.places")
    rest = emit.op("Squeeze", [steps.time], f"{name}.rest")
    targets = emit.op("Where", [first, places, rest], f"{name}.targets")
    row = steps.filled(emit, emit.integers(BLANK), f"{name}.row")
    blanks = emit.op("Mul", [path, emit.integer(BLANK)], f"{name}.blanks")
    room = emit.concat([blanks, row], 0, f"{name}.room")
    kept = emit.op("Where", [first, path, emit.integer(BLANK)], f"{name}.kept")
    numbers = emit.op("ScatterElements", [room, targets, kept], f"{name}.numbers.all", axis=0)
    short = trimmed(emit, numbers, lengths, f"{name}.numbers.cut")
    return emit.transpose(short, [1, 0], f"{name}.numbers"), lengths, places


def best_of(emit: Emitter, value: str, n_best: int, name: str) -> str:
    """Of the answers `[B, n, …]` the best one."""
    if n_best == 1:
        return value
    return emit.op("Gather", [value, emit.integer(0)], name, axis=1)


def _spans(emit: Emitter, steps: Steps, tokens: str, numbers: str, turned: bool) -> str:
    """Int64 `[B, U, 2]`, from which token each step is, `[T, B]`, the last step first if `turned`,
    and the numbers `[B, U]`.

    One more step, of no token, is looked at: a row of no steps has no least one.
    """
    name = f"{steps.name}.spans"
    none = steps.filled(emit, emit.integers(-1), f"{name}.none")
    column = emit.unsqueeze(emit.concat([tokens, none], 0, f"{name}.tokens"), 2, f"{name}.column")
    own = emit.op("Equal", [column, numbers_to(emit, numbers, 1, f"{name}.places")], f"{name}.own")
    times = numbers_to(emit, column, 0, f"{name}.steps")
    if turned:
        end = emit.op("Sub", [steps.time, emit.integers(1)], f"{name}.steps.last")
        times = emit.op("Sub", [end, times], f"{name}.steps.turned")
    times = emit.unsqueeze(times, 1, f"{name}.steps.column")
    times = emit.unsqueeze(times, 2, f"{name}.times")
    nowhere = emit.integer(-1)
    last = emit.op("Where", [own, times, nowhere], f"{name}.last.of")
    last = emit.reduce("ReduceMax", last, 0, f"{name}.last")
    first = emit.op("Where", [own, times, emit.integer(2**62)], f"{name}.first.of")
    first = emit.reduce("ReduceMin", first, 0, f"{name}.first")
    first = emit.op("Min", [first, last], f"{name}.first.or_none")
    both = [emit.unsqueeze(each, 2, f"{each}.of_two") for each in (first, last)]
    return emit.concat(both, 2, name)


def numbers_to(emit: Emitter, value: str, axis: int, name: str) -> str:
    """Int64: 0 to the extent of an axis, without it."""
    end = emit.op("Squeeze", [emit.extent(value, axis, f"{name}.extent")], f"{name}.end")
    return emit.range(end, name)


def _most_probable(emit: Emitter, steps: Steps, found: SearchResult, n_best: int) -> str:
    """Int64 `[T, B]`, the last step first: which token of the best answer each step is on the most
    probable path that reads as it, -1 for none (Viterbi 1967).

    The states are the tokens with blanks before, between and after them; a step goes 0, 1 or 2 of
    them on, 2 from a token to another one only.
    """
    name = f"{steps.name}.viterbi"
    numbers = best_of(emit, found.numbers, n_best, f"{name}.numbers")
    lengths = best_of(emit, found.lengths, n_best, f"{name}.lengths")
    states, jumps = _states(emit, steps, numbers, name)
    start = emit.op(
        "Equal", [numbers_to(emit, states, 1, f"{name}.at"), emit.integer(0)], f"{name}.at0"
    )
    never, zero = emit.number(NEVER), emit.number(0.0)
    start = emit.op("Where", [start, zero, never], f"{name}.start")
    start = emit.op("Expand", [start, emit.op("Shape", [states], f"{name}.shape")], f"{name}.begin")
    loop = Loop(emit, name)
    before = loop.state(f"{name}.best", start, FLOAT, [BATCH, "states"])
    value, origin = _viterbi_step(loop.emit, steps, states, jumps, before, loop.step, name)
    trips = emit.op("Squeeze", [steps.time], f"{name}.trips")
    extents: list[Extent] = [BATCH, "states"]
    (best,), (origins,) = loop.close(trips, loop.going, [value], [(origin, INT64, extents)])
    at = _last_state(emit, best, lengths, name)
    path = _followed(emit, steps, origins, at, name)
    token = emit.op("Div", [path, emit.integer(2)], f"{name}.token")
    odd = emit.op("Mod", [path, emit.integer(2)], f"{name}.odd")
    odd = emit.op("Cast", [odd], f"{name}.is_token", to=BOOL)
    return emit.op("Where", [odd, token, emit.integer(-1)], f"{name}.tokens")


def _states(emit: Emitter, steps: Steps, numbers: str, name: str) -> tuple[str, str]:
    """The number of each state, int64 `[B, 2 U + 1]`; and a penalty `[B, 2 U + 1]` of reaching it
    from two states before."""
    column = emit.unsqueeze(numbers, 2, f"{name}.column")
    blanks = emit.op("Mul", [column, emit.integer(BLANK)], f"{name}.blanks")
    pairs = emit.concat([blanks, column], 2, f"{name}.pairs")
    flat = emit.op("Reshape", [pairs, emit.integers(0, -1)], f"{name}.flat")
    states = emit.op(
        "Pad", [flat, emit.integers(0, 0, 0, 1), emit.integer(BLANK)], f"{name}.states"
    )
    two = emit.op("Pad", [flat, emit.integers(0, 2, 0, -1), emit.integer(BLANK)], f"{name}.two")
    same = emit.op("Equal", [states, two], f"{name}.repeats")
    blank = emit.op("Equal", [states, emit.integer(BLANK)], f"{name}.is_blank")
    neither = emit.op("Or", [same, blank], f"{name}.no_jump")
    costs = [neither, emit.number(NEVER), emit.number(0.0)]
    return states, emit.op("Where", costs, f"{name}.jumps")


def _viterbi_step(
    emit: Emitter, steps: Steps, states: str, jumps: str, before: str, step: str, name: str
) -> tuple[str, str]:
    """The log-probability of the best path to each state, and how many states before it was; of
    equal ones the fewest."""
    logs = emit.op("Gather", [steps.logs, step], f"{name}.step")
    own = emit.op("GatherElements", [logs, states], f"{name}.own", axis=1)
    never = emit.number(NEVER)
    moved = [before]
    for count in (1, 2):
        pads = emit.integers(0, count, 0, -count)
        moved.append(emit.op("Pad", [before, pads, never], f"{name}.before_{count}"))
    moved[2] = emit.op("Add", [moved[2], jumps], f"{name}.jumped")
    every = [emit.unsqueeze(each, 0, f"{each}.each") for each in moved]
    stacked = emit.concat(every, 0, f"{name}.every")
    origin = emit.op("ArgMax", [stacked], f"{name}.origin", axis=0, keepdims=0)
    best = emit.op("Max", moved, f"{name}.most")
    return emit.op("Add", [best, own], f"{name}.value"), origin


def _last_state(emit: Emitter, best: str, lengths: str, name: str) -> str:
    """Int64 `[B, 1]`: the last blank, or the last token where that is more probable."""
    blank = emit.op("Mul", [lengths, emit.integer(2)], f"{name}.last")
    blank = emit.unsqueeze(blank, 1, f"{name}.last.blank")
    token = emit.op("Sub", [blank, emit.integer(1)], f"{name}.last.before")
    token = emit.op("Max", [token, emit.integer(0)], f"{name}.last.token")
    values = [emit.op("GatherElements", [best, at], f"{at}.value", axis=1) for at in (token, blank)]
    better = emit.op("Greater", values, f"{name}.last.better")
    return emit.op("Where", [better, token, blank], f"{name}.last.state")


def _followed(emit: Emitter, steps: Steps, origins: str, last: str, name: str) -> str:
    """Int64 `[T, B]`, the last step first: the states of the path that ends in `last`.

    It is left so: onnxruntime 1.31 makes of Gather by a Range from T - 1 down to 0 a Slice to -1,
    which is empty.
    """
    loop = Loop(emit, f"{name}.back")
    at, inner = loop.state(f"{name}.state", last, INT64, [BATCH, 1]), loop.emit
    end = emit.op("Squeeze", [steps.time], f"{name}.back.end")
    number = inner.op("Sub", [end, loop.step], f"{name}.back.number")
    number = inner.op("Sub", [number, inner.integer(1)], f"{name}.back.step")
    moves = inner.op("Gather", [origins, number], f"{name}.back.moves")
    move = inner.op("GatherElements", [moves, at], f"{name}.back.move", axis=1)
    before = inner.op("Sub", [at, move], f"{name}.back.before")
    flat = inner.squeeze(at, 1, f"{name}.back.at")
    _, (path,) = loop.close(end, loop.going, [before], [(flat, INT64, [BATCH])])
    return path
