"""How the rows of a file are read, apart from what each column holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rnnspec.data.folders import held
from rnnspec.data.how import Documents, Holds, How, Shape
from rnnspec.data.other_kinds import OtherKinds, other_kinds
from rnnspec.data.readers import read
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.shards import Shards
from rnnspec.data.split import Split
from rnnspec.errors import DataError
from rnnspec.spec import (
    ClassOutput,
    Data,
    ForecastOutput,
    FramesInput,
    LabelsOutput,
    NextOutput,
    NumberInput,
    OrdinalOutput,
    PositionOutput,
    SeriesInput,
    SpanOutput,
    Spec,
    TagsOutput,
    VectorInput,
)
from rnnspec.spec.cell_kinds import CellKind, cell_kinds
from rnnspec.spec.check_tables import step_columns
from rnnspec.spec.data import Fold
from rnnspec.spec.distributions import DISTRIBUTIONS, DistributionName, censored_by, name_of
from rnnspec.spec.files import Format, FormatName, Quoting
from rnnspec.spec.formats import FormatSettings
from rnnspec.spec.metrics import distribution_of
from rnnspec.spec.outputs import Scheme


@dataclass(frozen=True, slots=True)
class SeriesReading:
    """How the rows of a table make series: see `rnnspec.spec.Series`.

    `horizon` is the longest of all forecasts, `seasons` the season of each forecast by column;
    `reach` is the longest lag, steps that are read before the `history`. `every`, `zone` and `fill`
    are from the spec.
    Without a forecast, `history` and `horizon` are 0: series are read whole, with an answer at each
    step; if they are a `stream`, of any number of steps.
    """

    history: int
    horizon: int
    stride: int = 1
    time: str | None = None
    id: str | None = None
    seasons: Mapping[str, int] = field(default_factory=dict)
    stream: bool = False
    every: str | float | None = None
    zone: str | None = None
    fill: str | float = "error"
    reach: int = 0

    @property
    def most(self) -> int:
        """The most steps that are read of the past; 0 for series that are read whole."""
        return self.history + self.reach if self.history else 0

    @property
    def whole(self) -> bool:
        return not self.horizon

    @property
    def target(self) -> str | None:
        """The column that is forecast."""
        return next(iter(self.seasons), None)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a spec says about its files; mappings are by column.

    - `stream`: rows may have any number of steps: they are read window by window (`train.window`).
    - `skipped`: columns whose missing targets are left out of loss and metrics.
    - `schemes`: how tags mark spans.
    - `seasons`: after how many steps numbers answered ahead repeat.
    - `separators`: what separates several labels in a cell of text.
    - `cures`: which setting of the spec allows missing cells.
    - `others`: which kinds may read cells that a column's own kind refuses.
    - `columns`, `holds`, `settings`, `kinds`, `steps`, `shape`: see `How`.
    - `apart`: outputs of frames that have a number of steps of their own.
    - `folder`: that of the spec, where files of vectors are.
    - `censored`: by column of times the column that says which had not ended.
    - `weight`: the column of the weights of rows.
    - `distributions`: those that are of some numbers alone, such as counts.
    - `seed`, `stratum`, `fold`: how the validation share is drawn, see `rnnspec.data.split`.
    """

    format: Format = "auto"
    documents: Documents = "file"
    stream: bool = False
    skipped: frozenset[str] = frozenset()
    series: SeriesReading | None = None
    schemes: Mapping[str, Scheme] = field(default_factory=dict)
    quoting: Quoting = "auto"
    seasons: Mapping[str, int] = field(default_factory=dict)
    separators: Mapping[str, str] = field(default_factory=dict)
    cures: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    stratum: str | None = None
    columns: tuple[str, ...] = ()
    folder: Path = Path()
    holds: Holds | None = None
    settings: FormatSettings | None = None
    kinds: Mapping[str, CellKind] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    shape: Shape | None = None
    fold: int | None = None
    apart: frozenset[str] = frozenset()
    distributions: Mapping[str, DistributionName] = field(default_factory=dict)
    weight: str | None = None
    censored: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, OtherKinds] = field(default_factory=dict)

    @staticmethod
    def of(spec: Spec, format: Format | None = None) -> Reading:
        """The reading of the spec's files, or of another file in another `format`."""
        data, outputs = spec.data, spec.data.targets
        series = None
        if data.series is not None:
            ahead = [output for output in outputs if isinstance(output, ForecastOutput)]
            series = SeriesReading(
                history=data.series.history or 0,
                horizon=max((output.horizon for output in ahead), default=0),
                stride=data.series.stride,
                time=data.series.time,
                id=data.series.id,
                seasons={output.column: output.season for output in ahead},
                stream=spec.train.window is not None,
                every=data.series.every,
                zone=data.series.zone,
                fill=data.series.fill,
                reach=data.reach,
            )
        return Reading(
            format or data.format_name,
            data.documents,
            spec.train.window is not None,
            frozenset(o.column for o in outputs if getattr(o, "missing", "error") == "skip"),
            series,
            {o.column: o.scheme for o in outputs if isinstance(o, TagsOutput)},
            data.quoting,
            {o.column: o.season for o in outputs if isinstance(o, ForecastOutput | NextOutput)},
            {o.column: o.separator for o in outputs if isinstance(o, LabelsOutput) and o.separator},
            _cures(spec),
            spec.train.seed,
            next((o.column for o in outputs if isinstance(o, ClassOutput | OrdinalOutput)), None),
            data.columns,
            holds=held({source.column: source.as_ for source in data.inputs}),
            settings=data.format_settings,
            kinds=cell_kinds(data),
            steps=step_columns(data),
            shape=_shape(data),
            fold=data.valid.fold if isinstance(data.valid, Fold) else None,
            apart=_apart(spec),
            distributions=_distributions(spec),
            weight=data.weight,
            censored=_censored(spec),
            others=other_kinds(spec),
        )

    @property
    def how(self) -> How:
        """What of it is about the format of the files."""
        return How(
            self.format,
            self.documents,
            self.quoting,
            names=self.columns,
            holds=self.holds,
            settings=self.settings,
            kinds=self.kinds,
            steps=self.steps,
            shape=self.shape,
        )

    def of_files(self, files: Shards, given: FormatName | FormatSettings | None = None) -> Reading:
        """The reading of other files: of the format `given`; else by the endings of their names,
        and where these name none, of this format."""
        if isinstance(given, str):
            return replace(self, format=given)
        if given is not None:
            return replace(self, format=given.name, settings=given)
        try:
            return replace(self, format=files.format())
        except DataError:
            return replace(self, format=files.format(self.format))

    def split(self, share: float) -> Split:
        """Decides, from the first row on, which rows a share keeps for validation."""
        return Split(share, self.seed, self.stratum, self.fold)

    def bad_rows(self, files: Path | Shards) -> BadRows:
        """Collects bad rows of the files; a missing cell comes with its cure, and one of another
        kind with the kind that reads it."""
        return BadRows(files, cures=self.cures, kinds=self.others)

    def read(
        self,
        files: Path | Shards,
        columns: Sequence[str],
        bad: BadRows,
        progress: Callable[[float], None] | None = None,
        share: float = 0.0,
    ) -> Iterator[Chunk]:
        """The rows of `files`, of which a share is kept for validation: see
        `rnnspec.data.readers.read`."""
        return read(files, columns, replace(self.how, end=share), bad, progress)


