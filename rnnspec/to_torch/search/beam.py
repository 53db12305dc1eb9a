"""Beam search: live hypotheses and finished ones, `width` of each at most, for all rows at once.

Nothing is copied along but what a step needs: each step leaves its numbers and which beam each came
from, and the answers are read back from their ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import Beam
from rnnspec.to_torch.decoder import States
from rnnspec.to_torch.search.task import Task
from rnnspec.to_torch.search.texts import Texts

LEAST_COVERED = 1e-6
NEVER = -torch.inf


@dataclass(frozen=True)
class Ends:
    """Hypotheses that have stopped, `[B, K]` each: their `scores` (-inf where there is none), the
    `values` they are compared by, how many tokens they have, and which beam they stopped in."""

    scores: Tensor
    values: Tensor
    tokens: Tensor
    beams: Tensor

    def best(self, count: int) -> Ends:
        """The best by value; ties go to the first."""
        order = self.values.sort(dim=-1, descending=True, stable=True).indices[:, :count]
        return Ends(*(each.gather(1, order) for each in self.parts()))

    def then(self, others: Ends) -> Ends:
        pairs = zip(self.parts(), others.parts(), strict=True)
        return Ends(*(torch.cat(pair, dim=1) for pair in pairs))

    def where(self, rows: Tensor, others: Ends) -> Ends:
        """These in `rows` `[B]`, the others elsewhere."""
        pairs = zip(self.parts(), others.parts(), strict=True)
        return Ends(*(torch.where(rows[:, None], one, other) for one, other in pairs))

    @property
    def count(self) -> Tensor:
        """How many there are, `[B]`."""
        return (self.scores > NEVER).sum(-1)

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.scores, self.values, self.tokens, self.beams


@dataclass(frozen=True)
class Trace:
    """What one step leaves: the number and the beam before, of each live hypothesis after it,
    `[B, width]`, and the weights of attention by the beams before, `[B, width, T]`."""

    numbers: Tensor
    parents: Tensor
    weights: Tensor | None


def beam(task: Task) -> Texts:
    """The `n_best` best answers of each row."""
    search, rules, rows = task.rules.search, task.rules, task.rows
    assert isinstance(search, Beam)
    width = search.width
    reads = task.reads.in_beams(width)
    states: States = {k: v.repeat_interleave(width, dim=0) for k, v in task.states.items()}
    previous = task.previous.repeat_interleave(width)
    history = task.prompt.repeat_interleave(width, dim=0) if rules.history else None
    beams = torch.arange(width, device=task.limits.device).expand(rows, -1)
    live = torch.where(beams == 0, 0.0, NEVER)
    nothing = torch.zeros_like(beams)
    none = Ends(torch.full_like(live, NEVER), torch.full_like(live, NEVER), nothing, beams)
    finished, stopped = none, Ends(live, live, nothing, beams)
    going = task.limits > 0
    covered: Tensor | None = None
    traces: list[Trace] = []
    step = 0
    while bool(going.any()):
        found = task.body.step(reads, previous, states, step)
        true = rules.log_probabilities(found.scores, history)
        size = true.shape[-1]
        chances = rules.choice(true, history, step).view(rows, width, size)
        following = live[..., None].to(true.dtype) + chances
        ending = following[..., END_ID].clone()
        following[..., END_ID] = NEVER
        live, places = top(following.flatten(1), width)
        parents, numbers = places.div(size, rounding_mode="floor"), places % size
        weights = None if found.weights is None else found.weights.unflatten(0, (rows, width))
        if search.coverage_penalty and weights is not None:
            covered = weights if covered is None else covered + weights
        step += 1
        ended = (ending >= live[:, -1:]) & (ending > NEVER)
        scores = ending.masked_fill(~ended, NEVER)
        tokens = torch.full_like(beams, step - 1)
        new = Ends(scores, values(search, scores, step, covered, task), tokens, beams)
        finished = finished.then(new).best(width).where(going, finished)
        chosen = (parents + torch.arange(rows, device=parents.device)[:, None] * width).flatten()
        states = {k: v.index_select(0, chosen) for k, v in found.states.items()}
        if covered is not None:
            covered = covered.flatten(0, 1).index_select(0, chosen).view_as(covered)
        previous = numbers.flatten()
        if history is not None:
            history = torch.cat([history.index_select(0, chosen), previous[:, None]], dim=1)
        traces.append(Trace(numbers, parents, weights))
        cut = Ends(
            live, values(search, live, step, covered, task), torch.full_like(beams, step), beams
        )
        stopped = cut.where(going, stopped)
        going = going & ~over(task, finished, live, new, step)
    return answered(task, finished, stopped, traces)


def top(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest `count` of `[B, M]` and their places; of equal ones the first ones.

    What torch's topk does with equal ones is not said: where there are any, a stable sort decides.
    """
    found, places = values.topk(min(count + 1, values.shape[1]), dim=-1)
    equal = (found[:, 1:] == found[:, :-1]) & (found[:, 1:] > NEVER)
    if bool(equal.any()):
        found, places = values.sort(dim=-1, descending=True, stable=True)
    lacking = count - found.shape[1]
    if lacking > 0:
        found = torch.nn.functional.pad(found, (0, lacking), value=NEVER)
        places = torch.nn.functional.pad(places, (0, lacking))
    return found[:, :count], places[:, :count]


