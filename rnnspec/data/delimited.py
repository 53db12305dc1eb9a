"""Rows of CSV (RFC 4180) and TSV, with any line ends: a header, then one row per record."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from rnnspec.data.cells import cells_by_rules
from rnnspec.data.decode import is_number
from rnnspec.data.dialects import settings_of
from rnnspec.data.how import How
from rnnspec.data.lines import MAX_LINE, Coding, Position, blocks
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError
from rnnspec.spec.files import Quoting
from rnnspec.spec.formats import Delimited, set_format

CHUNK_ROWS = 4096
CHUNK_TEXT = 1 << 20
"""Code points of a chunk's cells after which it is full."""
BLANKS = " "
"""The delimiter that stands for any run of spaces and tabs."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a line is split. `trusted`: the user says that quotes enclose fields, so a field of
    several lines is not suspected of having swallowed rows. `names`: of the columns of a file
    without a `header`. `skip`: lines before the header. `comment`: begins lines that are no rows.
    `given`: the settings that a spec has, for messages."""

    delimiter: str
    quoted: bool
    trusted: bool = False
    quote: str = '"'
    header: bool = True
    names: tuple[str, ...] = ()
    skip: int = 0
    comment: str | None = None
    format: Literal["csv", "tsv"] = "csv"
    given: tuple[tuple[str, object], ...] = ()

    @staticmethod
    def of(
        format: Literal["csv", "tsv"],
        quoting: Quoting,
        settings: Delimited | None = None,
        names: Sequence[str] = (),
    ) -> Dialect:
        """The dialect; with "auto" by the format: quotes enclose fields in CSV (RFC 4180), and are
        ordinary characters in TSV (IANA text/tab-separated-values)."""
        quoted = format == "csv" if quoting == "auto" else quoting == "double"
        delimiter = "," if format == "csv" else "\t"
        if settings is None:
            return Dialect(delimiter, quoted, quoting == "double", format=format)
        return Dialect(
            settings.delimiter or delimiter,
            quoted and settings.delimiter != BLANKS,
            quoting == "double",
            settings.quote,
            settings.header,
            () if settings.header else tuple(names),
            settings.skip,
            settings.comment,
            format,
            tuple(settings.model_dump(exclude_defaults=True).items()),
        )

    def cure(self, **settings: object) -> str:
        """What to set, beside the settings that are set already."""
        return set_format(self.format, {**dict(self.given), **settings})


