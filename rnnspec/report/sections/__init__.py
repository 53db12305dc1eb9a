"""The kinds of sections: one function each draws what stands below a section's title."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rnnspec.report import model
from rnnspec.report.html import Html
from rnnspec.report.sections.alignment import aligned_examples
from rnnspec.report.sections.attention import attention
from rnnspec.report.sections.calibration import calibration
from rnnspec.report.sections.confusion import confusion_matrix
from rnnspec.report.sections.curves import curves
from rnnspec.report.sections.examples import examples, generated, note, tag_examples
from rnnspec.report.sections.forecast import forecast_plot, forecast_table
from rnnspec.report.sections.numbers import histogram, scatter
from rnnspec.report.sections.spans import span_examples
from rnnspec.report.sections.tables import class_table, metric_table, plain_table, series_table
from rnnspec.report.sections.trials import settings, shares, trial_table

SECTIONS: Mapping[type[Any], Callable[[Any], Html]] = {
    model.AlignedExamples: aligned_examples,
    model.Attention: attention,
    model.Calibration: calibration,
    model.ClassTable: class_table,
    model.ConfusionMatrix: confusion_matrix,
    model.Curves: curves,
    model.Examples: examples,
    model.ForecastPlot: forecast_plot,
    model.ForecastTable: forecast_table,
    model.Generated: generated,
    model.Histogram: histogram,
    model.MetricTable: metric_table,
    model.Note: note,
    model.Scatter: scatter,
    model.SeriesTable: series_table,
    model.Settings: settings,
    model.Shares: shares,
    model.SpanExamples: span_examples,
    model.Table: plain_table,
    model.TagExamples: tag_examples,
    model.TrialTable: trial_table,
}
"""What draws a section, by its class; `tests/test_report.py` holds it complete."""
