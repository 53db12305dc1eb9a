"""`rnnspec evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Build, Builds, Json, examples

if TYPE_CHECKING:
    from rnnspec.train.score import ClassScore, Mistake, Scores

EXAMPLES = examples(
    "rnnspec evaluate",
    "rnnspec evaluate builds/dates-language --data dates/test.jsonl",
    "rnnspec evaluate --json",
)
SHOWN = 100
"""Most classes in the table; --json has them all."""


def evaluate(
    build: Build = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the columns of the training data, instead of the validation rows.",
        ),
    ] = None,
    as_json: Json = False,
    builds: Builds = BUILDS,
) -> None:
    """Measure the best weights of a build on rows kept out of training."""
    with loading():
        from rnnspec.train.folder import find_build, read_build
    trained = read_build(find_build(build, builds))
    with loading():
        from rnnspec.train.score import evaluate_build
    scores = evaluate_build(trained, data)
    folder = trained.folder.path
    print(_json(folder, scores) if as_json else _text(folder, scores))


def _text(folder: Path, scores: Scores) -> str:
    from rnnspec.cli.terminal import near, number, table

    kept = f", the {scores.share:g} of it kept for validation" if scores.share else ""
    metrics = [(name, number(value)) for name, value in scores.metrics.items()]
    parts = [
        f"{folder} on {near(scores.file)}{kept} ({scores.rows:,} rows)",
        table(("metric", "value"), metrics),
    ]
    for column, classes in scores.classes.items():
        parts.append(_classes(column, classes))
        if mistakes := scores.mistakes[column]:
            rows = [(m.label, m.answer, f"{m.rows:,}") for m in mistakes]
            parts.append(table((column, "mistaken for", "rows"), rows, left=2))
    return "\n\n".join(parts)


def _classes(column: str, classes: tuple[ClassScore, ...]) -> str:
    from rnnspec.cli.terminal import table

    shown = classes
    if len(classes) > SHOWN:
        shown = tuple(sorted(classes, key=lambda c: 2.0 if c.f1 is None else c.f1)[:SHOWN])
    rows = [
        (c.label, _share(c.precision), _share(c.recall), _share(c.f1), f"{c.rows:,}") for c in shown
    ]
    text = table((column, "precision", "recall", "F1", "rows"), rows)
    left = f"\n(the {SHOWN} of {len(classes):,} classes with the lowest F1; all with --json)"
    return text + (left if len(classes) > SHOWN else "")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _json(folder: Path, scores: Scores) -> str:
    import json

    def of_class(score: ClassScore) -> dict[str, Any]:
        shares = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
        return {"label": score.label, **shares, "rows": score.rows, "answered": score.answered}

    def of_mistake(mistake: Mistake) -> dict[str, Any]:
        return asdict(mistake)

    found = {
        "build": str(folder),
        "data": str(scores.file),
        "share": scores.share or None,
        "rows": scores.rows,
        "metrics": dict(scores.metrics),
        "classes": {name: list(map(of_class, of)) for name, of in scores.classes.items()},
        "mistakes": {name: list(map(of_mistake, of)) for name, of in scores.mistakes.items()},
    }
    return json.dumps(found, indent=2, ensure_ascii=False)
