"""Columns that are made of others: several side by side, wide tables, long tables of sequences.

What `data.table` of a spec says of a table of any format; the rows stay where they are in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rnnspec.data.cells import rules_of
from rnnspec.data.decode import is_gap, is_missing, is_number, label, real
from rnnspec.data.how import How, Shape
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError
from rnnspec.spec.cell_kinds import CellKind
from rnnspec.spec.tables import ColumnRange, SomeColumns

CHUNK_ROWS = 1024
Names = Callable[[], Sequence[str]]
"""Gives the names of the columns of a file."""
ReadRaw = Callable[[Sequence[str], How], Iterator[Chunk]]
"""Reads columns of the file as they are."""


def shaped(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, names: Names, read: ReadRaw
) -> Iterator[Chunk]:
    """Chunks of `columns`, some of which are made of others as `how.shape` says.

    Raises DataError for columns that the file lacks; rows whose cells do not fit together are bad.
    """
    assert how.shape is not None
    shape, table = how.shape, how.shape.table
    parts = {name: _columns(file, each, names) for name, each in table.join.items()}
    steps = {name: _columns(file, each, names) for name, each in table.wide.items()}
    made = {name: of for name, of in (parts | steps).items() if name in columns}
    own = [each for each in columns if each not in made and not _is_name(each, shape, steps)]
    long = table.long
    raw = [*own, *(each for of in made.values() for each in of)]
    raw += [long.id, *([long.time] if long.time else [])] if long else []
    kinds = {each: how.kind(name) for name, of in made.items() for each in of}
    chunks = read(list(dict.fromkeys(raw)), replace(how, kinds={**how.kinds, **kinds}))
    chunks = _joined(chunks, {n: of for n, of in made.items() if n in parts}, how, bad)
    of_steps = {n: of for n, of in made.items() if n in steps}
    if shape.series and steps:
        times = _times(next(iter(steps.values())), how) if shape.time in columns else []
        return _unpivoted(chunks, columns, of_steps, shape.time, times)
    if long is not None:
        chunks = _stacked(chunks, of_steps, how, bad)
        return _grouped(chunks, columns, how, bad)
    return _only(_stacked(chunks, of_steps, how, bad), columns)


def _is_name(column: str, shape: Shape, steps: Mapping[str, Sequence[str]]) -> bool:
    """Whether a column holds the names of others: the times of a wide table."""
    return shape.series and bool(steps) and column == shape.time


def _columns(file: Path, columns: SomeColumns, names: Names) -> list[str]:
    """The names of some columns. Raises DataError for a range that the file lacks."""
    if not isinstance(columns, ColumnRange):
        return list(columns)
    there = list(names())
    for name in filter(None, (columns.from_, columns.to)):
        if name not in there:
            raise DataError(f"{file}: {no_column(name, there)}")
    first = there.index(columns.from_)
    last = there.index(columns.to) if columns.to is not None else len(there) - 1
    if last < first:
        raise DataError(
            f"{file}: column {columns.to!r} stands before {columns.from_!r}; name the first one"
            " under 'from' and the last one under 'to'"
        )
    return there[first : last + 1]


def _times(names: Sequence[str], how: How) -> list[str]:
    """The names of the columns as times. Raises DataError for one of another form."""
    rules = rules_of(how.delimited)["time"] if how.delimited else ()
    found = list(names)
    for rule in rules:
        found = [rule(name) for name in found]
    return found


def _only(chunks: Iterator[Chunk], columns: Sequence[str]) -> Iterator[Chunk]:
    for chunk in chunks:
        yield replace(chunk, cells={column: chunk.cells[column] for column in columns})


# ---------------------------------------------------------------- side by side


def _joined(
    chunks: Iterator[Chunk], made: Mapping[str, Sequence[str]], how: How, bad: BadRows
) -> Iterator[Chunk]:
    """The chunks with columns made of several ones."""
    return _made(chunks, made, how, bad, _beside) if made else chunks


def _stacked(
    chunks: Iterator[Chunk], made: Mapping[str, Sequence[str]], how: How, bad: BadRows
) -> Iterator[Chunk]:
    """The chunks with columns of steps, each step from a column of its own."""
    return _made(chunks, made, how, bad, _one_after_another) if made else chunks


Values = list[object]
Make = Callable[[Values, Sequence[str], CellKind, bool], Values]


def _made(
    chunks: Iterator[Chunk], made: Mapping[str, Sequence[str]], how: How, bad: BadRows, make: Make
) -> Iterator[Chunk]:
    for chunk in chunks:
        kept, cells = [True] * len(chunk), dict(chunk.cells)
        for name, parts in made.items():
            of_column: Values = []
            rows = zip(*(chunk.cells[part] for part in parts), strict=True)
            for at, row in enumerate(rows):
                try:
                    of_column.append(make(list(row), parts, how.kind(name), chunk.textual))
                except DataError as error:
                    bad.add(chunk.lines[at], str(error))
                    kept[at] = False
                    of_column.append(None)
            cells[name] = of_column
        yield replace(chunk, cells=cells).only(kept)


def _beside(row: Values, parts: Sequence[str], kind: CellKind, textual: bool) -> Values:
    """Values side by side; of lists, those of each step."""
    if not any(isinstance(cell, list) for cell in row):
        return _parsed(row, parts, kind, textual)
    lengths = [len(cell) if isinstance(cell, list) else -1 for cell in row]
    other = next((at for at, length in enumerate(lengths) if length != lengths[0]), None)
    if other is not None:
        one, two = (f"{lengths[at]} steps" if lengths[at] >= 0 else "no list" for at in (0, other))
        raise DataError(
            f"column {parts[other]!r} has {two}, column {parts[0]!r} has {one}; they are joined"
            " step by step"
        )
    return [list(step) for step in zip(*row, strict=True)]


def _one_after_another(row: Values, parts: Sequence[str], kind: CellKind, textual: bool) -> Values:
    """A step for each cell, without the empty ones at the end."""
    steps = row[: _end(row, textual)]
    values = _parsed(steps, parts[: len(steps)], kind, textual)
    return [[value] for value in values] if kind == "number" else values


def _end(row: Values, textual: bool) -> int:
    """How many cells there are up to the last one that is not empty."""
    return next((at + 1 for at in reversed(range(len(row))) if not is_gap(row[at], textual)), 0)


def _parsed(row: Values, parts: Sequence[str], kind: CellKind, textual: bool) -> Values:
    if kind != "number" or not textual:
        return row
    return [_number(cell, part) for cell, part in zip(row, parts, strict=True)]


def _number(cell: object, column: str) -> float | None:
    """The number in a cell of text, None for a missing one. Raises DataError."""
    try:
        found = real(cell, textual=True, missing=True)
    except DataError as error:
        raise DataError(f"column {column!r} {error}") from error
    return None if found != found else found


# ---------------------------------------------------------------- a series a row


def _unpivoted(
    chunks: Iterator[Chunk],
    columns: Sequence[str],
    made: Mapping[str, Sequence[str]],
    time: str | None,
    times: Sequence[str],
) -> Iterator[Chunk]:
    """A row for each step of each row, from its first cell that is not empty to its last one."""
    first = 0
    for chunk in chunks:
        lines: list[int] = []
        cells: dict[str, Values] = {column: [] for column in columns}
        for at, line in enumerate(chunk.lines):
            rows = [[chunk.cells[part][at] for part in parts] for parts in made.values()]
            end = max((_end(row, chunk.textual) for row in rows), default=len(times))
            start = min((_start(row, chunk.textual) for row in rows), default=0)
            lines.extend([line] * (end - start))
            for name, row in zip(made, rows, strict=True):
                cells[name].extend(row[start:end])
            for column in columns:
                if column == time and times:
                    cells[column].extend(times[start:end])
                elif column not in made:
                    cells[column].extend([chunk.cells[column][at]] * (end - start))
        if lines:
            yield Chunk(first, lines, cells, chunk.textual)
            first += len(lines)


def _start(row: Values, textual: bool) -> int:
    """The place of the first cell that is not empty."""
    return next((at for at, cell in enumerate(row) if not is_gap(cell, textual)), len(row))


# ---------------------------------------------------------------- a sequence in several rows


@dataclass(slots=True)
class _Sequence:
    """A sequence that begins in `line`: cells of steps as lists, others as they are."""

    name: str
    line: int
    cells: dict[str, object]
    time: object = None
    spoilt: bool = False


def _grouped(
    chunks: Iterator[Chunk], columns: Sequence[str], how: How, bad: BadRows
) -> Iterator[Chunk]:
    """A row for each sequence of a long table."""
    groups = _Groups(columns, how, bad)
    for chunk in chunks:
        groups.add(chunk)
        yield from groups.chunk(len(groups.done) >= CHUNK_ROWS)
    groups.end()
    yield from groups.chunk(bool(groups.done))


@dataclass(slots=True)
class _Groups:
    columns: Sequence[str]
    how: How
    bad: BadRows
    now: _Sequence | None = None
    done: list[_Sequence] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    """The line where each sequence begins."""
    rows: int = 0

    def add(self, chunk: Chunk) -> None:
        assert self.how.shape is not None and self.how.shape.table.long is not None
        long = self.how.shape.table.long
        for at, line in enumerate(chunk.lines):
            row = {name: cells[at] for name, cells in chunk.cells.items()}
            try:
                self._begin(row[long.id], line, chunk.textual)
                self._add(row, long.time, chunk.textual)
            except DataError as error:
                self.bad.add(line, str(error))
                if self.now is not None:
                    self.now.spoilt = True

    def _begin(self, cell: object, line: int, textual: bool) -> None:
        """Ends a sequence where another one begins."""
        if is_missing(cell, textual):
            if self.now is None:
                raise DataError("has no id, and no row before it has one")
            return
        name = label(cell)
        if self.now is not None and self.now.name == name:
            return
        self.end()
        self.now = _Sequence(name, line, {})
        if name in self.seen:
            place = self.bad.place(self.seen[name])
            raise DataError(
                f"belongs to the sequence {name!r}, which ended before, and began at {place}; sort"
                " the file so that the rows of a sequence follow one another"
            )
        self.seen[name] = line

    def _add(self, row: Mapping[str, object], time: str | None, textual: bool) -> None:
        now = self.now
        assert now is not None
        if time is not None:
            now.time = _later(now.time, row[time], time)
        for column in self.columns:
            cell = row[column]
            if column in self.how.steps:
                found = now.cells.setdefault(column, [])
                assert isinstance(found, list)
                found.append(_step(cell, column, self.how.kind(column), textual))
            elif is_missing(now.cells.get(column), textual):
                now.cells[column] = cell
            elif not is_missing(cell, textual) and cell != now.cells[column]:
                raise DataError(
                    f"column {column!r} is {cell!r}, and {now.cells[column]!r} in the rows of the"
                    f" sequence {now.name!r} before it; it says the same in all of them"
                )

    def end(self) -> None:
        """The sequence is over."""
        if self.now is not None and not self.now.spoilt:
            self.done.append(self.now)
        self.now = None

    def chunk(self, full: bool) -> Iterator[Chunk]:
        """The sequences that are over, if they are enough."""
        if not full:
            return
        cells = {c: [each.cells.get(c) for each in self.done] for c in self.columns}
        textual = self.how.format in ("csv", "tsv")
        yield Chunk(self.rows, [each.line for each in self.done], cells, textual)
        self.rows += len(self.done)
        self.done.clear()


def _step(cell: object, column: str, kind: CellKind, textual: bool) -> object:
    """What one row says of a step: of numbers a list of features."""
    if kind != "number" or isinstance(cell, list):
        return cell
    return [_number(cell, column) if textual else cell]


def _later(before: object, cell: object, column: str) -> object:
    """The time of a row as it is compared. Raises DataError for one that is not after the time
    before."""
    now = float(cell) if isinstance(cell, str) and is_number(cell) else cell
    try:
        rises = before is None or now > before  # type: ignore[operator]
    except TypeError:
        rises = False
    if not rises:
        raise DataError(
            f"column {column!r} is {cell!r}, which is not after the row before; sort the rows of a"
            " sequence by their time"
        )
    return now
