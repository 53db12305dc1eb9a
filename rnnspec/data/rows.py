"""What every reader shares: chunks of rows, and bad rows collected into one error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import NoReturn, TypeVar

from rnnspec.data.other_kinds import OtherKinds, hint_of
from rnnspec.data.shards import FILE, Shards
from rnnspec.errors import DataError, MissingCell, MissingPackage
from rnnspec.source.problems import did_you_mean

SHOWN = 10
"""Most bad rows listed in one error; reading stops at this many."""
LOOK_ON = 100_000
"""Rows read after the first bad one, to list more bad rows in the same error."""

Value = TypeVar("Value")


def no_column(column: str, names: Iterable[str], what: str = "column") -> str:
    """The message for a column that a file with these `names` lacks."""
    names = [str(each) for each in names]  # columns of pandas may have numbers for names
    listed = ", ".join(names[:20]) or "none"
    parts = (
        f"there is no {what} {column!r}",
        did_you_mean(column, names),
        f"the {what}s are: {listed}",
    )
    return "; ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file, as cells of the columns asked for.

    - `first`: the number of the first row in the file, from 0; over several files counted through.
    - `lines`: where the user finds each row: its (first) line from 1, or for Parquet its row from
      1; over several files its location (`rnnspec.data.shards`).
    - `cells`: what the format gives: texts in CSV and TSV; texts, numbers, booleans, lists and None
      in JSONL and Parquet. `textual`: every cell is a text, for the format has nothing else.
    - `continued`: the first cell continues the last one of the chunk before. Only plain text does;
      it breaks off before a U+0020 where it has any.
    - `held_out`: whether the row is the end of a plain text, kept for validation.
    """

    first: int
    lines: list[int]
    cells: Mapping[str, list[object]]
    textual: bool = False
    continued: bool = False
    held_out: bool | None = None

    @property
    def begun(self) -> int:
        """Rows that begin in this chunk."""
        return len(self) - self.continued

    def __len__(self) -> int:
        return len(self.lines)

    def only(self, keep: Sequence[bool]) -> Chunk:
        """The rows for which `keep` is true; `first` then numbers no row any more."""
        cells = {name: list(compress(cells, keep)) for name, cells in self.cells.items()}
        lines = list(compress(self.lines, keep))
        continued = self.continued and keep[0]
        return Chunk(self.first, lines, cells, self.textual, continued, self.held_out)


