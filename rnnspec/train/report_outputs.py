"""The sections of a report that show one output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rnnspec.plan.nodes import ClassOutput, ForecastOutput, LabelsOutput
from rnnspec.report.model import (
    ClassRow,
    ClassTable,
    ConfusionMatrix,
    ForecastTable,
    Metric,
    MetricTable,
    Section,
)
from rnnspec.train.bands import promised
from rnnspec.train.metrics import LARGER_IS_BETTER
from rnnspec.train.report_words import EXPLAINED
from rnnspec.train.score import Scores
from rnnspec.train.score_outputs import OutputScore


def sections_of(scores: Scores) -> Iterator[Section]:
    """Tables and examples of every output; of several each title names its column."""
    for column, score in scores.outputs.items():
        for section in (*_tables(score), *score.sections):
            if len(scores.outputs) == 1:
                yield section
            else:
                yield replace(section, title=f"{column}: {section.title}")


def metric_tables(scores: Scores) -> Iterator[Section]:
    """All metrics of each output, beside those of its baseline."""
    for column, score in scores.outputs.items():
        rows = [_metric(name, value, score) for name, value in score.metrics.items()]
        title = "Metrics" if len(scores.outputs) == 1 else f"{column}: metrics"
        counted = "windows" if score.of == "windows" else "rows"
        about = f"On {scores.rows:,} {counted} of {scores.file.name}."
        yield MetricTable(title, tuple(rows), score.baseline_name or _greedy(score), about)


def _greedy(score: OutputScore) -> str:
    return "written greedily" if score.greedy else ""


def _metric(name: str, value: float, score: OutputScore) -> Metric:
    beside = {**score.greedy, **score.baseline}.get(name)
    better = None if name == "coverage" else name in LARGER_IS_BETTER
    about = EXPLAINED.get(name, "")
    if name == "coverage" and isinstance(score.node, ForecastOutput):
        about += f" A band of {promised(score.node):.0%} should hold as many."
    return Metric(name, value, about, beside, better)


def _tables(score: OutputScore) -> Iterator[Section]:
    if score.horizon:
        yield ForecastTable(
            "Back-test by step ahead",
            score.horizon,
            baseline=score.baseline_name or "baseline",
            text="Mean absolute error over all windows, each answered from its own past alone.",
        )
    if len(score.confusion) > 1:
        labels = tuple(each.label for each in score.classes)
        text = f"How many {score.of} of each class (left) were answered as which (above)."
        yield ConfusionMatrix("Confusion", labels, score.confusion, score.of, text)
    if score.classes:
        yield ClassTable(_title(score), _rows(score), score.of, _about(score))


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
    if isinstance(score.node, ClassOutput) and score.node.ahead:
        return "How often each token was the one that the model held most likely."
    return ""


def _rows(score: OutputScore) -> tuple[ClassRow, ...]:
    classes: Sequence[ClassRow] = [
        ClassRow(each.label, each.precision, each.recall, each.f1, each.rows)
        for each in score.classes
    ]
    return tuple(classes)
