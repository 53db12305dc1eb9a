"""Beam search: live hypotheses in the loop; what finishes is recorded, and ranked after the loop.

Every step records, for each of K hypotheses, the token and the hypothesis it came from, what
finished with the end mark, and the live ones of rows that end there. The loop itself keeps only the
values of finished hypotheses, on which its end depends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import assert_never

import numpy as np

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import Attend, Beam
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter
from rnnspec.to_onnx.lowering import BATCH
from rnnspec.to_onnx.rows import MEMORY, Rows, State
from rnnspec.to_onnx.search.compaction import CompactingLoop, Record, SearchStep
from rnnspec.to_onnx.search.loop import SearchResult, Task, trimmed
from rnnspec.to_onnx.search.rules import EXCLUDED, TokenRules

LEAST_COVERED = 1e-6
"""A source step that was given less weight counts as if it had this much."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The next live hypotheses, `[B, K]`, the best first: log-probabilities, parents and tokens.

    `finished` `[B, K]` are the log-probabilities of what finishes now, else -inf.
    """

    live: str
    parents: str
    tokens: str
    finished: str


def search(task: Task, settings: Beam) -> SearchResult:
    """The `n_best` answers to each row."""
    name, low, rows, rules = task.name, task.low, task.rows, TokenRules(task)
    coverage = Coverage(task, settings) if settings.coverage_penalty else None
    own = [
        State(f"{name}.previous", task.start.previous, (), INT64),
        State(f"{name}.live", _first(low.emit, name, rows), (1,)),
    ]
    groups = [own, task.start.states, rules.states, coverage.states if coverage else []]
    kept = _kept(settings)
    nothing = rows.per_row(low.emit.number(EXCLUDED), f"{name}.nothing", kept)
    values = State(f"{name}.values", nothing, (kept,))
    bounds = list(accumulate((len(group) for group in groups), initial=0))
    beam = _Steps(task, settings, rules, coverage, bounds)
    states = [state for group in groups for state in group]
    steps = CompactingLoop(task, states, [values]).run(beam.step)
    weights = steps.pop() if low.attention else ""
    tokens, parents, finished, left, *penalties = steps
    of_finished, of_left = penalties or ("", "")
    records = Records(tokens, parents, finished, left, of_finished, of_left, weights)
    return _answers(task, settings, records)


@dataclass(frozen=True, slots=True)
class _Steps:
    """One search. `bounds` are the places of the states of each kind among all states."""

    task: Task
    settings: Beam
    rules: TokenRules
    coverage: Coverage | None
    bounds: Sequence[int]

    def step(
        self, emit: Emitter, rows: Rows, number: str, active: str, before: Sequence[str]
    ) -> SearchStep:
        """One step: of all continuations of the live hypotheses the best go on."""
        name, settings, rules = self.task.name, self.settings, self.rules
        (previous, total), of_body, of_rules, sums = (
            list(before[start:end]) for start, end in pairwise(self.bounds)
        )
        output = self.task.body.step(emit, rows, number, previous, of_body)
        log_probs = rules.log_probs(emit, output.logits, of_rules)
        others, end = rules.without_end(emit, rows, log_probs, number, of_rules)
        found = self._candidates(emit, rows, total, others, end)
        count = emit.op("Add", [number, emit.integer(1)], f"{name}.count")
        values = length_normed(emit, settings, found.finished, count, f"{name}.value")
        penalties = []
        if self.coverage:
            sums = [emit.op("Add", [sums[0], output.weights], f"{name}.covered")]
            penalties.append(self.coverage.penalty(emit, rows, sums[0], f"{name}.penalty"))
            values = emit.op("Add", [values, penalties[0]], f"{name}.rank")
        ranked = _ranked(emit, name, before[-1], values, _kept(settings))
        ended = self._ended(emit, rows, found, ranked, count)
        never = emit.number(EXCLUDED)
        live = emit.op("Where", [ended, never, found.live], f"{name}.going_on")
        left = emit.op("Where", [ended, found.live, never], f"{name}.left")

        flat = emit.op("Add", [found.parents, rows.firsts()], f"{name}.places")
        places = emit.op("Reshape", [flat, emit.integers(-1)], f"{name}.places.each")
        of_body, of_rules, sums = (
            [emit.op("Gather", [value, places], f"{value}.moved") for value in group]
            for group in (output.states, of_rules, sums)
        )
        tokens = emit.op("Reshape", [found.tokens, emit.integers(-1)], f"{name}.tokens.each")
        total = emit.op("Reshape", [live, emit.integers(-1, 1)], f"{name}.live.next")
        of_rules = rules.next_states(emit, tokens, of_rules)
        if self.coverage:
            penalties.append(self.coverage.penalty(emit, rows, sums[0], f"{name}.penalty.left"))
        going = emit.squeeze(ended, 1, f"{name}.ended.flat")
        going = emit.op("Not", [going], f"{name}.going")
        records = self._records(emit, found, left, penalties)
        if self.task.low.attention:
            records.append(self._weights(emit, output.weights))
        return SearchStep([tokens, total, *of_body, *of_rules, *sums, ranked], going, records)

    def _records(
        self, emit: Emitter, found: Candidates, left: str, penalties: Sequence[str]
    ) -> list[Record]:
        """In the order of `Records`."""
        width = self.settings.width
        sizes = emit.integers(width)
        records = [Record(v, INT64, (width,), sizes, 0) for v in (found.tokens, found.parents)]
        records += [Record(v, FLOAT, (width,), sizes, EXCLUDED) for v in (found.finished, left)]
        return records + [Record(v, FLOAT, (width,), sizes, 0.0) for v in penalties]

    def _weights(self, emit: Emitter, weights: str) -> Record:
        """The attention of each hypothesis before the step, `[B, K, T]`."""
        outer, name, width = self.task.low.emit, self.task.name, self.settings.width
        inputs = [emit.integers(width), self.task.body.memory_extent()]
        sizes = outer.concat(inputs, 0, f"{name}.sizes")
        shape = outer.concat([emit.integers(-1), sizes], 0, f"{name}.shape")
        by_row = emit.op("Reshape", [weights, shape], f"{name}.weights.by_row")
        return Record(by_row, FLOAT, (width, MEMORY), sizes, 0.0)

    def _candidates(
        self, emit: Emitter, rows: Rows, totals: str, others: str, end: str
    ) -> Candidates:
        """From the log-probabilities so far, `[R, 1]`, of all tokens but the end mark, `[R, W]`,
        and of the end mark, `[R, 1]`."""
        name, vocabulary, width = self.task.name, self.task.vocabulary, rows.width
        sums = emit.op("Add", [others, totals], f"{name}.sums")
        row = emit.op("Reshape", [sums, vocabulary.side_by_side(width)], f"{name}.sums.row")
        names = [f"{name}.live.best", f"{name}.live.number"]
        live, number = emit.ops("TopK", [row, emit.integers(width)], names, axis=-1)
        parents = emit.op("Div", [number, vocabulary.count()], f"{name}.parents")
        tokens = emit.op("Mod", [number, vocabulary.count()], f"{name}.tokens")
        ending = emit.op("Add", [end, totals], f"{name}.ending")
        ending = emit.op("Reshape", [ending, emit.integers(-1, width)], f"{name}.ending.row")
        last = emit.slice(live, width - 1, width, 1, f"{name}.live.last")
        enough = emit.op("GreaterOrEqual", [ending, last], f"{name}.enough")
        finished = emit.op("Where", [enough, ending, emit.number(EXCLUDED)], f"{name}.finished")
        return Candidates(live, parents, tokens, finished)

    def _ended(self, emit: Emitter, rows: Rows, found: Candidates, values: str, count: str) -> str:
        """Bool `[B, 1]`: whether a row ends with this step, the one of number `count` from 1."""
        name, settings = self.task.name, self.settings

        def column(value: str, place: int, what: str) -> str:
            return emit.slice(value, place, place + 1, 1, f"{name}.{what}")

        limit = self._most(emit, rows)
        reasons = [emit.op("GreaterOrEqual", [count, limit], f"{name}.at_limit")]
        if settings.stop in ("full", "first"):
            last = column(values, settings.width - 1, "last_value")
            reasons.append(emit.op("Greater", [last, emit.number(EXCLUDED)], f"{name}.full"))
        match settings.stop:
            case "full":
                pass
            case "best" | "bound":
                most = limit if settings.stop == "bound" else count
                live = column(found.live, 0, "best_live")
                bound = length_normed(emit, settings, live, most, f"{name}.bound")
                least = values
                if settings.n_best > 1:
                    least = column(values, settings.n_best - 1, "least_value")
                reasons.append(emit.op("LessOrEqual", [bound, least], f"{name}.bounded"))
            case "first":
                best = emit.reduce("ReduceMax", found.finished, 1, f"{name}.best_now", keep=True)
                live = column(found.live, 0, "best_live")
                reasons.append(emit.op("GreaterOrEqual", [best, live], f"{name}.first_best"))
            case _:
                assert_never(settings.stop)
        ended = reasons[0]
        for reason in reasons[1:]:
            ended = emit.op("Or", [ended, reason], f"{name}.ended")
        return ended

    def _most(self, emit: Emitter, rows: Rows) -> str:
        """The most steps: `[]`, or `[B, 1]` where rows differ."""
        limits = self.task.limits
        if not limits.rows:
            return limits.trips
        return emit.unsqueeze(rows.chosen(limits.rows), 1, f"{self.task.name}.limits")


def _first(emit: Emitter, name: str, rows: Rows) -> str:
    """Float `[R, 1]`: 0 for the first hypothesis of each row, the empty one, else -inf."""
    only = np.full((1, rows.width), EXCLUDED, np.float32)
    only[0, 0] = 0.0
    first = rows.per_row(emit.constant(only, f"{name}.only_first"), f"{name}.first", rows.width)
    return emit.op("Reshape", [first, emit.integers(-1, 1)], f"{name}.first.each")


def _kept(settings: Beam) -> int:
    """How many values of finished hypotheses decide whether a row ends."""
    return settings.width if settings.stop in ("full", "first") else settings.n_best


def _ranked(emit: Emitter, name: str, values: str, finished: str, kept: int) -> str:
    """The best values of finished hypotheses so far, `[B, kept]`, the best first."""
    if kept == 1:
        best = emit.reduce("ReduceMax", finished, 1, f"{name}.finished.best", keep=True)
        return emit.op("Max", [values, best], f"{name}.values.next")
    both = emit.concat([values, finished], 1, f"{name}.values.all")
    names = [f"{name}.values.next", f"{name}.values.number"]
    return emit.ops("TopK", [both, emit.integers(kept)], names, axis=-1)[0]


def length_normed(emit: Emitter, settings: Beam, log_probs: str, count: str, name: str) -> str:
    """Log-probabilities divided by the norm of `count` steps, int64, which broadcasts to them."""
    if settings.length_norm == "none" or (settings.length_norm == "gnmt" and not settings.alpha):
        return log_probs
    norm = emit.op("Cast", [count], f"{name}.count", to=FLOAT)
    match settings.length_norm:
        case "average":
            pass
        case "gnmt":  # ((5 + n) / 6)^alpha, Wu et al. 2016
            more = emit.op("Add", [norm, emit.number(5.0)], f"{name}.more")
            base = emit.op("Div", [more, emit.number(6.0)], f"{name}.base")
            norm = emit.op("Pow", [base, emit.number(settings.alpha)], f"{name}.norm")
        case _:
            assert_never(settings.length_norm)
    return emit.op("Div", [log_probs, norm], name)


class Coverage:
    """The penalty for source steps that attention has left out (Wu et al. 2016).

    Its state is the sum of all weights so far, `[R, T]`.
    """

    def __init__(self, task: Task, settings: Beam) -> None:
        self._factor = settings.coverage_penalty
        emit, name = task.low.emit, f"{task.name}.covered"
        attends = [each for each in task.body.node.body if isinstance(each, Attend)]
        lengths = task.low.steps(attends[0].memory).lengths
        mask = emit.squeeze(lengths.mask(), 2, f"{name}.mask")
        by_row = emit.transpose(mask, [1, 0], f"{name}.mask.by_row")
        self._mask = emit.op("Cast", [by_row], f"{name}.flags", to=FLOAT)
        zeros = emit.op("Mul", [task.rows.repeated(self._mask), emit.number(0.0)], f"{name}.none")
        self.states = [State(name, zeros, (MEMORY,))]

    def penalty(self, emit: Emitter, rows: Rows, sums: str, name: str) -> str:
        """The penalty of each hypothesis, `[B, K]`."""
        bounds = [emit.number(LEAST_COVERED), emit.number(1.0)]
        share = emit.op("Clip", [sums, *bounds], f"{name}.share")
        logs = emit.op("Log", [share], f"{name}.logs")
        logs = emit.op("Mul", [logs, rows.repeated(self._mask)], f"{name}.own")
        total = emit.reduce("ReduceSum", logs, 1, f"{name}.total")
        factor = emit.number(self._factor)
        scaled = emit.op("Mul", [total, factor], f"{name}.scaled")
        return rows.by_beam(emit, scaled, name)


@dataclass(frozen=True, slots=True)
class Records:
    """What all steps have recorded, each `[U, B, K]`.

    `tokens` and `parents` are of the live hypotheses. `finished` are the log-probabilities of what
    finished at a step with the end mark, `left` those of the live hypotheses of a row that ended
    with the step, -inf elsewhere. `penalties` and `penalties_left` are the coverage penalties of
    both, "" without any; `weights` `[U, B, K, T]` those of attention, "" unless asked for.
    """

    tokens: str
    parents: str
    finished: str
    left: str
    penalties: str
    penalties_left: str
    weights: str


@dataclass(frozen=True, slots=True)
class Best:
    """The best of a row, `[B, n]`: values, log-probabilities, last steps and hypotheses there."""

    values: str
    log_probs: str
    last: str
    beams: str


def _answers(task: Task, settings: Beam, records: Records) -> SearchResult:
    """The `n_best` answers: finished ones by value, then live ones."""
    emit, back, count = task.low.emit, f"{task.name}.back", settings.n_best
    name = f"{task.name}.answers"
    extent = emit.extent(records.tokens, 0, f"{name}.steps.extent")
    steps = emit.range(emit.op("Squeeze", [extent], f"{name}.steps.end"), f"{name}.steps")
    finished = _best(emit, settings, records.finished, records.penalties, steps, f"{name}.finished")
    before = emit.op("Sub", [finished.last, emit.integer(1)], f"{name}.before_end")
    left = _best(emit, settings, records.left, records.penalties_left, steps, f"{name}.left")
    order = _order(emit, finished.values, count, name)

    def merged(one: str, other: str, what: str) -> str:
        both = emit.concat([one, other], 1, f"{name}.{what}.both")
        return emit.pick(both, order, f"{name}.{what}")

    log_probs = merged(finished.log_probs, left.log_probs, "scores")
    last = merged(before, left.last, "last")
    none = emit.op("Equal", [log_probs, emit.number(EXCLUDED)], f"{name}.none")
    last = emit.op("Where", [none, emit.integer(-1), last], f"{name}.last.real")
    beams = merged(finished.beams, left.beams, "beams")
    if task.limits.rows:
        log_probs = _empty_answers(emit, task.limits.rows, log_probs, name)
    numbers, weights = _followed(emit, back, settings, records, steps, last, beams)
    lengths = counts = emit.op("Add", [last, emit.integer(1)], f"{name}.lengths")
    numbers = trimmed(emit, numbers, lengths, f"{name}.cut")
    order_of_axes = [1, 2, 0]
    if count == 1:
        numbers = emit.squeeze(numbers, 2, f"{name}.only")
        lengths = emit.squeeze(lengths, 1, f"{name}.lengths.only")
        log_probs = emit.squeeze(log_probs, 1, f"{name}.scores.only")
        order_of_axes = [1, 0]
    numbers = emit.transpose(numbers, order_of_axes, f"{name}.numbers")
    if weights:
        weights = trimmed(emit, weights, counts, f"{name}.weights.cut")
        weights = emit.transpose(weights, [1, 0, 2], f"{name}.weights")
    return SearchResult(numbers, lengths, log_probs, weights)


def _best(
    emit: Emitter, settings: Beam, log_probs: str, penalties: str, steps: str, name: str
) -> Best:
    """The best by value; ties go to the earlier step, then to the lower hypothesis."""
    width = settings.width
    one = emit.op("Add", [steps, emit.integer(1)], f"{name}.ordinal")
    column = emit.op("Unsqueeze", [one, emit.integers(1, 2)], f"{name}.count")
    values = length_normed(emit, settings, log_probs, column, f"{name}.normed")
    if penalties:
        values = emit.op("Add", [values, penalties], f"{name}.ranked")

    def by_row(value: str, what: str) -> str:
        turned = emit.transpose(value, [1, 0, 2], f"{what}.turned")
        return emit.op("Reshape", [turned, emit.integers(0, -1)], what)

    names = [f"{name}.values", f"{name}.places"]
    row = by_row(values, f"{name}.by_row")
    inputs = [row, emit.integers(settings.n_best)]
    best, places = emit.ops("TopK", inputs, names, axis=-1)
    best_log_probs = best
    if values != log_probs:
        raw = by_row(log_probs, f"{name}.raw")
        best_log_probs = emit.pick(raw, places, f"{name}.scores")
    last = emit.op("Div", [places, emit.integer(width)], f"{name}.step")
    beams = emit.op("Mod", [places, emit.integer(width)], f"{name}.beam")
    return Best(best, best_log_probs, last, beams)


def _order(emit: Emitter, values: str, count: int, name: str) -> str:
    """Int64 `[B, n]`: which of n finished ones, and then n others, come first."""
    real = emit.op("Greater", [values, emit.number(EXCLUDED)], f"{name}.is_finished")
    ones = emit.op("Cast", [real], f"{name}.ones", to=INT64)
    many = emit.reduce("ReduceSum", ones, 1, f"{name}.many", keep=True)
    numbers = emit.constant(np.arange(count), f"{name}.range")
    others = emit.op(
        "Sub", [emit.constant(np.arange(count) + count, f"{name}.others"), many], f"{name}.after"
    )
    return emit.op("Where", [real, numbers, others], f"{name}.order")


def _empty_answers(emit: Emitter, limits: str, log_probs: str, name: str) -> str:
    """The only answer of a row that may have no steps is the empty one, which is certain."""
    none = emit.op("LessOrEqual", [limits, emit.integer(0)], f"{name}.no_steps")
    column = emit.unsqueeze(none, 1, f"{name}.no_steps.column")
    first = emit.slice(log_probs, 0, 1, 1, f"{name}.scores.first")
    others = emit.slice(log_probs, 1, 2**31, 1, f"{name}.scores.others")
    certain = emit.op("Where", [column, emit.number(0.0), first], f"{name}.certain")
    return emit.concat([certain, others], 1, f"{name}.scores.all")


def _followed(
    emit: Emitter, name: str, settings: Beam, records: Records, steps: str, last: str, beams: str
) -> tuple[str, str]:
    """From each answer's last step back to its first: tokens `[U, B, n]`, and the weights
    `[U, B, T]` of the best answer, "" if they were not recorded."""
    body, count, width = emit.body(), settings.n_best, settings.width
    at = body.input(f"{name}.at", INT64, [BATCH, count])
    own = body.input(f"{name}.own.of_step", BOOL, [BATCH, count])
    tokens = body.input(f"{name}.tokens", INT64, [BATCH, width])
    parents = body.input(f"{name}.parents", INT64, [BATCH, width])
    token = body.pick(tokens, at, f"{name}.token")
    answered = body.op("Where", [own, token, body.integer(END_ID)], f"{name}.answered")
    parent = body.pick(parents, at, f"{name}.parent")
    before = body.op("Where", [own, parent, at], f"{name}.before")
    # OpenVINO's Scan reads no values of the graph around it.
    each = emit.op("Unsqueeze", [steps, emit.integers(1, 2)], f"{name}.steps")
    scanned = [emit.op("LessOrEqual", [each, last], f"{name}.own"), records.tokens, records.parents]
    if records.weights:
        scanned.append(records.weights)
        weights = body.input(f"{name}.weights", FLOAT, [BATCH, width, MEMORY])
        best = body.slice(before, 0, 1, 1, f"{name}.best")
        chosen = body.op("GatherND", [weights, best], f"{name}.chosen", batch_dims=1)
    body.result(before, INT64, [BATCH, count])
    body.result(answered, INT64, [BATCH, count])
    if records.weights:
        body.result(chosen, FLOAT, [BATCH, MEMORY])
    outputs = len(scanned) - 2 if records.weights else 1
    names = [f"{name}.first", f"{name}.numbers", f"{name}.weights.chosen"][: 1 + outputs]
    found = emit.ops(
        "Scan",
        [beams, *scanned],
        names,
        body=body.graph(f"{name}.body"),
        num_scan_inputs=len(scanned),
        scan_input_directions=[1] * len(scanned),
        scan_output_directions=[1] * outputs,
    )
    return found[1], found[2] if records.weights else ""
