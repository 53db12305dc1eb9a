"""Data files to arrays, once: later calls with the same content and settings reuse the arrays."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.cache import Column, MemoryMaps, Writer, checksums, new_folder, open_folder
from rnnspec.data.collate import PerRow
from rnnspec.data.columns.base import Arrays, ColumnEncoder, Encoding, add_chunk
from rnnspec.data.columns.beside import files_changed
from rnnspec.data.columns.kinds import (
    encoders,
    kind_of,
    new_labels_of,
    outputs_ahead,
    raw_encoders,
    raw_names,
    raw_texts,
    series_encoder,
    static_columns,
    table_encoders,
)
from rnnspec.data.columns.labels import SeriesLabels
from rnnspec.data.columns.numbers import values_ahead
from rnnspec.data.columns.series import CLOCK
from rnnspec.data.columns.weights import (
    WEIGHTS,
    StepWeights,
    WeightWriter,
    some_weigh,
    weights_in_batches,
)
from rnnspec.data.dataset import Dataset, Places, SeriesRows
from rnnspec.data.lines import check_file
from rnnspec.data.naive import Season, scales_before, scales_of
from rnnspec.data.readers import Progress, progress_of
from rnnspec.data.reading import Reading, SeriesReading
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.series import (
    Part,
    TableBuilder,
    name_arrays,
    names_in,
    seconds_of,
    whole_series,
    windows,
)
from rnnspec.data.shards import Shards
from rnnspec.data.split import Split
from rnnspec.errors import DataError
from rnnspec.plan.facts import Facts
from rnnspec.plan.names import first_sequences, reads_backward
from rnnspec.plan.nodes import STEPS, CalendarInput, ForecastOutput, Plan
from rnnspec.spec.files import Format

__all__ = ["Part", "encode", "encode_parts"]

VERSION = 8
"""Version of the encoding; to be raised with any change of the arrays' content."""


def encode(
    plan: Plan,
    facts: Facts,
    file: Path | Shards,
    reading: Reading | Format,
    cache: Path,
    rows: Part = "all",
    share: float = 0.0,
    progress: Progress | None = None,
    *,
    measured: bool = False,
) -> Dataset:
    """The rows of `file`, or of several files, as the plan's inputs and targets.

    `reading` is that of the spec (`Reading.of`); a format alone means plain rows. `rows`: every
    row, or the "train" or "valid" part where `share` of the rows is kept for validation. Of series
    the share is the end of each series, and the rows are windows: in "train", where the share may
    be 0, `stride` steps apart, elsewhere one step. `measured`: raw texts are kept beside the
    numbers (`Dataset.raw`), except of streams and series.

    The arrays are in a folder of `cache` named by a hash of the content of each file, in order, and
    of everything else that they depend on, file names excepted. All files share one folder: one
    more file may change the vocabulary, and with it every array, and always the facts.

    Raises DataError: see `read` and `rnnspec.data.decode`; for vectors of another width than the
    plan's, for columns of steps of unequal length, for a part without rows, for series as in
    `rnnspec.data.series`, and where the cache cannot be written. A word or character that is not in
    `facts` is encoded as unknown; such a target label is one of `Dataset.new`. `progress` is called
    as by `survey`; not if the arrays exist already.
    """
    assert rows == "train" or (rows == "all") == (share == 0), "a share goes with a part"
    shards = Shards.of(file)
    reading = Reading(reading) if isinstance(reading, str) else reading
    rows = rows if share or reading.series is not None else "all"
    format = _checked(shards, reading)
    encoding = Encoding(plan, facts, reading)
    job = _Job(encoding, shards, format, rows, share, progress, measured)
    return _encoded(cache, [job])[0]


def encode_parts(
    plan: Plan,
    facts: Facts,
    file: Path | Shards,
    reading: Reading,
    cache: Path,
    share: float,
    progress: Progress | None = None,
) -> tuple[Dataset, Dataset]:
    """`encode` of the training part and of the validation part, a `share` of the rows, in one pass
    over the file. The validation part is `measured`."""
    shards = Shards.of(file)
    encoding, format = Encoding(plan, facts, reading), _checked(shards, reading)
    parts: tuple[Part, Part] = ("train", "valid")
    jobs = [
        _Job(encoding, shards, format, part, share, progress, measured=part == "valid")
        for part in parts
    ]
    train, valid = _encoded(cache, jobs)
    return train, valid


def _checked(shards: Shards, reading: Reading) -> Format:
    """The format of the files. Raises DataError for one that cannot be read."""
    format = shards.format(reading.format)
    for each in shards.every_file if format != "folders" else ():
        check_file(each)
    return format


