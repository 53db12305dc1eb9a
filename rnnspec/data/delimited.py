"""Rows of CSV and TSV (RFC 4180, with any line ends): a header, then one row per record."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnspec.data.lines import MAX_LINE, Position, blocks
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.source.problems import did_you_mean

CHUNK_ROWS = 4096
CHUNK_TEXT = 1 << 20
"""Code points of a chunk's cells after which it is full."""


def read_delimited(
    file: Path, columns: Sequence[str], bad: BadRows, delimiter: str, position: Position
) -> Iterator[Chunk]:
    """Chunks of `columns`. A field in double quotes may hold the delimiter, line breaks and, each
    doubled, quotes; blank lines hold no row. Cells are texts, exactly as they stand."""
    # The limit is the csv module's own and holds for the process; its default would refuse a
    # sequence of some 100 vectors in one cell.
    csv.field_size_limit(max(MAX_LINE, csv.field_size_limit()))
    records = _records(file, bad, delimiter, position)
    header_line, header = next(records, (1, []))
    if not header:
        raise DataError(f"{file}: the file has no header; name the columns in its first line")
    places = [_place(column, header, header_line, delimiter, bad) for column in columns]
    chunk, size = Chunk(0, [], {column: [] for column in columns}, textual=True), 0
    for line, record in records:
        if len(record) != len(header):
            fields = f"{len(record)} field{'s' * (len(record) != 1)}"
            quoted = "; put a field that holds the delimiter in double quotes"
            bad.add(line, f"has {fields}, the header has {len(header)}{quoted}")
            continue
        chunk.lines.append(line)
        for place, cells in zip(places, chunk.cells.values(), strict=True):
            cells.append(record[place])
            size += len(record[place])
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_TEXT:
            yield chunk
            first = chunk.first + len(chunk)
            chunk, size = Chunk(first, [], {column: [] for column in columns}, textual=True), 0
    if len(chunk):
        yield chunk


def _records(
    file: Path, bad: BadRows, delimiter: str, position: Position
) -> Iterator[tuple[int, list[str]]]:
    """Records that are not blank, each with the number of its first line."""
    lines = (f"{line}\n" for _, block in blocks(file, position) for line in block)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1
    try:
        for record in reader:
            if record:
                yield start, record
            start = reader.line_num + 1
    except csv.Error as error:
        bad.fail(start, _explained(str(error), reader.line_num - start))


def _explained(error: str, lines: int) -> str:
    if "unexpected end" in error or "field limit" in error:
        return "a double quote opened in this row is never closed; close it, or double it if meant"
    if "expected after" in error:
        within = f", {lines} lines further on" if lines > 0 else ""
        return (
            f"text follows the closing double quote of a field{within}; double every quote that "
            "is meant inside a quoted field"
        )
    if "new-line" in error:
        return "a line ends with a carriage return alone; save the file with usual line ends"
    return f"cannot be read as a row: {error}"


def _place(column: str, header: list[str], line: int, delimiter: str, bad: BadRows) -> int:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        bad.fail(line, f"the header names {twice[0]!r} twice; give each column its own name")
    if column not in header:
        if len(header) == 1 and (other := set(header[0]) & set(",;|\t")):
            named = "TSV" if other == {"\t"} else "CSV" if other == {","} else repr(min(other))
            bad.fail(
                line,
                f"the header is one column, {header[0]!r}; fields end with {delimiter!r} here, "
                f"this looks like {named}",
            )
        hint = did_you_mean(column, header)
        listed = ", ".join(header[:20])
        parts = (f"there is no column {column!r}", hint, f"the columns are: {listed}")
        bad.fail(line, "; ".join(part for part in parts if part))
    return header.index(column)
