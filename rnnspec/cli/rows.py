"""Rows for `rnnspec run`, from options, files, standard input or the prompt.

Every source yields rows for `rnnspec.run.Model.answer`, each with its place, and a DataError
instead of a row that cannot be read. It raises DataError where it cannot go on.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from itertools import chain, repeat
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from rnnspec.cli.options import format_of
from rnnspec.errors import DataError
from rnnspec.source.problems import did_you_mean

if TYPE_CHECKING:
    from rnnspec.data.how import How
    from rnnspec.data.reading import Reading
    from rnnspec.data.rows import BadRows, Chunk
    from rnnspec.data.shards import Shards
    from rnnspec.run import InputColumn, Model
    from rnnspec.run.interface import InputKind
    from rnnspec.spec.files import Quoting

Row = dict[str, object]
STDIN = "standard input"


@dataclass(slots=True)  # not frozen: one is made for every row, in half the time
class Asked:
    """A row to answer, or the error of a row that cannot be read; the error names its place, too.
    `where` it stands may be a call, for of most rows nobody asks. `kept` are the cells that stand
    beside the answer, where they are not those of the row."""

    where: str | Callable[[], str]
    row: Row | DataError
    kept: Row | None = None

    @property
    def place(self) -> str:
        return self.where if isinstance(self.where, str) else self.where()

    @property
    def given(self) -> Row:
        """Cells that may stand beside the answer: those kept, or all of the row."""
        if self.kept is not None:
            return self.kept
        return self.row if isinstance(self.row, dict) else {}


def text_column(model: Model) -> str | None:
    """The column of a model that reads one text and nothing else."""
    match model.inputs:
        case [column] if column.kind in ("words", "chars", "bytes", "subwords"):
            return column.column
    return None


def from_texts(model: Model, texts: Sequence[str]) -> list[Asked]:
    """A row for each `--text`."""
    column = text_column(model)
    if column is None:
        raise DataError(
            f"--text is for a model that reads one text, and {model.path} reads"
            f" {described(model.inputs)}; use --input or --data"
        )
    numbered = enumerate(texts, start=1)
    return [Asked(f"--text: row {number}", {column: text}) for number, text in numbered]


def from_inputs(model: Model, inputs: Sequence[str]) -> Asked:
    """The one row that all `--input COLUMN=VALUE` make together; its lists are JSON texts."""
    known = [column.column for column in model.inputs]
    row: Row = {}
    for each in inputs:
        column, equals, value = each.partition("=")
        if not equals:
            raise DataError(f"--input {each}: expected COLUMN=VALUE, as in {known[0]}=…")
        if column not in known:
            hint = did_you_mean(column, known) or f"it reads {described(model.inputs)}"
            raise DataError(f"--input {each}: the model reads no column {column!r}; {hint}")
        if column in row:
            raise DataError(f"--input {each}: {column!r} is given twice")
        row[column] = value
    return Asked("--input", row)


def names_of(found: Iterable[Asked]) -> tuple[list[str], Iterator[Asked]]:
    """The columns of the first row, none if it cannot be read; and all rows."""
    waiting = iter(found)
    first = next(waiting, None)
    if first is None:
        return [], waiting
    return list(first.given), chain([first], waiting)


def is_textual(how: How) -> bool:
    """Whether every cell of files of this format is a text."""
    return how.format in ("csv", "tsv", "columns")


def reading_of(model: Model, files: Shards, quoting: Quoting | None, format: str | None) -> Reading:
    """How the spec of a model says that files are read, but for the options `quoting` and `format`.
    Raises DataError for an option without effect."""
    from rnnspec.run import series

    reading = series.reading_of(model).of_files(files, format_of(format))
    if quoting is not None and reading.format not in ("csv", "tsv"):
        raise DataError(f"{files}: is neither CSV nor TSV, which quoting is for; leave it out")
    return replace(reading, quoting=quoting or reading.quoting)


def from_file(
    model: Model,
    files: Shards,
    how: How,
    keep: Sequence[str] = (),
    progress: Callable[[float], None] | None = None,
) -> Iterator[Asked]:
    """The rows of data files, in order, with the columns to `keep`; `progress` is told what share
    has been read."""
    from rnnspec.data.readers import read
    from rnnspec.data.rows import BadRows

    columns = [column.column for column in model.inputs]
    named = [each.column for each in model.inputs if each.kind in ("audio", "image", "video")]
    bad = BadRows(files, kept=True)
    try:
        for chunk in read(files, [*columns, *keep], how, bad, progress):
            placed = _with_paths(files, chunk, named) if named else chunk
            kept = _cells(chunk, keep) if keep else repeat(None)
            yield from _in_order(files, placed, columns, bad, kept)
    except DataError:
        yield from (Asked("", error) for _, error in bad.taken())
        raise
    yield from (Asked("", error) for _, error in bad.taken())


def _with_paths(files: Shards, chunk: Chunk, columns: Sequence[str]) -> Chunk:
    """The chunk with the paths of sounds and pictures, which are relative to the file that names
    them, relative to the working folder."""
    from rnnspec.data.decode import path_of
    from rnnspec.data.shards import FILE

    def placed(line: int, cell: object) -> object:
        folder = files.files[line // FILE].parent
        try:
            path = path_of(cell, chunk.textual)
            if path is None:
                return _placed_frames(cell, chunk.textual, folder)
        except DataError:  # told where the row is answered
            return cell
        return str(folder / path)

    cells = dict(chunk.cells)
    for column in columns:
        cells[column] = list(map(placed, chunk.lines, chunk.cells[column]))
    return replace(chunk, cells=cells)


def _placed_frames(cell: object, textual: bool, folder: Path) -> object:
    """A cell with the paths of a list in it as they are relative to the working folder. Raises
    DataError."""
    from rnnspec.data.decode import json_list

    if not textual and not isinstance(cell, list):
        return cell
    frames = json_list(cell, textual, "a list")
    if not all(isinstance(frame, str) for frame in frames):
        return cell
    placed = [str(folder / frame) for frame in frames]
    return json.dumps(placed) if textual else placed


def _cells(chunk: Chunk, columns: Sequence[str]) -> Iterator[Row]:
    cells = zip(*(chunk.cells[column] for column in columns), strict=True)
    return (dict(zip(columns, row, strict=True)) for row in cells)


def _in_order(
    files: Shards, chunk: Chunk, columns: Sequence[str], bad: BadRows, kept: Iterable[Row | None]
) -> Iterator[Asked]:
    """The rows of a chunk and the rows that could not be read, in the order of the file."""
    good = (
        (at, Asked(partial(files.place, at, bad.word), row, given))
        for at, row, given in zip(chunk.lines, _cells(chunk, columns), kept, strict=False)
    )
    if not bad.found:
        yield from (asked for _, asked in good)
        return
    wrong = ((at, Asked("", error)) for at, error in bad.taken())
    yield from (asked for _, asked in merge(good, wrong, key=itemgetter(0)))


def from_stdin(model: Model) -> Iterator[Asked]:
    """One text a line or one JSON object a line, as the first line decides.

    A line is an object only if it has a column of the model.
    """
    column = text_column(model)
    nothing = f"{STDIN}: no rows; or give some with --text, --input or --data"
    for number, line in enumerate(lines(nothing), start=1):
        place = f"{STDIN}:{number}"
        if isinstance(line, DataError):
            yield Asked(place, line)
            continue
        if number == 1:
            if _is_row(model, line):
                column = None
            elif column is None:
                raise DataError(
                    f"{place}: expected a JSON object a line, with {described(model.inputs)}"
                )
        yield Asked(place, {column: line} if column is not None else _read(line, place))


def _read(line: str, place: str) -> Row | DataError:
    try:
        return json_row(line, place)
    except DataError as error:
        return error


def typed(model: Model, line: str) -> Asked:
    """The row of a line at the prompt."""
    column = text_column(model)
    if column is not None and not _is_row(model, line):
        return Asked("this", {column: line})
    return Asked("this", _read(line, "this line"))


def lines(nothing: str) -> Iterator[str | DataError]:
    """The lines of standard input, decoded one by one so that an error can name its line. Raises
    DataError, `nothing`, where there are none."""
    number = 0
    for number, line in enumerate(_raw_lines(), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            from rnnspec.data.lines import kind_of

            if number == 1 and (what := kind_of(line)):
                raise DataError(
                    f"{STDIN}: is {what}, and rows are lines of text; write it to a file and name"
                    " that with --input or --data"
                ) from None
            yield DataError(
                f"{STDIN}:{number}: not UTF-8 (byte {error.start + 1} of the line is"
                f" 0x{line[error.start]:02x}); convert it, for example with iconv -t UTF-8"
            )
            continue
        yield text.removesuffix("\n").removesuffix("\r")
    if not number:
        raise DataError(nothing)


def _raw_lines() -> Iterator[bytes]:
    if isinstance(sys.stdin, io.StringIO):  # replaced by a caller in Python
        yield from (line.encode() for line in sys.stdin)
    else:
        yield from sys.stdin.buffer


def _is_row(model: Model, line: str) -> bool:
    if not line.lstrip().startswith("{"):
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return any(column.column in value for column in model.inputs)


def json_row(line: str, place: str) -> Row:
    """The JSON object in a line. Raises DataError."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise DataError(f"{place}: expected a JSON object, one row a line")
    return row


