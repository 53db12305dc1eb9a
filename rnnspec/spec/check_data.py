"""Checks of `data:`: the files as far as their names tell, missing numbers, and series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePath

from rnnspec.spec.data import Series
from rnnspec.spec.every import every_of
from rnnspec.spec.explain import Finding, Loc
from rnnspec.spec.files import covers
from rnnspec.spec.inputs import FramesInput, SequenceInput, SeriesInput
from rnnspec.spec.outputs import ForecastOutput, KeysOutput, NextOutput, QuantilesDistribution
from rnnspec.spec.spec import Spec

SERIES: Loc = ("data", "series")
_VALID: Loc = ("data", "valid")
MEDIAN = 0.5
PLAIN = "text"
"""The one column of plain text."""
_DELIMITED = (".csv", ".tsv", ".tab")
_ROWS = (".jsonl", ".ndjson", *_DELIMITED, ".parquet", ".pq")


def files_are_named_once(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    for key, names in (("train", data.train_files), ("valid", data.valid_files)):
        for index, name in enumerate(names):
            again = _again(name, names[:index])
            if again is not None:
                what = f"{name!r} is named twice"
                if PurePath(name) != PurePath(again):
                    what = f"{again!r} and {name!r} name the same file"
                yield Finding(("data", key, index), what, "name each file once")


def valid_is_another_file(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    for index, name in enumerate(data.valid_files):
        again = _again(name, data.train_files)
        if again is not None:
            what = "the same file as data.train"
            if PurePath(name) != PurePath(again):
                what = f"{name!r} and {again!r} of data.train name the same file"
            path: Loc = ("data", "valid", index) if isinstance(data.valid, tuple) else _VALID
            hint = "name another file, or write 'valid: 0.1' to keep a tenth of its rows for it"
            yield Finding(path, what, hint)


def documents_are_plain_text(spec: Spec) -> Iterator[Finding]:
    """Of plain text, or of files whose names do not tell their format."""
    data = spec.data
    rows = data.format not in ("auto", "text")
    if data.format == "auto":
        names = (name.lower().removesuffix(".gz") for name in data.train_files)
        rows = any(name.endswith(_ROWS) for name in names)
    if data.documents != "file" and rows:
        message = "has no effect on files with rows"
        yield Finding(("data", "documents"), message, "remove it", key=True)


def plain_text_has_one_column(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    text = data.format == "text"
    if data.format == "auto":
        names = (name.lower().removesuffix(".gz") for name in data.train_files)
        text = all(name.endswith(".txt") for name in names)
    if not text:
        return
    found: list[tuple[Loc, str]] = [
        ((*data.input_path(at), "column"), each.column) for at, each in enumerate(data.inputs)
    ]
    found += [
        ((*data.output_path(at), "column"), each.column) for at, each in enumerate(data.outputs)
    ]
    for path, column in found:
        if column != PLAIN:
            message = f"plain text has one column, {PLAIN!r}, and not {column!r}"
            yield Finding(path, message, f"use {PLAIN}, or rows in JSONL, CSV or Parquet")


def quoting_is_of_delimited(spec: Spec) -> Iterator[Finding]:
    """Of CSV and TSV, or of files whose names do not tell their format."""
    data = spec.data
    other = data.format not in ("auto", "csv", "tsv")
    if data.format == "auto":
        names = [
            name.lower().removesuffix(".gz") for name in (*data.train_files, *data.valid_files)
        ]
        other = all(name.endswith((*_ROWS, ".txt")) for name in names)
        other = other and not any(name.endswith(_DELIMITED) for name in names)
    if data.quoting != "auto" and other:
        message = "has no effect on files that are neither CSV nor TSV"
        yield Finding(("data", "quoting"), message, "remove it", key=True)


def _again(name: str, others: Sequence[str]) -> str | None:
    """The first of `others` that names a file that `name` names, too."""
    return next((each for each in others if covers(each, name) or covers(name, each)), None)


def missing_numbers_have_a_mean(spec: Spec) -> Iterator[Finding]:
    """A missing number comes to stand for a mean, which the model only keeps to scale by."""
    for index, source in enumerate(spec.data.inputs):
        missing = getattr(source, "missing", "error")
        if missing != "error" and getattr(source, "scale", "") == "none":
            path: Loc = (*spec.data.input_path(index), "missing")
            message = (
                f"'{missing}' needs the mean of the training rows, and 'scale: none' keeps none"
            )
            yield Finding(path, message, "write 'scale: standard', or fill in the data")


# ---------------------------------------------------------------- series


def series_have_windows(spec: Spec) -> Iterator[Finding]:
    forecasts = any(isinstance(output, ForecastOutput) for output in spec.data.outputs)
    tables = any(isinstance(source, SeriesInput) for source in spec.data.inputs)
    series = spec.data.series
    if forecasts and series is None:
        message = "a forecast needs 'data.series', which says how much of the past is read"
        yield Finding(("data",), message, "add 'series: {history: 96}' under data", key=True)
    elif forecasts and series is not None and series.history is None:
        message = "a forecast needs 'history', the steps of the past that are read for it"
        yield Finding(("data", "series"), message, "add 'history: 96'", key=True)
    elif tables and series is None:
        message = "key 'series' is missing, which says how the rows of the table make series"
        yield Finding(("data",), message, "add 'series: {time: …, id: …}' under data", key=True)
    if series is not None and not forecasts and not tables:
        message = "has no effect without an input 'as: series'"
        yield Finding(("data", "series"), message, "remove it", key=True)
    if not forecasts and not tables:
        return
    for index, source in enumerate(spec.data.inputs):
        if isinstance(source, SequenceInput) and not isinstance(source, SeriesInput):
            path: Loc = (*spec.data.input_path(index), "as")
            message = f"{source.as_} cannot be read beside series"
            yield Finding(path, message, "use series, or category, number or vector")


def steps_have_times(spec: Spec) -> Iterator[Finding]:
    """What a step is, and where steps are missing, is told by a column of times."""
    series = spec.data.series
    if series is None:
        return
    for key in ("every", "zone", "fill"):
        if series.time is None and getattr(series, key) != Series.model_fields[key].default:
            message = "has no effect without 'time', which names the column of the times"
            yield Finding((*SERIES, key), message, "add 'time: …', or remove it", key=True)
    if series.time is None:
        return
    if series.fill != "error" and series.every is None:
        message = "missing steps are known where it is known what a step is"
        yield Finding((*SERIES, "fill"), message, "add 'every: day', or what a step is", key=True)
    numbers = series.every is not None and not every_of(series.every).is_time
    if series.zone is not None and numbers:
        message = "has no effect on times that are numbers, as 'every' says"
        yield Finding((*SERIES, "zone"), message, "remove it, or write 'every: day'", key=True)


def missing_steps_may_be_missing(spec: Spec) -> Iterator[Finding]:
    """`fill: missing` leaves steps to inputs that say what a missing number is."""
    series = spec.data.series
    if series is None or series.fill != "missing":
        return
    for index, source in enumerate(spec.data.inputs):
        if isinstance(source, SeriesInput) and source.missing == "error":
            path = (*spec.data.input_path(index), "missing")
            message = "'error' refuses the missing steps that data.series.fill leaves to it"
            yield Finding(path, message, "set it to previous or mean, or data.series.fill to 0")


def steps_of_series_are_answered_in_turn(spec: Spec) -> Iterator[Finding]:
    """N:N over a table: each row is a step, answered from the steps up to it."""
    if spec.cardinality != "N:N" or spec.data.series is None:
        return
    for key in ("history", "stride"):
        if getattr(spec.data.series, key) != Series.model_fields[key].default:
            message = "has no effect with N:N, which answers each step of a whole series"
            hint = "remove it; 'train.window' says how many steps are read at once"
            yield Finding(("data", "series", key), message, hint, key=True)
    for index, source in enumerate(spec.data.inputs):
        path = spec.data.input_path(index)
        if isinstance(source, SeriesInput) and source.scale in ("window", "mean"):
            message = f"'{source.scale}' looks at all steps, and the first is answered before that"
            yield Finding((*path, "scale"), message, "use standard, robust or none")
        if isinstance(source, SeriesInput) and source.known:
            message = "has no effect without an output 'as: forecast'"
            yield Finding((*path, "known"), message, "remove it", key=True)
    for index, output in enumerate(spec.data.outputs):
        if isinstance(output, KeysOutput):
            message = "keys are answered of rows that hold lists, and a row here is one step"
            path = (*spec.data.output_path(index), "as")
            yield Finding(path, message, "use tags, frames or next, or read frames from JSONL")


def seasons_are_of_numbers(spec: Spec) -> Iterator[Finding]:
    """The naive forecast is one of numbers."""
    for index, output in enumerate(spec.data.outputs):
        if isinstance(output, NextOutput) and output.season != 1:
            source = next((e for e in spec.data.inputs if e.column == output.column), None)
            if source is not None and not isinstance(source, FramesInput | SeriesInput):
                path: Loc = (*spec.data.output_path(index), "season")
                message = f"has no effect with 'as: {source.as_}', of which no number is forecast"
                yield Finding(path, message, "remove it", key=True)


def quantiles_rise_and_have_a_middle(spec: Spec) -> Iterator[Finding]:
    """Answers are named by their place, and the point forecast is the median."""
    for index, output in enumerate(spec.data.outputs):
        if not isinstance(output, ForecastOutput):
            continue
        chosen = output.distribution
        if not isinstance(chosen, QuantilesDistribution):
            continue
        path: Loc = (*spec.data.output_path(index), "distribution", "quantiles")
        found = chosen.value
        whole = _listed(sorted({*found, MEDIAN}))
        for at, (before, after) in enumerate(pairwise(found), start=1):
            if after <= before:
                what = "stands here twice" if after in found[:at] else f"comes after {before}"
                message = f"{after} {what}, and probabilities rise"
                yield Finding((*path, at), message, f"write 'quantiles: {whole}'")
                break
        else:
            if MEDIAN not in found:
                message = "0.5 is missing: the median is the point forecast"
                yield Finding(path, message, f"write 'quantiles: {whole}'", key=True)


def _listed(values: Sequence[float]) -> str:
    return f"[{', '.join(map(str, values))}]"