@dataclass(frozen=True, slots=True)
class _Job:
    encoding: Encoding
    shards: Shards
    format: Format
    rows: Part
    share: float
    progress: Progress | None
    measured: bool = False

    @property
    def reading(self) -> Reading:
        return self.encoding.reading

    @property
    def beside(self) -> list[str]:
        """The arrays of nodes whose cells may name files."""
        return [name for name, node in self.encoding.named() if kind_of(node).beside]

    def key(self, placed: bool = True) -> str:
        """A hash of all that the arrays depend on, but for the files that cells name: of those the
        folder, if `placed`, which paths are relative to."""
        named = self.encoding.named()
        columns = [kind_of(node).settings(self.encoding, node) for _, node in named]
        reading = self.reading
        settings: list[object] = [VERSION, self.format, self.rows, self.share, columns]
        settings += [reading.documents, reading.quoting, reading.stream, sorted(reading.skipped)]
        settings += [sorted(reading.schemes.items()), reading.series and asdict(reading.series)]
        settings += [sorted(reading.seasons.items()), sorted(reading.separators.items())]
        settings += [("columns", *reading.columns)] if reading.columns else []
        axes = self.encoding.axes()
        settings += [sorted(axes.items())] if len(set(axes.values())) > 1 else []
        settings += replace(reading.how, format=self.format).written()
        settings += [name for name, _ in raw_names(self.encoding)] if self.measured else []
        if self.share and reading.series is None:
            settings += [reading.seed, reading.stratum]
            settings += [("fold", reading.fold)] if reading.fold is not None else []
        settings += [("weight", reading.weight)] if reading.weight else []
        if placed and self.beside:
            settings += [str(file.parent.absolute()) for file in self.shards.files]
        settings += [content.digest for content in self.shards.content]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:32]

    def chunks(self, columns: list[str], bad: BadRows) -> Iterator[Chunk]:
        """The rows of all files; reports progress."""
        report = progress_of(self.progress, f"encoding {self.shards.name}")
        reading = replace(self.reading, format=self.format)
        yield from reading.read(self.shards, columns, bad, report, self.share)

    def encoders(self, writer: Writer) -> list[tuple[str, ColumnEncoder]]:
        """What writes each column that has arrays of its own."""
        found = encoders(self.encoding, writer)
        return found + (raw_encoders(self.encoding, writer) if self.measured else [])


def _encoded(cache: Path, jobs: Sequence[_Job]) -> list[Dataset]:
    """The data sets of some parts of the same files; missing ones are written."""
    folders = [cache / job.key() for job in jobs]
    found = [_opened(folder) for folder in folders]
    missing = [at for at, arrays in enumerate(found) if arrays is None]
    with contextlib.ExitStack() as stack:
        parts = [(jobs[at], stack.enter_context(new_folder(folders[at]))) for at in missing]
        if parts:
            _write(parts)
            jobs[0].shards.check_unchanged()
    for at in missing:
        found[at] = open_folder(folders[at])
    datasets = []
    for job, folder, arrays in zip(jobs, folders, found, strict=True):
        assert arrays is not None, f"{folder} was just written"
        datasets.append(_dataset(job, arrays, _content(job, folder)))
    return datasets


def _content(job: _Job, folder: Path) -> str:
    """What tells these rows from others wherever they are: also what was read of the files that
    their cells name."""
    if not job.beside:
        return folder.name
    sums = checksums(folder)
    own = [
        sums[array] for name in job.beside for array in (name, f"{name}.offsets") if array in sums
    ]
    return f"{job.key(placed=False)}-{hashlib.sha256(json.dumps(own).encode()).hexdigest()[:16]}"


def _opened(folder: Path) -> Arrays | None:
    """The arrays of `folder`; None if they are missing, not whole, or of files that have
    changed."""
    arrays = open_folder(folder)
    if arrays is not None and files_changed(arrays):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return arrays


def _write(parts: Sequence[tuple[_Job, Writer]]) -> None:
    """The arrays of some parts of the same files, of plain rows in one pass."""
    job = parts[0][0]
    if job.reading.series is not None:
        for each, writer in parts:
            _write_series(each, job.reading.series, writer)
        return
    writing = [_Rows.of(each, writer) for each, writer in parts]
    bad = job.reading.bad_rows(job.shards)
    columns = [node.column for _, node in job.encoding.named()]
    if job.reading.weight is not None:
        columns.append(job.reading.weight)
    columns += job.reading.censored.values()
    for chunk in job.chunks(columns, bad):
        for rows in writing:
            rows.add(chunk, bad)
    for rows in writing:
        rows.finish()


