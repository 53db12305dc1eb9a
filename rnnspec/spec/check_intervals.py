"""Checks of what is answered of a distribution: intervals and draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rnnspec.spec.base import Loc
from rnnspec.spec.check_paths import ends_of
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.metrics import answers_numbers
from rnnspec.spec.outputs import Distributed, ForecastOutput, FramesOutput, NextOutput
from rnnspec.spec.spec import Spec


def intervals_have_a_distribution(spec: Spec) -> Iterator[Finding]:
    """Quantiles are bounds themselves, a point has none; levels rise."""
    for path, output in _distributed(spec):
        if not output.intervals:
            continue
        at = (*path, "intervals")
        if output is spec.written_frames:
            yield from _of_written(spec, at, output)
            continue
        match output.distribution.name:
            case "point":
                yield from _of_point(spec, at, output)
            case "quantiles":
                message = "quantiles are the bounds themselves"
                hint = f"remove it, and write 'quantiles: [{ends_of(output.intervals)}]'"
                yield Finding(at, message, hint, key=True)
        for number, (before, after) in enumerate(pairwise(output.intervals), start=1):
            if after <= before:
                message = f"{after:g} comes after {before:g}, and shares rise"
                levels = ", ".join(f"{each:g}" for each in sorted({*output.intervals}))
                yield Finding((*at, number), message, f"write 'intervals: [{levels}]'")
                break


def draws_have_a_distribution(spec: Spec) -> Iterator[Finding]:
    """Quantiles are a few points of a distribution."""
    for path, output in _distributed(spec):
        if output.samples is None:
            continue
        at = (*path, "samples")
        if output is spec.written_frames:
            yield from _of_written(spec, at, output)
        elif output.distribution.name == "point":
            yield from _of_point(spec, at, output)
        elif output.distribution.name == "quantiles":
            message = "quantiles are a few points of a distribution, which nothing is drawn from"
            yield Finding(
                at, message, "remove it, or answer another one, such as student_t", key=True
            )
        elif isinstance(output, ForecastOutput) and spec.decoder is not None:
            message = "the decoder reads its own answers, and draws would be of each step alone"
            yield Finding(at, message, _of_paths(spec, output), key=True)


def _of_paths(spec: Spec, output: ForecastOutput) -> str:
    """The way to draws of a forecast whose steps read those before them."""
    if output.paths is not None:
        return "remove it; the file answers the paths too"
    if spec.decoder is not None and spec.decoder.feedback == "none":
        return "remove it, or leave out the decoder"
    return f"write 'paths: {max(2, output.samples or 0)}' in its place, or leave out the decoder"


def _of_written(spec: Spec, at: Loc, output: Distributed) -> Iterator[Finding]:
    """Frames that a decoder writes have the parameters of their distribution alone beside them, or
    paths."""
    assert isinstance(output, FramesOutput)
    if output.distribution.name == "point":
        yield no_effect(at, "with frames that a decoder writes, and answers as points")
        return
    of_bounds = at[-1] == "intervals"
    if output.paths is not None and of_bounds:
        return  # told where the paths are checked
    what = "bounds" if of_bounds else "draws"
    message = f"the decoder reads its own answers, and {what} would be of each step alone"
    hint = "remove it; the file answers the parameters of each step"
    feedback = spec.decoder is not None and spec.decoder.feedback != "none"
    if output.paths is not None:
        hint = "remove it; the file answers the paths too"
    elif feedback and output.distribution.name != "quantiles":
        paths = f"{max(2, output.samples or 0)}"
        if of_bounds:
            paths = f"{{quantiles: [{ends_of(output.intervals)}]}}"
        hint = f"write 'paths: {paths}' in its place"
    yield Finding(at, message, hint, key=True)


def _of_point(spec: Spec, at: Loc, output: Distributed) -> Iterator[Finding]:
    if isinstance(output, NextOutput) and not answers_numbers(spec, output):
        yield no_effect(at, "where no number is answered")
    else:
        hint = "remove it, or write a distribution, as in 'distribution: gaussian'"
        yield Finding(at, "needs a distribution, and a point is answered", hint, key=True)


def _distributed(spec: Spec) -> Iterator[tuple[Loc, Distributed]]:
    for path, output in spec.data.located_targets:
        if isinstance(output, Distributed):
            yield path, output