def _shape(data: Data) -> Shape | None:
    if data.table is None:
        return None
    series = data.series
    return Shape(data.table, series is not None, series.time if series else None)


def _apart(spec: Spec) -> frozenset[str]:
    """The columns of frames that a decoder writes in a number of their own."""
    written = spec.written_frames
    if spec.decoder is None or written is None or spec.decoder.length == "input":
        return frozenset()
    return frozenset([written.column])


Numeric = FramesInput | NumberInput | VectorInput | SeriesInput
"""Inputs whose missing numbers may be read as something."""


def _cures(spec: Spec) -> dict[str, str]:
    """What to set in the spec, by column whose missing cells are errors but need not be."""
    found: dict[str, str] = {}
    for column in spec.data.inputs:
        if isinstance(column, Numeric) and column.missing == "error":
            scale = "scale of the input to standard and " if column.scale == "none" else ""
            cure = f"set {scale}missing of the input to mean or previous"
            if isinstance(column, SeriesInput) and column.difference:
                cure = f"fill it, or remove difference of the input and {cure}"
            found[column.column] = cure
    for output in spec.data.targets:
        if getattr(output, "missing", "") == "error":
            beside = f"{found[output.column]}, and " if output.column in found else "set "
            found[output.column] = f"{beside}missing of the output to skip"
        if isinstance(output, PositionOutput | SpanOutput):
            hint = "where a row may have none set none of the output to true, else missing to skip"
            found[output.column] = "write both ends, or neither" if output.none else hint
    for censored in _censored(spec).values():
        found[censored] = "write 1 where it had not ended, 0 where it had"
    return found


def _censored(spec: Spec) -> dict[str, str]:
    """By column of times, the column that says which had not ended."""
    columns = ((each.column, censored_by(distribution_of(each))) for each in spec.data.targets)
    return {column: censored for column, censored in columns if censored is not None}


def _distributions(spec: Spec) -> dict[str, DistributionName]:
    """By column, the distributions that are not of all numbers."""
    return {
        each.column: name
        for each in spec.data.targets
        if DISTRIBUTIONS[name := name_of(distribution_of(each))].values != "numbers"
    }
