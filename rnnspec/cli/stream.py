"""Chunks of `rnnspec run --stream`: read from standard input as they come, answered at once.

A row ends at an empty line, at an object with `"end": true`, with its last chunk or alone, and at
the end of the input. The next chunk begins another row.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnspec.cli import answers, rows
from rnnspec.cli.rows import STDIN, Row
from rnnspec.cli.terminal import printable
from rnnspec.errors import DataError
from rnnspec.files import json_text

if TYPE_CHECKING:
    from rnnspec.data.pipe import Raw
    from rnnspec.run import InputColumn, Model

END = "end"
"""The key that says whether a row ends with a chunk."""
NOTHING = f"{STDIN}: no chunks came"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a row. `title` stands before its answer; `alone`: it has no columns, the row ends;
    `quiet`: an answer without anything new is not shown."""

    place: str
    title: str
    row: Row
    end: bool = False
    alone: bool = False
    quiet: bool = False


def run(model: Model, raw: Raw | None, as_json: bool, seed: int, write: int | None) -> None:
    """Print the answer to each chunk of standard input before the next is read. What ends a row and
    has no steps is answered where the model reads ahead. `write` tokens are written after a chunk
    by a model that writes on, 1 if it is None.

    Raises DataError at the first chunk that cannot be answered, with its number, and ModelFileError
    for a file that answers whole rows.
    """
    from rnnspec.run.stream import Stream

    stream = Stream(model, seed)
    assert model.chunks is not None
    given = 0
    try:
        for chunk in _chunks(model, raw):
            try:
                count = None if not model.chunks.write else 0 if chunk.alone else write
                answer = stream.answer(chunk.row, chunk.end, count)
            except DataError as error:
                raise DataError(f"{chunk.place}: {error}") from error
            given += not chunk.alone
            if not chunk.alone or model.chunks.end:
                _show(model, chunk, answer, as_json)
    except DataError as error:
        if given:
            error.add_note(f"{given:,} chunk{'s were' if given != 1 else ' was'} answered before")
        raise


def _show(model: Model, chunk: Chunk, answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print(json_text(answer), flush=True)
    elif not (chunk.quiet or (chunk.alone and model.chunks and model.chunks.write)) or any(
        answer[each.column] not in ("", []) for each in model.outputs
    ):
        print(f"{chunk.title}  →  {answers.as_text(model.outputs, answer)}", flush=True)


def _chunks(model: Model, raw: Raw | None) -> Iterator[Chunk]:
    sound = model.inputs[0] if [each.kind for each in model.inputs] == ["audio"] else None
    if raw is not None and sound is None:
        raise DataError(
            f"--raw is for a model that reads sound alone, and {model.path} reads"
            f" {rows.described(model.inputs)}; leave it out"
        )
    if sys.stdin.isatty():
        if raw is not None:
            raise DataError("--raw reads samples from a pipe, as in arecord … | rnnspec run …")
        print(f"{model.path} reads {rows.described(model.inputs)}, a chunk a line; an empty line")
        print("ends a row, Ctrl-D all")
    elif sound is not None:
        pipe = _pipe()
        if raw is not None or pipe.peek(1)[:1] == b"R":
            yield from _of_sound(sound, pipe, raw)
            return
    yield from _of_lines(model)


def _pipe() -> io.BufferedReader:
    """Standard input as bytes."""
    if isinstance(sys.stdin.buffer, io.BufferedReader):
        return sys.stdin.buffer
    return io.BufferedReader(sys.stdin.buffer)  # type: ignore[arg-type]  # replaced by a caller


def _of_sound(column: InputColumn, pipe: io.BufferedReader, raw: Raw | None) -> Iterator[Chunk]:
    """Samples as they arrive, titled with the seconds so far."""
    from rnnspec.data.pipe import CODINGS, from_raw, from_wav

    assert column.audio is not None
    rate, heard, number = column.audio.rate, 0, 0
    coding = None if raw is None else CODINGS[raw]
    found = from_wav(pipe, column.audio) if coding is None else from_raw(pipe, coding, column.audio)
    try:
        for number, samples in enumerate(found, start=1):
            heard += len(samples)
            place = f"{STDIN}: chunk {number}"
            yield Chunk(place, f"{heard / rate:.2f} s", {column.column: samples}, quiet=True)
    except DataError as error:
        raise DataError(f"{STDIN}: {error}") from error
    if not number:
        raise DataError(NOTHING)
    yield Chunk(STDIN, END, {column.column: []}, end=True, alone=True, quiet=True)


def _of_lines(model: Model) -> Iterator[Chunk]:
    """A text a line or a JSON object a line, as the first line that is not empty decides."""
    column = rows.text_column(model)
    begun, first, number = False, True, 0
    for at, line in enumerate(rows.lines(NOTHING), start=1):
        place = f"{STDIN}:{at}"
        if isinstance(line, DataError):
            raise line
        if not line or (column is None and line.isspace()):
            if begun:
                yield Chunk(place, END, {}, end=True, alone=True)
            begun = False
            continue
        if first and _is_chunk(model, line):
            column = None
        first, title = False, f"chunk {number + 1}"
        if column is not None:
            chunk = Chunk(f"{place}: {title}", printable(line), {column: line})
        else:
            chunk = _of_object(model, line, f"{place}: {title}", title)
        number += not chunk.alone
        if begun or not chunk.alone:
            yield chunk
        begun = not chunk.end
    if begun:
        yield Chunk(STDIN, END, {}, end=True, alone=True)


def _of_object(model: Model, line: str, place: str, title: str) -> Chunk:
    row, end = rows.json_row(line, place), False
    if END in row and END not in _columns(model):
        last = row.pop(END)
        if not isinstance(last, bool):
            raise DataError(f"{place}: {END!r} is {json.dumps(last)}, expected true or false")
        end = last
    return Chunk(place, title if row else END, row, end, alone=end and not row)


def _is_chunk(model: Model, line: str) -> bool:
    """Whether a line is an object with a column of the model, or with the end of a row."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and bool({END, *_columns(model)} & value.keys())


def _columns(model: Model) -> list[str]:
    return [each.column for each in model.inputs]
