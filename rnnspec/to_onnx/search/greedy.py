"""Greedy search, and sampling, which differs in how a token is taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import TextOutput
from rnnspec.to_onnx.attention import MEMORY
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter, Extent
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.choice import Choice
from rnnspec.to_onnx.search.loop import Found, Limits, Loop
from rnnspec.to_onnx.search.prompt import Begun
from rnnspec.to_onnx.values import BATCH, Lowering

Take = Callable[[Emitter, str, str, str], tuple[str, str]]
"""`(emit, logs, allowed, step)` to the tokens `[R]` and their log-probabilities `[R]`."""


def most_probable(low: Lowering, node: TextOutput) -> Take:
    """The first of the largest."""
    name = node.name

    def take(emit: Emitter, logs: str, allowed: str, step: str) -> tuple[str, str]:
        del logs, step
        names = [f"{name}.best.value", f"{name}.best.number"]
        best = emit.ops("TopK", [allowed, emit.integers(1)], names, {"axis": -1})
        value, number = (
            emit.op("Squeeze", [each, emit.integers(1)], f"{each}.flat") for each in best
        )
        return number, value

    return take


def search(
    low: Lowering,
    node: TextOutput,
    body: Body,
    rows: Rows,
    begun: Begun,
    limits: Limits,
    take: Take,
) -> Found:
    """One token a step, until every row has ended. A row that has ended answers END_ID."""
    name, choice = node.name, Choice(low, node, rows, begun.prompt)
    loop = Loop(low.emit, f"{name}.search", BATCH)
    emit = loop.emit
    previous = loop.state(f"{name}.previous", begun.previous, INT64, [BATCH])
    ended = loop.state(f"{name}.ended", _ended_at_first(low, node, rows, limits), BOOL, [BATCH])
    zeros = rows.filled(emit.number(0.0), f"{name}.no_score")
    score = loop.state(f"{name}.score", zeros, FLOAT, [BATCH])
    of_body = loop.carried(body.states, begun.states)
    of_choice = loop.carried(choice.states)
    stepped = body.step(emit, loop.step, previous, of_body)
    logs = choice.logs(emit, stepped.scores, of_choice)
    allowed = choice.allowed(emit, logs, loop.step, of_choice)
    number, log = take(emit, logs, allowed, loop.step)
    token = emit.op("Where", [ended, emit.integer(END_ID), number], f"{name}.token")
    gained = emit.op("Where", [ended, emit.number(0.0), log], f"{name}.gained")
    total = emit.op("Add", [score, gained], f"{name}.total")
    done = emit.op("Equal", [token, emit.integer(END_ID)], f"{name}.done")
    if limits.rows:
        taken = emit.op("Add", [loop.step, emit.integer(1)], f"{name}.taken")
        out = emit.op("GreaterOrEqual", [taken, limits.rows], f"{name}.out")
        done = emit.op("Or", [done, out], f"{name}.done_or_out")
    # An ended row answers END_ID, which is 0: some are not, as long as one goes on.
    largest = emit.op("ReduceMax", [token], f"{name}.largest", {"keepdims": 0})
    going = emit.op("Greater", [largest, emit.integer(END_ID)], f"{name}.going")
    told: list[tuple[str, int, list[Extent]]] = [(token, INT64, [BATCH])]
    if stepped.weights:
        told.append((stepped.weights, FLOAT, [BATCH, MEMORY]))
    after = choice.following(emit, token, of_choice)
    states, steps = loop.close(
        limits.trips, going, [token, done, total, *stepped.states, *after], told
    )
    return _found(low, name, states[2], steps)


def _ended_at_first(low: Lowering, node: TextOutput, rows: Rows, limits: Limits) -> str:
    emit, name = low.emit, node.name
    if limits.rows:
        return emit.op("LessOrEqual", [limits.rows, emit.integer(0)], f"{name}.no_steps")
    false = emit.constant(np.array(False), "false")
    return rows.filled(false, f"{name}.none_ended")


def _found(low: Lowering, name: str, scores: str, steps: list[str]) -> Found:
    emit = low.emit
    numbers = emit.op("Transpose", [steps[0]], f"{name}.numbers", {"perm": [1, 0]})
    real = emit.op("Sign", [numbers], f"{name}.real")
    lengths = emit.op("ReduceSum", [real, emit.integers(1)], f"{name}.lengths", {"keepdims": 0})
    weights = ""
    if len(steps) > 1:
        weights = emit.op("Transpose", [steps[1]], f"{name}.weights", {"perm": [1, 0, 2]})
    return Found(numbers, lengths, scores, weights)
