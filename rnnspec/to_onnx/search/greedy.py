"""Greedy search, and sampling, which differs in how a token is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import TextOutput
from rnnspec.to_onnx.attention import MEMORY, State
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.copies import Entries
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.choice import Choice
from rnnspec.to_onnx.search.compaction import Phases, Step, Tell
from rnnspec.to_onnx.search.loop import Found, Limits, cut
from rnnspec.to_onnx.search.prompt import Begun

Take = Callable[[Emitter, Rows, str, str, str], tuple[str, str]]
"""`(emit, rows, logs, allowed, step)` to the tokens `[R]` and their log-probabilities `[R]`."""


def most_probable(low: Lowering, node: TextOutput) -> Take:
    """The first of the largest."""
    name = node.name

    def take(emit: Emitter, rows: Rows, logs: str, allowed: str, step: str) -> tuple[str, str]:
        del rows, logs, step
        number = emit.op("ArgMax", [allowed], f"{name}.best.number", {"axis": 1, "keepdims": 0})
        value = emit.op("ReduceMax", [allowed, emit.integers(1)], f"{name}.best", {"keepdims": 0})
        return number, value

    return take


def search(
    low: Lowering,
    node: TextOutput,
    body: Body,
    rows: Rows,
    begun: Begun,
    limits: Limits,
    entries: Entries,
    take: Take,
) -> Found:
    """One token a step, until every row has ended. A row that has ended answers END_ID."""
    name, choice = node.name, Choice(low, node, rows, entries, begun.prompt)
    previous = State(f"{name}.previous", begun.previous, (), INT64)
    states = [previous, *begun.states, *choice.states]
    count = len(begun.states) + 1

    def run(emit: Emitter, rows: Rows, step: str, active: str, before: Sequence[str]) -> Step:
        stepped = body.step(emit, rows, step, before[0], before[1:count])
        logs = choice.logs(emit, stepped.scores, before[count:])
        allowed = choice.allowed(emit, rows, logs, step, before[count:])
        number, log = take(emit, rows, logs, allowed, step)
        token = emit.op("Where", [active, number, emit.integer(END_ID)], f"{name}.token")
        gained = emit.op("Where", [active, log, emit.number(0.0)], f"{name}.gained")
        going = emit.op("Greater", [token, emit.integer(END_ID)], f"{name}.going")
        if limits.rows:
            taken = emit.op("Add", [step, emit.integer(1)], f"{name}.taken")
            within = emit.op("Less", [taken, rows.at(limits.rows)], f"{name}.within")
            going = emit.op("And", [going, within], f"{name}.going_within")
        after = choice.following(emit, token, before[count:])
        told = [Tell(token, INT64, (), "", END_ID), Tell(gained, FLOAT, (), "", 0.0)]
        if stepped.weights:
            told.append(Tell(stepped.weights, FLOAT, (MEMORY,), body.memory_extent(), 0.0))
        return Step([token, *stepped.states, *after], going, told)

    tokens, gains, *weights = Phases(low, f"{name}.search", rows, limits, states).run(run)
    return _found(low, name, tokens, gains, weights)


def _found(low: Lowering, name: str, tokens: str, gains: str, weights: list[str]) -> Found:
    emit = low.emit
    sums, first = {"keepdims": 0}, emit.integers(0)
    scores = emit.op("ReduceSum", [gains, first], f"{name}.score", sums)
    real = emit.op("Sign", [tokens], f"{name}.real")
    lengths = emit.op("ReduceSum", [real, first], f"{name}.lengths", sums)
    tokens = cut(emit, tokens, lengths, f"{name}.cut")
    numbers = emit.op("Transpose", [tokens], f"{name}.numbers", {"perm": [1, 0]})
    if not weights:
        return Found(numbers, lengths, scores, "")
    short = cut(emit, weights[0], lengths, f"{name}.weights.cut")
    by_row = emit.op("Transpose", [short], f"{name}.weights", {"perm": [1, 0, 2]})
    return Found(numbers, lengths, scores, by_row)
