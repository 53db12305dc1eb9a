"""The body of a decoder in torch: all steps at once where what is fed back is known, or one by one.

Inside, R = B * N rows: of each of B rows, N beams side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from rnnspec.plan import nodes
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.to_torch.attention import Attention, Found
from rnnspec.to_torch.copying import CopyMix
from rnnspec.to_torch.decoder_stages import Reads, phases, read_directly
from rnnspec.to_torch.evaluate import sequence
from rnnspec.to_torch.layers import Embed, Scores
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.stack import Drawn, Dropout
from rnnspec.to_torch.steps import Lengths, Steps

States = dict[str, Tensor]
"""What a step leaves to the next, `[R, width]` each: states of layers, `LAYER.STATE`, delayed
values, and what attention remembers, `NODE.NAME`."""


@dataclass(frozen=True)
class Step:
    """Scores `[R, size]`, the states after the step and attention's weights `[R, T]`, if any."""

    scores: Tensor
    states: States
    weights: Tensor | None


@dataclass
class _Pass:
    """One run over some steps: values `[U, R, width]` by node, weights `[B, U * N, T]` by node of
    attention, and their logarithms where tokens are copied by them."""

    reads: Reads
    lengths: Lengths
    values: dict[str, Steps | Tensor]
    weights: dict[str, Tensor]
    states: States
    drawn: dict[str, Drawn]
    logs: dict[str, Tensor] = field(default_factory=dict)


