"""The strategies of search: `rnnspec.plan.nodes.search` defines each, down to ties.

Greedy search and sampling follow one hypothesis a row. Beam search keeps live and finished ones, at
most `width` of each a row, for all rows at once: each step leaves a `Trace`, and the answers are
read back from their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan.facts import END_ID
from rnnspec.plan.nodes import Beam, Sample
from rnnspec.plan.sampling_rng import BITS, bits, keys
from rnnspec.to_torch.decoder import States
from rnnspec.to_torch.search.task import Task, Texts

Choose = Callable[[int, Tensor], Tensor]
"""From a step and log-probabilities `[B, size]`, -inf where excluded, to numbers `[B]`."""
COVERAGE_FLOOR = 1e-6
NEVER = -torch.inf


def greedy(task: Task) -> Texts:
    """The most probable token at each step; ties go to the lower number."""
    return follow(task, lambda _, chances: chances.argmax(dim=-1))


def sample(task: Task) -> Texts:
    """One draw a step, by the row's own seed, in double precision: cumulative sums are compared."""
    search, row_keys = task.rules.search, keys(task.seeds)
    assert isinstance(search, Sample)

    def choose(step: int, chances: Tensor) -> Tensor:
        if step < len(search.prefix):
            return chances.argmax(dim=-1)
        return drawn(search, chances.double(), bits(row_keys, step).double() / (1 << BITS))

    return follow(task, choose)


def drawn(search: Sample, chances: Tensor, u: Tensor) -> Tensor:
    """The numbers `[B]` that `u` `[B]`, uniform in [0, 1), draws by log-probabilities
    `[B, size]`."""
    sharp = ((chances - chances.amax(-1, keepdim=True)) / search.temperature).exp()
    falling, order = sharp.sort(dim=-1, descending=True, stable=True)
    mass = falling[:, : search.top_k or None].cumsum(-1)
    last = (mass < search.top_p * mass[:, -1:]).sum(-1, keepdim=True)
    kept = mass.gather(1, last.clamp(max=mass.shape[1] - 1))
    place = torch.minimum((mass <= u[:, None] * kept).sum(-1, keepdim=True), last)
    return order.gather(1, place)[:, 0]


def follow(task: Task, choose: Choose) -> Texts:
    """One hypothesis a row, by a choice at each step. Rows that have ended idle until all have."""
    previous, states, rules = task.previous, task.states, task.rules
    history = task.prompt if rules.history else None
    length = torch.zeros_like(task.limits)
    score = length.float()
    going = task.limits > 0
    numbers: list[Tensor] = []
    attention: list[Tensor] = []
    step = 0
    while bool(going.any()):
        found = task.body.step(task.reads, previous, states, step)
        log_probabilities = rules.log_probabilities(found.logits, history)
        chosen = choose(step, rules.allowed(log_probabilities, history, step))
        chosen = torch.where(going, chosen, END_ID)
        added = log_probabilities.gather(1, chosen[:, None])[:, 0]
        score = score + torch.where(going, added, 0.0)
        goes_on = going & (chosen != END_ID)
        length = length + goes_on
        numbers.append(chosen)
        if found.weights is not None:
            attention.append(found.weights * goes_on[:, None])
        if history is not None:
            history = torch.cat([history, chosen[:, None]], dim=1)
        previous, states, step = chosen, found.states, step + 1
        going = goes_on & (step < task.limits)
    longest = max(1, int(length.max())) if task.rows else 1
    return Texts(
        _stacked(numbers, longest, task.limits)[:, None],
        length[:, None],
        score[:, None],
        _stacked(attention, longest, score) if attention else None,
    )


def _stacked(steps: Sequence[Tensor], longest: int, like: Tensor) -> Tensor:
    """The first `longest` steps `[B, ...]` as `[B, longest, ...]`; zeros if there are none."""
    if not steps:
        return like.new_zeros((len(like), longest))
    return torch.stack(list(steps[:longest]), dim=1)


