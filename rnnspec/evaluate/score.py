"""How well the weights of a build do on validation rows, or on another file."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import torch

from rnnspec.data import Dataset, Reading, encode
from rnnspec.data.column_names import column_names
from rnnspec.data.columns.new_labels import new_labels_note
from rnnspec.data.encode import Part
from rnnspec.data.readers import unit_of
from rnnspec.data.shards import Shards, Sources, find_sources
from rnnspec.errors import DataError, RnnspecError
from rnnspec.evaluate.anomalies import anomalous_rows
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.evaluate.examples import Rows
from rnnspec.evaluate.groups import Groups, measured_groups
from rnnspec.evaluate.metrics import Metrics, not_finite_warnings
from rnnspec.evaluate.monitor import validate
from rnnspec.evaluate.outputs import KINDS
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputScore
from rnnspec.evaluate.outputs.named_metrics import (
    calibration_of,
    calibrations,
    named_metrics_of,
    named_values,
)
from rnnspec.evaluate.outputs.numbers import SeriesErrors
from rnnspec.evaluate.rolling import Forecasts, forecasts_file, only, windows_of
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan.facts import NumericFacts
from rnnspec.plan.names import names_of
from rnnspec.plan.nodes import ForecastOutput, NumericOutput
from rnnspec.spec.files import FormatName, Quoting
from rnnspec.spec.formats import FormatSettings
from rnnspec.spec.metrics import kinds_of, monitored
from rnnspec.spec.named_metrics import is_measurable, meant_metric, named_further
from rnnspec.store.folder import CACHE, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.threads import allowed_threads, computing_with


@dataclass(frozen=True, slots=True)
class Scores:
    """What `evaluate_build` found on `rows` rows of `files`.

    `share`: the part of them that was kept for validation, 0 for all. `metrics`: of all outputs;
    with several outputs their names start with the column. `outputs` by column. `warnings`: which
    answers are not finite, and which labels are new. `groups`, where a column makes some.
    """

    files: Shards
    share: float
    rows: int
    metrics: Mapping[str, float]
    outputs: Mapping[str, OutputScore]
    warnings: tuple[str, ...] = ()
    groups: Groups | None = None


def evaluate_build(
    trained: Trained,
    file: Path | Shards | None = None,
    precision: Precision | None = None,
    sources: Sources | None = None,
    quoting: Quoting | None = None,
    format: FormatName | FormatSettings | None = None,
    metrics: Sequence[str] = (),
    windows: str | None = None,
    forecasts: Path | None = None,
    by: str = "",
) -> Scores:
    """The scores of the build's weights on `file`, or without one on the spec's validation rows.

    `sources`: the files of the spec, where they are found already. `quoting`: what quotes are in
    `file`, and `format` its format, where that is not as the spec says. `metrics`: further ones, by
    names as in `train.metrics`. Texts are searched for as the spec says. With `train.window` rows
    are read as streams. Of forecasts `windows` says which are measured (`rolling.windows_of`), and
    they are written to the file `forecasts`. `by`: a column whose values make groups, each of which
    is measured too. A label that training never showed counts as wrong.

    Raises DataError for a file that is missing or lacks a column, and if the spec names no
    validation rows and `file` is None.
    """
    further = _named(trained, metrics)
    files, reading, share = _rows(trained, file, sources, format)
    if quoting is not None and reading.format not in ("csv", "tsv"):
        raise DataError(f"{files}: is neither CSV nor TSV, which quoting is for; leave it out")
    settings, precision = trained.spec.train, precision or Precision()
    model = Model(trained.plan)
    model.load_canonical(trained.weights)
    model.to(precision.device, precision.weights)
    with computing_with(settings.threads or allowed_threads()), _cache(trained) as cache:
        part: Part = "valid" if share else "all"
        reading = replace(reading, quoting=quoting or reading.quoting)
        reading, unweighted = _with_weights(files, reading)
        data = encode(
            trained.plan, trained.facts, files, reading, cache, part, share, measured=True
        )
        data = data if windows is None else only(data, windows_of(windows, trained.plan))
        unit = unit_of(files.format(reading.format))
        names = files.short_names
        anomalous, lacking = anomalous_rows(trained.spec, files, reading, data.lines)
        in_folders = files.in_folders
        rows = Rows(trained.plan, trained.facts, data.lines, unit, names, in_folders, anomalous)
        with _written(trained, model, data, files, reading, forecasts) as written:
            found, sums, outputs = _scored(trained, model, data, rows, precision, further, written)
        count = data.rows
        groups = None
        if by:
            measure = partial(_measured, trained, model, precision, further)
            monitor = monitored(trained.spec)
            groups = measured_groups(by, data, (reading, files), measure, trained.plan, monitor)
    for column, score in outputs.items():
        prefix = "" if len(outputs) == 1 else f"{column}."
        found |= {prefix + name: value for name, value in score.metrics.items()}
    new_labels = (
        new_labels_note(column, new, names_of(trained.facts.outputs[column]), files, share)
        for column in outputs
        if (new := data.new.get(column))
    )
    warnings = (*not_finite_warnings(sums), *new_labels, *lacking, *unweighted)
    return Scores(files, share, count, found, outputs, warnings, groups)


def _measured(
    trained: Trained,
    model: Model,
    precision: Precision,
    named: Mapping[str, Sequence[str]],
    data: Dataset,
) -> dict[str, float]:
    """The metrics of some rows."""
    settings = loss_settings_of(trained.spec, trained.facts)
    train = trained.spec.train
    return validate(model, data, train, settings, precision, named=named, greedy=False)[0]


@contextmanager
def validation_rows(trained: Trained) -> Iterator[Dataset]:
    """The validation rows of a build. Raises DataError if its spec names none, or if their files
    are not there."""
    files, reading, share = _rows(trained, None, None)
    part: Part = "valid" if share else "all"
    with _cache(trained) as cache:
        yield encode(trained.plan, trained.facts, files, reading, cache, part, share, measured=True)


def _named(trained: Trained, metrics: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The further metrics by column. Raises RnnspecError for one that cannot be measured."""
    for name in metrics:
        if not is_measurable(trained.spec, name):
            kinds, meant = kinds_of(trained.spec), meant_metric(trained.spec, name)
            raise RnnspecError(f"metric {name!r} is not measured for 'as: {kinds}'; {meant}")
    return named_further(trained.spec, metrics)