def read_delimited(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`. A field in quotes, if quotes count, may hold the delimiter, line breaks
    and doubled quotes. Blank lines are no rows. Cells are texts, unchanged but by the rules of the
    settings (`rnnspec.data.cells`)."""
    assert how.format in ("csv", "tsv")
    dialect = Dialect.of(how.format, how.quoting, how.delimited, how.names)
    guessed = settings_of(file, how.coding)
    if guessed.get("delimiter") == dialect.delimiter:
        del guessed["delimiter"]
    coding = replace(how.coding, others=tuple({**guessed, **dict(dialect.given)}.items()))
    chunks = _chunks(file, columns, bad, dialect, coding, position)
    return chunks if how.delimited is None else cells_by_rules(chunks, how, how.delimited, bad)


def header_of(file: Path, how: How) -> list[str]:
    """The names of the columns, none of an empty file. Raises DataError."""
    assert how.format in ("csv", "tsv")
    dialect, bad = Dialect.of(how.format, how.quoting, how.delimited, how.names), BadRows(file)
    line, first = next(_records(file, bad, dialect, how.coding, Position()), (1, []))
    return first if dialect.header or not first else _names(first, line, dialect, bad)


def _chunks(
    file: Path,
    columns: Sequence[str],
    bad: BadRows,
    dialect: Dialect,
    coding: Coding,
    position: Position,
) -> Iterator[Chunk]:
    # The limit is the csv module's own and holds for the process; its default would refuse a
    # sequence of some 100 vectors in one cell.
    csv.field_size_limit(max(MAX_LINE, csv.field_size_limit()))
    records = _records(file, bad, dialect, coding, position)
    header_line, header = next(records, (1, []))
    if not header:
        raise DataError(f"{file}: the file has no header; name the columns in its first line")
    if not dialect.header:
        records = chain([(header_line, header)], records)
        header = _names(header, header_line, dialect, bad)
    places = [_place(column, header, header_line, dialect, coding, bad) for column in columns]
    chunk, size = Chunk(0, [], {column: [] for column in columns}, textual=True), 0
    opened = False
    try:
        for line, record in records:
            if len(record) != len(header):
                bad.add(line, _of_other_length(record, header, dialect, opened))
                continue
            opened = not dialect.quoted and _opens(record)
            if dialect.quoted and not dialect.trusted and (rows := _swallowed(record, dialect)):
                bad.add(line, _SWALLOWED.format(rows=rows))
                continue
            chunk.lines.append(line)
            for place, cells in zip(places, chunk.cells.values(), strict=True):
                cells.append(record[place])
                size += len(record[place])
            if len(chunk) >= CHUNK_ROWS or size >= CHUNK_TEXT:
                yield chunk
                first = chunk.first + len(chunk)
                chunk, size = Chunk(first, [], {column: [] for column in columns}, textual=True), 0
    except DataError:
        if len(chunk):  # rows before the place from which the file cannot be read
            yield chunk
        raise
    if len(chunk):
        yield chunk


def _names(first: Sequence[str], line: int, dialect: Dialect, bad: BadRows) -> list[str]:
    """The names of the columns of a file without a header, by its first row."""
    if len(dialect.names) > len(first):
        fields = f"{len(first)} field{'s' * (len(first) != 1)}"
        bad.fail(line, f"has {fields}, and data.columns names {len(dialect.names)} columns")
    numbers = map(str, range(len(dialect.names) + 1, len(first) + 1))
    return [*dialect.names, *numbers]


def _records(
    file: Path, bad: BadRows, dialect: Dialect, coding: Coding, position: Position
) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with the number of its first line."""
    lines = _rows(file, dialect, coding, position)
    if dialect.delimiter == BLANKS:
        found = ((number, line.split()) for number, line in enumerate(lines, start=1))
        yield from ((number, fields) for number, fields in found if fields)
        return
    reader = csv.reader(
        lines,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    start = 1
    try:
        for record in reader:
            if record:
                yield start, record
            start = reader.line_num + 1
    except csv.Error as error:
        message = str(error)
        if "unexpected end" in message or "field limit" in message:
            bad.fail(_opening(file, start, dialect, coding), _NEVER_CLOSED)
        bad.fail(start, _explained(message, reader.line_num - start))


def _rows(file: Path, dialect: Dialect, coding: Coding, position: Position) -> Iterator[str]:
    """All lines, each with its end; those that are left out are blank."""
    lines = (f"{line}\n" for _, block in blocks(file, position, coding) for line in block)
    if not dialect.skip and dialect.comment is None:
        return lines
    begin = dialect.comment or "\0"
    return (
        "\n" if number < dialect.skip or line.startswith(begin) else line
        for number, line in enumerate(lines)
    )


def _explained(error: str, lines: int) -> str:
    if "expected after" in error:
        within = f", {lines} lines further on" if lines > 0 else ""
        return (
            f"text follows the closing double quote of a field{within}; double every quote that "
            f"is meant inside a quoted field{_OR_NONE}"
        )
    if "new-line" in error:
        return "a line ends with a carriage return alone; save the file with usual line ends"
    return f"cannot be read as a row: {error}"


def in_quotes(file: Path, bad: BadRows, coding: Coding) -> str:
    """A remark on the first field of a TSV file, within about `BLOCK` bytes, that is in quotes
    although quotes enclose nothing; "" without one."""
    first, lines = next(blocks(file, coding=coding))
    for number, line in enumerate(lines, first):
        for field in line.removesuffix("\r").split("\t"):
            inner = field[1:-1]
            if len(field) > 1 and field == f'"{inner}"' and '"' not in inner.replace('""', ""):
                return (
                    f"{bad.place(number)}: a field stands in double quotes, which are read as a "
                    f"part of it, as of every field of a TSV file; if they enclose it, {_DOUBLE}"
                )
    return ""


def _opening(file: Path, start: int, dialect: Dialect, coding: Coding) -> int:
    """The line where the quote that is never closed opens, in the record that begins in line
    `start`."""
    found = blocks(file, coding=coding)
    lines = (line for first, block in found for line in enumerate(block, first))
    inside, opened = False, start
    for number, line in lines:
        if number < start:
            continue
        for field in line.split(dialect.delimiter):
            if not inside and field.startswith(dialect.quote):
                inside, opened = True, number
                field = field[1:]
            # Within quotes, those that stand in pairs are meant; one more ends the field.
            inside = inside and field.count(dialect.quote) % 2 == 0
    return opened


def _swallowed(record: Sequence[str], dialect: Dialect) -> int:
    """How many rows are in the fields of one record: its lines, if each is a row by itself.

    0 for one line, and where it may be a coincidence: two columns, and a text of two lines with the
    delimiter once in the second.
    """
    lines = [line for line in dialect.delimiter.join(record).split("\n") if line.strip()]
    gaps = len(record) - 1
    if (len(lines) - 1) * gaps < 2 or any(line.count(dialect.delimiter) != gaps for line in lines):
        return 0
    return len(lines)


def _opens(record: Sequence[str]) -> bool:
    """Whether the last field begins with a double quote that nothing closes."""
    return record[-1].startswith('"') and record[-1].count('"') % 2 == 1


def _of_other_length(
    record: Sequence[str], header: Sequence[str], dialect: Dialect, opened: bool
) -> str:
    """The message for a record with more or fewer fields than the header. `opened`: the line before
    ends within a double quote, if quotes count."""
    fields = f"has {len(record)} field{'s' * (len(record) != 1)}, the header has {len(header)}"
    if dialect.quoted:
        return f"{fields}; put a field that holds the delimiter in double quotes"
    if opened or any(field.startswith('"') for field in record):
        where = "the line before it" if opened else "it"
        return (
            f"{fields}, and a double quote opens a field in {where}; quotes enclose nothing here: "
            f"if they are meant to, {_DOUBLE}"
        )
    return f"{fields}; a field that holds the delimiter must be in double quotes, and {_DOUBLE}"


_DOUBLE = "set quoting to double (data.quoting of a spec, --quoting of run and evaluate)"
_OR_NONE = (
    "; or, where quotes enclose nothing, set quoting to none (data.quoting of a spec, --quoting of "
    "run and evaluate)"
)
_NEVER_CLOSED = (
    f"a double quote opened in this line is never closed; close it, or double it if meant{_OR_NONE}"
)
_SWALLOWED = (
    "a field in double quotes takes in {rows} lines that are rows each, as if its quote were a "
    "character of the text; double such quotes within quotes, or set quoting to none "
    "(data.quoting of a spec, --quoting of run and evaluate), or to double if the field is meant"
)


def _place(
    column: str, header: list[str], line: int, dialect: Dialect, coding: Coding, bad: BadRows
) -> int:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        bad.fail(line, f"the header names {twice[0]!r} twice; give each column its own name")
    if column not in header:
        _fail_by_delimiter(header, line, dialect, coding, bad)
        if not dialect.quoted and f'"{column}"' in header:
            bad.fail(line, f"the names of the header stand in double quotes; {_DOUBLE}")
        cure = ""
        if not dialect.header and not dialect.names:
            cure = "; data.columns names them"
        elif dialect.header and _is_row(header):
            cure = f"; if the file has no header, {dialect.cure(header=False)}"
        bad.fail(line, no_column(column, header) + cure)
    return header.index(column)


def _fail_by_delimiter(
    header: Sequence[str], line: int, dialect: Dialect, coding: Coding, bad: BadRows
) -> None:
    """Raises DataError where the header is one column that another delimiter makes several of."""
    settings = dict(coding.others)
    if len(header) != 1 or settings.get("delimiter", dialect.delimiter) == dialect.delimiter:
        return
    if not coding.is_utf8:
        settings = {"encoding": coding.encoding, **settings}
    bad.fail(
        line,
        f"the header is one column, {header[0]!r}; fields end with {dialect.delimiter!r} here, and"
        f" this looks like fields that end with {settings['delimiter']!r};"
        f" {set_format(dialect.format, settings)}",
    )


def _is_row(header: Sequence[str]) -> bool:
    """Whether a header looks like a row: a name is a number."""
    return any(map(is_number, header))
