"""Losses: what training makes small. One function each, listed in `LOSSES`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from rnnspec.plan.nodes import ClassOutput, Output
from rnnspec.to_torch.layers import ClassOutput as ClassPart
from rnnspec.to_torch.layers import NumericOutput as NumericPart

LossName = Literal["auto", "cross_entropy", "mse", "mae", "huber"]
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
}
"""Name to a function of scores and targets that gives the mean over the rows of a batch.

`cross_entropy` takes scores `[B, classes]` and class numbers `[B]`; the others take `[B, width]`
twice, in the scaled units that the model is trained in.
"""


def loss_of(
    node: Output, part: ClassPart | NumericPart, name: LossName
) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of one output, from its scores and the targets in the units of the data."""
    if isinstance(part, ClassPart):
        assert isinstance(node, ClassOutput) and name in ("auto", "cross_entropy")
        return F.cross_entropy
    function = LOSSES["mse" if name == "auto" else name]
    return lambda scores, target: function(scores, part.scale(target))
