"""Checks of inputs `as: calendar`: they read the times of series, and say something of them."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.calendar import CalendarInput
from rnnspec.spec.every import every_of
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import SeriesInput
from rnnspec.spec.spec import Spec

_WITHIN_A_DAY = ("minute", "hour", "time_of_day")


def calendars_read_times(spec: Spec) -> Iterator[Finding]:
    for path, source in spec.data.located_inputs:
        if isinstance(source, CalendarInput):
            yield from _of_times(spec, path, source)
            yield from _says_something(spec, path, source)


def _of_times(spec: Spec, path: Loc, source: CalendarInput) -> Iterator[Finding]:
    series = spec.data.series
    if not any(isinstance(each, SeriesInput) for each in spec.data.inputs):
        message = "the calendar is read beside series, and no input is one"
        yield Finding((*path, "as"), message, "add an input 'as: series'")
    elif series is None or series.time is None:
        message = "the calendar is read off the times of series, and no column has them"
        hint = f"write 'time: {source.column}' in data.series"
        yield Finding((*path, "column"), message, hint)
    elif source.column != series.time:
        message = f"the times of the series are in {series.time!r}, as data.series says"
        yield Finding((*path, "column"), message, f"write 'column: {series.time}'")
    elif series.every is not None and not every_of(series.every).is_time:
        message = "the times are numbers, as data.series.every says, and no calendar has them"
        hint = "write a span of time there, as in 'every: day', or remove this input"
        yield Finding((*path, "as"), message, hint)


def _says_something(spec: Spec, path: Loc, source: CalendarInput) -> Iterator[Finding]:
    series = spec.data.series
    every = series.every if series is not None else None
    days = every is not None and every_of(every).kind in ("day", "business day", "month")
    for at, feature in enumerate(source.features):
        if feature in source.features[:at]:
            message = f"{feature} stands here twice"
            yield Finding((*path, "features", at), message, "name each feature once")
        elif days and feature in _WITHIN_A_DAY:
            message = f"{feature} is the same at all steps, which are days or more apart"
            hint = "remove it; days have weekday, day, week, month, quarter and year_day"
            yield Finding((*path, "features", at), message, hint)
    if not source.known and not spec.data.is_forecast:
        yield no_effect((*path, "known"), "without an output 'as: forecast'")
