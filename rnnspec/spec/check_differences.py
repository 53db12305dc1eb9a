"""Checks of differences: what they can be taken of, and answers that can be summed up."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.check_forecast import forecasts_of, otherwise_answered
from rnnspec.spec.explain import Finding
from rnnspec.spec.inputs import SeriesInput
from rnnspec.spec.spec import Spec

MOST = 4_000_000
"""Numbers of the matrices that sum up a forecast: 32 MB in a file."""


def differences_are_summed_up(spec: Spec) -> Iterator[Finding]:
    """Differences are those of known numbers, and their point answers are sums of numbers."""
    for path, source in spec.data.located_series:
        if source.difference:
            if not spec.data.is_forecast:
                message = (
                    "differences are from before the history of a forecast, and none is answered"
                )
                hint = "remove it, or answer with {as: forecast, horizon: 24}"
                yield Finding((*path, "difference"), message, hint)
                continue
            yield from _of_input(spec, path, source)
            yield from otherwise_answered(spec, source, (*path, "difference"), "differences")
            yield from _answered(spec, source)


def _of_input(spec: Spec, path: Loc, source: SeriesInput) -> Iterator[Finding]:
    own = [output for _, output in forecasts_of(spec, source)]
    for at, lag in enumerate(source.difference):
        if lag == "seasonal" and (not own or own[0].season == 1):
            message = f"no forecast of {source.column!r} has a season of more than one step"
            hint = "write the number of steps, or 'season: 7' beside the forecast of the column"
            which = (at,) if len(source.difference) > 1 else ()  # one lag may stand in no list
            yield Finding((*path, "difference", *which), message, hint)
    reach, history = sum(spec.data.differences(source)), spec.data.history
    if spec.data.series is not None and spec.data.series.history is not None and reach > history:
        message = f"differences from {reach} steps before are more than the {history} that are read"
        hint = f"set data.series.history to {reach} or more"
        yield Finding((*path, "difference"), message, hint)
    if source.scale not in ("standard", "robust", "none"):
        message = f"{source.scale} is of the numbers of a window, and differences are read"
        yield Finding((*path, "scale"), message, "use standard, robust or none")
    if source.missing != "error":
        message = "a missing number has no difference, and nothing can be summed up from it"
        hint = "remove it, and fill the gaps of the file, or remove 'difference'"
        yield Finding((*path, "missing"), message, hint)
    if source.known:
        message = "what is known ahead is not read as its differences"
        yield Finding((*path, "known"), message, "remove it, or 'difference'")


def _answered(spec: Spec, source: SeriesInput) -> Iterator[Finding]:
    for path, output in forecasts_of(spec, source):
        if output.distribution.name != "point":
            message = f"a sum of differences has no {output.distribution.name} of its own"
            hint = f"use point, or remove 'difference' of the input {source.column!r}"
            yield Finding((*path, "distribution"), message, hint)
        if output.residual != "none":
            message = "the distance of differences from the past is not answered"
            hint = f"remove it, or 'difference' of the input {source.column!r}"
            yield Finding((*path, "residual"), message, hint)
        wide = output.horizon * (output.horizon + sum(spec.data.differences(source)))
        if wide > MOST:
            message = f"summing up {output.horizon:,} differences takes {wide:,} numbers"
            hint = f"answer fewer steps, or remove 'difference' of the input {source.column!r}"
            yield Finding((*path, "horizon"), message, hint)
        if spec.decoder is not None:
            message = "a decoder is fed with values, and differences are answered"
            hint = f"remove it, or 'difference' of the input {source.column!r}"
            yield Finding(("decoder",), message, hint)