@dataclass(frozen=True)
class Live:
    """The live hypotheses, `width` a row: the sums `scores` `[B, width]` of log-probabilities, the
    numbers `previous` `[B * width]` to be read next, the decoder's states, all numbers before
    (`history` `[B * width, steps]`) and the sums `covered` `[B, width, T]` of attention's weights,
    the last two where they are needed."""

    scores: Tensor
    previous: Tensor
    states: States
    history: Tensor | None
    covered: Tensor | None = None


@dataclass(frozen=True)
class Ends:
    """Hypotheses that have stopped, `[B, K]` each: their `scores` (-inf where there is none), the
    `values` they are compared by, their number of tokens, and the beam in which they stopped."""

    scores: Tensor
    values: Tensor
    tokens: Tensor
    beams: Tensor

    def best(self, count: int) -> Ends:
        """The best by value; ties go to the first."""
        order = self.values.sort(dim=-1, descending=True, stable=True).indices[:, :count]
        return Ends(*(each.gather(1, order) for each in self.parts()))

    def then(self, others: Ends) -> Ends:
        """These followed by the others."""
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
    """One step: the number and the parent beam of each live hypothesis after it, `[B, width]`, and
    attention's weights by parent beam, `[B, width, T]`."""

    numbers: Tensor
    parents: Tensor
    weights: Tensor | None


def beam(task: Task) -> Texts:
    """The `n_best` best answers of each row."""
    search, rows = task.rules.search, task.rows
    assert isinstance(search, Beam)
    width = search.width
    reads = task.reads.in_beams(width)
    beams = torch.arange(width, device=task.limits.device).expand(rows, -1)
    live = _first_live(task, beams)
    none = torch.full_like(live.scores, NEVER)
    finished = Ends(none, none, torch.zeros_like(beams), beams)
    stopped = Ends(live.scores, live.scores, torch.zeros_like(beams), beams)
    going = task.limits > 0
    traces: list[Trace] = []
    while bool(going.any()):
        found = task.body.step(reads, live.previous, live.states, len(traces))
        candidates, ending = _candidates(task, live, found.logits, len(traces))
        step = len(traces) + 1
        scores, places = top(candidates.flatten(1), width)
        size = candidates.shape[-1]
        parents, numbers = places.div(size, rounding_mode="floor"), places % size
        weights = None if found.weights is None else found.weights.unflatten(0, (rows, width))
        covered = live.covered
        if search.coverage_penalty and weights is not None:
            covered = weights if covered is None else covered + weights
        ended = (ending >= scores[:, -1:]) & (ending > NEVER)
        ending = ending.masked_fill(~ended, NEVER)
        tokens = torch.full_like(beams, step - 1)
        new = Ends(ending, values(search, ending, step, covered, task), tokens, beams)
        finished = finished.then(new).best(width).where(going, finished)
        live = _next_live(live, found.states, scores, parents, numbers, covered)
        traces.append(Trace(numbers, parents, weights))
        value = values(search, scores, step, live.covered, task)
        cut = Ends(scores, value, torch.full_like(beams, step), beams)
        stopped = cut.where(going, stopped)
        going = going & ~over(task, search, finished, scores, new, step)
    return answered(task, search, finished, stopped, traces)


def _first_live(task: Task, beams: Tensor) -> Live:
    """The empty hypothesis in the first beam, -inf in the others."""
    width = beams.shape[1]
    return Live(
        torch.where(beams == 0, 0.0, NEVER),
        task.previous.repeat_interleave(width),
        {k: v.repeat_interleave(width, dim=0) for k, v in task.states.items()},
        task.prompt.repeat_interleave(width, dim=0) if task.rules.history else None,
    )