class Body:
    """The nodes of a decoder with their modules, which belong to the model."""

    def __init__(self, node: nodes.Decoder, parts: Mapping[str, nn.Module]) -> None:
        self.node, self.parts = node, dict(parts)
        self.first_node = node.body[0]
        own = {each.name for each in node.body}
        attends = [each for each in node.body if isinstance(each, nodes.Attend)]
        copies = [each for each in node.body if isinstance(each, nodes.CopyMix)]
        self.copied_by = {each.attend for each in copies}
        self.attends = {each.name: each.memory for each in attends}
        self.copies = {each.name: each.tokens for each in copies}
        others = {s for each in node.body for s in read_directly(each) if s not in own}
        self.direct = tuple(name for name in node.reads if name in others)
        self.ahead_of_loop, self.loop, self.behind_loop = phases(node)

    def reads(self, values: Mapping[str, Steps | Tensor], rows: int) -> Reads:
        """From the values of the nodes around the body."""
        direct = {name: values[name] for name in self.direct}
        vectors = {k: v for k, v in direct.items() if isinstance(v, Tensor)}
        ahead = {k: v.values for k, v in direct.items() if isinstance(v, Steps)}
        memories, copied = {}, {}
        for name, memory in self.attends.items():
            source, attend = values[memory], self.parts[name]
            assert isinstance(source, Steps) and isinstance(attend, Attention)
            memories[name] = replace(attend.prepare(source), logged=name in self.copied_by)
        for name, tokens in self.copies.items():
            source, copy = values[tokens], self.parts[name]
            assert isinstance(source, Steps) and isinstance(copy, CopyMix)
            copied[name] = copy.copied(source)
        return Reads(rows, vectors, ahead, memories, copied)

    def first_states(self, reads: Reads) -> States:
        """The states before the first step."""
        found: States = {}
        rows = reads.rows * reads.beams
        for node in self.node.body:
            part = self.parts[node.name]
            if isinstance(node, nodes.Recurrent):
                assert isinstance(part, RecurrentLayer)
                given = dict(zip(node.cell.states, node.given, strict=False))
                for state, value in part.first(rows).items():
                    outer = reads.vectors.get(given.get(state, ""))
                    found[f"{node.name}.{state}"] = value if outer is None else outer
            elif isinstance(node, nodes.Delayed):
                found[node.name] = self._like().new_zeros((rows, node.width))
            elif isinstance(node, nodes.Attend):
                assert isinstance(part, Attention)
                kept = part.first(reads.memories[node.name], reads.beams)
                found |= {f"{node.name}.{name}": value for name, value in kept.items()}
        return found

    def taught(self, reads: Reads, previous: Tensor, lengths: Tensor) -> Steps:
        """Scores `[U, B, size]` where all that is fed back is known: `[U, B]` numbers of tokens or
        `[U, B, 1]` values, of rows with `lengths` `[B]` steps.

        What depends on earlier steps by more than a recurrent layer is run step by step; what comes
        before and after that, over all steps at once.
        """
        longest = len(previous)
        run = self._pass(reads, Lengths(lengths, longest), previous, self.first_states(reads), {})
        run.values |= {name: Steps(v, run.lengths) for name, v in reads.ahead.items()}
        self._nodes(self.ahead_of_loop, run)
        if self.loop:
            self._loop(run, longest)
            self._nodes(self.behind_loop, run)
        return sequence(run.values[self.node.scores])

    def fed(
        self,
        reads: Reads,
        first: Tensor,
        steps: int,
        following: Callable[[int, Tensor], Tensor],
    ) -> Steps:
        """Scores `[U, B, size]` of a run step by step: `first` `[B]` or `[B, 1]` comes before the
        first step, `following(u, scores of step u)` before step u + 1."""
        states, previous, drawn = self.first_states(reads), first, dict[str, Drawn]()
        scores: list[Tensor] = []
        for step in range(steps):
            found = self.step(reads, previous, states, step, drawn)
            states = found.states
            scores.append(found.scores)
            if step + 1 < steps:
                previous = following(step, found.scores)
        every = torch.full((reads.rows,), steps, device=scores[0].device)
        return Steps(torch.stack(scores), Lengths(every, steps))

    def step(
        self,
        reads: Reads,
        previous: Tensor,
        states: States,
        at: int,
        drawn: dict[str, Drawn] | None = None,
    ) -> Step:
        """Step `at`, after `previous` `[R]` or `[R, 1]`."""
        every = torch.ones(len(previous), dtype=torch.int64, device=previous.device)
        drawn = {} if drawn is None else drawn
        run = self._pass(reads, Lengths(every, 1), previous[None], states, drawn)
        ahead = {name: Steps(v[at : at + 1], run.lengths) for name, v in reads.ahead.items()}
        run.values |= ahead
        self._nodes(self.node.body, run)
        scores = sequence(run.values[self.node.scores]).values[0]
        weights = next(iter(run.weights.values()), None)
        return Step(scores, run.states, None if weights is None else weights.flatten(0, 1))

    def after(self, reads: Reads, read: Tensor, counts: Tensor, states: States) -> States:
        """The states of rows that have read the first `counts` `[B]` of the numbers `[P, B]`."""
        for step in range(int(counts.max()) if len(counts) else 0):
            found = self.step(reads, read[step], states, step)
            on = (step < counts)[:, None]
            states = {k: torch.where(on, v, states[k]) for k, v in found.states.items()}
        return states

    @property
    def device(self) -> torch.device:
        return self._like().device

    def _like(self) -> Tensor:
        return next(p for part in self.parts.values() for p in part.parameters())

    def _pass(
        self,
        reads: Reads,
        lengths: Lengths,
        previous: Tensor,
        states: States,
        drawn: dict[str, Drawn],
    ) -> _Pass:
        values: dict[str, Steps | Tensor] = dict(reads.vectors)
        if self.copies and isinstance(self.first_node, nodes.Previous):
            previous = previous.masked_fill(previous >= self.first_node.size, UNKNOWN_ID)
        values[self.first_node.name] = Steps(previous, lengths)
        return _Pass(reads, lengths, values, {}, dict(states), drawn)

    def _loop(self, run: _Pass, longest: int) -> None:
        """The nodes of the loop, step by step, from the values before it to those after it."""
        inside = {node.name for node in self.loop}
        outside = {s for node in self.loop for s in node.sources()} - inside
        parts = {
            name: value.values.split(1)
            for name in outside
            if isinstance(value := run.values.get(name), Steps)
        }
        rows = torch.ones_like(run.lengths.of_rows)
        one = Lengths(rows, 1)
        found: dict[str, list[Tensor]] = {name: [] for name in inside}
        weights: dict[str, list[Tensor]] = {}
        logs: dict[str, list[Tensor]] = {}
        states = run.states
        for step in range(longest):
            values: dict[str, Steps | Tensor] = dict(run.reads.vectors)
            values |= {name: Steps(part[step], one) for name, part in parts.items()}
            now = _Pass(run.reads, one, values, {}, states, run.drawn)
            self._nodes(self.loop, now)
            states = now.states
            for name, values_of in found.items():
                values_of.append(sequence(now.values[name]).values)
            for name, of_step in now.weights.items():
                weights.setdefault(name, []).append(of_step)
            for name, of_step in now.logs.items():
                logs.setdefault(name, []).append(of_step)
        run.states = states
        for name, steps in found.items():
            run.values[name] = Steps(torch.cat(steps), run.lengths)
        run.weights |= {name: torch.cat(each, dim=1) for name, each in weights.items()}
        run.logs |= {name: torch.cat(each, dim=1) for name, each in logs.items()}

    def _nodes(self, chosen: Sequence[nodes.Node], run: _Pass) -> None:
        for node in chosen:
            if node is not self.first_node:
                run.values[node.name] = self._value(node, run)
        for node in chosen:
            if isinstance(node, nodes.Delayed):
                run.states[node.name] = sequence(run.values[node.source]).values[-1]

    def _value(self, node: nodes.Node, run: _Pass) -> Steps | Tensor:
        part, values = self.parts[node.name], run.values
        match node, part:
            case nodes.Delayed(), _:
                return Steps(run.states[node.name][None], run.lengths)
            case nodes.Recurrent(), RecurrentLayer():
                before = {s: run.states[f"{node.name}.{s}"] for s in node.cell.states}
                drawn = run.drawn.setdefault(node.name, {})
                out, after = part.carry(sequence(values[node.source]), before, None, drawn)
                run.states |= {f"{node.name}.{s}": value for s, value in after.items()}
                return out
            case nodes.Attend(), _:
                assert isinstance(part, Attention)
                return self._attended(node, part, run)
            case nodes.Scores(), Scores():
                table = self.parts[node.tied] if node.tied else None
                assert table is None or isinstance(table, Embed)
                return part.forward(sequence(values[node.source]), table.table if table else None)
            case nodes.CopyMix(), CopyMix():
                source, gate = sequence(values[node.source]), sequence(values[node.gate])
                copied = run.reads.copied[node.name]
                return part.forward(source, gate, run.logs[node.attend], copied)
            case nodes.Dropout(), Dropout():
                return part.forward(values[node.source], run.drawn.setdefault(node.name, {}))
        found: Steps | Tensor = part(*(values[source] for source in node.sources()))
        return found

    def _attended(self, node: nodes.Attend, part: Attention, run: _Pass) -> Steps:
        """The queries of all steps and beams of a row are asked together."""
        query, reads = sequence(run.values[node.source]).values, run.reads
        steps = len(query)
        asked = query.unflatten(1, (reads.rows, -1)).transpose(0, 1).flatten(1, 2)
        prefix = f"{node.name}."
        before = {k.removeprefix(prefix): v for k, v in run.states.items() if k.startswith(prefix)}
        found: Found = part(asked, reads.memories[node.name], before)
        run.states |= {prefix + name: value for name, value in found.states.items()}
        run.weights[node.name] = found.weights
        if found.logs is not None:
            run.logs[node.name] = found.logs
        back = found.context.unflatten(1, (steps, -1)).transpose(0, 1).flatten(1, 2)
        return Steps(back, run.lengths)
