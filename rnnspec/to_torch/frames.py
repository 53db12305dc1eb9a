"""Frames that a decoder writes: in training after the true ones, else after its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.distributions import parameters_of
from rnnspec.to_torch.outputs import Distributed
from rnnspec.to_torch.quantiles import draws


@dataclass(frozen=True)
class FramePaths:
    """The paths of some rows.

    `values` `[B, S, U, width]` in the units of the data and the order of the data, 0 past the
    `lengths` `[B, S]`; U is at least 1. Of a learned length the raw numbers `stops` `[B, S, U']` of
    all steps that were run.
    """

    values: Tensor
    lengths: Tensor
    stops: Tensor | None = None


@dataclass(frozen=True)
class Frames:
    """The frames of some rows.

    `values` `[B, U, width]` in the units of the data, 0 past the `lengths` `[B]`; U is at least 1.
    Of a reconstruction the `errors` `[B, U]` of its steps and the `scores` `[B]` of its rows; of a
    learned length the raw numbers `stops` `[B, U']` of all steps that were run; of a distribution
    its `parameters` `[B, U, raw]`, 0 past the lengths. Of drawn `paths` these, and as parameters
    the quantiles over them, `[B, U, width Q]`.
    """

    values: Tensor
    lengths: Tensor
    errors: Tensor | None = None
    scores: Tensor | None = None
    stops: Tensor | None = None
    parameters: Tensor | None = None
    paths: FramePaths | None = None


class FramesOutput(Distributed):
    """Raw numbers `[B, U, raw_width]`, in the order of writing."""

    node: nodes.FramesOutput

    @property
    def learned(self) -> bool:
        """Whether the last raw number says stop."""
        return self.node.length == "learned"

    def fed(self, raw: Tensor) -> Tensor:
        """The answers `[..., width]` to raw numbers `[..., raw_width]`, scaled as frames are fed
        back."""
        raw = raw[..., : self.node.raw]
        if self.law.name == "point":
            return raw
        if self.law.is_scaled:
            return self.narrow(self.expected(self.standard(raw).flatten(-2)))
        return self.scale(self.expected(self.answer(raw)))

    def drawn(self, raw: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draws by uniform ones `[R, laws, 1, J]`, of raw numbers `[R, raw]`: in the units of the
        data, and scaled as frames are fed back, `[R, width]` each."""
        if self.law.is_scaled:
            fed = draws(self.law, self.standard(raw), uniform).flatten(1).to(raw.dtype)
            found = self.unscale(fed)
            return found if self.node.double else found.to(raw.dtype), fed
        parameters = parameters_of(self.law, self.laws(raw), *self.units(raw))
        found = draws(self.law, parameters, uniform).flatten(1)
        return found, self.scale(found).to(raw.dtype)

    def ordered(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Steps `[B, U, ...]` of rows of these lengths from the order of the data to that of
        writing, or back."""
        if not self.node.reverse:
            return steps
        places = torch.arange(steps.shape[1], device=steps.device).expand(len(steps), -1)
        own = places < lengths[:, None]
        places = torch.where(own, lengths[:, None] - 1 - places, places)
        return steps.gather(1, places[..., None].expand(-1, -1, steps.shape[2]))

    def true_steps(self, truth: Tensor, lengths: Tensor) -> Tensor:
        """Targets `[B, U, width]` scaled and in the order of writing; NaN where one is missing."""
        return self.ordered(self.scale(truth), lengths)

    def errors(self, scaled: Tensor, given: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """The errors `[B, U]` and the scores `[B]` of scaled frames that are to be those `given`,
        `[B, U, width]` in the units of the data; `own` `[B, U]` says which are a row's own."""
        true = self.scale(given)
        known = ~true.isnan() & own[..., None]
        squares = torch.where(known, (scaled - true).square(), 0.0)
        of_steps, of_rows = known.sum(2).clamp(min=1), known.sum((1, 2)).clamp(min=1)
        return squares.sum(2) / of_steps, squares.sum((1, 2)) / of_rows

    def stop_targets(self, lengths: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Of a learned length 1 at the step after the last frame, else 0, `[B, steps]`, and which
        steps count: those up to it."""
        places = torch.arange(steps, device=lengths.device)
        return (places == lengths[:, None]).to(self.one.dtype), places <= lengths[:, None]


def true_lengths(node: nodes.FramesOutput, truth: Tensor, steps: Tensor | None) -> Tensor:
    """The frames of each row of targets `[B, U, width]`, NaN past the end; `steps` `[B]` are those
    of the input."""
    if node.length == "input":
        assert steps is not None, "an input with steps"
        return steps
    if node.length == "fixed":
        return torch.full((len(truth),), node.limit, device=truth.device)
    places = torch.arange(1, truth.shape[1] + 1, device=truth.device)
    return (places * ~truth.isnan().all(-1)).amax(1)


def raw_frames(
    body: Body,
    reads: Reads,
    output: FramesOutput,
    truth: Tensor,
    lengths: Tensor,
    teacher_forcing: float,
) -> Tensor:
    """Raw numbers `[U, B, raw_width]` of rows with the true frames `truth` `[B, U, width]` in the
    units of the data, each step fed with the true frame before it with probability
    `teacher_forcing`, else with its own."""
    true = output.true_steps(truth, lengths).nan_to_num().transpose(0, 1)
    extra = int(output.learned)
    before = torch.cat([torch.zeros_like(true[:1]), true if extra else true[:-1]])
    first = body.first_node
    assert isinstance(first, nodes.PreviousFrame)
    if not first.fed:
        before = before.new_zeros((*before.shape[:2], 1))
    if teacher_forcing >= 1 or not first.fed:
        return body.teacher_forced(reads, before, lengths + extra).values

    def following(step: int, raw: Tensor) -> Tensor:
        own, given = output.fed(raw), before[step + 1]
        forced = torch.rand((len(given), 1), device=given.device) < teacher_forcing
        return torch.where(forced, given, own)

    return body.free_running(reads, before[0], len(before), following).values


@torch.no_grad()
def write(
    body: Body,
    reads: Reads,
    output: FramesOutput,
    lengths: Tensor | None,
    limits: Tensor,
    given: Tensor | None = None,
) -> Frames:
    """The answers to the rows of `reads`: `lengths` `[B]` of them, None if these are learned, which
    `limits` `[B]` bound. `given` `[B, T, width]` are the frames of the input that is reconstructed,
    in the units of the data."""
    stops = None
    if lengths is None:
        raw, lengths, stops = _until_stopped(body, reads, output, limits)
    else:
        raw = _counted(body, reads, output, lengths)
    longest = max(1, int(lengths.max())) if len(lengths) else 1
    own = torch.arange(longest, device=lengths.device) < lengths[:, None]
    found = output.ordered(raw[:longest, :, : output.node.raw].transpose(0, 1), lengths)
    answers = output.answer(found)
    if not output.node.double:
        answers = answers.to(found.dtype)
    values = output.expected(answers).masked_fill(~own[..., None], 0.0)
    told = None if output.law.name == "point" else answers.masked_fill(~own[..., None], 0.0)
    if given is None:
        return Frames(values, lengths, stops=stops, parameters=told)
    errors, scores = output.errors(output.fed(found), given[:, :longest], own)
    return Frames(values, lengths, errors, scores, stops, told)


def _counted(body: Body, reads: Reads, output: FramesOutput, lengths: Tensor) -> Tensor:
    """Raw numbers of as many steps as the longest row has."""
    steps = max(1, int(lengths.max())) if len(lengths) else 1
    first = body.first_node
    assert isinstance(first, nodes.PreviousFrame)
    begin = output.one.new_zeros((reads.rows, first.width))
    if not first.fed:
        return body.teacher_forced(reads, begin.expand(steps, -1, -1), lengths).values
    return body.free_running(reads, begin, steps, lambda step, raw: output.fed(raw)).values


def _until_stopped(
    body: Body, reads: Reads, output: FramesOutput, limits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Raw numbers of all steps until every row has ended, the lengths of the rows, and the raw
    numbers that say stop `[B, U]`. Rows that have ended idle."""
    node, first = output.node, body.first_node
    assert isinstance(first, nodes.PreviousFrame)
    states, previous = body.first_states(reads), output.one.new_zeros((reads.rows, first.width))
    lengths, going, found = torch.zeros_like(limits), limits > 0, list[Tensor]()
    while not found or bool(going.any()):
        step = len(found)
        run = body.step(reads, previous, states, step)
        states = run.states
        found.append(run.logits)
        if step >= node.least:
            going = going & ~(run.logits[:, node.raw] > 0)
        lengths = lengths + going
        going = going & (lengths < limits)
        if first.fed:
            previous = output.fed(run.logits)
    raw = torch.stack(found)
    return raw, lengths, raw[..., node.raw].t()
