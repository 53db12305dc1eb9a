"""Checks of `data:`: names of files, missing numbers, and series. No file is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import PurePath

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Loc, SequenceInput
from rnnspec.spec.calendar import CalendarInput
from rnnspec.spec.data import Data, Fold, Query, Series
from rnnspec.spec.distributions import BetaDistribution, MixtureDistribution, QuantilesDistribution
from rnnspec.spec.every import every_of
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.files import FILE_COLUMN, FOLDER_COLUMN, TEXT_COLUMN, covers
from rnnspec.spec.formats import Delimited
from rnnspec.spec.inputs import (
    AudioInput,
    CategoriesInput,
    FramesInput,
    ImageInput,
    SeriesInput,
    TokenInput,
    VideoInput,
)
from rnnspec.spec.metrics import answers_numbers, distribution_of
from rnnspec.spec.outputs import ForecastOutput, KeysOutput, NextOutput, NumberOutput
from rnnspec.spec.spec import Spec

SERIES: Loc = ("data", "series")
MEDIAN = 0.5
PLAIN = "text"
"""The one column of plain text."""
_DELIMITED = (".csv", ".tsv", ".tab")
_CONLL = (".conll", ".conllu")
_ARRAYS = (".arrow", ".feather", ".ipc", ".npz")
_ROWS = (".jsonl", ".ndjson", *_DELIMITED, ".parquet", ".pq", *_CONLL, *_ARRAYS)


# ---------------------------------------------------------------- files


def files_are_named_once(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    for key, names in (("train", data.train_files), ("valid", data.valid_files)):
        if not isinstance(getattr(data, key), str | tuple):
            continue
        for index, name in enumerate(names):
            again = _again(name, names[:index])
            if again is not None:
                what = f"{name!r} is named twice"
                if PurePath(name) != PurePath(again):
                    what = f"{again!r} and {name!r} name the same file"
                yield Finding(("data", key, index), what, "name each file once")


def valid_is_another_file(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    if isinstance(data.train, Query) and isinstance(data.valid, Query):
        if data.train == data.valid:
            hint = "ask for other rows, or write 'valid: 0.1' to keep a tenth of them for it"
            yield Finding(("data", "valid"), "the same query as data.train", hint)
        return
    for index, name in enumerate(data.valid_files):
        again = _again(name, data.train_files)
        if again is not None:
            what = "the same file as data.train"
            if PurePath(name) != PurePath(again):
                what = f"{name!r} and {again!r} of data.train name the same file"
            path: Loc = ("data", "valid")
            path = (*path, index) if isinstance(data.valid, tuple) else path
            hint = "name another file, or write 'valid: 0.1' to keep a tenth of its rows for it"
            yield Finding(path, what, hint)


def _again(name: str, others: Sequence[str]) -> str | None:
    """The first of `others` that names the same file as `name`."""
    return next((each for each in others if covers(each, name) or covers(name, each)), None)


def documents_are_plain_text(spec: Spec) -> Iterator[Finding]:
    """`documents` needs plain text; a file whose name shows no format may be plain text."""
    data = spec.data
    rows = data.format_name not in ("auto", "text") or not isinstance(data.train, str | tuple)
    if data.format_name == "auto":
        rows = rows or any(name.endswith(_ROWS) for name in _plain_names(data.train_files))
    if data.documents != "file" and rows:
        yield no_effect(("data", "documents"), "on files with rows")


def is_plain_text(spec: Spec) -> bool:
    data = spec.data
    if not isinstance(data.train, str | tuple):
        return False
    if data.format_name == "auto":
        return all(name.endswith(".txt") for name in _plain_names(data.train_files))
    return data.format_name == "text"


def plain_text_has_one_column(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    if not is_plain_text(spec):
        return
    for path, each in (*data.located_inputs, *data.located_targets):
        if each.column != PLAIN:
            message = f"plain text has one column, {PLAIN!r}, and not {each.column!r}"
            hint = f"use {PLAIN}, or rows in JSONL, CSV or Parquet"
            yield Finding((*path, "column"), message, hint)


def quoting_is_of_delimited(spec: Spec) -> Iterator[Finding]:
    """`quoting` needs CSV or TSV; a file whose name shows no format may be either."""
    data = spec.data
    if data.quoting != "auto" and _is_not_delimited(data):
        yield no_effect(("data", "quoting"), "on files that are neither CSV nor TSV")


def _is_not_delimited(data: Data) -> bool:
    if not isinstance(data.train, str | tuple):
        return True
    if data.format_name != "auto":
        return data.format_name not in ("csv", "tsv")
    names = _plain_names((*data.train_files, *data.valid_files))
    other = all(name.endswith((*_ROWS, ".txt")) for name in names)
    return other and not any(name.endswith(_DELIMITED) for name in names)


def columns_are_not_named_in_files(spec: Spec) -> Iterator[Finding]:
    """`columns` names those of CoNLL files, and of CSV and TSV without a header."""
    data, path = spec.data, ("data", "columns")
    if data.columns and not _lacks_names(data):
        hint = "write 'format: {csv: {header: false}}' if the files have no header, or remove it"
        of_fields = not _is_not_delimited(data)
        why = "on files with a header" if of_fields else "on files that are not CoNLL"
        yield no_effect(path, why, hint if of_fields else "remove it")
        return
    for index, name in enumerate(data.columns):
        if name in data.columns[:index]:
            yield Finding((*path, index), f"{name!r} is named twice", "give each its own name")
    for place, each in (*data.located_inputs, *data.located_targets):
        if data.columns and each.column not in data.columns and not each.column.isdecimal():
            known = f"it names {', '.join(data.columns)}"
            hint = did_you_mean(each.column, data.columns) or known
            message = f"data.columns names no column {each.column!r}"
            yield Finding((*place, "column"), message, hint)


def _lacks_names(data: Data) -> bool:
    """Whether the files do not name their columns."""
    settings = data.format_settings
    if isinstance(settings, Delimited):
        return not settings.header
    if data.format_name != "auto":
        return data.format_name == "conll"
    names = _plain_names((*data.train_files, *data.valid_files))
    return any(name.endswith(_CONLL) for name in names)


def columns_have_files(spec: Spec) -> Iterator[Finding]:
    """Where each column has a file of its own, each column that is read has one."""
    data = spec.data
    for key, named in (("train", data.train), ("valid", data.valid)):
        if isinstance(named, str | tuple | Query | Fold | float | None):
            continue
        if data.format_name not in ("auto", "text"):
            what = (
                "where each column has a file of its own, which is lines of text or an .npy array"
            )
            yield no_effect(("data", "format"), what)
        for _, each in (*data.located_inputs, *data.located_targets):
            if each.column not in named:
                hint = did_you_mean(each.column, named) or f"add '{each.column}: FILE'"
                message = f"names no file of the column {each.column!r}"
                yield Finding(("data", key), message, hint)


def folders_have_two_columns(spec: Spec) -> Iterator[Finding]:
    """Folders of classes have files of sound or pictures, and the names of the folders."""
    if spec.data.format_name != "folders":
        return
    hint = f"the input is {FILE_COLUMN}, or {TEXT_COLUMN}, and the answer {FOLDER_COLUMN}"
    for path, source in spec.data.located_inputs:
        if isinstance(source, TokenInput) and source.column == TEXT_COLUMN:
            continue
        if source.column not in (FILE_COLUMN, FOLDER_COLUMN):
            yield Finding((*path, "column"), _NO_COLUMN.format(source.column), hint)
        elif source.column == FILE_COLUMN and not isinstance(source, OfFile):
            message = "the files of folders are sound or pictures"
            hint_of_files = "use audio, image or video, or the column text"
            yield Finding((*path, "as"), message, hint_of_files)
    for path, output in spec.data.located_targets:
        if output.column != FOLDER_COLUMN:
            yield Finding((*path, "column"), _NO_COLUMN.format(output.column), hint)


OfFile = AudioInput | ImageInput | VideoInput
"""Inputs that read files."""
_NO_COLUMN = "folders have the columns file and folder, of which {!r} cannot stand here"


def _plain_names(names: Sequence[str]) -> list[str]:
    """In lower case, without the ending of compressed files."""
    return [name.lower().removesuffix(".gz") for name in names]


def missing_numbers_have_a_mean(spec: Spec) -> Iterator[Finding]:
    """A missing number is replaced by a mean, which the model keeps only for scaling."""
    for path, source in spec.data.located_inputs:
        missing = getattr(source, "missing", "error")
        if missing != "error" and getattr(source, "scale", "") == "none":
            message = (
                f"'{missing}' needs the mean of the training rows, and 'scale: none' keeps none"
            )
            hint = "write 'scale: standard', or fill in the data"
            yield Finding((*path, "missing"), message, hint)


def what_may_miss_is_observed(spec: Spec) -> Iterator[Finding]:
    """Where a missing number is an error, all are known."""
    for path, source in spec.data.located_series:
        if source.observed and source.missing == "error":
            why = "where a missing number is an error, so that all are known"
            yield no_effect(
                (*path, "observed"), why, "remove it, or set missing to previous or mean"
            )


# ---------------------------------------------------------------- series


def series_have_windows(spec: Spec) -> Iterator[Finding]:
    forecasts, series = spec.data.is_forecast, spec.data.series
    tables = any(isinstance(source, SeriesInput) for source in spec.data.inputs)
    if forecasts and series is None:
        message = "a forecast needs 'data.series', which says how much of the past is read"
        yield Finding(("data",), message, "add 'series: {history: 96}' under data", key=True)
    elif forecasts and series is not None and series.history is None:
        message = "a forecast needs 'history', the steps of the past that are read for it"
        yield Finding(SERIES, message, "add 'history: 96'", key=True)
    elif tables and series is None:
        message = "key 'series' is missing, which says how the rows of the table make series"
        yield Finding(("data",), message, "add 'series: {time: …, id: …}' under data", key=True)
    if series is not None and not forecasts and not tables:
        yield no_effect(SERIES, "without an input 'as: series'")
    if not forecasts and not tables:
        return
    for path, source in spec.data.located_inputs:
        if isinstance(source, SequenceInput) and not isinstance(
            source, SeriesInput | CalendarInput | CategoriesInput
        ):
            message = f"{source.as_} cannot be read beside series"
            hint = "use series, calendar, categories, category, number or vector"
            yield Finding((*path, "as"), message, hint)


def steps_have_times(spec: Spec) -> Iterator[Finding]:
    """A column of times says what a step is and which steps are missing."""
    series = spec.data.series
    if series is None:
        return
    if series.time is None:
        for key in ("every", "zone", "fill"):
            if getattr(series, key) != Series.model_fields[key].default:
                why = "without 'time', which names the column of the times"
                yield no_effect((*SERIES, key), why, "add 'time: …', or remove it")
        return
    if series.fill != "error" and series.every is None:
        message = "steps can be missing only where it is known what a step is"
        yield Finding((*SERIES, "fill"), message, "add 'every: day', or what a step is", key=True)
    numbers = series.every is not None and not every_of(series.every).is_time
    if series.zone is not None and numbers:
        why = "on times that are numbers, as 'every' says"
        yield no_effect((*SERIES, "zone"), why, "remove it, or write 'every: day'")


def missing_steps_may_be_missing(spec: Spec) -> Iterator[Finding]:
    """`fill: missing` leaves steps to inputs that say what a missing number is."""
    series = spec.data.series
    if series is None or series.fill != "missing":
        return
    for path, source in spec.data.located_series:
        if source.missing == "error":
            message = "'error' refuses the missing steps that data.series.fill leaves to it"
            hint = "set it to previous or mean, or data.series.fill to 0"
            yield Finding((*path, "missing"), message, hint)


def steps_of_series_are_answered_in_turn(spec: Spec) -> Iterator[Finding]:
    """N:N over a table: each row is a step, answered from the steps up to it."""
    if spec.cardinality != "N:N" or spec.data.series is None:
        return
    for key in ("history", "stride"):
        if getattr(spec.data.series, key) != Series.model_fields[key].default:
            why = "with N:N, which answers each step of a whole series"
            hint = "remove it; 'train.window' says how many steps are read at once"
            yield no_effect((*SERIES, key), why, hint)
    for path, source in spec.data.located_series:
        if source.scale in ("window", "level", "mean"):
            message = f"'{source.scale}' looks at all steps, and the first is answered before that"
            yield Finding((*path, "scale"), message, "use standard, robust or none")
        if source.known:
            yield no_effect((*path, "known"), "without an output 'as: forecast'")
    for path, output in spec.data.located_targets:
        if isinstance(output, KeysOutput):
            message = "keys are answered for rows that hold lists, and a row here is one step"
            hint = "use tags, frames or next, or read frames from JSONL"
            yield Finding((*path, "as"), message, hint)


def seasons_are_of_numbers(spec: Spec) -> Iterator[Finding]:
    """The naive forecast is a forecast of numbers."""
    for path, output in spec.data.located_targets:
        if isinstance(output, NextOutput) and output.season != 1:
            source = spec.data.input_of(output)
            if source is not None and not isinstance(source, FramesInput | SeriesInput):
                why = f"with 'as: {source.as_}', for which no number is forecast"
                yield no_effect((*path, "season"), why)


def quantiles_rise_and_have_a_middle(spec: Spec) -> Iterator[Finding]:
    """Answers are named by their place, and the point forecast is the median."""
    for path, output in spec.data.located_targets:
        chosen = distribution_of(output)
        if isinstance(chosen, QuantilesDistribution):
            yield from quantiles_rise((*path, "distribution", "quantiles"), chosen.value)


def distributions_fit_answers(spec: Spec) -> Iterator[Finding]:
    """Shares have no scale, and a correlation is of two numbers."""
    for path, output in spec.data.located_targets:
        chosen = distribution_of(output)
        if isinstance(output, NextOutput) and not answers_numbers(spec, output):
            if chosen.name != "point":
                yield no_effect((*path, "distribution"), "where no number is answered")
            continue
        if isinstance(chosen, BetaDistribution) and getattr(output, "scale", "standard") == "none":
            yield no_effect((*path, "scale"), "with beta, whose shares are never scaled")
        one = isinstance(output, NumberOutput | ForecastOutput)
        if isinstance(chosen, MixtureDistribution) and chosen.correlated and one:
            where = (*path, "distribution", "mixture", "correlated")
            message = f"{output.as_} answers single numbers, and a correlation is of two"
            yield Finding(where, message, "remove it, or answer a vector of two", key=True)


def quantiles_rise(path: Loc, found: Sequence[float]) -> Iterator[Finding]:
    hint = f"write 'quantiles: [{', '.join(map(str, sorted({*found, MEDIAN})))}]'"
    for at, (before, after) in enumerate(pairwise(found), start=1):
        if after <= before:
            what = "stands here twice" if after in found[:at] else f"comes after {before}"
            yield Finding((*path, at), f"{after} {what}, and probabilities rise", hint)
            return
    if MEDIAN not in found:
        message = "0.5 is missing: the median is the point forecast"
        yield Finding(path, message, hint, key=True)


def folds_are_of_rows(spec: Spec) -> Iterator[Finding]:
    if isinstance(spec.data.valid, Fold) and spec.data.series is not None:
        message = "series are divided by time, the end of each is measured, and have no folds"
        yield Finding(("data", "valid"), message, "write a share, as in 'valid: 0.2'", key=True)