def described(inputs: Sequence[InputColumn]) -> str:
    """The columns a model reads, in words."""
    return ", ".join(f"{each.column!r} ({_kind(each)})" for each in inputs)


_KINDS: Mapping[InputKind, str] = {
    "words": "a text",
    "chars": "a text",
    "bytes": "a text",
    "subwords": "a text",
    "tokens": "a list of texts",
    "ids": "a list of token numbers",
    "characters": "a list of the numbers of each token's characters",
    "copies": "a list of what each token is copied as",
    "category": "a label",
    "category_id": "the number of a label",
    "categories": "a list of labels",
    "categories_ahead": "a list",
    "category_ids": "a list of the numbers of labels",
    "category_ids_ahead": "a list",
    "keys": "a list of lists of labels",
    "key_ids": "a list of lists of label numbers",
    "frames": "a list of steps",
    "audio": "the path of a sound file, or a list of samples",
    "image": "the path of a picture, or its pixels",
    "video": "the path of a folder of pictures, or a list of frames",
    "series": "a list of numbers",
    "future": "a list",
    "nested_texts": "a list of texts",
    "nested_tokens": "a list of lists of texts",
    "nested_ids": "a list of lists of token numbers",
    "times": "a list of times",
    "times_ahead": "a list",
    "number": "a number",
    "vector": "a list",
}


def _kind(column: InputColumn) -> str:
    if column.kind == "times_ahead":
        return f"a list of {column.width} times"
    if column.kind in ("categories_ahead", "category_ids_ahead"):
        what = "labels" if column.kind == "categories_ahead" else "numbers of labels"
        return f"a list of {column.horizon} {what}"
    if column.levels > 1:  # of texts, of lists of texts or of numbers
        return "a list of " + "lists of " * (column.levels - 1) + _KINDS[column.kind][10:]
    wide = column.kind in ("frames", "vector", "future")
    return _KINDS[column.kind] + (f" of {column.width} numbers" if wide else "")
