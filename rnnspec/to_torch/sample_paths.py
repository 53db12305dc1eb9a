"""Paths that a decoder of forecasts draws, those of all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnspec.plan.nodes.quantiles import uniforms
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.decoder_stages import Reads
from rnnspec.to_torch.outputs import ForecastOutput
from rnnspec.to_torch.quantiles import uniform_draws

LEAST = 2.0**-24
"""The least uniform draw."""


@dataclass(frozen=True)
class Drawn:
    """A forecast of a decoder whose paths are drawn: its module, the `moments` `[B, 2]` of the
    windows of its series, if it has any, and the `seeds` `[B]` of its draws. `shift` is added to
    the uniform draws."""

    output: ForecastOutput
    moments: Tensor | None
    seeds: Tensor
    shift: float = 0.0

    def uniform(self, steps: int) -> Tensor:
        """`[steps, B * S, 1, J]`: the uniform draws of all steps."""
        many, each = self.output.node.paths, uniforms(self.output.law)
        drawn = uniform_draws(self.seeds, steps * many * each)
        found: Tensor = drawn.unflatten(1, (steps, many, 1, each)).transpose(0, 1).flatten(1, 2)
        return shifted(found, self.shift)


def shifted(uniform: Tensor, by: float) -> Tensor:
    """Uniform draws `[..., J]`, moved; of a mixture, J of more than one, those of the component."""
    if not by:
        return uniform
    moved = (uniform[..., :1] + by).clamp(LEAST, 1 - LEAST)
    return torch.cat([moved, uniform[..., 1:]], dim=-1)


@torch.no_grad()
def drawn_paths(
    body: Body,
    reads: Reads,
    ahead: Sequence[Drawn],
    last: Tensor,
    given: Sequence[Tensor] | None = None,
) -> list[Tensor]:
    """The paths `[B, S, H]` of each forecast in the units of the data, after the values `last`
    `[B, K]` of their series. A step is drawn after the steps before it of the paths `given`,
    if there are any."""
    steps, many = body.node.steps, ahead[0].output.node.paths
    beams, previous = reads.in_beams(many), last.repeat_interleave(many, dim=0)
    of_rows = [each.moments for each in ahead]
    moments = [m if m is None else m.repeat_interleave(many, dim=0) for m in of_rows]
    uniform = [each.uniform(steps) for each in ahead]
    states = body.first_states(beams)
    found: list[list[Tensor]] = [[] for _ in ahead]
    for step in range(steps):
        run = body.step(beams, previous, states, step)
        states, fed = run.states, list[Tensor]()
        for place, each in enumerate(ahead):
            raw = each.output.own(run.logits)
            value, scaled = each.output.drawn(raw, moments[place], uniform[place][step])
            found[place].append(value)
            if given is not None:
                true = given[place][..., step].flatten()[:, None]
                scaled = each.output.to_scale(true, moments[place])
            fed.append(scaled)
        previous = torch.cat(fed, dim=-1)
    return [torch.cat(each, dim=1).unflatten(0, (-1, many)) for each in found]


def quantiles_over(paths: Tensor, probabilities: Sequence[float]) -> Tensor:
    """The quantiles `[B, H, Q]` over paths `[B, S, H]`."""
    rising, found = paths.sort(dim=1).values, []
    for probability in probabilities:
        place = probability * (paths.shape[1] - 1)
        below = min(int(place), paths.shape[1] - 2)
        low, high = rising[:, below], rising[:, below + 1]
        found.append(low + (place - below) * (high - low))
    return torch.stack(found, dim=-1)