@dataclass(slots=True)
class _Rows:
    """Writes the plain rows of one part."""

    job: _Job
    writer: Writer
    encoders: list[tuple[str, ColumnEncoder]]
    lines: Column
    axes: dict[str, tuple[Column, _End]]
    split: Split
    weights: WeightWriter | None = None

    @staticmethod
    def of(job: _Job, writer: Writer) -> _Rows:
        encoders, lines = job.encoders(writer), writer.column("lines", np.int64)
        axes = {}
        for axis, name in offsets_of(job.encoding.plan).items():
            offsets = writer.column(name, np.int64)
            offsets.append(np.zeros(1, np.int64))
            axes[axis] = (offsets, _End())
        column = job.reading.weight
        weights = None if column is None else WeightWriter.of(writer, column)
        return _Rows(job, writer, encoders, lines, axes, job.reading.split(job.share), weights)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        used = self.split.part(chunk, self.job.rows == "valid") if self.split.share else chunk
        self.lines.append(np.array(used.lines[used.continued :], np.int64))
        found = add_chunk(used, self.encoders, bad, self.job.encoding.axes())
        if self.weights is not None:
            self.weights.add(used, bad)
        for axis, (offsets, end) in self.axes.items():
            lengths = found.get(axis)
            if lengths is None:  # a row is one step
                lengths = np.ones(len(used), np.int64)
            offsets.append(end.whole_rows(lengths, used.continued))

    def finish(self) -> None:
        """Raises DataError for a part without rows, or whose rows all have a weight of 0."""
        for offsets, end in self.axes.values():
            if end.rows:
                offsets.append(np.array([end.steps], np.int64))
        if not self.lines.count:
            job = self.job
            name = "validation" if job.rows == "valid" else "training"
            raise DataError(
                f"{job.shards}: no row falls to {name} with a validation share of {job.share:g}; "
                "set data.valid to another share or to a file"
            )
        if self.weights is not None and not self.weights.total:
            raise _weightless(self.job, "row")


def _weightless(job: _Job, what: str) -> DataError:
    """The error where every row, or every answered step, has a weight of 0."""
    part = {"train": " for training", "valid": " for validation"}.get(job.rows, "")
    return DataError(
        f"{job.shards}: every {what}{part} has the weight 0 in column {job.reading.weight!r};"
        " remove data.weight, or weigh some more"
    )


def offsets_of(plan: Plan) -> dict[str, str]:
    """The names of the arrays with the ends of rows on each time axis; of rows without steps one
    in which each is a step."""
    axes = list(first_sequences(plan)) or [STEPS]
    return {axis: "offsets" + (f".{axis}" if number else "") for number, axis in enumerate(axes)}


@dataclass(slots=True)
class _End:
    """The steps and rows so far; the last row may go on in the next chunk."""

    steps: int = 0
    rows: int = 0

    def whole_rows(self, lengths: NDArray[np.int64], continued: bool) -> NDArray[np.int64]:
        """The ends of rows that are now known to be whole: all but the last."""
        if not len(lengths):
            return np.zeros(0, np.int64)
        starts = self.steps + np.cumsum(lengths) - lengths
        self.steps += int(lengths.sum())
        first = continued or not self.rows
        self.rows += len(lengths) - continued
        return starts[1:] if first else starts


