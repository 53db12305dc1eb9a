"""How each kind of output is evaluated: one record of functions a node type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnspec.evaluate.examples import Rows
from rnnspec.evaluate.metrics import Metrics
from rnnspec.evaluate.outputs.classes import CLASSES, LABELS
from rnnspec.evaluate.outputs.kind import Examples, OutputKind, OutputScore
from rnnspec.evaluate.outputs.numbers import FORECASTS, NUMBERS
from rnnspec.evaluate.outputs.texts import TEXTS
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)
from rnnspec.to_torch import Model

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


def examples_of(node: Output, rows: Rows, model: Model, new: Sequence[str] = ()) -> Examples:
    """What keeps a few rows of an output; `new` as for `metrics_of`."""
    return KINDS[type(node)].examples(node, rows.facts.outputs[node.column], rows, model, new)


def output_score(
    node: Output, known: ColumnFacts, sums: Metrics, kept: Examples, new: Mapping[str, int]
) -> OutputScore:
    """The score of an output, from what was summed up and kept over all rows.

    `new`: the labels that no training row has, by number, and how often each occurs.
    """
    return KINDS[type(node)].score(node, known, sums, kept, new)
