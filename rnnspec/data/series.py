"""Tables whose rows are the steps of series: the rows of each series, and windows over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.calendar import Flags
from rnnspec.data.decode import MOST_STEPS
from rnnspec.data.reading import SeriesReading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.times import Times
from rnnspec.errors import DataError
from rnnspec.spec.every import every_of

Part = Literal["all", "train", "valid"]
Places = NDArray[np.int64]
ONLY_SERIES = "the only series"
MOST_FILLED = 50_000_000
"""Most steps of a table that may have no row."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table by series: rows `order[offsets[s]:offsets[s + 1]]` of the file are the
    steps of the series called `names[s]`; `lines` `[rows]` are their lines in the file.

    A *place* is an index into `order`. Steps without a row in the file have a place too, with the
    row before them; `filled` says which places these are, and `fill` what their numbers are.
    """

    names: tuple[str, ...]
    order: Places
    offsets: Places
    lines: Places
    filled: NDArray[np.bool_] | None = None
    fill: str | float = "error"

    def values(self, of_rows: NDArray[Any], missing: Any) -> NDArray[Any]:
        """The values of the rows of the file, `[rows, ...]`, by place; `missing` without a row."""
        found: NDArray[Any] = of_rows[self.order]
        if self.filled is not None:
            found[self.filled] = missing
        return found

    def numbers(self, of_rows: NDArray[np.floating]) -> NDArray[np.floating]:
        """The numbers of a series by place; steps without a row are filled, by `previous` with the
        number of the row before."""
        if self.fill == "previous":
            return of_rows[self.order]
        return self.values(of_rows, np.nan if isinstance(self.fill, str) else self.fill)

    def labels(self, of_rows: NDArray[np.int32], missing: int) -> NDArray[np.int32]:
        """The numbers of labels by place; steps without a row have by `previous` that of the row
        before, and else `missing`, for a number is no label."""
        if self.fill == "previous":
            return of_rows[self.order]
        return self.values(of_rows, missing)

    def filled_steps(self) -> dict[str, int]:
        """How many steps of each series have no row, where there are any."""
        if self.filled is None:
            return {}
        before = np.concatenate([[0], np.cumsum(self.filled)])[self.offsets]
        counts = zip(self.names, np.diff(before).tolist(), strict=True)
        return {name: count for name, count in counts if count}


def name_arrays(names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The names of series as arrays: their bytes in UTF-8, and where each one ends."""
    found = [name.encode("utf-8", "surrogatepass") for name in names]
    ends = np.cumsum(list(map(len, found)), dtype=np.int64)
    return {"names": np.frombuffer(b"".join(found), np.uint8), "names.ends": ends}


