"""From what a beam search told at each step to its answers: the best, and the way they came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import Beam, TextOutput
from rnnspec.to_onnx.attention import MEMORY
from rnnspec.to_onnx.emitter import FLOAT, INT64, Attributes, Emitter
from rnnspec.to_onnx.lowering import BATCH, Lowering
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.choice import NEVER
from rnnspec.to_onnx.search.loop import Found, Limits, cut
from rnnspec.to_onnx.search.value import normed


@dataclass(frozen=True, slots=True)
class Told:
    """Of all steps, `[U, B, K]`: the tokens of the live hypotheses and those they came from, the
    log-probabilities of what finished at a step with the end mark, and of the live ones of a row
    that ended with it (-inf elsewhere); the coverage penalties of both, if any; and the `weights`
    `[U, B, K, T]` of attention, if asked for."""

    tokens: str
    parents: str
    finished: str
    left: str
    penalties: str = ""
    penalties_left: str = ""
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Picked:
    """The best of a row, `[B, n]`: values, log-probabilities, last steps and hypotheses there."""

    values: str
    scores: str
    last: str
    beams: str


def answers(low: Lowering, node: TextOutput, rows: Rows, limits: Limits, told: Told) -> Found:
    """The `n_best` answers: finished ones by value, then live ones."""
    emit, name, count = low.emit, f"{node.name}.answers", node.search.n_best
    steps = _numbers(emit, told.tokens, 0, f"{name}.steps")
    finished = _picked(low, node, told.finished, told.penalties, steps, f"{name}.finished")
    before = emit.op("Sub", [finished.last, emit.integer(1)], f"{name}.before_end")
    left = _picked(low, node, told.left, told.penalties_left, steps, f"{name}.left")
    order = _order(emit, finished.values, count, name)

    def merged(one: str, other: str, what: str) -> str:
        both = emit.op("Concat", [one, other], f"{name}.{what}.both", {"axis": 1})
        return emit.op("GatherElements", [both, order], f"{name}.{what}", {"axis": 1})

    scores = merged(finished.scores, left.scores, "scores")
    last = merged(before, left.last, "last")
    none = emit.op("Equal", [scores, emit.number(NEVER)], f"{name}.none")
    last = emit.op("Where", [none, emit.integer(-1), last], f"{name}.last.real")
    beams = merged(finished.beams, left.beams, "beams")
    if limits.rows:
        scores = _empty_answers(emit, limits, scores, name)
    numbers, weights = _followed(low, node, rows, told, steps, last, beams)
    lengths = counts = emit.op("Add", [last, emit.integer(1)], f"{name}.lengths")
    numbers = cut(emit, numbers, lengths, f"{name}.cut")
    perm = {"perm": [1, 2, 0]}
    if count == 1:
        numbers, perm = (
            emit.op("Squeeze", [numbers, emit.integers(2)], f"{name}.only"),
            {"perm": [1, 0]},
        )
        lengths = emit.op("Squeeze", [lengths, emit.integers(1)], f"{name}.lengths.only")
        scores = emit.op("Squeeze", [scores, emit.integers(1)], f"{name}.scores.only")
    numbers = emit.op("Transpose", [numbers], f"{name}.numbers", perm)
    if weights:
        weights = cut(emit, weights, counts, f"{name}.weights.cut")
        weights = emit.op("Transpose", [weights], f"{name}.weights", {"perm": [1, 0, 2]})
    return Found(numbers, lengths, scores, weights)


def _numbers(emit: Emitter, value: str, axis: int, name: str) -> str:
    """Int64: the indices of an axis of a value."""
    extent = emit.op("Shape", [value], f"{name}.extent", {"start": axis, "end": axis + 1})
    end = emit.op("Squeeze", [extent], f"{name}.end")
    return emit.op("Range", [emit.integer(0), end, emit.integer(1)], name)


def _picked(
    low: Lowering, node: TextOutput, scores: str, penalties: str, steps: str, name: str
) -> Picked:
    """The best by value; ties go to the earlier step, then to the lower hypothesis."""
    search = node.search
    assert isinstance(search, Beam)
    emit, width = low.emit, search.width
    one = emit.op("Add", [steps, emit.integer(1)], f"{name}.ordinal")
    column = emit.op("Unsqueeze", [one, emit.integers(1, 2)], f"{name}.count")
    values = normed(emit, node, scores, column, f"{name}.normed")
    if penalties:
        values = emit.op("Add", [values, penalties], f"{name}.ranked")

    def by_row(value: str, what: str) -> str:
        turned = emit.op("Transpose", [value], f"{what}.turned", {"perm": [1, 0, 2]})
        return emit.op("Reshape", [turned, emit.integers(0, -1)], what)

    names = [f"{name}.values", f"{name}.places"]
    row = by_row(values, f"{name}.by_row")
    inputs = [row, emit.integers(node.search.n_best)]
    best, places = emit.ops("TopK", inputs, names, {"axis": -1})
    raw = best
    if values != scores:
        raw = by_row(scores, f"{name}.raw")
        raw = emit.op("GatherElements", [raw, places], f"{name}.scores", {"axis": 1})
    last = emit.op("Div", [places, emit.integer(width)], f"{name}.step")
    beams = emit.op("Mod", [places, emit.integer(width)], f"{name}.beam")
    return Picked(best, raw, last, beams)


def _order(emit: Emitter, values: str, count: int, name: str) -> str:
    """Int64 `[B, n]`: which of n finished ones, and then n others, come first."""
    real = emit.op("Greater", [values, emit.number(NEVER)], f"{name}.is_finished")
    ones = emit.op("Cast", [real], f"{name}.ones", {"to": INT64})
    many = emit.op("ReduceSum", [ones, emit.integers(1)], f"{name}.many", {"keepdims": 1})
    numbers = emit.constant(np.arange(count), f"{name}.range")
    others = emit.op(
        "Sub", [emit.constant(np.arange(count) + count, f"{name}.others"), many], f"{name}.after"
    )
    return emit.op("Where", [real, numbers, others], f"{name}.order")


def _empty_answers(emit: Emitter, limits: Limits, scores: str, name: str) -> str:
    """The only answer of a row that may have no steps is the empty one, which is certain."""
    none = emit.op("LessOrEqual", [limits.rows, emit.integer(0)], f"{name}.no_steps")
    column = emit.op("Unsqueeze", [none, emit.integers(1)], f"{name}.no_steps.column")
    first = emit.op("Slice", [scores, *map(emit.integers, (0, 1, 1))], f"{name}.scores.first")
    others = emit.op("Slice", [scores, *map(emit.integers, (1, 2**31, 1))], f"{name}.scores.others")
    certain = emit.op("Where", [column, emit.number(0.0), first], f"{name}.certain")
    return emit.op("Concat", [certain, others], f"{name}.scores.all", {"axis": 1})


def _followed(
    low: Lowering,
    node: TextOutput,
    rows: Rows,
    told: Told,
    steps: str,
    last: str,
    beams: str,
) -> tuple[str, str]:
    """From each answer's last step back to its first: tokens `[U, B, n]`, and the weights
    `[U, B, T]` of the best answer, "" if they were not told."""
    emit, name = low.emit, f"{node.name}.back"
    search = node.search
    assert isinstance(search, Beam)
    body, count, width = emit.body(), search.n_best, search.width
    at = body.input(f"{name}.at", INT64, [BATCH, count])
    step = body.input(f"{name}.step", INT64, [])
    tokens = body.input(f"{name}.tokens", INT64, [BATCH, width])
    parents = body.input(f"{name}.parents", INT64, [BATCH, width])
    own = body.op("LessOrEqual", [step, last], f"{name}.own")
    token = body.op("GatherElements", [tokens, at], f"{name}.token", {"axis": 1})
    answered = body.op("Where", [own, token, body.integer(END_ID)], f"{name}.answered")
    parent = body.op("GatherElements", [parents, at], f"{name}.parent", {"axis": 1})
    before = body.op("Where", [own, parent, at], f"{name}.before")
    scanned = [steps, told.tokens, told.parents]
    if told.weights:
        scanned.append(told.weights)
        weights = body.input(f"{name}.weights", FLOAT, [BATCH, width, MEMORY])
        bounds = map(body.integers, (0, 1, 1))
        best = body.op("Slice", [before, *bounds], f"{name}.best")
        chosen = body.op("GatherND", [weights, best], f"{name}.chosen", {"batch_dims": 1})
    body.result(before, INT64, [BATCH, count])
    body.result(answered, INT64, [BATCH, count])
    if told.weights:
        body.result(chosen, FLOAT, [BATCH, MEMORY])
    outputs = len(scanned) - 2 if told.weights else 1
    names = [f"{name}.first", f"{name}.numbers", f"{name}.weights.chosen"][: 1 + outputs]
    attributes: Attributes = {
        "body": body.graph(f"{name}.body"),
        "num_scan_inputs": len(scanned),
        "scan_input_directions": [1] * len(scanned),
        "scan_output_directions": [1] * outputs,
    }
    found = emit.ops("Scan", [beams, *scanned], names, attributes)
    return found[1], found[2] if told.weights else ""