def _write_series(job: _Job, reading: SeriesReading, writer: Writer) -> None:
    encoding, bad = job.encoding, job.reading.bad_rows(job.shards)
    builder = TableBuilder(reading)
    names = encoding.series()
    series = {column: series_encoder(encoding, column) for column in names}
    answers = table_encoders(encoding)
    columns = [*job.encoders(writer), *((column, encoder) for _, column, encoder in answers)]
    weights = [] if job.reading.weight is None else [StepWeights(job.reading.weight)]
    static = static_columns(encoding)
    read = [*builder.columns, *series, *(column for column, _ in columns)]
    read += [each.column for each in weights]
    for chunk in job.chunks(read, bad):
        builder.add(chunk, bad)
        for each in static:
            each.add(chunk, bad)
        for of_steps in weights:
            of_steps.add(chunk, bad)
        add_chunk(chunk, [*series.items(), *columns], bad)
    table = builder.table(bad)
    windows_of = whole_series if reading.whole else windows
    found = windows_of(table, reading, job.rows, job.share, bad)
    for each in static:
        each.check(table, found, bad)
    values = {column: encoder.values(table) for column, encoder in series.items()}
    arrays: Arrays = {names[column]: of_column for column, of_column in values.items()}
    arrays |= {name: encoder.values(table) for name, _, encoder in answers}
    arrays |= {
        f"{name}.names": encoder.known.new.array()
        for name, _, encoder in answers
        if isinstance(encoder, SeriesLabels)
    }
    arrays |= {
        "lines": table.lines[table.order[found.starts if reading.whole else found.ends]],
        "starts": found.starts,
        "ends": found.ends,
        "first": found.first,
        "of_rows": table.order[found.ends - 1],
        "of_series": found.series,
        **name_arrays(table.names),
        "filled": np.array([sum(table.filled_steps().values())]),
    }
    for of_steps in weights:
        arrays[WEIGHTS] = of_steps.values(table)
        if not some_weigh(arrays[WEIGHTS], found, encoding.plan.targets):
            raise _weightless(job, "answered step")
    if any(isinstance(node, CalendarInput) for node in encoding.plan.inputs):
        assert builder.times is not None, "a calendar without times"
        arrays[CLOCK] = seconds_of(builder.times, table, bad)
    for name, node in outputs_ahead(encoding):
        season = job.reading.seasons.get(node.column, 1)
        of_column = values[node.column]
        arrays[f"{name}.before"] = scales_before(table, reading, found, of_column, season)
        arrays[f"{name}.squares"] = scales_before(table, reading, found, of_column, season, 2)
    for name, array in arrays.items():
        writer.column(name, array.dtype, *array.shape[1:]).append(array)


def _dataset(job: _Job, arrays: Arrays, key: str) -> Dataset:
    encoding, series = job.encoding, job.reading.series
    plan = encoding.plan
    batched = {
        name: kind_of(node).batch(encoding, node, name, arrays) for name, node in encoding.named()
    }
    inputs = {node.key: batched[f"input.{at}"] for at, node in enumerate(plan.inputs)}
    targets = {node.column: batched[f"output.{at}"] for at, node in enumerate(plan.targets)}
    raw, of_rows, there, filled = None, None, None, 0
    own: dict[str, Places] = {}
    if series is None:
        starts, ends = arrays["offsets"][:-1], arrays["offsets"][1:]
        if reads_backward(plan):  # steps are counted from the end of the file
            starts, ends = arrays["offsets"][-1] - ends, arrays["offsets"][-1] - starts
        others = {axis: arrays[name] for axis, name in list(offsets_of(plan).items())[1:]}
        own = {axis: (offsets[:-1], offsets[1:]) for axis, offsets in others.items()}
        raw = raw_texts(encoding, arrays) if job.measured else None
    else:
        starts, ends, of_rows = arrays["starts"], arrays["ends"], arrays["of_rows"]
        there = SeriesRows(names_in(arrays), arrays["first"], arrays["of_series"])
        filled = int(arrays["filled"][0])
    step_weights = {}
    if series is not None and WEIGHTS in arrays:
        weights = arrays[WEIGHTS]
        step_weights = {node.column: weights_in_batches(node, weights) for node in plan.targets}
    seasons = _seasons(job, arrays, there.names if there else None)
    lines, maps = arrays["lines"], MemoryMaps.of(arrays.values())
    new = new_labels_of(encoding, arrays)
    axes = {node.key: node.axis for node in plan.inputs if node.axis in own}
    return Dataset(
        inputs,
        targets,
        lines,
        starts,
        ends,
        key,
        of_rows,
        seasons,
        maps,
        raw,
        there,
        filled,
        new,
        own,
        axes,
        {column: axis for column, axis in encoding.axes().items() if axis in own},
        PerRow(arrays[WEIGHTS]) if series is None and WEIGHTS in arrays else None,
        step_weights,
    )


def _seasons(job: _Job, arrays: Arrays, names: Sequence[str] | None) -> dict[str, Season]:
    """What the naive forecast needs, by column of numbers that is answered ahead; `names` of
    series."""
    encoding, found = job.encoding, {}
    for name, node in outputs_ahead(encoding):
        column, values = node.column, values_ahead(encoding, node, arrays)
        scales, squares = None, arrays.get(f"{name}.squares")
        if names is not None:
            trained = encoding.facts.scales.get(column, {})
            scales = scales_of(names, trained, arrays[f"{name}.before"])
        horizon = node.horizon if isinstance(node, ForecastOutput) else 0
        found[column] = Season(values, job.reading.seasons.get(column, 1), horizon, scales, squares)
    return found
