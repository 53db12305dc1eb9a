"""A language model that writes on chunk by chunk: what has come is read, and as many tokens are
written as each row asks for. See `rnnspec.plan.nodes.TextOutput` and `rnnspec.plan.stream`.

The token that came or was written last waits in a state: it is read by the step that chooses the
next one, or before the next chunk. 0, the end mark, waits where a row has not begun or has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.facts import END_ID
from rnnspec.plan.names import SEED
from rnnspec.plan.stream import WRITE
from rnnspec.plan.stream_rules import kept_states
from rnnspec.to_onnx.body import Body
from rnnspec.to_onnx.copying import ExtendedVocabulary
from rnnspec.to_onnx.emitter import BOOL, FLOAT, INT64, Emitter
from rnnspec.to_onnx.loop import Loop
from rnnspec.to_onnx.lowering import BATCH, Lowering
from rnnspec.to_onnx.rows import Rows, State
from rnnspec.to_onnx.search.greedy import Select, arg_max, sampler
from rnnspec.to_onnx.search.loop import Limits, SearchResult, SearchStart, Task, trimmed
from rnnspec.to_onnx.search.prompt import history
from rnnspec.to_onnx.search.rules import TokenRules


def write_on(low: Lowering, node: nodes.TextOutput, decoder: nodes.Decoder) -> SearchResult:
    """What is written after the chunk; the log-probability is that of all that was written."""
    emit, name = low.emit, node.name
    doc = "how many tokens to write after the chunk, 0 or more"
    asked = emit.input(WRITE, INT64, [BATCH], doc, reserved=True)
    rows = Rows(emit, low.steps(node.prompt).lengths.batch())
    writer = _Writer(low, node, Body(low, decoder, rows), rows)
    found, taken = writer.write(writer.read(), asked)
    chunks = low.streaming()
    lengths = low.steps(node.prompt).lengths.name
    some = emit.op("Max", [lengths, taken, chunks.before(f"{name}.begun")], f"{name}.some")
    chunks.after(f"{name}.begun", emit.op("Sign", [some], f"{name}.begun.after"))
    return found


@dataclass(frozen=True, slots=True)
class _Writer:
    low: Lowering
    node: nodes.TextOutput
    body: Body
    rows: Rows

    def read(self) -> SearchStart:
        """After the chunk: the token that waits, and the states of the body."""
        emit, name = self.low.emit, f"{self.node.name}.chunk"
        tokens, waits = self.low.steps(self.node.prompt), self._before("waits")
        lengths, first = tokens.lengths.name, emit.unsqueeze(waits, 0, f"{name}.first")
        fed = emit.concat([first, tokens.name], 0, f"{name}.fed")
        place = emit.unsqueeze(lengths, 0, f"{name}.place")
        last = emit.op("GatherElements", [fed, place], f"{name}.last.line", axis=0)
        previous = emit.squeeze(last, 0, f"{name}.last")
        known, states = history(self.low, self.node, tokens), self._first_states()
        if states:
            real = emit.op("Greater", [waits, emit.integer(END_ID)], f"{name}.real")
            states = self._read(states, fed, real, lengths)
        return SearchStart(previous, states, known)

    def _read(self, states: list[State], fed: str, real: str, lengths: str) -> list[State]:
        """After all tokens `[1 + T, B]` but the last; the first are read where they are `real`."""
        emit, name = self.low.emit, f"{self.node.name}.chunk"
        longest = emit.op("ReduceMax", [lengths], f"{name}.longest", keepdims=0)
        loop = Loop(emit, name)
        before, inner = loop.carried(states, BATCH), loop.emit
        token = inner.op("Gather", [fed, loop.step], f"{name}.token")
        output = self.body.step(inner, self.rows, loop.step, token, before)
        later = inner.op("Greater", [loop.step, emit.integer(0)], f"{name}.later")
        there = inner.op("Or", [later, real], f"{name}.there")
        own = inner.op("Less", [loop.step, lengths], f"{name}.own")
        active = inner.op("And", [own, there], f"{name}.active")
        after = _chosen(inner, active, output.states, before, f"{name}.kept")
        found, _ = loop.close(longest, loop.going, after)
        return [replace(s, initial=v) for s, v in zip(states, found, strict=True)]

    def write(self, start: SearchStart, asked: str) -> tuple[SearchResult, str]:
        """The tokens written, and int64 `[B]` how many with the end mark."""
        low, name, emit = self.low, self.node.name, self.low.emit
        most = self._most(start, asked)
        trips = emit.op("ReduceMax", [most], f"{name}.longest", keepdims=0)
        trips = emit.op("Max", [trips, emit.integer(1)], f"{name}.trips")  # none has no batch
        vocabulary, limits = ExtendedVocabulary(low, self.node), Limits(trips, most)
        task = Task(low, self.node, self.body, self.rows, start, limits, vocabulary)
        rules, select = TokenRules(task), self._select(task)
        loop = Loop(emit, f"{name}.writing")
        flags = emit.constant(np.array(True), "true")
        all_rows = self.rows.filled(flags, f"{name}.all")
        before = [
            loop.state(f"{name}.waits", start.previous, INT64, [BATCH]),
            loop.state(f"{name}.open", all_rows, BOOL, [BATCH]),
            loop.state(f"{name}.written", self._before("written"), INT64, [BATCH]),
            loop.state(f"{name}.score", self._before("score"), FLOAT, [BATCH]),
            *loop.carried([*start.states, *map(self._seen, rules.states)], BATCH),
        ]
        within = loop.emit.op("Less", [loop.step, most], f"{name}.within")
        token, after = self._step(loop, rules, select, within, before)
        found, (tokens,) = loop.close(trips, loop.going, after, [(token, INT64, [BATCH])])
        self._keep([found[0], *found[2:]])
        taken = emit.op("Sub", [found[2], self._before("written")], f"{name}.taken")
        return self._result(tokens, found[3]), taken

    def _step(
        self, loop: Loop, rules: TokenRules, select: Select, within: str, states: Sequence[str]
    ) -> tuple[str, list[str]]:
        """The token of a step, the end mark in rows that write none, and the next states."""
        emit, name, count = loop.emit, self.node.name, 4 + len(self.body.states)
        (waits, going, written, score), before = states[:4], states[4:count]
        output = self.body.step(emit, self.rows, loop.step, waits, before)
        log_probs = rules.log_probs(emit, output.logits, states[count:])
        allowed = rules.allowed(emit, self.rows, log_probs, written, states[count:])
        number, log = select(emit, self.rows, log_probs, allowed, written)
        active = emit.op("And", [going, within], f"{name}.active")
        one = emit.op("Cast", [active], f"{name}.one", to=INT64)
        gained = emit.op("Where", [active, log, emit.number(0.0)], f"{name}.gained")
        real = emit.op("Greater", [number, emit.integer(END_ID)], f"{name}.real")
        idle = emit.op("Not", [active], f"{name}.idle")
        open_ = emit.op("Or", [real, idle], f"{name}.still_open")
        after = [
            emit.op("Where", [active, number, waits], f"{name}.waits.next"),
            emit.op("And", [going, open_], f"{name}.open.next"),
            emit.op("Add", [written, one], f"{name}.written.next"),
            emit.op("Add", [score, gained], f"{name}.score.next"),
            *_chosen(emit, active, output.states, before, f"{name}.kept"),
        ]
        if states[count:]:
            column = emit.unsqueeze(active, 1, f"{name}.seen.column")
            (now,) = rules.next_states(emit, number, states[count:])
            now = emit.op("And", [column, now], f"{name}.seen.now")
            after.append(emit.op("Or", [states[count], now], f"{name}.seen.next"))
        return emit.op("Where", [active, number, emit.integer(END_ID)], f"{name}.token"), after

    def _most(self, start: SearchStart, asked: str) -> str:
        """Int64 `[B]`: as many as are asked for, none in a row that has ended."""
        emit, name = self.low.emit, f"{self.node.name}.asked"
        some = emit.op("Greater", [start.previous, emit.integer(END_ID)], f"{name}.some")
        none = emit.op("Equal", [self._before("begun"), emit.integer(0)], f"{name}.new")
        open_ = emit.op("Or", [some, none], f"{name}.open")
        return emit.op("Where", [open_, asked, emit.integer(0)], f"{name}.most")

    def _select(self, task: Task) -> Select:
        search = self.node.search
        if not isinstance(search, nodes.Sample):
            return arg_max(self.node.name)
        doc = "the seed of each row's draws, any number"
        seed = self.low.emit.input(SEED, INT64, [BATCH], doc, reserved=True)
        return sampler(task, search, seed)

    def _first_states(self) -> list[State]:
        """What the chunk before has left, or where a row begins."""
        emit, name = self.low.emit, self.node.name
        begun = emit.op("Greater", [self._before("begun"), emit.integer(0)], f"{name}.begun.flag")
        column = emit.unsqueeze(begun, 1, f"{name}.begun.column")
        found = []
        for state, kept in zip(self.body.states, kept_states(self.body.node), strict=True):
            now = self.low.streaming().before(kept.name)
            first = emit.op("Where", [column, now, state.initial], f"{kept.name}.first")
            found.append(replace(state, initial=first))
        return found

    def _seen(self, state: State) -> State:
        """The tokens of the chunk, and those of the text before."""
        emit, kept = self.low.emit, f"{self.node.name}.seen"
        before = emit.op("Cast", [self._before("seen")], f"{kept}.flags", to=BOOL)
        return replace(state, initial=emit.op("Or", [state.initial, before], f"{kept}.all"))

    def _before(self, state: str) -> str:
        return self.low.streaming().before(f"{self.node.name}.{state}")

    def _keep(self, values: Sequence[str]) -> None:
        """The states after the last step: of this class, of the body, of the rules."""
        chunks, emit, name = self.low.streaming(), self.low.emit, self.node.name
        names = [f"{name}.{own}" for own in ("waits", "written", "score")]
        names += [kept.name for kept in kept_states(self.body.node)]
        for kept, value in zip(names, values, strict=False):
            chunks.after(kept, value)
        for value in values[len(names) :]:
            flags = emit.cast(value, BOOL, FLOAT, f"{name}.seen.numbers")
            chunks.after(f"{name}.seen", flags)

    def _result(self, tokens: str, score: str) -> SearchResult:
        emit, name = self.low.emit, self.node.name
        real = emit.op("Sign", [tokens], f"{name}.words")
        lengths = emit.reduce("ReduceSum", real, 0, f"{name}.lengths")
        cut = trimmed(emit, tokens, lengths, f"{name}.cut")
        return SearchResult(emit.transpose(cut, [1, 0], f"{name}.numbers"), lengths, score, "")


def _chosen(
    emit: Emitter, active: str, new: Sequence[str], old: Sequence[str], name: str
) -> list[str]:
    """The new states `[B, W]` of rows that are active, the old ones of the others."""
    column = emit.unsqueeze(active, 1, f"{name}.column")
    return [emit.op("Where", [column, a, b], name) for a, b in zip(new, old, strict=True)]