def names_in(arrays: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """The names that `name_arrays` has encoded."""
    whole, ends = arrays["names"].tobytes(), arrays["names.ends"].tolist()
    pairs = zip([0, *ends], ends, strict=False)
    return tuple(whole[start:end].decode("utf-8", "surrogatepass") for start, end in pairs)


@dataclass(slots=True)
class TableBuilder:
    """Collects the series and the time of each row, and builds the table."""

    reading: SeriesReading
    numbers: dict[str, int] = field(default_factory=dict)
    of_rows: list[Places] = field(default_factory=list)
    lines: list[Places] = field(default_factory=list)
    times: Times | None = None

    def __post_init__(self) -> None:
        if self.reading.time is not None:
            every, zone = self.reading.every, self.reading.zone
            self.times = Times(
                self.reading.time,
                None if every is None else every_of(every),
                None if zone is None else ZoneInfo(zone),
            )

    @property
    def columns(self) -> list[str]:
        return [name for name in (self.reading.id, self.reading.time) if name is not None]

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.lines.append(np.array(chunk.lines, np.int64))
        if self.reading.id is None:
            self.of_rows.append(np.zeros(len(chunk), np.int64))
        else:
            names = bad.decoded(chunk, self.reading.id, decode.label)
            numbers = [self.numbers.setdefault(name, len(self.numbers)) for name in names]
            self.of_rows.append(np.array(numbers, np.int64))
        if self.times is not None:
            self.times.add(chunk, bad)

    def table(self, bad: BadRows) -> Table:
        """Raises DataError for times that do not rise by equal steps, unless missing steps are
        filled, and for more missing steps than can be held."""
        series, lines = np.concatenate(self.of_rows), np.concatenate(self.lines)
        names = tuple(self.numbers) or (ONLY_SERIES,)
        order = np.argsort(series, kind="stable")
        offsets = np.zeros(len(names) + 1, np.int64)
        np.cumsum(np.bincount(series, minlength=len(names)), out=offsets[1:])
        table = Table(names, order, offsets, lines)
        if self.times is None:
            return table
        fills = self.reading.fill != "error"
        numbers = self.times.numbers(order, offsets, lines, bad, gaps=fills)
        return _filled(table, numbers, self.reading.fill, bad) if fills else table


def _filled(table: Table, numbers: list[Places], fill: str | float, bad: BadRows) -> Table:
    """The table with a place for every step; `numbers` are the step numbers of the rows of each
    series."""
    lengths = np.array([int(of_series[-1]) + 1 for of_series in numbers], np.int64)
    if (missing := int(lengths.sum()) - len(table.order)) > MOST_FILLED:
        raise DataError(
            f"{bad.file}: {missing:,} steps have no row, too many to be filled; see whether"
            " data.series.every says what a step is"
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    has_row = np.zeros(int(offsets[-1]), np.bool_)
    for first, of_series in zip(offsets[:-1].tolist(), numbers, strict=True):
        has_row[first + of_series] = True
    order = table.order[np.cumsum(has_row) - 1]
    return replace(table, order=order, offsets=offsets, filled=~has_row, fill=fill)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over series, as places, each `[windows]`.

    The past that is read is `starts` to `ends`; the answers follow `ends`. The series has number
    `series` in the table and begins at `first`.
    """

    starts: Places
    ends: Places
    first: Places
    series: Places


def training_end(steps: int, reading: SeriesReading, share: float) -> int:
    """How many of the `steps` of a series are for training.

    The last `share` of them, at least the steps of one answer, is for validation; if too few are
    left to train on, all are for training.
    """
    if not share:
        return steps
    share_of_steps = int(steps * Fraction(str(share)))  # of floats 100 * 0.29 is below 29
    end = steps - max(reading.horizon, share_of_steps)
    return end if end > reading.horizon else steps


def windows(
    table: Table, reading: SeriesReading, part: Part, share: float, bad: BadRows
) -> Windows:
    """The windows of a part: of `train` every `stride` steps, counted back from the last one; of
    `valid` and `all` at every step.

    Each reads `history` steps, and those that its lags reach before them, and answers `horizon`
    steps of the part; windows of `valid` may read training steps. A series with fewer steps in the
    part gives one window, which reads what there is. Raises DataError for a series without a window
    in `train` or `all`, and for a share that leaves validation without one.
    """
    found: list[NDArray[np.int64]] = []
    bounds = zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True)
    for number, (first, end) in enumerate(bounds):
        trained = training_end(end - first, reading, share)
        answered = _answered(end - first, trained, reading, part)
        if not len(answered) and part != "valid":
            raise _too_short(table, number, reading, bad)
        ends = first + answered
        starts = np.maximum(first, ends - reading.most)
        whole = np.stack([np.full_like(ends, first), np.full_like(ends, number)])
        found.append(np.concatenate([starts[None], ends[None], whole]))
    starts, ends, firsts, numbers = np.concatenate(found, axis=1)
    if not len(starts):
        steps = "a step" if reading.horizon == 1 else f"{reading.horizon} steps"
        raise DataError(
            f"{bad.file}: a validation share of {share:g} takes no window of {steps} to answer;"
            f" {_valid_cure(table, reading)}"
        )
    return Windows(starts, ends, firsts, numbers)


def _valid_cure(table: Table, reading: SeriesReading) -> str:
    """How validation gets a window. Beside its answer there must be one for training, and a step
    that is read before (`training_end`): no share, of at most a half, is too large for that."""
    longest, needed = int(np.diff(table.offsets).max()), 2 * reading.horizon + 1
    lower = (longest - 1) // 2
    horizon = f", or data.output.horizon to {lower}{' or less' * (lower > 1)}" if lower else ""
    return (
        f"any share needs a series of {needed} steps, and the longest has {longest}; set data.valid"
        f" to a file or to null{horizon}"
    )


def whole_series(
    table: Table, reading: SeriesReading, part: Part, share: float, bad: BadRows
) -> Windows:
    """The steps of each series that belong to a part, as one window: for `valid` the last `share`
    of them, read from initial states.

    Raises DataError for a share that leaves validation without a step, and for a series of more
    steps than a row may have, unless it is read window by window.
    """
    first, end = table.offsets[:-1], table.offsets[1:]
    lengths = np.array([training_end(int(n), reading, share) for n in end - first], np.int64)
    trained = first + lengths
    starts = trained if part == "valid" else first
    ends = trained if part == "train" else end
    kept = ends > starts
    if not kept.any():
        several = int((end - first).max()) > 1
        raise DataError(
            f"{bad.file}: a validation share of {share:g} takes no step of any series; "
            f"set data.valid to {'a larger share or to ' if several else ''}a file"
        )
    longest = int(np.argmax(ends - starts))
    steps = int((ends - starts)[longest])
    if steps > MOST_STEPS and not reading.stream:
        line = int(table.lines[table.order[starts[longest]]])
        what = f"series {table.names[longest]!r}" if table.names != (ONLY_SERIES,) else ONLY_SERIES
        raise DataError(
            f"{bad.place(line)}: {what} has {steps:,} steps, and a row may have {MOST_STEPS:,}; "
            "read it window by window, with train.window"
        )
    return Windows(starts[kept], ends[kept], first[kept], np.flatnonzero(kept))


def _answered(steps: int, trained: int, reading: SeriesReading, part: Part) -> Places:
    """The first answered step of each window of a series, rising, from 0."""
    if part == "valid":
        return np.arange(trained, steps - reading.horizon + 1) if trained < steps else _NONE
    last = (trained if part == "train" else steps) - reading.horizon
    if last < reading.history:  # the only window reads what there is
        return np.array([last]) if last > 0 else _NONE
    stride = reading.stride if part == "train" else 1
    return np.arange(last, reading.history - 1, -stride)[::-1]


_NONE = np.zeros(0, np.int64)


def _too_short(table: Table, number: int, reading: SeriesReading, bad: BadRows) -> DataError:
    first, end = table.offsets[number], table.offsets[number + 1]
    what = f"series {table.names[number]!r}" if table.names != (ONLY_SERIES,) else ONLY_SERIES
    line, many = int(table.lines[table.order[first]]), int(end - first)
    verb = "is" if reading.horizon == 1 else "are"
    return DataError(
        f"{bad.place(line)}: {what} has {many} step{'s' * (many != 1)}, too few for one that is "
        f"read and {reading.horizon} that {verb} answered; leave it out, or set "
        "data.output.horizon lower"
    )


def seconds_of(times: Times, table: Table, bad: BadRows) -> Places:
    """The times of all steps, by place, as seconds since 1970: see `Times.seconds`. Raises
    DataError where the times are numbers."""
    if not times.dates:
        raise DataError(
            f"{bad.file}: column {times.column!r} holds numbers, and the calendar is read off"
            " dates; write them as in 2024-01-31, or set data.series.every to a span of time"
        )
    found = np.zeros(len(table.order), np.int64)
    for first, end in zip(table.offsets[:-1].tolist(), table.offsets[1:].tolist(), strict=True):
        places = range(first, end)
        of_series = seconds_at(times, table, places, places)
        assert of_series is not None, "a step is known where some are filled"
        found[first:end] = of_series
    return found


def seconds_at(times: Times, table: Table, series: range, wanted: range) -> Places | None:
    """The times of places of a series with the places `series`, as `seconds_of`, also past its end.
    None where the only row of a series does not tell the length of a step."""
    filled = table.filled if table.filled is not None else np.zeros(len(table.order), np.bool_)
    rows = _rows(table, filled, series)
    places = np.array(wanted, np.int64)
    known = np.array(series, np.int64)[~filled[series.start : series.stop]]
    there = np.isin(places, known)
    found = np.zeros(len(places), np.int64)
    found[there] = times.seconds(rows)[np.isin(known, places)]
    if not there.all():
        after = times.seconds_after(rows, places[~there] - known[-1])
        if after is None:
            return None
        found[~there] = after
    return found


def times_at(
    times: Times, table: Table, cells: Sequence[object], series: range, wanted: range
) -> list[object] | None:
    """The times of the places `wanted` of a series with the places `series`.

    `cells` is the column of times, by row of the file. A step with a row has its time, as written
    there; any other has the time that the steps of its series give, in the same format. None where
    the only row of a series does not tell the length of a step.
    """
    found: list[object] = []
    filled = table.filled if table.filled is not None else np.zeros(len(table.order), np.bool_)
    for place in wanted[: max(0, series.stop - wanted.start)]:
        last = _with_row(filled, place)
        row = int(table.order[last])
        if last == place:
            found.append(times.of_row(row, cells[row]))
            continue
        rows = _rows(table, filled, range(series.start, last + 1))
        after = times.after(rows, np.array([place - last]), cells[row])
        assert after is not None, "a step is known where some are filled"
        found += after
    beyond = range(max(wanted.start, series.stop), wanted.stop)
    if not beyond:
        return found
    last = _with_row(filled, series[-1])
    counts = np.arange(beyond.start, beyond.stop) - last
    row = int(table.order[last])
    after = times.after(_rows(table, filled, series), counts, cells[row])
    return None if after is None else found + after


def _with_row(filled: Flags, place: int) -> int:
    """The last place up to this one that has a row."""
    while filled[place]:
        place -= 1
    return place


def _rows(table: Table, filled: Flags, places: range) -> Places:
    of = slice(places.start, places.stop)
    found: Places = table.order[of][~filled[of]]
    return found
