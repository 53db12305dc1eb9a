"""Checks of paths, which a decoder draws step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.spec.base import Loc
from rnnspec.spec.check_data import quantiles_rise
from rnnspec.spec.distributions import paths_of
from rnnspec.spec.explain import Finding
from rnnspec.spec.outputs import ForecastOutput, FramesOutput
from rnnspec.spec.spec import Spec

Drawn = ForecastOutput | FramesOutput


def paths_have_a_density(spec: Spec) -> Iterator[Finding]:
    """What is drawn has a density, is written step by step, and is read at the next."""
    for path, output in spec.data.located_outputs:
        if not isinstance(output, Drawn):
            continue
        paths, at = paths_of(output.paths), (*path, "paths")
        if paths is None:
            continue
        found = list(_not_drawn(spec, output, at))
        yield from found or _beside(output, path)
        yield from quantiles_rise((*at, "quantiles"), paths.quantiles)


def _not_drawn(spec: Spec, output: Drawn, at: Loc) -> Iterator[Finding]:
    if spec.decoder is None or (isinstance(output, FramesOutput) and not spec.writes_frames):
        message = "are drawn step by step, and without a decoder all steps are answered at once"
        hint = "add 'decoder: {layers: [{cell: gru, units: 64}]}'"
        if isinstance(output, FramesOutput):
            samples = paths_of(output.paths)
            assert samples is not None
            hint = f"write 'samples: {samples.samples}' for draws of each step by itself"
            if output.distribution.name in ("point", "quantiles"):
                hint = "remove it"
        yield Finding(at, message, hint, key=True)
    elif output.distribution.name in ("point", "quantiles"):
        message = f"are drawn from a density, and '{output.distribution.name}' has none"
        hint = "write 'distribution: gaussian', or another one with a density"
        yield Finding(at, message, hint, key=True)
    elif spec.decoder.feedback == "none":
        message = "are read step by step, and with 'feedback: none' the decoder reads nothing"
        yield Finding(at, message, "remove 'feedback: none' from the decoder", key=True)


def _beside(output: Drawn, path: Loc) -> Iterator[Finding]:
    """Intervals of each step by itself."""
    if output.intervals:
        message = "are intervals of each step by itself, and paths have quantiles of their own"
        hint = f"remove it, and write 'paths: {{quantiles: [{ends_of(output.intervals)}]}}'"
        yield Finding((*path, "intervals"), message, hint, key=True)


def ends_of(intervals: Sequence[float]) -> str:
    """The probabilities of the bounds of intervals, and the median's."""
    ends = {round(0.5 + side * level / 2, 6) for level in intervals for side in (-1, 1)}
    return ", ".join(f"{each:g}" for each in sorted({0.5, *ends}))


def forecasts_are_drawn_together(spec: Spec) -> Iterator[Finding]:
    """All forecasts of a decoder have as many paths."""
    ahead = [
        (path, each) for path, each in spec.data.located_outputs if isinstance(each, ForecastOutput)
    ]
    drawn = [each for _, each in ahead if each.paths is not None]
    if spec.decoder is None or not drawn:
        return
    samples = _samples(drawn[0])
    for path, output in ahead:
        if output.paths is None:
            message = f"the paths of {drawn[0].column!r} are drawn of all forecasts together"
            yield Finding(path, message, f"write 'paths: {samples}' here too", key=True)
        elif _samples(output) != samples:
            message = f"{drawn[0].column!r} has {samples} paths, drawn together with these"
            yield Finding((*path, "paths"), message, f"draw {samples} here too")


def _samples(output: Drawn) -> int:
    paths = paths_of(output.paths)
    assert paths is not None
    return paths.samples
