"""Answers in files: JSON lines, CSV or Parquet, by the ending of the name; whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, assert_never

from rnnspec.errors import MissingPackage, OutputError
from rnnspec.files import FileKind, check_output, json_text, writing, written
from rnnspec.run.fields import ByName, Field, ListOf, Ranked

if TYPE_CHECKING:
    import pyarrow

CSV, PARQUET, JSON_LINES = ".csv", ".parquet", (".jsonl", ".ndjson")
GIVEN = ".given"
"""What is added to the name of a column of the row that has the name of an answer."""
MARK = b"rnnspec.answers"
"""The key in a Parquet file's metadata that says who wrote it."""
BATCH, GROUP = 4096, 65_536
"""Rows that are made arrays together, and rows of a row group, of Parquet."""
GROUP_BYTES = 1 << 26
"""Bytes of arrays from which a row group is written before it has all its rows."""

Cells = Mapping[str, object]
Add = Callable[[Cells, Cells | None], None]
"""Adds a row: the cells of the row asked that are kept, and its answer, None without one."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table of answers: those `kept` of the row asked, called `names`, and those
    of the answer."""

    kept: tuple[str, ...]
    names: tuple[str, ...]
    answer: Mapping[str, Field]

    def row(self, kept: Cells, answer: Cells | None) -> dict[str, object]:
        """All cells of a row by the names of their columns, None where there is none."""
        found = dict(zip(self.names, map(kept.get, self.kept), strict=True))
        return found | (dict.fromkeys(self.answer) if answer is None else dict(answer))


def columns_of(kept: Sequence[str], answer: Mapping[str, Field]) -> Columns:
    """The columns of a table. One that is kept has its own name, or `kind.given` if the model
    answers a column of its name. Raises OutputError where two would have one name."""
    names = tuple(f"{name}{GIVEN}" if name in answer else name for name in kept)
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise OutputError(
            f"the columns {twice.removesuffix(GIVEN)!r} and {twice!r} would both be kept as"
            f" {twice!r}, since the model answers the first; keep one of them"
        )
    return Columns(tuple(kept), names, answer)


def line_of(columns: Columns, kept: Cells, answer: Cells | None) -> str:
    """A row as JSON; null where it has neither an answer nor anything that is kept."""
    if not columns.kept:
        return json_text(answer)
    return json_text(None if answer is None and not kept else columns.row(kept, answer))


@contextmanager
def answers_file(path: Path, columns: Columns) -> Iterator[Add]:
    """A table that appears at `path` when the block ends without an exception. Raises OutputError
    where it cannot be written, and MissingPackage for Parquet without pyarrow."""
    if path.suffix.lower() == PARQUET:
        with _parquet(path, columns) as add:
            yield add
        return
    with writing(path) as file:
        yield (_csv if path.suffix.lower() == CSV else _json_lines)(file, columns)


def forecasts_path(path: Path) -> Path:
    """The path of a table of forecasts, a row for each step ahead. Raises OutputError where nothing
    can be written there, and MissingPackage as `check_format`."""
    fields: dict[str, Field] = {"origin": "text", "step": "whole"}
    check_output(path, answers_kind(fields, ("origin",), ()))
    check_format(path)
    return path


def check_format(path: Path) -> None:
    """Raises MissingPackage where the format of a table needs a package that is missing, and
    OutputError for a pipe where it needs a file."""
    if path.suffix.lower() != PARQUET:
        return
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: is no file, and Parquet becomes one; name another")
    try:
        from pyarrow import parquet  # noqa: F401
    except ImportError as error:
        raise MissingPackage(
            f"{path}: writing Parquet needs pyarrow; pip install 'rnnspec[parquet]'"
        ) from error


def _json_lines(file: TextIO, columns: Columns) -> Add:
    return lambda kept, answer: _write(file, line_of(columns, kept, answer))


def _write(file: TextIO, line: str) -> None:
    file.write(line + "\n")


@dataclass(frozen=True, slots=True)
class _Lines:
    """A file for csv.writer, which ends lines with \\r\\n so that it quotes cells that hold either
    of the two; in the file a line ends with \\n."""

    file: TextIO

    def write(self, line: str) -> int:
        return self.file.write(line[:-2] + "\n")


def _csv(file: TextIO, columns: Columns) -> Add:
    """RFC 4180. Lists and mappings are JSON, a missing answer is empty."""
    writer = csv.writer(_Lines(file))
    writer.writerow([*columns.names, *columns.answer])

    def add(kept: Cells, answer: Cells | None) -> None:
        writer.writerow(map(_cell, columns.row(kept, answer).values()))

    return add


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    text = json_text(value)
    return "" if text == "null" else text


@contextmanager
def _parquet(path: Path, columns: Columns) -> Iterator[Add]:
    """Row groups of Parquet. A column that is kept has the type of its first cells."""
    check_format(path)
    with written(path) as file:
        table = _Table(path, file, columns)
        try:
            yield table.add
        except BaseException:
            table.give_up()
            raise
        table.close()


