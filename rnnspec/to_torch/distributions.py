"""Raw numbers to the parameters of distributions, by the formulas of `rnnspec.plan.nodes.Law`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan.nodes import MOST_CORRELATED, SOFTPLUS_FLOOR, Law
from rnnspec.spec.distributions import Link


def positive(raw: Tensor) -> Tensor:
    return F.softplus(raw).clamp(min=SOFTPLUS_FLOOR)


LINKS: Mapping[Link, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "value": lambda r, centre, scale: r * scale + centre,
    "rising": lambda r, centre, scale: r.sort(dim=-2).values * scale + centre,
    "size": lambda r, centre, scale: scale * positive(r),
    "per_root": lambda r, centre, scale: positive(r) / scale.sqrt(),
    "positive": lambda r, centre, scale: positive(r),
    "above_two": lambda r, centre, scale: 2 + positive(r),
    "share": lambda r, centre, scale: torch.sigmoid(r),
    "weights": lambda r, centre, scale: torch.softmax(r, dim=-2),
    "correlation": lambda r, centre, scale: MOST_CORRELATED * torch.tanh(r),
}
"""Raw numbers `[..., n, D]` or `[..., n, 1]`, centre and scale `[..., 1, D]`, to a parameter."""


def parameters_of(law: Law, raw: Tensor, centre: Tensor, scale: Tensor) -> Tensor:
    """Parameters `[..., K]` of raw numbers; centre and scale `[..., D]` of the numbers of a law."""
    centre, scale = centre.unsqueeze(-2), scale.unsqueeze(-2)
    found = []
    for parameter, start, end in law.placed():
        part = raw[..., start:end]
        width = law.width if parameter.axes == "values" else 1
        made = LINKS[parameter.link](
            part.unflatten(-1, ((end - start) // width, width)), centre, scale
        )
        found.append(made.flatten(-2))
    wide = torch.promote_types(raw.dtype, scale.dtype)
    return torch.cat([part.to(wide) for part in found], dim=-1)


def expected(law: Law, parameters: Tensor) -> Tensor:
    """The point answer `[..., D]` from the parameters."""
    match law.traits.answer:
        case "first" | "middle":
            return parameters[..., law.middle : law.middle + 1]
        case "mean":
            shares, means, *_ = mixed(law, parameters)
            return (shares[..., None] * means).sum(dim=-2)
        case "median":
            scale, shape = parameters.split(1, dim=-1)
            found: Tensor = scale * (log(log(2)) / shape).exp()
            return found


def mixed(law: Law, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Weights `[..., M]`, means and deviations `[..., M, D]` and correlations `[..., M]` of a
    mixture."""
    many, wide = law.components, law.components * law.width
    sizes = [many, wide, wide, many] if law.correlated else [many, wide, wide]
    shares, means, deviations, *others = parameters.split(sizes, dim=-1)
    shape = (many, law.width)
    means, deviations = means.unflatten(-1, shape), deviations.unflatten(-1, shape)
    return shares, means, deviations, others[0] if others else None
