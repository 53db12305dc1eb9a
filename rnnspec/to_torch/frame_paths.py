"""Paths of frames that a decoder draws, those of all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.nodes.quantiles import uniforms
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.frames import FramePaths, Frames, FramesOutput
from rnnspec.to_torch.quantiles import uniform_draws
from rnnspec.to_torch.sample_paths import shifted


@dataclass(frozen=True)
class Asked:
    """What frames are written for: the rows that a body reads, how many frames each is to have
    (`lengths` `[B]`, None if these are learned), the most (`limits` `[B]`) and the `seeds` `[B]` of
    the draws. `shift` is added to the uniform draws."""

    reads: Reads
    lengths: Tensor | None
    limits: Tensor
    seeds: Tensor
    shift: float = 0.0

    def uniform(self, node: nodes.FramesOutput, step: int) -> Tensor:
        """`[B * S, laws, 1, J]`: the uniform draws of a step."""
        each = (node.laws, 1, uniforms(node.law))
        count = node.paths * node.laws * uniforms(node.law)
        drawn = uniform_draws(self.seeds, count, step * count)
        return shifted(drawn.reshape(-1, *each), self.shift)


@torch.no_grad()
def drawn_frames(
    body: Body, output: FramesOutput, asked: Asked, given: FramePaths | None = None
) -> FramePaths:
    """The paths of the rows; each step after the steps before it of the paths `given`, if there are
    any, and as many steps as the longest of these has and, of a learned length, one more."""
    node, first = output.node, body.first_node
    assert isinstance(first, nodes.PreviousFrame)
    many, learned = node.paths, asked.lengths is None
    reads = asked.reads.in_beams(many)
    most = asked.limits if asked.lengths is None else asked.lengths
    limits = most.repeat_interleave(many)
    after = None if given is None else _followed(output, given, learned)
    states, previous = body.first_states(reads), output.one.new_zeros((len(limits), first.width))
    lengths, going = torch.zeros_like(limits), limits > 0
    values, stops = list[Tensor](), list[Tensor]()
    while not values or (bool(going.any()) if after is None else len(values) < len(after)):
        step = len(values)
        run = body.step(reads, previous, states, step)
        states, raw = run.states, run.logits
        if learned:
            stops.append(raw[:, node.raw])
            if step >= node.least:
                going = going & ~(raw[:, node.raw] > 0)
        lengths = lengths + going
        going = going & (lengths < limits)
        value, previous = output.drawn(raw[:, : node.raw], asked.uniform(node, step))
        values.append(value)
        if after is not None:
            previous = after[step].to(previous.dtype)
    own = lengths if given is None else given.lengths.flatten()
    longest = max(1, int(own.max())) if len(own) else 1
    steps = output.ordered(torch.stack(values[:longest], 1), own)
    past = torch.arange(longest, device=own.device) >= own[:, None]
    steps = steps.masked_fill(past[..., None], 0.0).unflatten(0, (-1, many))
    told = torch.stack(stops, 1).unflatten(0, (-1, many)) if learned else None
    return FramePaths(steps, lengths.unflatten(0, (-1, many)), told)


def _followed(output: FramesOutput, given: FramePaths, more: bool) -> Tensor:
    """`[U, B * S, width]`: the steps of paths, scaled and in the order of writing; with `more` one
    of 0 behind the last."""
    lengths = given.lengths.flatten()
    ordered = output.ordered(given.values.flatten(0, 1), lengths)
    scaled = output.scale(ordered).transpose(0, 1)
    return torch.cat([scaled, torch.zeros_like(scaled[:1])]) if more else scaled


def of_paths(output: FramesOutput, paths: FramePaths, given: Tensor | None = None) -> Frames:
    """What is answered of paths; `given` `[B, T, width]` are the frames of the input that is
    reconstructed, in the units of the data."""
    node = output.node
    lengths = paths.lengths.sort(1).values[:, (node.paths - 1) // 2]
    longest = max(1, int(lengths.max())) if len(lengths) else 1
    found = quantiles_over(paths, node.quantiles)[:, :longest]
    own = torch.arange(found.shape[1], device=lengths.device) < lengths[:, None]
    found = found.masked_fill(~own[..., None, None], 0.0)
    values, told = found[..., node.answered.middle], found.flatten(2)
    if given is None:
        return Frames(values, lengths, parameters=told, paths=paths)
    errors, scores = output.errors(output.scale(values), given[:, :longest], own)
    return Frames(values, lengths, errors, scores, parameters=told, paths=paths)


def quantiles_over(paths: FramePaths, probabilities: Sequence[float]) -> Tensor:
    """The quantiles `[B, U, width, Q]` of each number over the paths that have the step."""
    steps = torch.arange(paths.values.shape[2], device=paths.lengths.device)
    own = steps < paths.lengths[..., None]
    rising = paths.values.masked_fill(~own[..., None], torch.inf).sort(dim=1).values
    last = (own.sum(1) - 1).clamp(min=0)  # [B, U]
    found = []
    for probability in probabilities:
        place = probability * last.double()
        below = place.floor().long()
        ends = [
            rising.gather(1, at[:, None, :, None].expand(-1, 1, -1, rising.shape[3]))[:, 0]
            for at in (below, torch.minimum(below + 1, last))
        ]
        share = (place - below)[..., None].to(rising.dtype)
        found.append(ends[0] + share * (ends[1] - ends[0]))
    found_of = torch.stack(found, dim=-1)
    return torch.where(own.any(1)[..., None, None], found_of, 0.0)
