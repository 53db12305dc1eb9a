"""A look at the rows of a spec before training: what each column holds, what is in both parts, and
what looks like a mistake. One pass over the training rows and one over the validation rows, and one
that collects facts of the training rows as a build does."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.data import decode
from rnnspec.data.other_kinds import OtherKinds, hint_of
from rnnspec.data.read_columns import ReadColumn, Taken, columns_of
from rnnspec.data.readers import unit_of
from rnnspec.data.reading import Reading
from rnnspec.data.rows import Chunk
from rnnspec.data.shards import FILE, Shards, Sources
from rnnspec.data.survey import survey
from rnnspec.errors import DataError
from rnnspec.spec import Spec

MOST = 1 << 20
"""Rows whose identity is kept, and different cells that are counted, of each part."""
SAMPLE = 20_000
"""Numbers of a column that its quantiles are of, drawn from all."""
LABELS = 50
"""Most labels or tokens that are listed."""
BAD = 10
"""Most bad rows that are shown."""
EXAMPLES = 5
SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""The shares of rows below each quantile."""
RARE = 5
"""Labels with fewer training rows are told."""
FILES = ("audio", "image", "video")
"""Columns whose cells may be paths."""
TELLS = 0.95
"""An input that holds the label in this share of the rows is told."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How numbers are spread: `count` of them, their mean and deviation, and `quantiles` at
    `SHARES`, of a sample of `SAMPLE` where there are more."""

    count: int
    mean: float
    deviation: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column of one part.

    - `cells`, of which `missing` hold nothing; `distinct`: how many different ones, None beyond
      `MOST`.
    - `lengths`: steps of a row (tokens, frames, labels; of sound seconds), or rows of a series;
      `empty` rows have none.
    - `numbers`: all numbers of the column; `constant`: features that never change.
    - `labels`: the most frequent labels or tokens of training with their counts in this part,
      which has `kinds` different ones.
    - `new`: of the validation part, labels or tokens that no training row has, with their counts;
      `new_share` of all of its labels or tokens.
    """

    column: str
    role: str
    kind: str
    cells: int
    missing: int
    distinct: int | None
    lengths: Spread | None = None
    empty: int = 0
    numbers: Spread | None = None
    constant: int = 0
    labels: tuple[tuple[str, int], ...] = ()
    kinds: int = 0
    new: tuple[tuple[str, int], ...] = ()
    new_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one part: `rows` good ones of the files, and `bad` ones, of which some stand in
    `errors`."""

    name: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    bad: int = 0
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaks:
    """Rows with identical inputs: pairs within training, and validation rows that training has too,
    with the same target or with another one. `places` of some of these: validation, training."""

    repeated: int = 0
    repeated_other: int = 0
    valid: int = 0
    valid_other: int = 0
    places: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What a look at the data found. `findings`: sentences on what may be a mistake; `examples`:
    some training rows by column; `leaks`: None of series and streams, whose rows are steps."""

    name: str
    parts: tuple[Part, ...]
    leaks: Leaks | None
    findings: tuple[str, ...]
    examples: tuple[Mapping[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "shares": SHARES}


def profile(spec: Spec, sources: Sources, folder: Path = Path()) -> Profile:
    """Look at the training rows of a spec, and at its validation rows if it has any. Of series of
    which a share is kept for validation, all rows are looked at together. `folder`: that of the
    spec, see `survey`.

    Bad rows are counted, not raised. Raises DataError for files that cannot be read at all, or that
    lack a column.
    """
    columns = list(columns_of(spec))
    reading, seen = Reading.of(spec), list[_Seen]()
    rows_apart = spec.data.series is None and spec.train.window is None
    names = [("train", sources.train, False)]
    if sources.measured is not None and (spec.data.series is None or not sources.share):
        names.append(("valid", sources.measured, True))
    for name, files, valid in names:
        found = _Seen(name, files, columns, rows_apart)
        found.read(reading, sources.share, valid)
        seen.append(found)
    train = seen[0]
    leaks = _leaks(train, seen[1] if len(seen) > 1 else None) if rows_apart else None
    parts = tuple(each.part(train) for each in seen)
    findings = (*_refusals(spec, train, folder), *_findings(spec, parts, leaks, train))
    return Profile(spec.name, parts, leaks, findings, tuple(train.examples))


# ---------------------------------------------------------------- one pass


@dataclass(slots=True)
class _Sums:
    """What was seen of one column."""

    column: ReadColumn
    cells: int = 0
    missing: int = 0
    empty: int = 0
    different: set[int] = field(default_factory=set)
    lengths: _Sample = field(default_factory=lambda: _Sample())
    numbers: _Sample = field(default_factory=lambda: _Sample())
    low: Any = None
    high: Any = None
    words: Counter[str] = field(default_factory=Counter)
    length: float | None = None
    """Of the row that may go on in the next piece."""

    def add(self, taken: Taken, continued: bool) -> None:
        self.words.update(taken.words)
        if not continued:
            self.end_row()
        if taken.length is not None:
            self.length = float(taken.length) + (self.length or 0.0)
        if taken.numbers is not None and taken.numbers.size:
            values = taken.numbers
            self.numbers.add(values[~np.isnan(values)].tolist())
            if self.low is None or len(self.low) == values.shape[1]:
                low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
                self.low = low if self.low is None else np.fmin(self.low, low)
                self.high = high if self.high is None else np.fmax(self.high, high)

    def end_row(self) -> None:
        if self.length is not None:
            self.lengths.add([self.length])
            self.empty += self.length == 0
        self.length = None

    def listed(self, train: _Sums) -> tuple[tuple[str, int], ...]:
        """The most frequent labels or tokens of training, with their counts in this part."""
        return tuple((word, self.words[word]) for word, _ in train.words.most_common(LABELS))

    def profile(self, train: _Sums) -> ColumnProfile:
        new: Counter[str] = Counter()
        if train is not self:
            new.update({word: n for word, n in self.words.items() if word not in train.words})
        total = sum(self.words.values())
        column = self.column
        if column.role == "series":
            self.lengths.add([float(count) for count in self.words.values()])
        constant = 0
        if self.low is not None and self.cells > 1:
            constant = int(np.count_nonzero(self.low == self.high))
        return ColumnProfile(
            column.name,
            column.role,
            column.kind,
            self.cells,
            self.missing,
            len(self.different) if len(self.different) < MOST else None,
            self.lengths.spread(),
            self.empty,
            self.numbers.spread(),
            constant,
            self.listed(train),
            len(self.words),
            tuple(new.most_common(LABELS)),
            sum(new.values()) / total if total else 0.0,
        )


class _Sample:
    """Moments of numbers, and a sample of them, drawn as they come (Vitter 1985, algorithm R)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.low, self.high = np.inf, -np.inf
        self.kept: list[float] = []
        self.draw = random.Random(0)

    def add(self, values: Sequence[float]) -> None:
        for value in values:
            self.count += 1
            off = value - self.mean
            self.mean += off / self.count  # Welford 1962
            self.squares += off * (value - self.mean)
            self.low, self.high = min(self.low, value), max(self.high, value)
            if len(self.kept) < SAMPLE:
                self.kept.append(value)
            elif (at := self.draw.randrange(self.count)) < SAMPLE:
                self.kept[at] = value

    def spread(self) -> Spread | None:
        if not self.count:
            return None
        inner = np.quantile(self.kept, SHARES[1:-1], method="inverted_cdf").tolist()
        deviation = (self.squares / self.count) ** 0.5
        return Spread(self.count, self.mean, deviation, (self.low, *inner, self.high))