def norm(search: Beam, steps: Tensor | int) -> Tensor | float:
    """What a log-probability is divided by after so many steps."""
    match search.length_norm:
        case "none":
            return 1.0
        case "average":
            return steps if isinstance(steps, int) else steps.clamp(min=1)
        case "gnmt":
            return ((5 + steps) / 6) ** search.alpha


def values(search: Beam, scores: Tensor, steps: int, covered: Tensor | None, task: Task) -> Tensor:
    """What hypotheses `[B, K]` of as many steps are compared by; `covered` `[B, K, T]` are the
    sums of their weights."""
    found = scores / norm(search, steps)
    if covered is None:
        return found
    there = next(iter(task.reads.memories.values())).there
    share = covered.clamp(LEAST_COVERED, 1.0).log().masked_fill(~there[:, None], 0.0)
    return found + search.coverage_penalty * share.sum(-1)


def over(task: Task, finished: Ends, live: Tensor, new: Ends, step: int) -> Tensor:
    """Which rows end after this step, `[B]`."""
    search = task.rules.search
    assert isinstance(search, Beam)
    best, count = live[:, 0], finished.count
    ends = (best == NEVER) | (step >= task.limits)
    if search.width == 1 or search.stop in ("full", "first"):
        ends = ends | (count >= search.width)
    match search.stop:
        case "first":
            return ends | ((new.scores > NEVER) & (new.scores >= best[:, None])).any(-1)
        case "best" | "bound":
            most = best / norm(search, task.limits if search.stop == "bound" else step)
            last = finished.values[:, search.n_best - 1]
            return ends | ((count >= search.n_best) & (most <= last))
        case "full":
            return ends


def answered(task: Task, finished: Ends, stopped: Ends, traces: list[Trace]) -> Texts:
    """The best finished hypotheses of each row and, where they are fewer than wanted, those that
    stopped unfinished; read back step by step."""
    search = task.rules.search
    assert isinstance(search, Beam)
    wanted, width = search.n_best, search.width
    both = finished.then(stopped.best(width))
    places = torch.arange(wanted, device=task.limits.device).expand(task.rows, -1)
    count = finished.count[:, None]
    places = torch.where(places < count, places, places - count + width).clamp(max=2 * width - 1)
    scores, _, tokens, at = (each.gather(1, places) for each in both.parts())
    lengths = tokens.masked_fill(scores == NEVER, 0)
    longest = max(1, int(lengths.max())) if task.rows else 1
    numbers = torch.zeros((task.rows, wanted, longest), dtype=torch.int64, device=at.device)
    looked = _no_weights(task, traces, longest)
    for step in range(min(longest, len(traces)) - 1, -1, -1):
        trace, inside = traces[step], lengths > step
        numbers[:, :, step] = torch.where(inside, trace.numbers.gather(1, at), END_ID)
        at = torch.where(inside, trace.parents.gather(1, at), at)
        if looked is not None and trace.weights is not None:
            index = at[:, :1, None].expand(-1, 1, trace.weights.shape[-1])
            weights = trace.weights.gather(1, index)[:, 0]
            looked[:, step] = weights.masked_fill(~inside[:, :1], 0.0)
    return Texts(numbers, lengths, scores, looked)


def _no_weights(task: Task, traces: list[Trace], longest: int) -> Tensor | None:
    if not traces or traces[0].weights is None:
        return None
    weights = traces[0].weights
    return weights.new_zeros((task.rows, longest, weights.shape[-1]))
