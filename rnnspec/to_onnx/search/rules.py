"""The rules of a search: penalties, and which tokens are excluded at a step.

Penalties change the logits before the softmax. Excluded tokens are -inf after it, so that the
log-probability of the token chosen is the true one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter
from rnnspec.to_onnx.rows import Rows, State
from rnnspec.to_onnx.search.loop import Task

EXCLUDED = float("-inf")


class TokenRules:
    """The rules of one search.

    Their states are of the answer so far: `seen`, bool `[R, size]`, and `history`, int64
    `[R, no_repeat - 1 + steps]`, which begins with -1.
    """

    def __init__(self, task: Task) -> None:
        self._low, self._node, self._search = task.low, task.node, task.node.search
        self._vocabulary, search, name = task.vocabulary, task.node.search, task.name
        rows, prompt = task.rows, task.start.prompt
        self._tracks_seen = search.repetition_penalty != 1.0 or search.no_repeat == 1
        self.states: list[State] = []
        if self._tracks_seen:
            seen = self._seen(rows, rows.repeated(prompt) if prompt else "")
            self.states.append(State(f"{name}.seen", seen, (task.vocabulary.dimension,), BOOL))
        if search.no_repeat > 1:
            none = task.low.emit.integer(-1)
            before = rows.filled(none, f"{name}.history", search.no_repeat - 1)
            if prompt:
                parts = [before, rows.repeated(prompt)]
                before = task.low.emit.concat(parts, 1, f"{name}.history.prompt")
            self.states.append(State(f"{name}.history", before, ("answered",), INT64))

    def _seen(self, rows: Rows, prompt: str) -> str:
        """Bool `[R, size]`: the tokens of a prompt `[R, P]`, if there is one."""
        emit, name, vocabulary = self._low.emit, f"{self._node.name}.seen", self._vocabulary
        if not prompt:
            false = emit.constant(np.array(False), "false")
            return vocabulary.filled(rows, false, f"{name}.none")
        real = emit.op("GreaterOrEqual", [prompt, emit.integer(0)], f"{name}.real")
        ones = emit.op("Cast", [real], f"{name}.ones", to=FLOAT)
        places = emit.op("Max", [prompt, emit.integer(0)], f"{name}.places")
        zeros = vocabulary.zeros(rows, name)
        counts = emit.scatter(zeros, places, ones, f"{name}.counts", "add")
        return emit.op("Greater", [counts, emit.number(0.0)], f"{name}.prompt")

    def log_probs(self, emit: Emitter, logits: str, before: Sequence[str]) -> str:
        """The true log-probabilities `[R, size]` of logits `[R, size]`."""
        name, penalty = self._node.name, self._search.repetition_penalty
        if penalty != 1.0:
            factor = emit.number(penalty)
            parts = [
                emit.op("Div", [logits, factor], f"{name}.divided"),
                emit.op("Mul", [logits, factor], f"{name}.multiplied"),
            ]
            # Of both, a penalty above 1 takes the less likely, one below 1 the more likely.
            less = emit.op("Min" if penalty > 1 else "Max", parts, f"{name}.penalized")
            logits = emit.op("Where", [before[0], less, logits], f"{name}.with_penalty")
        return emit.op("LogSoftmax", [logits], f"{name}.logs", axis=-1)

    def allowed(
        self, emit: Emitter, rows: Rows, log_probs: str, step: str, before: Sequence[str]
    ) -> str:
        """The log-probabilities `[R, size]`, -inf for excluded tokens."""
        name, bias = self._node.name, self._bias(emit, step, ends=True)
        ending = emit.op("Add", [log_probs, bias], f"{name}.open")
        ending = self._by_history(emit, rows, ending, step, before)
        if not (self._may_run_out() and self._search.min_steps):
            return ending
        left = emit.reduce("ReduceMax", ending, 1, f"{name}.left", keep=True)
        none = emit.op("Equal", [left, emit.number(EXCLUDED)], f"{name}.none_left")
        ends = [self._vocabulary.ids(), self._low.emit.integer(END_ID)]
        is_end = self._low.emit.op("Equal", ends, f"{name}.is_end")
        both = emit.op("And", [none, is_end], f"{name}.must_end")
        return emit.op("Where", [both, log_probs, ending], f"{name}.allowed")

    def without_end(
        self, emit: Emitter, rows: Rows, log_probs: str, step: str, before: Sequence[str]
    ) -> tuple[str, str]:
        """As `allowed`, with the end mark excluded too; and `[R, 1]` of the end mark alone."""
        name, bias = self._node.name, self._bias(emit, step, ends=False)
        others = emit.op("Add", [log_probs, bias], f"{name}.others")
        others = self._by_history(emit, rows, others, step, before)
        end = emit.op("Gather", [log_probs, emit.integers(END_ID)], f"{name}.end", axis=1)
        if not self._blocked_ends():
            return others, end
        bias = self._by_step(emit, self._end_biases(), step, "end")
        blocked = emit.op("Add", [end, bias], f"{name}.end.open")
        if not self._may_run_out():
            return others, blocked
        left = emit.reduce("ReduceMax", others, 1, f"{name}.left", keep=True)
        none = emit.op("Equal", [left, emit.number(EXCLUDED)], f"{name}.none_left")
        return others, emit.op("Where", [none, end, blocked], f"{name}.end.allowed")

    def next_states(self, emit: Emitter, tokens: str, before: Sequence[str]) -> list[str]:
        """The next states, after the answer of `tokens` `[R]`."""
        name, states = self._node.name, list(before)
        column = emit.unsqueeze(tokens, 1, f"{name}.answered")
        if self._tracks_seen:
            now = emit.op("Equal", [column, self._vocabulary.ids()], f"{name}.now")
            states[0] = emit.op("Or", [states[0], now], f"{name}.seen.next")
        if self._search.no_repeat > 1:
            longer = [states[-1], column]
            states[-1] = emit.concat(longer, 1, f"{name}.history.next")
        return states

    def _tokens_left(self) -> bool:
        """Whether some token of the vocabulary is not banned."""
        return self._node.size - 2 > len(set(self._search.banned))

    def _may_run_out(self) -> bool:
        """Whether it depends on the step or the row that only the end mark may be left."""
        return self._search.no_repeat > 0 or (self._copies() and not self._tokens_left())

    def _copies(self) -> bool:
        return bool(self._vocabulary.own_ids)

    def _unbanned(self, emit: Emitter, rows: Rows, allowed: str, step: str) -> str:
        """`allowed` without the ids banned for a row; the prefix is never banned."""
        if not self._vocabulary.banned:
            return allowed
        count, name = len(self._search.prefix), f"{self._node.name}.open"
        shut = emit.op("Add", [allowed, rows.repeated(self._vocabulary.banned)], f"{name}.not_shut")
        if not count:
            return shut
        own = emit.op("GreaterOrEqual", [step, emit.integer(count)], f"{name}.after_prefix")
        return emit.op("Where", [own, shut, allowed], f"{name}.own")

    def _blocked_ends(self) -> int:
        """Number of steps at which the end mark is excluded."""
        some = self._tokens_left() or self._copies()
        least = self._search.min_steps if some else 0
        return max(least, len(self._search.prefix))

    def _end_biases(self) -> NDArray[np.float32]:
        """`[steps + 1, 1]`"""
        found = np.full((self._blocked_ends() + 1, 1), EXCLUDED, np.float32)
        found[-1] = 0.0
        return found

    def _bias(self, emit: Emitter, step: str, ends: bool) -> str:
        """0 for tokens allowed at a step, -inf for the others: `[W]` or `[1, W]`."""
        found, at_root = self._known_bias(emit, step, ends)
        if not self._copies():
            return found
        inside = self._low.emit if at_root else emit
        return inside.op("Gather", [found, self._vocabulary.own_ids], f"{found}.wide", axis=-1)

    def _known_bias(self, emit: Emitter, step: str, ends: bool) -> tuple[str, bool]:
        """The bias of the ids of the vocabulary and, with copying, one for all copied ids; and
        whether it is the same at all steps."""
        search, name = self._search, self._node.name
        usual = np.zeros(self._node.size + self._copies(), np.float32)
        usual[[UNKNOWN_ID, *search.banned]] = EXCLUDED
        never_ends = usual.copy()
        never_ends[END_ID] = EXCLUDED
        forced = np.full((len(search.prefix), len(usual)), EXCLUDED, np.float32)
        forced[np.arange(len(search.prefix)), list(search.prefix)] = 0.0
        rows = [*forced, never_ends, usual]
        least = len(rows) - 2
        if not ends:
            return self._by_step(emit, np.stack(rows[: least + 1]), step, "others"), not least
        blocked = self._blocked_ends()
        if blocked <= least:
            return self._by_step(emit, np.stack([*forced, usual]), step, "all"), not least
        table = emit.constant(np.stack(rows), f"{name}.biases")
        number = np.array([*range(least), *[least] * (blocked - least), least + 1], np.int64)
        place = self._by_step(emit, number[:, np.newaxis], step, "number")
        return emit.op("Gather", [table, place], f"{name}.bias"), False

    def _by_step(self, emit: Emitter, table: NDArray[np.generic], step: str, what: str) -> str:
        """Row `step` of a table, its last row from there on."""
        name = f"{self._node.name}.by_step.{what}"
        if len(table) == 1:
            return emit.constant(table[0], name)
        place = emit.op("Min", [step, emit.integer(len(table) - 1)], f"{name}.place")
        return emit.op("Gather", [emit.constant(table, f"{name}.table"), place], name)

    def _by_history(
        self, emit: Emitter, rows: Rows, allowed: str, step: str, before: Sequence[str]
    ) -> str:
        """`allowed` without the ids banned for a row, and without tokens that would repeat
        `no_repeat` tokens in a row."""
        search, name = self._search, self._node.name
        allowed = self._unbanned(emit, rows, allowed, step)
        if not search.no_repeat:
            return allowed
        blocked = before[0] if search.no_repeat == 1 else self._repeated(emit, rows, before[-1])
        if search.prefix:
            own = emit.op("GreaterOrEqual", [step, emit.integer(len(search.prefix))], f"{name}.own")
            blocked = emit.op("And", [blocked, own], f"{name}.blocked")
        return emit.op("Where", [blocked, emit.number(EXCLUDED), allowed], f"{name}.unrepeated")

    def _repeated(self, emit: Emitter, rows: Rows, history: str) -> str:
        """Bool `[R, size]`: tokens that have followed an earlier copy of the last tokens."""
        count, name = self._search.no_repeat - 1, f"{self._node.name}.repeats"
        after = emit.slice(history, count, 2**31, 1, f"{name}.after")
        match = emit.op("GreaterOrEqual", [after, emit.integer(0)], f"{name}.real")
        for place in range(count):
            last = place - count
            window = emit.slice(history, place, last, 1, f"{name}.window")
            end = emit.slice(history, last, last + 1 or 2**31, 1, f"{name}.now")
            equal = emit.op("Equal", [window, end], f"{name}.equal")
            match = emit.op("And", [match, equal], f"{name}.match")
        ones = emit.op("Cast", [match], f"{name}.ones", to=FLOAT)
        places = emit.op("Max", [after, emit.integer(0)], f"{name}.places")
        zeros = self._vocabulary.zeros(rows, name)
        counts = emit.scatter(zeros, places, ones, f"{name}.counts", "add")
        return emit.op("Greater", [counts, emit.number(0.0)], name)
