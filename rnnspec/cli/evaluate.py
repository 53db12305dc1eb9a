"""`rnnspec evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import (
    BUILDS,
    Build,
    Builds,
    FormatOption,
    Json,
    QueryOption,
    QuotingOption,
    Weights,
    check_files_of_data,
    examples,
    format_of,
)
from rnnspec.cli.terminal import near, number, table
from rnnspec.errors import DataError, RnnspecError
from rnnspec.files import FIGURES, REPORT, check_output, json_text, write_text

if TYPE_CHECKING:
    from rnnspec.data.perplexity import Perplexity
    from rnnspec.evaluate.groups import Groups
    from rnnspec.evaluate.outputs.kind import ClassScore, OutputScore
    from rnnspec.evaluate.score import Scores
    from rnnspec.store.folder import Trained, Which

EXAMPLES = examples(
    "rnnspec evaluate",
    "rnnspec evaluate builds/dates-language --data dates/test.jsonl",
    "rnnspec evaluate --data 'logs/test-*.jsonl.gz'",
    "rnnspec evaluate --weights last --json",
    "rnnspec evaluate --metric auroc --metric ece",
    "rnnspec evaluate --by shop --figures shops.csv",
    "rnnspec evaluate --data test.jsonl --report test.html",
    "rnnspec evaluate --windows 'every 24' --output forecasts.csv",
    "rnnspec evaluate builds/shakespeare --text hamlet.txt",
    "rnnspec evaluate shakespeare.onnx --text hamlet.txt",
)
SHOWN = 100
"""Most classes in the table; --json has them all."""
SERIES = 20
"""Most series, or groups, in the table."""
STEPS = 12
"""Most steps ahead in the table."""


def evaluate(
    build: Build = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="A file with the columns of the training data, instead of the validation rows; "
            "or a folder of files, or a pattern in quotes; may be given again.",
        ),
    ] = None,
    quoting: QuotingOption = None,
    format: FormatOption = None,
    query: QueryOption = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also measure this metric, by a name as in train.metrics, like auroc or "
            "recall@20; may be given again.",
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            metavar="last | 'every K' | N",
            help="Of forecasts, which windows of each series are measured: the last one, those K "
            "steps apart, counted back from it, or the last N, a horizon apart; all without it.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the forecasts, a row for each step ahead of each window: JSON lines, "
            "CSV or Parquet by the ending of the name.",
        ),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Measure a language model on this file, a text of its own: its perplexity, and "
            "bits for each token, character and byte. BUILD may be an exported file.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Also measure the rows of each value of this column, or of each series by the "
            "column of data.series.id, the worst first.",
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write all metrics of each group of --by as CSV to this file."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a report, one HTML file, to this file."),
    ] = None,
    weights: Weights = "best",
    as_json: Json = False,
    builds: Builds = BUILDS,
) -> None:
    """Measure the weights of a build on rows kept out of training."""
    if text is not None:
        if any((data, metric, windows, by, report, output, figures)):
            raise RnnspecError(
                "--text measures a text alone; leave out --data, --metric, --windows, --by,"
                " --figures, --output and --report"
            )
        print(_of_text(build, text, weights, builds, as_json))
        return
    if build is not None and build.suffix == ".onnx":
        raise RnnspecError(
            f"{build}: of an exported file --text alone is measured; name the build it was made of"
        )
    _check_written(report, output, figures, by)
    check_files_of_data(data, quoting, format, query)
    with loading():
        from rnnspec.store.folder import find_build, read_build
    trained = read_build(find_build(build, builds), weights)
    with loading():
        from rnnspec.data.shards import find_shards
        from rnnspec.evaluate.score import evaluate_build
    files = find_shards(data, query=query) if data else None
    scores = evaluate_build(
        trained,
        files,
        quoting=quoting,
        format=format_of(format),
        metrics=metric or (),
        windows=windows,
        forecasts=output,
        by=by or "",
    )
    if figures is not None and scores.groups is not None:
        write_text(figures, scores.groups.csv())
    if report is not None:
        from rnnspec.evaluate.report import write_report

        write_report(trained, scores, report)
    files_written = [each for each in (report, figures, output) if each is not None]
    print(_json(trained, scores) if as_json else _text(trained, scores, files_written))


def _check_written(
    report: Path | None, forecasts: Path | None, figures: Path | None, by: str | None
) -> None:
    """Raises RnnspecError for a file that could not be written at the end."""
    if report is not None:
        check_output(report, REPORT)
    if forecasts is not None:
        from rnnspec.run.tables import forecasts_path

        forecasts_path(forecasts)
    if figures is not None:
        check_output(figures, FIGURES)
        if by is None:
            raise RnnspecError("--figures writes the groups of --by; name a column with --by")


def _of_text(build: Path | None, file: Path, weights: Which, builds: Path, as_json: bool) -> str:
    """What a text costs a build or, without torch, an exported file."""
    with loading():
        from rnnspec.data.perplexity import read_text
    text = read_text(file)
    try:
        name, found = _perplexity(build, text, weights, builds)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    counts = {key: getattr(found, key) for key in ("tokens", "unknown", "characters", "bytes")}
    if as_json:
        about = {"model": name, "text": str(file)}
        return json_text({**about, **counts, "metrics": found.values()}, indent=2)
    rows = [(metric.replace("_", " "), number(v)) for metric, v in found.values().items()]
    lines = [f"{name} on {near(file)} ({found.tokens:,} tokens answered)"]
    if found.unknown:
        share = f"{found.unknown:,} of them, {found.unknown / found.tokens:.2%},"
        lines.append(f"{share} are not in the vocabulary and count as the unknown")
    return "\n\n".join([*lines, table(("metric", "value"), rows)])


def _perplexity(
    build: Path | None, text: str, weights: Which, builds: Path
) -> tuple[str, Perplexity]:
    if build is not None and build.suffix == ".onnx":
        if weights != "best":
            raise RnnspecError("--weights is for a build; leave it out")
        from rnnspec.run.model import Model
        from rnnspec.run.perplexity import perplexity_of as of_file

        return str(near(build)), of_file(Model.load(build), text)
    with loading():
        from rnnspec.evaluate.perplexity import perplexity_of
        from rnnspec.store.folder import find_build, read_build
    trained = read_build(find_build(build, builds), weights)
    return str(trained.folder.path), perplexity_of(trained, text)


def _text(trained: Trained, scores: Scores, written: Sequence[Path]) -> str:
    from rnnspec.evaluate.report import counted

    kept = f", the {scores.share:g} of it kept for validation" if scores.share else ""
    of = counted(scores, next(iter(scores.outputs.values())))
    files = f"{near(scores.files.named)}{scores.files.and_others}"
    named = f"{trained.folder.path}{', its last weights,' if trained.which == 'last' else ''}"
    parts = [f"{named} on {files}{kept} ({of})"]
    parts += [f"warning: {warning}" for warning in scores.warnings]
    parts.append(_metrics(scores))
    for column, score in scores.outputs.items():
        if score.classes and not _ahead(score):
            parts.append(_classes(column, score.classes, score.of))
        if score.spans:
            parts.append(_classes(f"spans of {column}", score.spans, "spans"))
        if score.mistakes and not _ahead(score):
            rows = [(m.label, m.answer, f"{m.rows:,}") for m in score.mistakes]
            parts.append(table((column, "mistaken for", score.of), rows, left=2))
        if score.horizon:
            parts.append(_horizon(column, score))
        if score.series:
            parts.append(_series(column, score))
    if scores.groups is not None:
        parts.append(_groups(trained, scores.groups))
    parts += [f"wrote {near(file)}" for file in written]
    return "\n\n".join(parts)


def _metrics(scores: Scores) -> str:
    """Metrics, beside the metrics of the baseline and of greedy texts if there are any."""
    others: dict[str, dict[str, float]] = {}
    for column, score in scores.outputs.items():
        prefix = "" if len(scores.outputs) == 1 else f"{column}."
        for name, values in ((score.baseline_name, score.baseline), ("greedy", score.greedy)):
            for metric, value in values.items():
                others.setdefault(name, {})[prefix + metric] = value
    rows = []
    for metric, value in scores.metrics.items():
        beside = (number(v[metric]) if metric in v else "" for v in others.values())
        rows.append((metric, number(value), *beside))
    return table(("metric", "value", *others), rows)


def _ahead(score: OutputScore) -> bool:
    return bool(getattr(score.node, "ahead", False))


def _classes(head: str, classes: tuple[ClassScore, ...], of: str) -> str:
    shown = classes
    if len(classes) > SHOWN:
        shown = tuple(sorted(classes, key=lambda c: 2.0 if c.f1 is None else c.f1)[:SHOWN])
    rows = [(c.label, *map(_share, (c.precision, c.recall, c.f1)), f"{c.rows:,}") for c in shown]
    text = table((head, "precision", "recall", "F1", of), rows)
    left = f"\n(the {SHOWN} of {len(classes):,} classes with the lowest F1; all with --json)"
    return text + (left if len(classes) > SHOWN else "")


def _horizon(column: str, score: OutputScore) -> str:
    shown = score.horizon
    if len(shown) > STEPS:
        at = {round(n * (len(shown) - 1) / (STEPS - 1)) for n in range(STEPS)}
        shown = tuple(shown[n] for n in sorted(at))
    named = bool(score.baseline_name)
    rows = [(str(r.step), _number(r.error), *([_number(r.baseline)] * named)) for r in shown]
    head = (f"steps ahead of {column}", "mae", *([score.baseline_name] * named))
    left = f"\n({len(shown)} of {len(score.horizon)} steps; all with --json)"
    return table(head, rows) + (left if len(shown) < len(score.horizon) else "")


def _series(column: str, score: OutputScore) -> str:
    from rnnspec.report.sections.tables import worst_first

    shown = sorted(score.series, key=worst_first)[:SERIES]
    rows = [
        (r.name, *map(_number, (r.skill, r.error, r.baseline, r.scaled)), f"{r.values:,}")
        for r in shown
    ]
    head = (f"series of {column}", "skill", "mae", score.baseline_name, "mase", "values")
    count = f"{SERIES} of {len(score.series):,}"
    left = f"\n(the {count} series with the lowest skill; all with --json)"
    return table(head, rows) + (left if len(shown) < len(score.series) else "")


def _groups(trained: Trained, groups: Groups) -> str:
    from rnnspec.evaluate.report import group_metrics

    names, shown = group_metrics(groups, trained), groups.scores[:SERIES]
    rows = [(s.name, f"{s.rows:,}", *(number(s.metrics[name]) for name in names)) for s in shown]
    count = f"{SERIES} of {len(groups.scores):,}"
    left = f"\n(the {count} groups with the worst {groups.metric}; all with --figures FILE)"
    text = table((groups.column, "rows", *names), rows)
    return text + (left if len(shown) < len(groups.scores) else "")


def _number(value: float | None) -> str:
    return "-" if value is None else number(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _json(trained: Trained, scores: Scores) -> str:
    from rnnspec.report.model import Examples, SpanExamples, TagExamples
    from rnnspec.spec.metrics import monitored

    def of_class(score: ClassScore) -> dict[str, Any]:
        shares = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
        return {"label": score.label, **shares, "rows": score.rows, "answered": score.answered}

    def of_spans(score: ClassScore) -> dict[str, Any]:
        names = {"label": "kind", "rows": "spans"}
        return {names.get(name, name): value for name, value in of_class(score).items()}

    def of_examples(score: OutputScore) -> list[dict[str, Any]]:
        found = [
            asdict(example)
            for section in score.sections
            if isinstance(section, Examples | TagExamples)
            for example in section.examples
        ]
        for section in score.sections:
            if isinstance(section, SpanExamples):
                found += [asdict(each.tags) for each in section.examples if each.tags is not None]
        drawn = ("picture", "marked")  # what the page shows of a row, which is no text
        return [{k: v for k, v in each.items() if k not in drawn} for each in found]

    def of_outputs(function: Callable[[OutputScore], object]) -> dict[str, object]:
        found = {column: function(score) for column, score in scores.outputs.items()}
        return {column: value for column, value in found.items() if value}

    found = {
        "build": str(trained.folder.path),
        "weights": trained.which,
        "data": str(scores.files),
        "share": scores.share or None,
        "rows": scores.rows,
        "monitor": monitored(trained.spec),
        "warnings": list(scores.warnings),
        "metrics": dict(scores.metrics),
        "new_labels": of_outputs(lambda s: dict(s.new)),
        "baseline": of_outputs(
            lambda s: {"name": s.baseline_name, "metrics": dict(s.baseline)} if s.baseline else None
        ),
        "greedy": of_outputs(lambda s: dict(s.greedy)),
        "classes": of_outputs(lambda s: list(map(of_class, s.classes))),
        "spans": of_outputs(lambda s: list(map(of_spans, s.spans))),
        "mistakes": of_outputs(lambda s: [asdict(mistake) for mistake in s.mistakes]),
        "calibration": of_outputs(
            lambda s: (
                s.calibration
                and {"error": s.calibration.error, "bins": [asdict(b) for b in s.calibration.bins]}
            )
        ),
        "horizon": of_outputs(lambda s: [asdict(row) for row in s.horizon]),
        "series": of_outputs(lambda s: [asdict(row) for row in s.series]),
        "examples": of_outputs(of_examples),
        "groups": [asdict(each) for each in scores.groups.scores] if scores.groups else [],
    }
    return json_text(found, indent=2)
