"""Rows of JSON lines (https://jsonlines.org): one object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rnnspec.data.how import How
from rnnspec.data.lines import Position, blocks
from rnnspec.data.rows import BadRows, Chunk, no_column

_SPACE = " \t\r"
_parse = json.JSONDecoder().raw_decode


def read_jsonl(
    file: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of the keys `columns`. Lines of nothing but white space hold no row.

    NaN and Infinity, which JSON proper does not have, are read as numbers, for the decoder of the
    column to refuse. Of a key that stands twice, see `_repeated`.
    """
    row = 0
    for number, lines in blocks(file, position, how.coding):
        chunk = Chunk(row, [], {column: [] for column in columns})
        for line, text in enumerate(lines, start=number):
            _add_row(chunk, line, text, bad)
        row += len(chunk)
        if len(chunk):
            yield chunk


def _add_row(chunk: Chunk, line: int, text: str, bad: BadRows) -> None:
    start = 0 if text.startswith("{") else _skip(text, 0)
    if start == len(text):
        return
    try:
        value, end = _parse(text, start)
        if end != len(text) and (more := _skip(text, end)) != len(text):
            raise json.JSONDecodeError("extra data", text, more)
    except (ValueError, RecursionError) as error:
        bad.add(line, _broken(error, text))
        return
    if not isinstance(value, dict):
        bad.add(line, f"holds {_kind(value)}, expected an object; write one object per line")
        return
    for column in chunk.cells:
        if column not in value or (text.count(f'"{column}"') > 1 and _repeated(column, text)):
            _bad_key(column, value, line, bad, first=not chunk.first and not len(chunk))
            return
    for column, cells in chunk.cells.items():
        cells.append(value[column])
    chunk.lines.append(line)


def _skip(text: str, start: int) -> int:
    """The first place from `start` on that is not white space."""
    return len(text) - len(text[start:].lstrip(_SPACE))


def _bad_key(column: str, value: dict[str, object], line: int, bad: BadRows, first: bool) -> None:
    if column in value:
        bad.add(line, f"the key {column!r} stands twice; keep one")
        return
    message = no_column(column, value, "key")
    if first and not bad.found:
        bad.fail(line, message)
    bad.add(line, message)


def _repeated(column: str, text: str) -> bool:
    """Whether the object of `text` has the key `column` twice.

    Asked only where the quoted name occurs twice, so a key hidden behind escapes (`te\\u0078t`)
    goes unnoticed: the last one counts then.
    """
    found = [0]

    def count(pairs: list[tuple[str, object]]) -> None:
        # Objects are built from the inside out, so the last call is the row itself.
        found[0] = sum(key == column for key, _ in pairs)

    json.JSONDecoder(object_pairs_hook=count).raw_decode(text)
    return found[0] > 1


def _broken(error: Exception, text: str) -> str:
    if not isinstance(error, json.JSONDecodeError):
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number too long"
        return f"broken JSON: {reason}"
    start = max(0, error.pos - 20)
    near = text[start : error.pos + 20]
    excerpt = f"{'…' if start else ''}{near}{'…' if error.pos + 20 < len(text) else ''}"
    reason = error.msg[0].lower() + error.msg[1:]
    return (
        f"broken JSON at column {error.pos + 1}: {reason}, near {excerpt!r}; "
        "every line must hold one whole object"
    )


def _kind(value: object) -> str:
    match value:
        case list():
            return "a list"
        case str():
            return "a text"
        case None:
            return "null"
        case bool():
            return "a truth value"
    return "a number"
