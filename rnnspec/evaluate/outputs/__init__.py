"""How each kind of output is evaluated: one record of functions a node type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnspec.evaluate.metrics import Metrics
from rnnspec.evaluate.outputs.classes import CLASSES, LABELS
from rnnspec.evaluate.outputs.kind import OutputKind
from rnnspec.evaluate.outputs.numbers import FORECASTS, NUMBERS
from rnnspec.evaluate.outputs.texts import TEXTS
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)

KINDS: Mapping[type[Output], OutputKind] = {
    ClassOutput: CLASSES,
    LabelsOutput: LABELS,
    NumericOutput: NUMBERS,
    TextOutput: TEXTS,
    ForecastOutput: FORECASTS,
}


def metrics_of(node: Output, loss: OutputLoss | None = None, new: Sequence[str] = ()) -> Metrics:
    """Fresh sums for an output. `new`: the labels of what is measured that no training row has."""
    found: Metrics = KINDS[type(node)].metrics(node, loss or OutputLoss(), new)
    return found
