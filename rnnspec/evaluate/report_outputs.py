"""The sections of a report that show one output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rnnspec.evaluate.metrics import LARGER_IS_BETTER
from rnnspec.evaluate.prediction_intervals import promised
from rnnspec.evaluate.report_words import EXPLAINED
from rnnspec.evaluate.score import Scores
from rnnspec.evaluate.score_outputs import ClassScore, OutputScore
from rnnspec.plan.nodes import ClassOutput, ForecastOutput, LabelsOutput, TextOutput
from rnnspec.report.model import (
    ClassRow,
    ClassTable,
    ConfusionMatrix,
    ForecastTable,
    Metric,
    MetricTable,
    Section,
    SeriesTable,
)
from rnnspec.report.words import plural


def sections_of(scores: Scores) -> Iterator[Section]:
    """Tables and examples of every output; of several each title names its column."""
    for column, score in scores.outputs.items():
        parts = [*_tables(score)], [*score.sections]
        if _ahead(score):  # what was written says more than how often each token was right
            parts = parts[::-1]
        for section in (*parts[0], *parts[1]):
            if len(scores.outputs) == 1:
                yield section
            else:
                yield replace(section, title=f"{column}: {section.title}")


def metric_tables(scores: Scores) -> Iterator[Section]:
    """All metrics of each output, beside those of its baseline."""
    for column, score in scores.outputs.items():
        rows = [_metric(name, value, score) for name, value in score.metrics.items()]
        if len(scores.outputs) == 1:
            rows.insert(0, Metric("loss", scores.metrics["loss"], _loss(score), None, False))
        title = "Metrics" if len(scores.outputs) == 1 else f"{column}: metrics"
        about = f"On {counted(scores, score)} of {scores.files.name}."
        yield MetricTable(title, tuple(rows), score.baseline_name or _greedy(score), about)


def counted(scores: Scores, score: OutputScore) -> str:
    """How much was measured: `500 rows`, `1 row with 9,000 steps`, `70 windows`."""
    if score.of == "windows":
        return plural(scores.rows, "windows")
    steps = sum(each.rows for each in score.classes) if isinstance(score.node, ClassOutput) else 0
    more = f" with {plural(steps, 'steps')}" if score.of == "steps" and steps else ""
    return plural(scores.rows, "rows") + more


def _ahead(score: OutputScore) -> bool:
    return isinstance(score.node, ClassOutput) and score.node.ahead


def _loss(score: OutputScore) -> str:
    if isinstance(score.node, ClassOutput | TextOutput):
        return "What training makes small: the mean surprise of a true answer, in nats."
    return EXPLAINED["loss"]


def _greedy(score: OutputScore) -> str:
    return "written greedily" if score.greedy else ""


def _metric(name: str, value: float, score: OutputScore) -> Metric:
    beside = {**score.greedy, **score.baseline}.get(name)
    better = None if name == "coverage" else name in LARGER_IS_BETTER
    about = EXPLAINED.get(name, "")
    if isinstance(score.node, TextOutput):
        about = about.replace("Tokens", score.node.kind.replace("chars", "characters").capitalize())
    if name == "coverage" and isinstance(score.node, ForecastOutput):
        about += f" A band of {100 * promised(score.node):.3g} % should hold as many."
    return Metric(name, value, about, beside, better)


def _tables(score: OutputScore) -> Iterator[Section]:
    if score.horizon:
        yield ForecastTable(
            "Back-test by step ahead",
            score.horizon,
            baseline=score.baseline_name or "baseline",
            text="Mean absolute error over all windows, each answered from its own past alone.",
        )
    if score.series:
        text = (
            "Mean absolute error of each series; MASE divides it by how much the series changes in"
        )
        text += " a season of its training rows."
        yield SeriesTable("Series", score.series, score.baseline_name or "baseline", text)
    if len(score.confusion) > 1:
        labels = tuple(each.label for each in score.classes)
        text = f"How many {score.of} of each class (left) were answered as which (above)."
        yield ConfusionMatrix("Confusion", labels, score.confusion, score.of, text)
    if score.classes:
        yield ClassTable(_title(score), _rows(score.classes), score.of, _about(score))
    if score.spans:
        about = "How often spans of each kind were found from their first step to their last."
        yield ClassTable("Spans", _rows(score.spans), "spans", about)


def _title(score: OutputScore) -> str:
    match score.node:
        case LabelsOutput():
            return "Labels"
        case ClassOutput(ahead=True):
            return "Tokens"
        case ClassOutput(steps=True):
            return "Tags"
    return "Classes"


def _about(score: OutputScore) -> str:
    if _ahead(score):
        return "How often each token was the one that the model held most likely."
    return ""


def _rows(classes: Sequence[ClassScore]) -> tuple[ClassRow, ...]:
    return tuple(
        ClassRow(each.label, each.precision, each.recall, each.f1, each.rows) for each in classes
    )
