"""Checks of forecasts: what is learned of a series, and in which units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.spec.base import Loc
from rnnspec.spec.check_data import quantiles_rise
from rnnspec.spec.distributions import SamplePaths, paths_of
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
    for path, source in spec.data.located_inputs:
        if not isinstance(source, SeriesInput):
            continue
        for at, lag in enumerate(source.lags):
            if lag in source.lags[:at]:
                message = f"the lag {lag} stands here twice"
                yield Finding((*path, "lags", at), message, "name each lag once")
        if source.lags and not spec.data.is_forecast:
            message = "lags are read before the history of a forecast, and none is answered"
            hint = "remove it, or answer with {as: forecast, horizon: 24}"
            yield Finding((*path, "lags"), message, hint)


def paths_have_a_density(spec: Spec) -> Iterator[Finding]:
    """Paths are drawn step by step, of all forecasts of a decoder together."""
    ahead = [
        (path, each) for path, each in spec.data.located_outputs if isinstance(each, ForecastOutput)
    ]
    drawn = [each for _, each in ahead if each.paths is not None]
    for path, output in ahead:
        at, paths = (*path, "paths"), paths_of(output.paths)
        if paths is None:
            if drawn and spec.decoder is not None:
                message = f"the paths of {drawn[0].column!r} are drawn of all forecasts together"
                samples = _samples(drawn[0])
                yield Finding(path, message, f"write 'paths: {samples}' here too", key=True)
            continue
        if spec.decoder is None:
            message = "are drawn step by step, and without a decoder all steps are answered at once"
            hint = "add 'decoder: {layers: [{cell: gru, units: 64}]}'"
            yield Finding(at, message, hint, key=True)
        elif output.distribution.name in ("point", "quantiles"):
            message = f"are drawn from a density, and '{output.distribution.name}' has none"
            hint = "write 'distribution: gaussian', or another one with a density"
            yield Finding(at, message, hint, key=True)
        elif spec.decoder.feedback == "none":
            message = "are read step by step, and with 'feedback: none' the decoder reads nothing"
            yield Finding(at, message, "remove 'feedback: none' from the decoder", key=True)
        elif output.intervals:
            message = "are intervals of each step by itself, and paths have quantiles of their own"
            levels = ", ".join(f"{each:g}" for each in _ends(output.intervals))
            hint = f"remove it, and write 'paths: {{quantiles: [{levels}]}}'"
            yield Finding((*path, "intervals"), message, hint, key=True)
        elif paths.samples != _samples(drawn[0]):
            message = (
                f"{drawn[0].column!r} has {_samples(drawn[0])} paths, drawn together with these"
            )
            yield Finding(at, message, f"draw {_samples(drawn[0])} here too")
        if isinstance(output.paths, SamplePaths):
            yield from quantiles_rise((*at, "quantiles"), paths.quantiles)


def _ends(intervals: Sequence[float]) -> list[float]:
    """The probabilities of the bounds of intervals, and the median's."""
    ends = {round(0.5 + side * level / 2, 6) for level in intervals for side in (-1, 1)}
    return sorted({0.5, *ends})


def _samples(output: ForecastOutput) -> int:
    paths = paths_of(output.paths)
    assert paths is not None
    return paths.samples


def logarithms_are_of_forecasts(spec: Spec) -> Iterator[Finding]:
    """What is answered in logarithms becomes numbers again where an order is all that counts."""
    logs = [
        (path, each)
        for path, each in spec.data.located_inputs
        if isinstance(each, SeriesInput) and each.transform == "log"
    ]
    for path, source in logs:
        if source.scale == "mean":
            message = "logarithms have no mean size; they change their sign where the numbers are 1"
            yield Finding((*path, "scale"), message, "use level, window, standard, robust or none")
    for path, source in logs:
        yield from _answers(spec, path, source)
    series = spec.data.series
    if logs and series is not None and not isinstance(series.fill, str) and series.fill <= 0:
        message = f"{series.fill:g} has no logarithm, which {logs[0][1].column!r} is read as"
        hint = "use previous, or a number above 0"
        if logs[0][1].missing != "error":
            hint = "use previous or missing"
        yield Finding(("data", "series", "fill"), message, hint)


def _answers(spec: Spec, path: Loc, source: SeriesInput) -> Iterator[Finding]:
    for at, output in spec.data.located_outputs:
        if output.column != source.column:
            continue
        if not isinstance(output, ForecastOutput):
            message = f"logarithms are not answered 'as: {output.as_}'"
            yield Finding((*path, "transform"), message, "remove it, or answer a forecast")
        elif output.distribution.name not in ("point", "quantiles"):
            message = f"{output.distribution.name} answers a mean, which is not that of logarithms"
            hint = "use point or {quantiles: [0.1, 0.5, 0.9]}"
            yield Finding((*at, "distribution"), message, hint)
