"""The body of a decoder, run over all steps at once if what is fed back is known, else one by one.

It runs over R = B * N rows, N beams for each of B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from rnnspec.plan import nodes
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.to_torch.attention import Attended, Attention
from rnnspec.to_torch.convolution import Conv
from rnnspec.to_torch.copying import CopyMix
from rnnspec.to_torch.decoder_stages import Reads, read_directly, stages
from rnnspec.to_torch.gathered import Gathered, gathering
from rnnspec.to_torch.layers import Dropout, Embed, Masks, Scores
from rnnspec.to_torch.pointers import Pointed, Pointer
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.sequences import Lengths, PaddedSequence, Value, reversed_by_length, sequence

States = dict[str, Tensor]
"""The state of the decoder between two steps, `[R, width]` each: the states of layers as
`LAYER.STATE`, delayed values, and the states of attentions as `NODE.NAME`."""


@dataclass(frozen=True)
class Step:
    """Logits `[R, size]`, the states after the step and attention's weights `[R, T]`, if any: of
    several sources side by side, T is the sum of their steps."""

    logits: Tensor
    states: States
    weights: Tensor | None


@dataclass
class _Pass:
    """One run over some steps: the values `[U, R, width]` by node; the weights `[B, U * N, T]` by
    node of the attention, and their logarithms where tokens are copied by them."""

    reads: Reads
    lengths: Lengths
    values: dict[str, Value]
    weights: dict[str, Tensor]
    states: States
    masks: dict[str, Masks]
    log_weights: dict[str, Tensor] = field(default_factory=dict)


class Body:
    """The nodes of a decoder with their modules; the model owns the modules."""

    def __init__(self, node: nodes.Decoder, modules: Mapping[str, nn.Module]) -> None:
        self.node, self.modules = node, dict(modules)
        self.first_node = node.body[0]
        inside = {each.name for each in node.body}
        attends = [each for each in node.body if isinstance(each, nodes.Attend)]
        copies = [each for each in node.body if isinstance(each, nodes.CopyMix)]
        self.copied_by = {attend for each in copies for attend, _ in each.copied}
        self.attends = {each.name: each.memory for each in attends}
        self.copies = {each.name: each.all_tokens for each in copies}
        points = (each for each in node.body if isinstance(each, nodes.Pointed | nodes.Pointer))
        self.pointed = {each.name: each.memory for each in points}
        others = {s for each in node.body for s in read_directly(each) if s not in inside}
        self.direct = tuple(name for name in node.reads if name in others)
        self.before_loop, self.loop, self.after_loop = stages(node)

    def reads(self, values: Mapping[str, Value], rows: int) -> Reads:
        """What the body reads, of the values of the nodes outside."""
        direct = {name: values[name] for name in self.direct}
        vectors = {k: v for k, v in direct.items() if isinstance(v, Tensor)}
        ahead = {
            k: reversed_by_length(v.values, v.lengths) if self.node.reverse else v.values
            for k, v in direct.items()
            if isinstance(v, PaddedSequence)
        }
        memories, copied = {}, {}
        for name, memory in self.attends.items():
            source, attend = values[memory], self.modules[name]
            assert isinstance(source, PaddedSequence) and isinstance(attend, Attention)
            memories[name] = replace(attend.prepare(source), logged=name in self.copied_by)
        for name, tokens in self.copies.items():
            copy = self.modules[name]
            assert isinstance(copy, CopyMix)
            copied[name] = copy.copied([sequence(values[each]) for each in tokens])
        pointed = {}
        for name, steps in self.pointed.items():
            source, points = values[steps], self.modules[name]
            assert isinstance(source, PaddedSequence) and isinstance(points, Pointed | Pointer)
            pointed[name] = points.steps(source)
        return Reads(rows, vectors, ahead, memories, copied, pointed)

    def first_states(self, reads: Reads) -> States:
        """The states before the first step."""
        found: States = {}
        rows = reads.rows * reads.beams
        for node in self.node.body:
            module = self.modules[node.name]
            if isinstance(node, nodes.Recurrent):
                assert isinstance(module, RecurrentLayer)
                given = dict(zip(node.cell.states, node.given, strict=False))
                for state, value in module.first(rows).items():
                    outer = reads.vectors.get(given.get(state, ""))
                    found[f"{node.name}.{state}"] = value if outer is None else outer
            elif isinstance(node, nodes.Conv):
                assert isinstance(module, Conv)
                found[f"{node.name}.left"] = module.first(rows)
            elif isinstance(node, nodes.Delayed):
                found[node.name] = self._like().new_zeros((rows, node.width))
            elif isinstance(node, nodes.Attend):
                assert isinstance(module, Attention)
                first = module.first(reads.memories[node.name], reads.beams)
                found |= {f"{node.name}.{name}": value for name, value in first.items()}
        return found

    def teacher_forced(self, reads: Reads, previous: Tensor, lengths: Tensor) -> PaddedSequence:
        """Logits `[U, B, size]` after known numbers `[U, B]` of tokens or values `[U, B, 1]`, of
        rows with `lengths` `[B]` steps.

        Only the nodes of the loop (`stages`) are run step by step.
        """
        longest = len(previous)
        run = self._pass(reads, Lengths(lengths, longest), previous, self.first_states(reads), {})
        ahead = {name: PaddedSequence(v[:longest], run.lengths) for name, v in reads.ahead.items()}
        run.values |= ahead
        self._nodes(self.before_loop, run)
        if self.loop:
            self._loop(run, longest)
            self._nodes(self.after_loop, run)
        return sequence(run.values[self.node.scores])

    def free_running(
        self, reads: Reads, first: Tensor, steps: int, following: Callable[[int, Tensor], Tensor]
    ) -> PaddedSequence:
        """Logits `[U, B, size]` of a run step by step, after `first` `[B]` or `[B, 1]` at the first
        step, and after `following(u, logits of step u)` at step u + 1."""
        states, previous, masks = self.first_states(reads), first, dict[str, Masks]()
        logits: list[Tensor] = []
        shared = Gathered()
        for step in range(steps):
            with gathering(shared):
                found = self.step(reads, previous, states, step, masks)
            states = found.states
            logits.append(found.logits)
            if step + 1 < steps:
                previous = following(step, found.logits)
        lengths = torch.full((reads.rows,), steps, device=logits[0].device)
        return PaddedSequence(torch.stack(logits), Lengths(lengths, steps))

    def step(
        self,
        reads: Reads,
        previous: Tensor,
        states: States,
        at: int,
        masks: dict[str, Masks] | None = None,
    ) -> Step:
        """Step `at`, after `previous` `[R]` or `[R, 1]`."""
        ones = torch.ones(len(previous), dtype=torch.int64, device=previous.device)
        masks = {} if masks is None else masks
        run = self._pass(reads, Lengths(ones, 1), previous[None], states, masks)
        ahead = {
            name: PaddedSequence(v[at : at + 1], run.lengths) for name, v in reads.ahead.items()
        }
        run.values |= ahead
        self._nodes(self.node.body, run)
        logits = sequence(run.values[self.node.scores]).values[0]
        every = [weights.flatten(0, 1) for weights in run.weights.values()]
        weights = torch.cat(every, dim=-1) if len(every) > 1 else next(iter(every), None)
        return Step(logits, run.states, weights)

    def after(self, reads: Reads, read: Tensor, counts: Tensor, states: States) -> States:
        """The states of rows that have read their first `counts` `[B]` of the numbers `[P, B]`."""
        for step in range(int(counts.max()) if len(counts) else 0):
            found = self.step(reads, read[step], states, step)
            on = (step < counts)[:, None]
            states = {k: torch.where(on, v, states[k]) for k, v in found.states.items()}
        return states

    @property
    def device(self) -> torch.device:
        return self._like().device

    def _like(self) -> Tensor:
        return next(p for module in self.modules.values() for p in module.parameters())

    def _pass(
        self,
        reads: Reads,
        lengths: Lengths,
        previous: Tensor,
        states: States,
        masks: dict[str, Masks],
    ) -> _Pass:
        values: dict[str, Value] = dict(reads.vectors)
        if self.copies and isinstance(self.first_node, nodes.Previous):
            previous = previous.masked_fill(previous >= self.first_node.size, UNKNOWN_ID)
        values[self.first_node.name] = PaddedSequence(previous, lengths)
        return _Pass(reads, lengths, values, {}, dict(states), masks)

    def _loop(self, run: _Pass, longest: int) -> None:
        """Runs the nodes of the loop step by step."""
        inside = {node.name for node in self.loop}
        outside = {s for node in self.loop for s in node.sources()} - inside
        steps_of = {
            name: value.values.split(1)
            for name in outside
            if isinstance(value := run.values.get(name), PaddedSequence)
        }
        rows = torch.ones_like(run.lengths.of_rows)
        one = Lengths(rows, 1)
        found: dict[str, list[Tensor]] = {name: [] for name in inside}
        weights: dict[str, list[Tensor]] = {}
        log_weights: dict[str, list[Tensor]] = {}
        states = run.states
        shared = Gathered()
        for step in range(longest):
            values: dict[str, Value] = dict(run.reads.vectors)
            values |= {name: PaddedSequence(each[step], one) for name, each in steps_of.items()}
            now = _Pass(run.reads, one, values, {}, states, run.masks)
            with gathering(shared):
                self._nodes(self.loop, now)
            states = now.states
            for name, each in found.items():
                each.append(sequence(now.values[name]).values)
            for name, weight in now.weights.items():
                weights.setdefault(name, []).append(weight)
            for name, weight in now.log_weights.items():
                log_weights.setdefault(name, []).append(weight)
        run.states = states
        for name, steps in found.items():
            run.values[name] = PaddedSequence(torch.cat(steps), run.lengths)
        run.weights |= {name: torch.cat(each, dim=1) for name, each in weights.items()}
        run.log_weights |= {name: torch.cat(each, dim=1) for name, each in log_weights.items()}

    def _nodes(self, chosen: Sequence[nodes.Node], run: _Pass) -> None:
        for node in chosen:
            if node is not self.first_node:
                run.values[node.name] = self._value(node, run)
        for node in chosen:
            if isinstance(node, nodes.Delayed):
                run.states[node.name] = sequence(run.values[node.source]).values[-1]

    def _value(self, node: nodes.Node, run: _Pass) -> Value:
        module, values = self.modules[node.name], run.values
        match node, module:
            case nodes.Delayed(), _:
                return PaddedSequence(run.states[node.name][None], run.lengths)
            case nodes.Recurrent(), RecurrentLayer():
                before = {s: run.states[f"{node.name}.{s}"] for s in node.cell.states}
                masks = run.masks.setdefault(node.name, {})
                out, after = module.carry(sequence(values[node.source]), before, None, masks)
                run.states |= {f"{node.name}.{s}": value for s, value in after.items()}
                return out
            case nodes.Conv(), Conv():
                state = f"{node.name}.left"
                out, left = module.carry(sequence(values[node.source]), run.states[state])
                run.states[state] = left
                return out
            case nodes.Attend(), _:
                assert isinstance(module, Attention)
                return self._attended(node, module, run)
            case nodes.Pointed() | nodes.Pointer(), Pointed() | Pointer():
                read = sequence(values[node.source])
                found_steps = module.forward(read.values, run.reads.pointed[node.name])
                return PaddedSequence(found_steps, read.lengths)
            case nodes.Scores(), Scores():
                table = self.modules[node.tied] if node.tied else None
                assert table is None or isinstance(table, Embed)
                return module.forward(sequence(values[node.source]), table.table if table else None)
            case nodes.CopyMix(), CopyMix():
                source, gate = sequence(values[node.source]), sequence(values[node.gate])
                copied = run.reads.copied[node.name]
                logs = [run.log_weights[attend] for attend, _ in node.copied]
                return module.forward(source, gate, logs, copied)
            case nodes.Dropout(), Dropout():
                return module.forward(values[node.source], run.masks.setdefault(node.name, {}))
        found: Value = module(*(values[source] for source in node.sources()))
        return found

    def _attended(self, node: nodes.Attend, module: Attention, run: _Pass) -> PaddedSequence:
        """The contexts of the queries of all steps and beams of a row together."""
        query, reads = sequence(run.values[node.source]).values, run.reads
        steps = len(query)
        queries = query.unflatten(1, (reads.rows, -1)).transpose(0, 1).flatten(1, 2)
        prefix = f"{node.name}."
        before = {k.removeprefix(prefix): v for k, v in run.states.items() if k.startswith(prefix)}
        found: Attended = module(queries, reads.memories[node.name], before)
        run.states |= {prefix + name: value for name, value in found.states.items()}
        run.weights[node.name] = found.weights
        if found.log_weights is not None:
            run.log_weights[node.name] = found.log_weights
        context = found.context.unflatten(1, (steps, -1)).transpose(0, 1).flatten(1, 2)
        return PaddedSequence(context, run.lengths)
