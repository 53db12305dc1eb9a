"""What the time of series asks of the rest of a spec."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.data import Series
from rnnspec.spec.every import every_of
from rnnspec.spec.explain import Loc
from rnnspec.spec.finding import Finding
from rnnspec.spec.inputs import SeriesInput
from rnnspec.spec.spec import Spec

SERIES: Loc = ("data", "series")


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