def _scored(
    trained: Trained,
    model: Model,
    data: Dataset,
    rows: Rows,
    precision: Precision,
    named: Mapping[str, Sequence[str]],
    written: Forecasts | None,
) -> tuple[dict[str, float], Mapping[str, Metrics], dict[str, OutputScore]]:
    """Metrics, the sums behind them, and the score of each output, from one pass over the data."""
    plan, facts, settings = trained.plan, trained.facts, trained.spec.train
    new = {node.column: data.new.get(node.column, {}) for node in plan.targets}
    loss_settings = loss_settings_of(trained.spec, facts)
    kept = {
        node.column: KINDS[type(node)].examples(
            node,
            facts.outputs[node.column],
            rows,
            model,
            tuple(new[node.column]),
            loss_settings.of(node.column),
        )
        for node in plan.targets
    }
    series, further = dict(_by_series(trained, data)), named_metrics_of(model, loss_settings, named)
    calibrated = calibrations(model)

    def see(measured: MeasuredBatch) -> None:
        for examples in kept.values():
            examples.see(measured)
        for errors in series.values():
            errors.see(measured)
        if written is not None:
            written.see(measured)
        for more in (*calibrated.values(), *chain.from_iterable(further.values())):
            more.see(measured)

    metrics, sums = evaluate(model, data, settings, loss_settings, precision=precision, see=see)
    outputs, values = {}, named_values(further)
    for node in plan.targets:
        column = node.column
        with torch.inference_mode():
            score = KINDS[type(node)].score(
                node, facts.outputs[column], sums[column], kept[column], new[column]
            )
        rows_of_series = series[column].rows() if column in series else ()
        more = values.get(column, {})
        if sums[column].not_finite:
            more = dict.fromkeys(more, math.nan)
        sure = None
        if column in calibrated and not sums[column].not_finite:
            sure = calibration_of(calibrated[column])
        outputs[column] = replace(
            score, series=rows_of_series, metrics={**score.metrics, **more}, calibration=sure
        )
    return metrics, sums, outputs


@contextmanager
def _written(
    trained: Trained,
    model: Model,
    data: Dataset,
    files: Shards,
    reading: Reading,
    path: Path | None,
) -> Iterator[Forecasts | None]:
    """What writes forecasts to the file at `path`; None without one."""
    if path is None:
        yield None
        return
    if not trained.spec.data.is_forecast:
        raise RnnspecError("--output is for forecasts, and this build answers none; leave it out")
    with forecasts_file(path, trained.plan, model, data, files, reading) as found:
        yield found


def _by_series(trained: Trained, data: Dataset) -> Iterator[tuple[str, SeriesErrors]]:
    """The errors of each series by column of numbers, where there are several series."""
    if data.series is None or len(data.series.names) < 2:
        return
    for node in trained.plan.targets:
        known = trained.facts.outputs[node.column]
        if isinstance(node, NumericOutput | ForecastOutput):
            assert isinstance(known, NumericFacts)
            yield node.column, SeriesErrors(node, known, data.series.names)


def _rows(
    trained: Trained,
    file: Path | Shards | None,
    sources: Sources | None,
    format: FormatName | FormatSettings | None = None,
) -> tuple[Shards, Reading, float]:
    """Files, how they are read, and the share of their rows to be measured (0: all)."""
    data, reading = trained.spec.data, Reading.of(trained.spec)
    if file is not None:
        files = Shards.of(file)
        return files, reading.of_files(files, format), 0.0
    if data.valid is None:
        raise DataError(
            f"{trained.folder.path}: its spec names no validation rows; name a file with --data"
        )
    sources = sources or find_sources(data, trained.data_folder)
    assert sources.measured is not None, "data.valid names files or a share"
    return sources.measured, reading, sources.share


def _with_weights(files: Shards, reading: Reading) -> tuple[Reading, tuple[str, ...]]:
    """The reading, without weights of rows that the files lack, and a sentence where they do."""
    names = () if reading.weight is None else column_names(files, reading.how)
    if not names or reading.weight in names:
        return reading, ()
    lacking = f"{files} has no column {reading.weight!r}, so every row counts the same in the loss"
    return replace(reading, weight=None), (lacking,)


@contextmanager
def _cache(trained: Trained) -> Iterator[Path]:
    """The cache of the builds; a temporary one for a build that was moved away from it."""
    beside = trained.folder.path.resolve().parent.parent / CACHE
    if beside.is_dir():
        yield beside
    else:
        with tempfile.TemporaryDirectory(prefix="rnnspec-") as folder:
            yield Path(folder)
