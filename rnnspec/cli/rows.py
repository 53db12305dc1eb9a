"""Rows for `rnnspec run`, from wherever the user has them.

Every source gives rows as `rnnspec.run.Model.answer` takes them, and raises DataError with the
place at the first row that cannot be read.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rnnspec.errors import DataError
from rnnspec.source.problems import did_you_mean

if TYPE_CHECKING:
    from rnnspec.data.shards import Shards
    from rnnspec.run import InputColumn, Model
    from rnnspec.run.interface import InputKind
    from rnnspec.spec.formats import Quoting

Row = dict[str, object]
STDIN = "standard input"


def text_column(model: Model) -> str | None:
    """The column of a model that reads one text and nothing else."""
    match model.inputs:
        case [column] if column.kind in ("words", "chars", "bytes", "subwords"):
            return column.column
    return None


def from_texts(model: Model, texts: Sequence[str]) -> list[Row]:
    """A row for each `--text`."""
    column = text_column(model)
    if column is None:
        raise DataError(
            f"--text is for a model that reads one text, and {model.path} reads"
            f" {described(model.inputs)}; use --input or --data"
        )
    return [{column: text} for text in texts]


def from_inputs(model: Model, inputs: Sequence[str]) -> Row:
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
    return row


def is_textual(files: Shards) -> bool:
    """Whether every cell of files of this format is a text. Raises DataError."""
    return files.format() in ("csv", "tsv")


def quoting_of(model: Model, files: Shards, asked: Quoting | None) -> Quoting:
    """As asked for, or as the spec of the model has it. Raises DataError where it has no effect."""
    if asked is not None and not is_textual(files):
        raise DataError(f"{files}: is neither CSV nor TSV, which quoting is for; leave it out")
    return asked or model.quoting


def from_file(model: Model, files: Shards, quoting: Quoting) -> Iterator[Row]:
    """The rows of data files, up to the first that cannot be read."""
    from rnnspec.data.readers import BadRows, read

    columns = [column.column for column in model.inputs]
    bad = BadRows(files)
    for chunk in read(files, columns, bad=bad, quoting=quoting):
        bad.close()  # a row left out would shift every answer after it
        for cells in zip(*(chunk.cells[column] for column in columns), strict=True):
            yield dict(zip(columns, cells, strict=True))


def from_stdin(model: Model) -> Iterator[Row]:
    """A text a line, or a JSON object a line: as the first line is, so are all.

    A line is taken for an object only if it has a column of the model.
    """
    column = text_column(model)
    lines = enumerate(_lines(), start=1)
    for number, line in lines:
        if number == 1:
            if _is_row(model, line):
                column = None
            elif column is None:
                raise DataError(
                    f"{STDIN}:1: expected a JSON object a line, with {described(model.inputs)}"
                )
        yield {column: line} if column is not None else json_row(line, f"{STDIN}:{number}")


def typed(model: Model, line: str) -> Row:
    """The row that a line at the prompt means."""
    column = text_column(model)
    if column is not None and not _is_row(model, line):
        return {column: line}
    return json_row(line, "this line")


def _lines() -> Iterator[str]:
    """The lines of standard input, each decoded for itself so that an error can name it."""
    number = 0
    for number, line in enumerate(_raw_lines(), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{STDIN}:{number}: not UTF-8 (byte {error.start + 1} of the line is"
                f" 0x{line[error.start]:02x}); convert it, for example with iconv -t UTF-8"
            ) from error
        yield text.removesuffix("\n").removesuffix("\r")
    if not number:
        raise DataError(f"{STDIN}: no rows; or give some with --text, --input or --data")


def _raw_lines() -> Iterator[bytes]:
    if isinstance(sys.stdin, io.StringIO):  # put in its place by who calls this in Python
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
    "category": "a label",
    "category_id": "the number of a label",
    "keys": "a list of lists of labels",
    "key_ids": "a list of lists of label numbers",
    "frames": "a list of steps",
    "series": "a list of numbers",
    "future": "a list",
    "number": "a number",
    "vector": "a list",
}


def _kind(column: InputColumn) -> str:
    wide = column.kind in ("frames", "vector", "future")
    return _KINDS[column.kind] + (f" of {column.width} numbers" if wide else "")
