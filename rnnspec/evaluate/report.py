"""The content of a report: on a build, or on its weights measured on other data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rnnspec.evaluate.groups import Groups
from rnnspec.evaluate.metrics import MetricInfo, info_of
from rnnspec.evaluate.outputs import KINDS
from rnnspec.evaluate.outputs.kind import ClassScore, OutputScore
from rnnspec.evaluate.score import Scores
from rnnspec.files import write_text
from rnnspec.plan import weights
from rnnspec.plan.diagram import diagram, svg
from rnnspec.plan.nodes import ChainOutput, ClassOutput, Output
from rnnspec.report import Report, model, render
from rnnspec.report.words import number, plural
from rnnspec.spec.load import resolved_yaml
from rnnspec.spec.metrics import deciding_metric, monitored
from rnnspec.store.folder import Trained

Records = Sequence[Mapping[str, Any]]
"""The lines of metrics.jsonl."""
READ_AS = {
    "1:1": "one vector to one answer",
    "1:N": "one row to a sequence",
    "N:1": "a sequence to one answer",
    "N:N": "an answer at each step",
    "N:M": "a sequence to another sequence",
}
MOST_SHOWN = 5
"""Most metrics of groups in a table; all are in the CSV."""
NO_ROWS = (
    "The spec names no validation rows, so nothing was measured on rows that training did not see."
    " Set data.valid to a file or to a share of the rows, or measure on another file with:"
    " rnnspec evaluate --data FILE --report report.html"
)


def write_report(trained: Trained, scores: Scores | None, path: Path) -> None:
    """Write the report to `path`, whole or not at all. Raises OutputError if it cannot be."""
    write_text(path, render(report_of(trained, scores)))


def report_of(trained: Trained, scores: Scores | None) -> Report:
    """The content of a report; `scores`: of the data it is about, None without any."""
    state, records = trained.folder.read_state(), list(trained.folder.records())
    sections: list[model.Section] = []
    if scores is None:
        sections.append(model.Note("No validation rows", NO_ROWS))
    else:
        sections += _metric_tables(scores)
    if scores is not None and scores.groups is not None:
        sections.append(_groups(scores.groups, trained))
    if records:
        sections.append(_curves(trained, records, state.get("best_epoch")))
    if scores is not None:
        sections += _output_sections(scores)
    return Report(
        trained.spec.name,
        tuple(_about(trained, state, scores)),
        tuple(_summary(trained, scores, records, state)),
        tuple(dict.fromkeys((*state.get("warnings", ()), *(scores.warnings if scores else ())))),
        tuple(sections),
        svg(diagram(trained.plan)),
        resolved_yaml(trained.spec),
        tuple(state.get("notes", ())),
    )


def _about(trained: Trained, state: Mapping[str, Any], scores: Scores | None) -> Iterator[str]:
    cardinality = trained.spec.cardinality
    yield f"{cardinality}, {READ_AS[cardinality]}"
    yield f"built {datetime.fromisoformat(state['begun']):%-d %B %Y} in {trained.folder.path}"
    if trained.which == "last":
        yield "measured with the weights that training ended with"
    if scores is not None:
        kept = f" (the {100 * scores.share:.3g} % kept for validation)" if scores.share else ""
        first = next(iter(scores.outputs.values()))
        yield f"measured on {scores.files.name}{kept}, {counted(scores, first)}"
    yield f"rnnspec {state['rnnspec']}, torch {state['torch']}"


def _summary(
    trained: Trained, scores: Scores | None, records: Records, state: Mapping[str, Any]
) -> Iterator[model.Figure]:
    if scores is not None:
        most = 3 if len(scores.outputs) == 1 else 2
        for column, score in scores.outputs.items():
            named = [name for name in _main_metrics(score.node) if name in score.metrics][:most]
            for name in named:
                title = name.replace("_", " ")
                title = title if len(scores.outputs) == 1 else f"{column}: {title}"
                note = ""
                if name in score.baseline:
                    note = f"{score.baseline_name}: {_value_text(name, score.baseline[name])}"
                yield model.Figure(title, _value_text(name, score.metrics[name]), note)
    count = sum(weight.size for weight in weights(trained.plan))
    rows = plural(trained.facts.rows, "rows" if trained.spec.data.series is None else "windows")
    yield model.Figure("weights", f"{count:,}", f"trained on {rows}")
    if records:
        epochs = max(int(record["epoch"]) for record in records)
        speed = records[-1].get("tokens_per_second") or records[-1].get("rows_per_second")
        notes = []
        if trained.spec.data.valid is not None:
            notes = [f"by {_decided_by(monitored(trained.spec), records, state.get('best_epoch'))}"]
        notes += [f"at {speed:,.0f} steps a second"] if speed else []
        best = f"{state.get('best_epoch', epochs)} of {epochs}"
        yield model.Figure("best epoch", best, ", ".join(notes))


def _decided_by(monitor: str, records: Records, best_epoch: int | None) -> str:
    best = next((each for each in records if each["epoch"] == best_epoch), {})
    value = best.get(f"valid.{monitor}", 0.0)
    return deciding_metric(monitor, {monitor: math.nan if value is None else float(value)})


def _curves(trained: Trained, records: Records, best: int | None) -> model.Curves:
    """Loss, the metrics that matter most, and the learning rate where it changes."""
    charts = [model.Chart("loss", _lines(records, "train.loss", "valid.loss"), "", False)]
    for node in trained.plan.targets:
        prefix = "" if len(trained.plan.targets) == 1 else f"{node.column}."
        for name in _main_metrics(node):
            lines = _lines(records, f"train.{prefix}{name}", f"valid.{prefix}{name}")
            if lines:
                charts.append(model.Chart(prefix + name, lines, "", _info(name).larger_is_better))
    rates = [record.get("lr") for record in records]
    if len(set(rates)) > 1:
        charts.append(model.Chart("learning rate", (model.Series("lr", tuple(rates)),)))
    text = "Each epoch's mean while training, and what was measured after it on validation rows."
    return model.Curves("Training", tuple(charts), best, int(records[0]["epoch"]), text)


def _lines(records: Records, *keys: str) -> tuple[model.Series, ...]:
    """The series that there are, named by the rows they were measured on."""
    return tuple(
        model.Series(key.partition(".")[0], tuple(record.get(key) for record in records))
        for key in keys
        if any(key in record for record in records)
    )


def _main_metrics(node: Output) -> tuple[str, ...]:
    """The metrics of an output that matter most, the first one most."""
    return KINDS[type(node)].main_metrics(node)


def _info(metric: str) -> MetricInfo:
    info = info_of(metric)
    assert info is not None, f"{metric} is measured"
    return info


def _value_text(metric: str, value: float) -> str:
    """`93.8 %` or `0.0123`."""
    if value != value:
        return "not a number"
    if _info(metric).percentage:
        text = f"{100 * value:.1f} %"
    else:
        text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return text.replace("-", "\u2212")


# ---------------------------------------------------------------- sections of one output


def _output_sections(scores: Scores) -> Iterator[model.Section]:
    """Tables and examples of every output; of several each title names its column."""
    for column, score in scores.outputs.items():
        found = [*_tables(score), *score.sections]
        if _ahead(score):  # what was written says more than how often each token was right
            found = [*score.sections, *_tables(score)]
        prefix = "" if len(scores.outputs) == 1 else f"{column}: "
        yield from (replace(section, title=prefix + section.title) for section in found)


def _metric_tables(scores: Scores) -> Iterator[model.Section]:
    """All metrics of each output, beside its baseline."""
    for column, score in scores.outputs.items():
        rows = [_metric(name, value, score) for name, value in score.metrics.items()]
        if len(scores.outputs) == 1:
            rows.insert(0, _metric("loss", scores.metrics["loss"], score))
        other = score.baseline_name or ("written greedily" if score.greedy else "")
        title = "Metrics" if len(scores.outputs) == 1 else f"{column}: metrics"
        about = f"On {counted(scores, score)} of {scores.files.name}."
        yield model.MetricTable(title, tuple(rows), other, about)


def _groups(groups: Groups, trained: Trained) -> model.Section:
    """The main metrics of each group, the worst first."""
    names = group_metrics(groups, trained)
    rows = (
        (score.name, f"{score.rows:,}", *(number(score.metrics.get(n)) for n in names))
        for score in groups.scores
    )
    text = f"The metrics of the rows of each value of {groups.column}, the worst {groups.metric}"
    head = (groups.column, "rows", *names)
    return model.Table(f"By {groups.column}", head, tuple(rows), text=f"{text} first.")


def group_metrics(groups: Groups, trained: Trained) -> tuple[str, ...]:
    """The metrics of groups that are shown: the one that they are ordered by, then the main ones of
    each output, and those that are named."""
    several = len(trained.plan.targets) > 1
    main = (
        f"{node.column}.{name}" if several else name
        for node in trained.plan.targets
        for name in _main_metrics(node)
    )
    there = groups.scores[0].metrics
    shown = [name for name in (*main, *trained.spec.train.metrics) if name in there]
    return tuple(dict.fromkeys((groups.metric, *shown[:MOST_SHOWN])))


def counted(scores: Scores, score: OutputScore) -> str:
    """How much was measured: `500 rows`, `1 row with 9,000 steps`, `70 windows`."""
    if score.of == "windows":
        return plural(scores.rows, "windows")
    classes = score.classes if isinstance(score.node, ClassOutput | ChainOutput) else ()
    steps = sum(each.rows for each in classes)
    more = f" with {plural(steps, 'steps')}" if score.of == "steps" and steps else ""
    return plural(scores.rows, "rows") + more


def _ahead(score: OutputScore) -> bool:
    return isinstance(score.node, ClassOutput) and score.node.ahead


def _metric(name: str, value: float, score: OutputScore) -> model.Metric:
    info, beside = _info(name), {**score.greedy, **score.baseline}.get(name)
    better = None if name.startswith("coverage") else info.larger_is_better
    explained = KINDS[type(score.node)].explained(score.node)
    return model.Metric(name, value, explained.get(name, info.explanation), beside, better)


def _tables(score: OutputScore) -> Iterator[model.Section]:
    if score.horizon:
        yield model.ForecastTable(
            "Back-test by step ahead",
            score.horizon,
            baseline=score.baseline_name or "baseline",
            text="Mean absolute error over all windows, each answered from its own past alone.",
        )
    if score.series:
        text = (
            "Mean absolute error of each series; MASE divides it by how much the series changes in"
            " a season of its training rows."
        )
        yield model.SeriesTable("Series", score.series, score.baseline_name or "baseline", text)
    if len(score.confusion) > 1:
        labels = tuple(each.label for each in score.classes)
        text = f"How many {score.of} of each class (left) were answered as which (above)."
        yield model.ConfusionMatrix("Confusion", labels, score.confusion, score.of, text)
    if score.classes:
        about = ""
        if _ahead(score):
            about = "How often each token was the one that the model held most likely."
        yield model.ClassTable(score.classes_title, _rows(score.classes), score.of, about)
    if score.calibration is not None and score.calibration.bins:
        yield score.calibration
    if score.spans:
        about = "How often spans of each kind were found from their first step to their last."
        yield model.ClassTable("Spans", _rows(score.spans), "spans", about)


def _rows(classes: Sequence[ClassScore]) -> tuple[model.ClassRow, ...]:
    return tuple(
        model.ClassRow(each.label, each.precision, each.recall, each.f1, each.rows)
        for each in classes
    )