def _candidates(task: Task, live: Live, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """The scores of each live hypothesis with each token `[B, width, size]`, -inf at the end mark,
    and with the end mark `[B, width]`."""
    log_probabilities = task.rules.log_probabilities(logits, live.history)
    allowed = task.rules.allowed(log_probabilities, live.history, step)
    following = live.scores[..., None].to(allowed.dtype) + allowed.view(*live.scores.shape, -1)
    ending = following[..., END_ID].clone()
    following[..., END_ID] = NEVER
    return following, ending


def _next_live(
    live: Live,
    states: States,
    scores: Tensor,
    parents: Tensor,
    numbers: Tensor,
    covered: Tensor | None,
) -> Live:
    """The live hypotheses `numbers` `[B, width]` of the beams `parents`."""
    rows, width = parents.shape
    chosen = (parents + torch.arange(rows, device=parents.device)[:, None] * width).flatten()
    states = {k: v.index_select(0, chosen) for k, v in states.items()}
    if covered is not None:
        covered = covered.flatten(0, 1).index_select(0, chosen).view_as(covered)
    previous, history = numbers.flatten(), live.history
    if history is not None:
        history = torch.cat([history.index_select(0, chosen), previous[:, None]], dim=1)
    return Live(scores, previous, states, history, covered)


def top(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest `count` of `[B, M]` and their places; ties go to the lower place.

    topk does not define the order of equal values: if there are any, a stable sort decides.
    """
    found, places = values.topk(min(count + 1, values.shape[1]), dim=-1)
    equal = (found[:, 1:] == found[:, :-1]) & (found[:, 1:] > NEVER)
    if bool(equal.any()):
        found, places = values.sort(dim=-1, descending=True, stable=True)
    lacking = count - found.shape[1]
    if lacking > 0:
        found, places = F.pad(found, (0, lacking), value=NEVER), F.pad(places, (0, lacking))
    return found[:, :count], places[:, :count]


def norm(search: Beam, steps: Tensor | int) -> Tensor | float:
    """What a log-probability is divided by after this number of steps."""
    match search.length_norm:
        case "none":
            return 1.0
        case "average":
            return steps if isinstance(steps, int) else steps.clamp(min=1)
        case "gnmt":
            return ((5 + steps) / 6) ** search.alpha


def values(search: Beam, scores: Tensor, steps: int, covered: Tensor | None, task: Task) -> Tensor:
    """What hypotheses `[B, K]` of the same number of steps are compared by; `covered` `[B, K, T]`
    are the sums of attention's weights."""
    found = scores / norm(search, steps)
    if covered is None:
        return found
    mask = next(iter(task.reads.memories.values())).mask
    penalty = covered.clamp(COVERAGE_FLOOR, 1.0).log().masked_fill(~mask[:, None], 0.0)
    return found + search.coverage_penalty * penalty.sum(-1)


def over(task: Task, search: Beam, finished: Ends, live: Tensor, new: Ends, step: int) -> Tensor:
    """Which rows end after this step, `[B]`; `new` have finished in it."""
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
        case _:
            assert_never(search.stop)


def answered(task: Task, search: Beam, finished: Ends, stopped: Ends, traces: list[Trace]) -> Texts:
    """The best finished hypotheses of each row and, if they are too few, the best unfinished ones;
    read back step by step."""
    wanted, width = search.n_best, search.width
    both = finished.then(stopped.best(width))
    places = torch.arange(wanted, device=task.limits.device).expand(task.rows, -1)
    count = finished.count[:, None]
    places = torch.where(places < count, places, places - count + width).clamp(max=2 * width - 1)
    scores, _, tokens, at = (each.gather(1, places) for each in both.parts())
    lengths = tokens.masked_fill(scores == NEVER, 0)
    longest = max(1, int(lengths.max())) if task.rows else 1
    numbers = torch.zeros((task.rows, wanted, longest), dtype=torch.int64, device=at.device)
    attention = None
    if traces and traces[0].weights is not None:
        attention = traces[0].weights.new_zeros((task.rows, longest, traces[0].weights.shape[-1]))
    for step in range(min(longest, len(traces)) - 1, -1, -1):
        trace, inside = traces[step], lengths > step
        numbers[:, :, step] = torch.where(inside, trace.numbers.gather(1, at), END_ID)
        at = torch.where(inside, trace.parents.gather(1, at), at)
        if attention is not None and trace.weights is not None:
            index = at[:, :1, None].expand(-1, 1, trace.weights.shape[-1])
            weights = trace.weights.gather(1, index)[:, 0]
            attention[:, step] = weights.masked_fill(~inside[:, :1], 0.0)
    return Texts(numbers, lengths, scores, attention)