@dataclass(slots=True)
class _Seen:
    """What was seen of one part. `inputs` and `targets` are hashes of the cells of each row, and
    `at` where it stands."""

    name: str
    files: Shards
    columns: list[ReadColumn]
    rows_apart: bool
    rows: int = 0
    bad: int = 0
    errors: list[str] = field(default_factory=list)
    sums: list[_Sums] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    examples: list[dict[str, str]] = field(default_factory=list)
    equal: dict[tuple[str, str], int] = field(default_factory=dict)
    held: dict[tuple[str, str], int] = field(default_factory=dict)
    kinds: Mapping[str, OtherKinds] = field(default_factory=dict)
    word: str = "line"

    def read(self, reading: Reading, share: float, valid: bool) -> None:
        """Read the rows of this part."""
        self.sums = [_Sums(column) for column in self.columns]
        self.kinds = reading.others
        bad = replace(reading.bad_rows(self.files), kept=True)
        split, names = reading.split(share), [column.name for column in self.columns]
        series = reading.series is not None
        self.word = unit_of(self.files.format(reading.format))
        for chunk in reading.read(self.files, names, bad, None, 0.0 if series else share):
            used = split.part(chunk, valid) if share and not series else chunk
            self._add(used)
            for _, error in bad.taken():
                self._wrong(str(error))
        for sums in self.sums:
            sums.end_row()
        for _, error in bad.taken():
            self._wrong(str(error))

    def _wrong(self, error: str) -> None:
        self.bad += 1
        if len(self.errors) < BAD:
            self.errors.append(error)

    def _add(self, chunk: Chunk) -> None:
        rows = zip(*(chunk.cells[column.name] for column in self.columns), strict=True)
        for at, (line, cells) in enumerate(zip(chunk.lines, rows, strict=True)):
            continued = chunk.continued and not at
            wrong = self._row(cells, chunk.textual, line, continued)
            if wrong:
                self._wrong(f"{self.files.place(line, self.word)}: {wrong}")
                continue
            self.rows += not continued
            if len(self.examples) < EXAMPLES and not continued:
                named = zip(self.columns, cells, strict=True)
                self.examples.append({column.name: str(cell) for column, cell in named})
            if self.rows_apart and len(self.at) < MOST:
                self._keep(line, cells)

    def _row(self, cells: Sequence[object], textual: bool, line: int, continued: bool) -> str:
        """Add the cells of a row, or of the next piece of one; what is wrong with it, if anything
        is."""
        taken = list[Taken | None]()
        for column, cell in zip(self.columns, cells, strict=True):
            if decode.is_missing(cell, textual) and column.kind not in ("words", "chars", "bytes"):
                taken.append(None)
                continue
            try:
                named = self._path(cell, textual, line) if column.kind in FILES else cell
                taken.append(column.take(named, textual))
            except DataError as error:
                hint = hint_of(self.kinds, column.name, cell, str(error))
                return f"column {column.name!r} {error}" + (f"; {hint}" if hint else "")
        for sums, cell, found in zip(self.sums, cells, taken, strict=True):
            sums.cells += not continued
            sums.missing += found is None
            if len(sums.different) < MOST:
                sums.different.add(hash(repr(cell)))
            if found is not None:
                sums.add(found, continued)
        return ""

    def _path(self, cell: object, textual: bool, line: int) -> object:
        """A cell with a path, which starts at the folder of the file of the row."""
        path = decode.path_of(cell, textual)
        return cell if path is None else str(self.files.files[line // FILE].parent / path)

    def _keep(self, line: int, cells: Sequence[object]) -> None:
        """The identity of a row, and in which of its inputs its targets stand."""
        pairs = list(zip(self.columns, cells, strict=True))
        read = [(c, cell) for c, cell in pairs if c.role == "input"]
        answered = [(c, cell) for c, cell in pairs if c.role == "output"]
        self.inputs.append(hash(repr([cell for _, cell in read])))
        self.targets.append(hash(repr([cell for _, cell in answered])))
        self.at.append(line)
        for target, of in answered:
            for source, cell in read:
                key = (source.name, target.name)
                self.equal[key] = self.equal.get(key, 0) + (str(cell) == str(of))
                inside = target.kind == "class" and isinstance(cell, str) and str(of) in cell
                self.held[key] = self.held.get(key, 0) + (inside and len(str(of)) > 2)

    def part(self, train: _Seen) -> Part:
        columns = (mine.profile(its) for mine, its in zip(self.sums, train.sums, strict=True))
        return Part(self.name, self.rows, tuple(columns), self.bad, tuple(self.errors))


# ---------------------------------------------------------------- what it means


def _leaks(train: _Seen, valid: _Seen | None) -> Leaks:
    """Rows with identical inputs within training, and in both parts."""
    first: dict[int, int] = {}
    repeated = repeated_other = 0
    for at, key in enumerate(train.inputs):
        before = first.setdefault(key, at)
        if before != at:
            repeated += train.targets[at] == train.targets[before]
            repeated_other += train.targets[at] != train.targets[before]
    known = set(zip(train.inputs, train.targets, strict=True))
    same = other = 0
    places = list[tuple[str, str]]()
    for at, key in enumerate(valid.inputs if valid else ()):
        if valid is None or key not in first:
            continue
        equal = (key, valid.targets[at]) in known
        same, other = same + equal, other + (not equal)
        if len(places) < EXAMPLES:
            line = train.at[first[key]]
            here = valid.files.place(valid.at[at], valid.word)
            places.append((here, train.files.place(line, train.word)))
    return Leaks(repeated, repeated_other, same, other, tuple(places))


def _refusals(spec: Spec, train: _Seen, folder: Path) -> Iterator[str]:
    """What a build would say of training rows each of whose cells can be read."""
    if train.bad:
        return
    try:
        survey(spec, train.files, folder=folder)
    except DataError as error:
        count, *listed = str(error).splitlines()
        yield f"a build would refuse the training rows: {listed[0].strip() if listed else count}"


def _findings(
    spec: Spec, parts: Sequence[Part], leaks: Leaks | None, train: _Seen
) -> Iterator[str]:
    """Sentences on what may be a mistake, the gravest first."""
    for part in parts:
        if part.bad:
            yield (
                f"{part.bad:,} rows of {part.name} cannot be read, so that a build would refuse the"
                f" file; the first: {part.errors[0]}"
            )
    if leaks is not None and len(parts) > 1:
        yield from _leak_findings(leaks, parts[1].rows)
    if leaks is not None and leaks.repeated_other:
        yield (
            f"{leaks.repeated_other:,} training rows have the inputs of an earlier row and another"
            " target: no model can answer both"
        )
    yield from _target_findings(train)
    for column in parts[0].columns:
        yield from _column_findings(column, parts[0].rows)
    for column in parts[1].columns if len(parts) > 1 else ():
        if column.new and column.kind in ("class", "tags", "labels", "keys"):
            listed = ", ".join(repr(name) for name, _ in column.new[:5])
            yield f"column {column.column!r}: validation has labels that training lacks: {listed}"


def _leak_findings(leaks: Leaks, rows: int) -> Iterator[str]:
    both = leaks.valid + leaks.valid_other
    if both and rows:
        where = f" ({leaks.places[0][0]} and {leaks.places[0][1]})" if leaks.places else ""
        yield (
            f"{both:,} of {rows:,} validation rows have the inputs of a training row{where},"
            f" {leaks.valid:,} of them with the same target: their metrics tell what was learned by"
            " heart"
        )


def _target_findings(train: _Seen) -> Iterator[str]:
    rows = len(train.at)
    for (source, target), count in train.equal.items():
        if rows > 1 and count == rows:
            yield f"column {source!r} equals the target {target!r} in every row: the answer is read"
        elif rows >= 20 and train.held[source, target] >= TELLS * rows:
            share = train.held[source, target] / rows
            yield (
                f"column {source!r} holds the label of {target!r} in {share:.0%} of the rows: is"
                " the answer written in it?"
            )


def _column_findings(column: ColumnProfile, rows: int) -> Iterator[str]:
    name = f"column {column.column!r}"
    if column.missing:
        yield f"{name}: {column.missing:,} of {column.cells:,} cells are missing"
    if column.distinct == 1 and rows > 1:
        yield f"{name}: all {rows:,} rows are alike, so that it tells nothing"
    elif column.constant:
        yield f"{name}: {column.constant:,} of its numbers never change"
    if column.role == "input" and column.lengths and column.distinct == column.kinds == rows > RARE:
        yield f"{name}: every row has one token of its own; is it an id?"
    if column.kind in ("category", "class") and column.distinct == rows > 2 * RARE:
        yield f"{name}: every row has a label of its own; is it an id?"
    elif column.kind == "class":
        rare = [label for label, count in column.labels if count < RARE]
        if rare and column.kinds <= LABELS:
            listed = ", ".join(map(repr, rare[:5])) + (", …" if len(rare) > 5 else "")
            few = f"have fewer than {RARE} training rows"
            yield f"{name}: {len(rare):,} of {column.kinds:,} labels {few}: {listed}"
    if column.empty:
        yield f"{name}: {column.empty:,} rows have no steps"
