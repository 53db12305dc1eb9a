"""How each kind of output is evaluated: one record of functions a node type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnspec.evaluate.metrics import Metrics
from rnnspec.evaluate.outputs.classes import CHAINS, CLASSES, LABELS
from rnnspec.evaluate.outputs.frames import FRAMES
from rnnspec.evaluate.outputs.kind import OutputKind
from rnnspec.evaluate.outputs.numbers import FORECASTS, NUMBERS
from rnnspec.evaluate.outputs.pointers import POINTERS
from rnnspec.evaluate.outputs.positions import POSITIONS
from rnnspec.evaluate.outputs.texts import ALIGNED_TEXTS, TEXTS, TRANSDUCED_TEXTS
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan import nodes

KINDS: Mapping[type[nodes.Output], OutputKind] = {
    nodes.ClassOutput: CLASSES,
    nodes.ChainOutput: CHAINS,
    nodes.LabelsOutput: LABELS,
    nodes.NumericOutput: NUMBERS,
    nodes.PositionOutput: POSITIONS,
    nodes.PointerOutput: POINTERS,
    nodes.TextOutput: TEXTS,
    nodes.CtcOutput: ALIGNED_TEXTS,
    nodes.TransducerOutput: TRANSDUCED_TEXTS,
    nodes.ForecastOutput: FORECASTS,
    nodes.FramesOutput: FRAMES,
}


def metrics_of(
    node: nodes.Output, loss: OutputLoss | None = None, new: Sequence[str] = ()
) -> Metrics:
    """Fresh sums for an output. `new`: the labels of what is measured that no training row has."""
    found: Metrics = KINDS[type(node)].metrics(node, loss or OutputLoss(), new)
    return found
