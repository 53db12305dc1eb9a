"""Checks of forecasts: what is learned of a series, and in which units."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.explain import Finding
from rnnspec.spec.inputs import SeriesInput
from rnnspec.spec.outputs import ForecastOutput
from rnnspec.spec.spec import Spec

LOCATED = ("point", "quantiles", "gaussian", "laplace", "student_t")
"""Distributions that move with their first parameter, or with all of them."""


def residuals_have_a_season(spec: Spec) -> Iterator[Finding]:
    series = spec.data.series
    history = series.history if series is not None else None
    if history is not None:
        history += spec.data.reach
    for path, output in spec.data.located_outputs:
        if not isinstance(output, ForecastOutput) or output.residual == "none":
            continue
        at = (*path, "residual")
        if output.residual == "seasonal" and output.season == 1:
            message = "a season of one step is the last value"
            yield Finding(at, message, "write 'residual: last', or 'season: 7' beside it")
        elif output.residual == "seasonal" and history is not None and history < output.season:
            message = f"a season of {output.season} steps is more than the {history} that are read"
            hint = f"set data.series.history to {output.season} or more"
            yield Finding(at, message, hint)
        if output.distribution.name not in LOCATED:
            message = f"a {output.distribution.name} has no place that can be moved by a value"
            yield Finding(at, message, f"remove it, or answer one of {', '.join(LOCATED)}")


def lags_are_of_forecasts(spec: Spec) -> Iterator[Finding]:
    """A lag is read once, and where windows can begin before the steps that are run through."""
    for path, source in spec.data.located_series:
        for at, lag in enumerate(source.lags):
            if lag in source.lags[:at]:
                message = f"the lag {lag} stands here twice"
                yield Finding((*path, "lags", at), message, "name each lag once")
        if source.lags and not spec.data.is_forecast:
            message = "lags are read before the history of a forecast, and none is answered"
            hint = "remove it, or answer with {as: forecast, horizon: 24}"
            yield Finding((*path, "lags"), message, hint)


def logarithms_are_of_forecasts(spec: Spec) -> Iterator[Finding]:
    """What is answered in logarithms becomes numbers again where an order is all that counts."""
    logs = [(path, each) for path, each in spec.data.located_series if each.transform == "log"]
    for path, source in logs:
        if source.scale == "mean":
            message = "logarithms have no mean size; they change their sign where the numbers are 1"
            yield Finding((*path, "scale"), message, "use level, window, standard, robust or none")
    for path, source in logs:
        yield from otherwise_answered(spec, source, (*path, "transform"), "logarithms")
        yield from _answers(spec, source)
    series = spec.data.series
    if logs and series is not None and not isinstance(series.fill, str) and series.fill <= 0:
        message = f"{series.fill:g} has no logarithm, which {logs[0][1].column!r} is read as"
        hint = "use previous, or a number above 0"
        if logs[0][1].missing != "error":
            hint = "use previous or missing"
        yield Finding(("data", "series", "fill"), message, hint)


def otherwise_answered(spec: Spec, source: SeriesInput, at: Loc, read: str) -> Iterator[Finding]:
    """Answers of the column of a series that are no forecasts, where it is read as something that
    forecasts alone are made of: said at the setting that has it `read` so."""
    for _, output in spec.data.located_outputs:
        if output.column == source.column and not isinstance(output, ForecastOutput):
            message = f"{read} are not answered 'as: {output.as_}'"
            yield Finding(at, message, "remove it, or answer a forecast")


def forecasts_of(spec: Spec, source: SeriesInput) -> Iterator[tuple[Loc, ForecastOutput]]:
    """The forecasts of a series, with their paths in the YAML."""
    for at, output in spec.data.located_outputs:
        if output.column == source.column and isinstance(output, ForecastOutput):
            yield at, output


def _answers(spec: Spec, source: SeriesInput) -> Iterator[Finding]:
    for at, output in forecasts_of(spec, source):
        if output.distribution.name not in ("point", "quantiles"):
            message = f"{output.distribution.name} answers a mean, which is not that of logarithms"
            hint = "use point or {quantiles: [0.1, 0.5, 0.9]}"
            yield Finding((*at, "distribution"), message, hint)
