"""Rows of plain text: documents in the one column `text`."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnspec.data.decode import WHITE_SPACE
from rnnspec.data.how import How
from rnnspec.data.lines import (
    BLOCK,
    MAX_LINE,
    Coding,
    Position,
    blocks,
    check_file,
    not_utf8,
    raw_blocks,
)
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError

COLUMN = "text"
_GAP = re.compile(rb"[ \n\t\r]+")


def read_plain(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of the column `text`.

    - `file`: one row with the whole text, without a byte order mark, in chunks of about a MiB, each
      of which continues the one before (`Chunk.continued`). With `end`, this share of the text at
      its end is a row of its own, held out.
    - `paragraph`: lines joined by U+000A, up to a blank one. `line`: lines that are not blank.

    A line ends with U+000A; a U+000D before it is dropped. Raises DataError for other columns, and
    as `blocks`.
    """
    other = next((column for column in columns if column != COLUMN), None)
    if other is not None:
        raise DataError(
            f"{file}: there is no column {other!r}; plain text has one column, {COLUMN!r}"
        )
    coding = how.coding
    if how.documents == "file":
        return _whole(file, position, how.end, coding)
    return (_lines if how.documents == "line" else _paragraphs)(file, position, coding)


def _lines(file: Path, position: Position, coding: Coding) -> Iterator[Chunk]:
    row = 0
    for first, block in blocks(file, position, coding):
        kept = [(line, text.removesuffix("\r")) for line, text in enumerate(block, first)]
        kept = [(line, text) for line, text in kept if text.strip()]
        if kept:
            yield _chunk(row, kept)
        row += len(kept)


def _paragraphs(file: Path, position: Position, coding: Coding) -> Iterator[Chunk]:
    row, start, held, size = 0, 1, list[str](), 0
    for first, block in blocks(file, position, coding):
        done: list[tuple[int, str]] = []
        for line, text in enumerate(block, first):
            if text.strip():
                start = start if held else line
                held.append(text.removesuffix("\r"))
                size += len(text)
            elif held:
                done.append((start, "\n".join(held)))
                held, size = [], 0
            if size > MAX_LINE:
                raise DataError(
                    f"{file}:{start}: the paragraph is longer than {MAX_LINE >> 20} MiB; "
                    "end paragraphs with an empty line, or set data.documents to file or line"
                )
        if done:
            yield _chunk(row, done)
        row += len(done)
    if held:
        yield _chunk(row, [(start, "\n".join(held))])


def _chunk(first: int, rows: list[tuple[int, str]]) -> Chunk:
    return Chunk(first, [line for line, _ in rows], {COLUMN: [text for _, text in rows]}, True)


def _whole(file: Path, position: Position, end: float, coding: Coding) -> Iterator[Chunk]:
    """Pieces of about BLOCK that end before a U+0020, where subwords begin too. Text without any
    grows to MAX_LINE, then it is cut before other white space, or anywhere if it has none.

    With `end`, that share of the bytes, from the next white space on, is a second row.
    """
    check_file(file)
    decode = codecs.getincrementaldecoder("utf-8")()
    line, held, continued, row = 1, "", False, 0

    def piece(text: str) -> Chunk:
        held_out = bool(row) if end else None
        return Chunk(row, [line], {COLUMN: [text]}, True, continued, held_out)

    for block in _cut_at(raw_blocks(file, position, coding), _start_of(file, end, coding)):
        if block is None:
            yield piece(held)
            line, held, continued, row = line + held.count("\n"), "", False, 1
            continue
        try:
            held += decode.decode(block)
        except UnicodeDecodeError as error:
            raise _not_utf8(file, line, held, error, coding) from error
        cut = held.rfind(" ", 1) if len(held) <= MAX_LINE else _last_gap(held)
        if cut > 0 and len(held) >= BLOCK // 2:
            yield piece(held[:cut])
            line, held, continued = line + held.count("\n", 0, cut), held[cut:], True
    try:
        held += decode.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, line, held, error, coding) from error
    if held or continued or not row:  # nothing follows the last white space
        yield piece(held)


def _not_utf8(
    file: Path, line: int, held: str, error: UnicodeDecodeError, coding: Coding
) -> DataError:
    """The error for bytes behind the text `held`, whose first line is number `line`."""
    before = held[held.rfind("\n") + 1 :].encode()
    data, place = before + error.object, len(before) + error.start
    return not_utf8(file, line + held.count("\n"), data, place, coding)


def _start_of(file: Path, end: float, coding: Coding) -> int | None:
    """The byte where the last share `end` of a text begins; None without one."""
    if not end:
        return None
    whole = file.suffix.lower() == ".gz" or not coding.is_utf8
    size = sum(map(len, raw_blocks(file, None, coding))) if whole else file.stat().st_size
    return int((1 - end) * size)


def _cut_at(blocks: Iterator[bytes], start: int | None) -> Iterator[bytes | None]:
    """The blocks, with None after the first white space from byte `start` on; it is ASCII, and so
    between characters."""
    seen = 0
    for block in blocks:
        gap = _GAP.search(block, max(0, start - seen)) if start is not None else None
        seen += len(block)
        if gap is None:
            yield block
            continue
        start = None
        yield block[: gap.end()]
        yield None
        yield block[gap.end() :]


def _last_gap(text: str) -> int:
    """Where the last white space begins, or the end of a text without any after its start."""
    found = max(text.rfind(char, 1) for char in WHITE_SPACE)
    return found if found > 0 else len(text)
