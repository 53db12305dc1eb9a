"""What a report says: frozen values, filled by whoever measured them and drawn by `render`.

Texts are plain: whatever comes from data is escaped, cut and made visible where it is drawn. A
number that was not measured is None; NaN and infinities are drawn as what they are. Series that
belong together have one value a step, and `render` raises ValueError where their lengths differ.

Every section has a `title` (two may have the same) and a `text`, one or two sentences on what
is seen; both are plain. An empty section is drawn with a sentence that says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.report.model.examples import (
    AlignedExample,
    AlignedExamples,
    Example,
    Examples,
    Generated,
    Generation,
    Marked,
    Stretch,
)
from rnnspec.report.model.figures import Chart, Curves, Figure, Metric, MetricTable, Series, Value
from rnnspec.report.model.labels import (
    ClassRow,
    ClassTable,
    ConfusionMatrix,
    Span,
    SpanExample,
    SpanExamples,
    TagExample,
    TagExamples,
)
from rnnspec.report.model.numbers import (
    Calibration,
    CalibrationBin,
    Counts,
    ForecastPlot,
    ForecastTable,
    ForecastWindow,
    Histogram,
    HorizonRow,
    Scatter,
    SeriesRow,
    SeriesTable,
)
from rnnspec.report.model.plain import Attention, AttentionMap, Note, Table
from rnnspec.report.model.trials import Setting, Settings, Shares, Trial, TrialTable

__all__ = [
    "AlignedExample",
    "AlignedExamples",
    "Attention",
    "AttentionMap",
    "Calibration",
    "CalibrationBin",
    "Chart",
    "ClassRow",
    "ClassTable",
    "ConfusionMatrix",
    "Counts",
    "Curves",
    "Example",
    "Examples",
    "Figure",
    "ForecastPlot",
    "ForecastTable",
    "ForecastWindow",
    "Generated",
    "Generation",
    "Histogram",
    "HorizonRow",
    "Marked",
    "Metric",
    "MetricTable",
    "Note",
    "Report",
    "Scatter",
    "Section",
    "Series",
    "SeriesRow",
    "SeriesTable",
    "Setting",
    "Settings",
    "Shares",
    "Span",
    "SpanExample",
    "SpanExamples",
    "Stretch",
    "Table",
    "TagExample",
    "TagExamples",
    "Trial",
    "TrialTable",
    "Value",
]

Section = (
    Curves
    | MetricTable
    | ClassTable
    | ConfusionMatrix
    | TagExamples
    | SpanExamples
    | Examples
    | AlignedExamples
    | Generated
    | ForecastPlot
    | ForecastTable
    | SeriesTable
    | Scatter
    | Calibration
    | Histogram
    | Attention
    | TrialTable
    | Shares
    | Settings
    | Table
    | Note
)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report, in the order in which it is read.

    `subtitle` holds cardinality, date and versions, each a text; `summary` the few numbers that
    matter; `diagram` is SVG as `rnnspec.plan.diagram.svg` writes it, the one text that is taken as
    markup; `spec` is the resolved spec; `notes` what is worth knowing of the data.
    """

    title: str
    subtitle: tuple[str, ...] = ()
    summary: tuple[Figure, ...] = ()
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    diagram: str = ""
    spec: str = ""
    notes: tuple[str, ...] = ()
