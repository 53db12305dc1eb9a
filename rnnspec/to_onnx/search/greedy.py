"""Greedy search and sampling, which differ in how a token is selected.

A draw comes from the row's own seed and the step, by `rnnspec.plan.sampling_rng`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import Sample
from rnnspec.plan.sampling_rng import BITS
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter
from rnnspec.to_onnx.rows import MEMORY, Rows, State
from rnnspec.to_onnx.sampling_rng import bits, keys
from rnnspec.to_onnx.search.compaction import CompactingLoop, Record, SearchStep
from rnnspec.to_onnx.search.loop import SearchResult, Task, trimmed
from rnnspec.to_onnx.search.rules import TokenRules

Select = Callable[[Emitter, Rows, str, str, str], tuple[str, str]]
"""`(emit, rows, log_probs, allowed, step)` to tokens `[R]` and their log-probabilities `[R]`."""


def arg_max(name: str) -> Select:
    """Selects the first of the largest."""

    def select(
        emit: Emitter, rows: Rows, log_probs: str, allowed: str, step: str
    ) -> tuple[str, str]:
        del rows, log_probs, step
        number = emit.op("ArgMax", [allowed], f"{name}.best.number", axis=1, keepdims=0)
        value = emit.reduce("ReduceMax", allowed, 1, f"{name}.best")
        return number, value

    return select


def search(task: Task, select: Select) -> SearchResult:
    """One token a step, until every row has ended. A row that has ended answers END_ID."""
    name, body, start, limits = task.name, task.body, task.start, task.limits
    rules = TokenRules(task)
    previous = State(f"{name}.previous", start.previous, (), INT64)
    states = [previous, *start.states, *rules.states]
    count = len(start.states) + 1

    def run(emit: Emitter, rows: Rows, step: str, active: str, before: Sequence[str]) -> SearchStep:
        output = body.step(emit, rows, step, before[0], before[1:count])
        log_probs = rules.log_probs(emit, output.logits, before[count:])
        allowed = rules.allowed(emit, rows, log_probs, step, before[count:])
        number, log = select(emit, rows, log_probs, allowed, step)
        token = emit.op("Where", [active, number, emit.integer(END_ID)], f"{name}.token")
        gained = emit.op("Where", [active, log, emit.number(0.0)], f"{name}.gained")
        going = emit.op("Greater", [token, emit.integer(END_ID)], f"{name}.going")
        if limits.rows:
            taken = emit.op("Add", [step, emit.integer(1)], f"{name}.taken")
            within = emit.op("Less", [taken, rows.chosen(limits.rows)], f"{name}.within")
            going = emit.op("And", [going, within], f"{name}.going_within")
        after = rules.next_states(emit, token, before[count:])
        records = [Record(token, INT64, (), "", END_ID), Record(gained, FLOAT, (), "", 0.0)]
        if output.weights:
            records.append(Record(output.weights, FLOAT, (MEMORY,), body.memory_extent(), 0.0))
        return SearchStep([token, *output.states, *after], going, records)

    tokens, gains, *weights = CompactingLoop(task, states).run(run)
    return _found(task.low.emit, name, tokens, gains, weights)


def _found(emit: Emitter, name: str, tokens: str, gains: str, weights: list[str]) -> SearchResult:
    log_probs = emit.reduce("ReduceSum", gains, 0, f"{name}.score")
    real = emit.op("Sign", [tokens], f"{name}.real")
    lengths = emit.reduce("ReduceSum", real, 0, f"{name}.lengths")
    tokens = trimmed(emit, tokens, lengths, f"{name}.cut")
    numbers = emit.transpose(tokens, [1, 0], f"{name}.numbers")
    if not weights:
        return SearchResult(numbers, lengths, log_probs, "")
    short = trimmed(emit, weights[0], lengths, f"{name}.weights.cut")
    by_row = emit.transpose(short, [1, 0, 2], f"{name}.weights")
    return SearchResult(numbers, lengths, log_probs, by_row)


def sampler(task: Task, search: Sample, seed: str) -> Select:
    """Selects the first token, in falling order of probability, whose cumulative probability
    exceeds the draw times the mass of the tokens kept. `seed` is int64 `[B]`."""
    name = f"{task.name}.draw"
    of_seed = keys(task.low.emit, seed, name)
    count = task.vocabulary.extent(search.top_k)

    def select(
        emit: Emitter, rows: Rows, log_probs: str, allowed: str, step: str
    ) -> tuple[str, str]:
        sharp = allowed
        if search.temperature != 1.0:
            sharp = emit.op("Div", [allowed, emit.number(search.temperature)], f"{name}.sharp")
        names = [f"{name}.sorted", f"{name}.numbers"]
        best, numbers = emit.ops("TopK", [sharp, count], names, axis=-1)
        probs = emit.op("Softmax", [best], f"{name}.shares", axis=-1)
        total = emit.op("CumSum", [probs, emit.integer(1)], f"{name}.total")
        mass = emit.slice(total, -1, 2**31, 1, f"{name}.all")
        if search.top_p < 1.0:
            mass = _kept(emit, probs, total, search.top_p, name)
        uniform = _uniform(emit, tuple(map(rows.chosen, of_seed)), step, name)
        least = emit.op("Mul", [uniform, mass], f"{name}.least")
        # The tokens that the draw has passed, never the last one kept.
        passed = emit.op("LessOrEqual", [total, least], f"{name}.passed")
        short = emit.op("Less", [total, mass], f"{name}.short")
        both = emit.op("And", [passed, short], f"{name}.before")
        ones = emit.op("Cast", [both], f"{name}.ones", to=INT64)
        place = emit.reduce("ReduceSum", ones, 1, f"{name}.place", keep=True)
        number = emit.pick(numbers, place, f"{name}.number")
        log = emit.pick(log_probs, number, f"{name}.log")
        flat = [emit.squeeze(v, 1, f"{v}.flat") for v in (number, log)]
        return flat[0], flat[1]

    return select


def _kept(emit: Emitter, probs: str, total: str, top_p: float, name: str) -> str:
    """`[B, 1]`: the first cumulative probability that reaches `top_p`."""
    before = emit.op("Sub", [total, probs], f"{name}.sum_before")
    kept = emit.op("Less", [before, emit.number(top_p)], f"{name}.kept")
    masses = emit.op("Where", [kept, total, emit.number(0.0)], f"{name}.masses")
    return emit.reduce("ReduceMax", masses, 1, f"{name}.mass", keep=True)


def _uniform(emit: Emitter, of_seed: tuple[str, ...], step: str, name: str) -> str:
    """`[B, 1]`: the uniform draw, from the row's seed and the step."""
    exact = emit.op("Cast", [bits(emit, of_seed, step, name)], f"{name}.exact", to=FLOAT)
    unit = emit.op("Mul", [exact, emit.number(2.0**-BITS)], f"{name}.unit")
    return emit.unsqueeze(unit, 1, f"{name}.u")