@dataclass(slots=True)
class BadRows:
    """Collects bad rows, so that one error shows several of them.

    Rows are named by their lines in the file; over several files by their locations.
    """

    file: Path | Shards
    word: str = "line"
    """What the numbers count: "line" or "row"."""
    found: list[tuple[int, str]] = field(default_factory=list)
    start: int = 0
    """What is added to a line to give its location."""
    since: int = 0
    """Rows read since the first bad one."""
    cures: Mapping[str, str] = field(default_factory=dict)
    """What allows missing cells, by column."""
    kinds: Mapping[str, OtherKinds] = field(default_factory=dict)
    """Which other kind may read a cell, by column."""
    kept: bool = False
    """Bad rows are no error: the reader of the file takes them out of `found`."""
    called: tuple[str, str] | None = None
    """A column that is read in the place of another: what messages call it, and what it is."""

    def of_file(self, number: int) -> BadRows:
        """The same collection for the reader of file `number`, which names rows by its lines."""
        return replace(self, start=number * FILE)

    def add(self, line: int, message: str) -> None:
        """Notes a bad row. Raises DataError when enough have been found."""
        self.found.append((self.start + line, self._told(message)))
        if len(self.found) >= SHOWN and not self.kept:
            self._fail(stopped=True)

    def check(self, rows: int) -> None:
        """To be called when `rows` more have been read. Raises DataError if the first bad row is
        far behind."""
        self.since += rows if self.found else 0
        if self.since > LOOK_ON and not self.kept:
            self._fail(stopped=True)

    def close(self) -> None:
        """To be called at the end of the file. Raises DataError if any row was bad."""
        if self.found and not self.kept:
            self._fail(stopped=False)

    def taken(self) -> list[tuple[int, DataError]]:
        """Removes the bad rows found so far and returns them: their locations and errors."""
        of = Shards.of(self.file)
        found = [(at, DataError(f"{of.place(at, self.word)}: {m}")) for at, m in sorted(self.found)]
        self.found.clear()
        return found

    def place(self, line: int) -> str:
        """Where a row is: see `Shards.place`."""
        return Shards.of(self.file).place(self.start + line, self.word)

    def beside(self, line: int, other: int) -> str:
        """The place of `line` in a sentence that names `other`: the file only if it differs."""
        same = line // FILE == other // FILE
        return f"{self.word} {line % FILE}" if same else self.place(line)

    def fail(self, line: int, message: str) -> NoReturn:
        """Raises DataError for a mistake beyond which the file cannot be read."""
        raise DataError(f"{self.place(line)}: {self._told(message)}")

    def in_place_of(self, column: str, other: str) -> BadRows:
        """The same collection for cells of `column` that are read as those of `other`."""
        return replace(self, called=(f"column {other!r} ", f"column {column!r} "))

    def _told(self, message: str) -> str:
        return message.replace(*self.called, 1) if self.called else message

    def folder(self, line: int) -> Path:
        """The folder of the file that holds a row: paths in its cells are relative to it."""
        return Shards.of(self.file).files[(self.start + line) // FILE].parent

    def decoded(
        self, chunk: Chunk, column: str, decode: Callable[[object], Value], pieces: bool = False
    ) -> list[Value]:
        """The values of a column; a cell that `decode` refuses with a DataError is a bad row.

        Bad rows are left out. The values then no longer line up with the chunk; no harm is done,
        since the file ends in an error. `pieces`: cells may come in pieces.
        """
        if chunk.continued and not pieces:
            self.fail(
                chunk.lines[0],
                f"column {column!r} is a document too long for one label; "
                "set data.documents to paragraph or line",
            )
        return list(self._decoded(chunk, column, lambda cell, line: decode(cell)))

    def decoded_beside(
        self, chunk: Chunk, column: str, decode: Callable[[object, Path], Value]
    ) -> Iterator[Value]:
        """As `decoded`, of cells that may name files, one at a time: those of a chunk may be more
        than memory holds. `decode` is also given the folder of the row's own file. Raises DataError
        at the first cell where a package is missing."""
        return self._decoded(chunk, column, lambda cell, line: decode(cell, self.folder(line)))

    def _decoded(
        self, chunk: Chunk, column: str, decode: Callable[[object, int], Value]
    ) -> Iterator[Value]:
        for line, cell in zip(chunk.lines, chunk.cells[column], strict=True):
            try:
                value = decode(cell, line)
            except MissingPackage as error:
                self.fail(line, f"column {column!r} {error}")
            except DataError as error:
                cure = self._cure(column, cell, error)
                self.add(line, f"column {column!r} {error}" + (f"; {cure}" if cure else ""))
            else:
                yield value

    def _cure(self, column: str, cell: object, error: DataError) -> str:
        """What to set in the spec so that a cell is no error, unless the error says it."""
        if isinstance(error, MissingCell):
            return self.cures.get(column, "")
        return hint_of(self.kinds, column, cell, str(error))

    def apart(self, *columns: str) -> str:
        """How sequences are read by steps of their own, to go on a sentence; "" where they must
        have the same."""
        if not all(each in self.kinds and self.kinds[each].apart for each in columns):
            return ""
        return "; 'encoders' with one for each reads them by steps of their own"

    def _fail(self, stopped: bool) -> NoReturn:
        shown = sorted(self.found)
        of = Shards.of(self.file)
        listed = [f"{of.place(location, self.word)}: {message}" for location, message in shown]
        if len(shown) == 1 and not stopped:
            raise DataError(listed[0])
        count = f"{len(shown)} bad {self.word}{'s' * (len(shown) > 1)}"
        if stopped:
            count += " and perhaps more; reading stopped there"
        raise DataError("\n  ".join([f"{self.file}: {count}", *listed]))
