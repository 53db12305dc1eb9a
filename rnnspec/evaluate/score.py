"""How well the weights of a build do on validation rows, or on another file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from rnnspec.builds.folder import CACHE, Trained
from rnnspec.data import Dataset, Reading, encode
from rnnspec.data.columns.new_labels import new_labels_note
from rnnspec.data.encode import Part
from rnnspec.data.shards import Shards, Sources, find_sources
from rnnspec.errors import DataError
from rnnspec.evaluate.by_series import SeriesFigures
from rnnspec.evaluate.evaluate import Seen, evaluate, evaluate_stream
from rnnspec.evaluate.examples_classes import ClassExamples, LabelsExamples, StepExamples
from rnnspec.evaluate.examples_next import NextExamples
from rnnspec.evaluate.examples_numbers import ForecastExamples, NumberExamples
from rnnspec.evaluate.examples_rows import Rows
from rnnspec.evaluate.examples_texts import TextExamples
from rnnspec.evaluate.lost import lost_answers
from rnnspec.evaluate.score_outputs import OutputScore, output_score
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan.facts import NumericFacts
from rnnspec.plan.names import names_of
from rnnspec.plan.nodes import (
    ClassOutput,
    ForecastOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    TextOutput,
)
from rnnspec.report.model import Section
from rnnspec.spec.files import Format, Quoting
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.threads import allowed_threads, computing_with


@dataclass(frozen=True, slots=True)
class Scores:
    """What `evaluate_build` found on `rows` rows of `files`.

    `share` is the part of them that was kept for validation, 0 for all. `metrics` are
    those of all outputs, with several outputs after their columns; `outputs` by column. `warnings`
    say which answers are no numbers.
    """

    files: Shards
    share: float
    rows: int
    metrics: Mapping[str, float]
    outputs: Mapping[str, OutputScore]
    warnings: tuple[str, ...] = ()


class Examples(Protocol):
    """Keeps a few rows of an output while all of them are measured."""

    def see(self, seen: Seen) -> None:
        """Take in a batch."""

    def sections(self) -> tuple[Section, ...]:
        """What a report shows of them."""


def evaluate_build(
    trained: Trained,
    file: Path | Shards | None = None,
    precision: Precision | None = None,
    sources: Sources | None = None,
    quoting: Quoting | None = None,
) -> Scores:
    """The metrics of the build's weights on `file`, or without one on the spec's validation rows.

    `sources` are the files of the spec, where they are found already; `quoting` is what quotes are
    in `file`, where that is not as the spec says. Texts are searched for as the
    spec says. With `train.window` rows are read as streams. Raises
    DataError for a file that is missing or lacks a column, and if the spec names no validation rows
    and `file` is None. A label that training never showed counts as wrong.
    """
    files, format, share = _rows(trained, file, sources)
    if quoting is not None and files.format(format) not in ("csv", "tsv"):
        raise DataError(f"{files}: is neither CSV nor TSV, which quoting is for; leave it out")
    settings, precision = trained.spec.train, precision or Precision()
    model = Model(trained.plan)
    model.load_canonical(trained.weights)
    model.to(precision.device, precision.weights)
    with computing_with(settings.threads or allowed_threads()), _cache(trained) as cache:
        part: Part = "valid" if share else "all"
        reading = Reading.of(trained.spec, format)
        reading = replace(reading, quoting=quoting or reading.quoting)
        data = encode(
            trained.plan, trained.facts, files, reading, cache, part, share, measured=True
        )
        unit = "row" if files.format(format) == "parquet" else "line"
        rows = Rows(trained.plan, trained.facts, data.lines, unit, files.short_names)
        new = {node.column: data.new.get(node.column, {}) for node in trained.plan.outputs}
        kept = {
            node.column: examples_of(node, rows, model, tuple(new[node.column]))
            for node in trained.plan.outputs
        }
        figures = dict(_by_series(trained, data))

        def see(seen: Seen) -> None:
            for each in kept.values():
                each.see(seen)
            for of_series in figures.values():
                of_series.see(seen)

        loss_settings = loss_settings_of(trained.spec, trained.facts)
        measure = evaluate if settings.window is None else evaluate_stream
        metrics, sums = measure(model, data, settings, loss_settings, precision=precision, see=see)
        with torch.inference_mode():
            outputs = {
                column: output_score(
                    node, trained.facts.outputs[column], sums[column], kept[column], new[column]
                )
                for column, node in ((node.column, node) for node in trained.plan.outputs)
            }
        for column, each in figures.items():
            outputs[column] = replace(outputs[column], series=each.rows())
        count = data.rows
    for column, score in outputs.items():
        prefix = "" if len(outputs) == 1 else f"{column}."
        metrics |= {prefix + name: value for name, value in score.metrics.items()}
    told = (
        new_labels_note(column, found, names_of(trained.facts.outputs[column]), files, share)
        for column, found in new.items()
        if found
    )
    return Scores(files, share, count, metrics, outputs, (*lost_answers(sums), *told))


def examples_of(node: Output, rows: Rows, model: Model, new: tuple[str, ...] = ()) -> Examples:
    """What keeps examples of an output; one kind a kind of output. `new` are labels that no
    training row has."""
    known = rows.facts.outputs[node.column]
    match node:
        case ClassOutput() if node.ahead:
            return NextExamples(node, names_of(known), model)
        case ClassOutput() if node.steps:
            return StepExamples(node, (*names_of(known), *new), rows)
        case ClassOutput():
            return ClassExamples(node, (*names_of(known), *new), rows)
        case LabelsOutput() if node.steps:
            return StepExamples(node, (*names_of(known), *new), rows)
        case LabelsOutput():
            return LabelsExamples(node, (*names_of(known), *new), rows)
        case NumericOutput():
            assert isinstance(known, NumericFacts)
            return NumberExamples(node, known, rows)
        case TextOutput():
            return TextExamples(node, names_of(known), rows, model)
        case ForecastOutput():
            return ForecastExamples(node, rows)


def _by_series(trained: Trained, data: Dataset) -> Iterator[tuple[str, SeriesFigures]]:
    """What sums up figures for each series, of outputs of numbers where there are several."""
    if data.series is None or len(data.series.names) < 2:
        return
    for node in trained.plan.outputs:
        known = trained.facts.outputs[node.column]
        if isinstance(node, NumericOutput | ForecastOutput):
            assert isinstance(known, NumericFacts)
            yield node.column, SeriesFigures(node, known, data.series.names)


def _rows(
    trained: Trained, file: Path | Shards | None, sources: Sources | None
) -> tuple[Shards, Format, float]:
    """Files, their format, and the share of their rows that is meant (0: all)."""
    data = trained.spec.data
    if file is not None:
        files = Shards.of(file)
        return files, _format(files, data.format), 0.0
    if data.valid is None:
        raise DataError(
            f"{trained.folder.path}: its spec names no validation rows; name a file with --data"
        )
    sources = sources or find_sources(data, trained.data_folder)
    assert sources.measured is not None, "data.valid names files or a share"
    return sources.measured, data.format, sources.share


def _format(files: Shards, of_spec: Format) -> Format:
    """By the endings of the names, where those say something, else as the spec has it."""
    try:
        return files.format()
    except DataError:
        return files.format(of_spec)


@contextmanager
def _cache(trained: Trained) -> Iterator[Path]:
    """The builds' own cache; for a build that was moved away from it, one for this time."""
    beside = trained.folder.path.resolve().parent.parent / CACHE
    if beside.is_dir():
        yield beside
    else:
        with tempfile.TemporaryDirectory(prefix="rnnspec-") as folder:
            yield Path(folder)