class _Table:
    """Rows on their way into a Parquet file: as Python values, as arrays, as row groups."""

    def __init__(self, path: Path, file: Any, columns: Columns) -> None:
        self._path, self._file, self._columns = path, file, columns
        self._rows: list[dict[str, object]] = []
        self._arrays: list[pyarrow.RecordBatch] = []
        self._schema: pyarrow.Schema | None = None
        self._writer: Any = None

    def add(self, kept: Cells, answer: Cells | None) -> None:
        self._rows.append(self._columns.row(kept, answer))
        if len(self._rows) == BATCH:
            self._pack()

    def close(self) -> None:
        """Writes what is left and the end of the file."""
        self._pack()
        self._flush()
        self._writer.close()

    def give_up(self) -> None:
        """Closes the file, which nobody will see, as pyarrow wants it."""
        if self._writer is not None:
            self._writer.close()

    def _pack(self) -> None:
        import pyarrow as arrow

        columns = {name: [row[name] for row in self._rows] for name in self._names()}
        if self._schema is None:
            self._schema = self._schema_of(columns)
        found = [self._array(field, columns[field.name]) for field in self._schema]
        self._arrays.append(arrow.RecordBatch.from_arrays(found, schema=self._schema))
        self._rows.clear()
        size = sum(batch.nbytes for batch in self._arrays)
        if sum(map(len, self._arrays)) >= GROUP or size >= GROUP_BYTES:
            self._flush()

    def _names(self) -> list[str]:
        return [*self._columns.names, *self._columns.answer]

    def _schema_of(self, columns: Mapping[str, Sequence[object]]) -> pyarrow.Schema:
        import pyarrow as arrow

        kept = [(name, self._type(name, columns[name])) for name in self._columns.names]
        answers = [(name, type_of(field)) for name, field in self._columns.answer.items()]
        return arrow.schema([*kept, *answers], metadata={MARK: b"1"})

    def _type(self, name: str, cells: Sequence[object]) -> Any:
        import pyarrow as arrow

        try:
            return arrow.array(cells, from_pandas=False).type
        except arrow.ArrowException as error:
            raise self._unlike(name, error) from error

    def _array(self, field: Any, cells: Sequence[object]) -> Any:
        import pyarrow as arrow

        try:
            return arrow.array(cells, field.type)
        except arrow.ArrowException as error:
            raise self._unlike(field.name, error) from error

    def _unlike(self, name: str, error: Exception) -> OutputError:
        return OutputError(
            f"{self._path}: the cells of {name!r}, which is kept, are not of one type, as a column"
            f" of Parquet is ({error}); write .jsonl or .csv, or leave out --keep {name}"
        )

    def _flush(self) -> None:
        import pyarrow as arrow
        from pyarrow import parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, self._schema)
        if self._arrays:
            self._writer.write_table(arrow.Table.from_batches(self._arrays), GROUP)
            self._arrays.clear()


def type_of(field: Field) -> Any:
    """The Arrow type of a column of answers."""
    import pyarrow as arrow

    match field:
        case "text":
            return arrow.string()
        case "whole":
            return arrow.int64()
        case "real":
            return arrow.float32()
        case "double":
            return arrow.float64()
        case ListOf(of):
            return arrow.list_(type_of(of))
        case ByName(of):
            return arrow.map_(arrow.string(), type_of(of))
        case Ranked(answer):
            return arrow.struct([("answer", type_of(answer)), ("score", arrow.float32())])
        case _:
            assert_never(field)


def answers_kind(
    fields: Mapping[str, Field], answered: Collection[str], read: Collection[str]
) -> FileKind:
    """Files of answers with these `fields`. One may be replaced that has all columns that are
    `answered` and tells by more that it holds no data: by a further field, such as a score, or by
    having none of the columns that the model reads."""
    more, others = fields.keys() - set(answered), set(read) - set(answered)

    def own(path: Path) -> bool:
        names = set(_names_in(path))
        return names >= set(answered) and bool(names & more or (others and not names & others))

    return FileKind("a file of answers", (*JSON_LINES, CSV, PARQUET), own, streams=True)


def _names_in(path: Path) -> Sequence[str]:
    """The columns of a file that may be one of answers; none of another file."""
    try:
        if path.suffix.lower() == PARQUET:
            from pyarrow import parquet

            schema = parquet.read_schema(path)
            return schema.names if MARK in (schema.metadata or {}) else []
        with path.open(encoding="utf-8", newline="") as file:
            if path.suffix.lower() == CSV:
                return next(csv.reader(file), [])
            first = json.loads(next(dropwhile(lambda line: line == "null\n", file), ""))
            return list(first) if isinstance(first, dict) else []
    except (ImportError, ValueError, RecursionError, csv.Error):
        return []
