"""Rows of folders: one for each class, whose files of sound, pictures or video are the rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rnnspec.data.how import Holds, How
from rnnspec.data.lines import Position
from rnnspec.data.pictures import ENDINGS as PICTURES
from rnnspec.data.rows import BadRows, Chunk, no_column
from rnnspec.errors import DataError
from rnnspec.spec.files import FILE_COLUMN, FOLDER_COLUMN, TEXT_COLUMN, TEXT_ENDING, rows_in

CHUNK_ROWS = 1024
SOUNDS = frozenset({
    ".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64",
})  # fmt: skip
_HOLDS: Mapping[Holds, str] = {
    "audio": "a file of sound (wav, flac)",
    "image": "a picture (png, jpeg, npy)",
    "video": "a folder of pictures or an .npy file",
}


def held(kinds: Mapping[str, str]) -> Holds | None:
    """What the column of files is read as, by the kind of each input column."""
    return next((kind for kind in _HOLDS if kind == kinds.get(FILE_COLUMN)), None)


def read_folders(
    root: Path, columns: Sequence[str], how: How, bad: BadRows, position: Position
) -> Iterator[Chunk]:
    """Chunks of the columns `file`, a path relative to the folder that `root` is in, and `folder`,
    its class.

    Classes come in the order of their names, numbers in them as numbers, and so do the files of
    each. A file that is none of those that the input reads is a bad row. Raises DataError for other
    columns, and as `rows_in`.
    """
    known = (FILE_COLUMN, FOLDER_COLUMN, TEXT_COLUMN)
    other = next((column for column in columns if column not in known), None)
    if other is not None:
        raise DataError(f"{root}: {no_column(other, known)}")
    holds = how.holds
    if FILE_COLUMN in columns and holds is None:
        raise DataError(
            f"{root}: holds folders, whose files are rows of sound or pictures; read the column"
            f" {FILE_COLUMN!r} as audio, image or video, or {TEXT_COLUMN!r} as words or chars"
        )
    rows = rows_in(root)
    for first in range(0, len(rows), CHUNK_ROWS):
        part = list(enumerate(rows[first : first + CHUNK_ROWS], start=first + 1))
        kept = [(line, row) for line, row in part if _is_read(root, line, row, holds, bad)]
        texts: list[object] = []
        if TEXT_COLUMN in columns:
            read = [(line, row, _text(root, line, row, how, bad)) for line, row in kept]
            kept = [(line, row) for line, row, text in read if text is not None]
            texts = [text for _, _, text in read if text is not None]
        cells: dict[str, list[object]] = {
            TEXT_COLUMN: texts,
            FILE_COLUMN: [os.path.join(root.name, kind, file) for _, (kind, file) in kept],
            FOLDER_COLUMN: [kind for _, (kind, _) in kept],
        }
        position.done = (first + len(part)) / len(rows)
        lines = [line for line, _ in kept]
        yield Chunk(first, lines, {column: cells[column] for column in columns})


def _text(root: Path, line: int, row: tuple[str, str], how: How, bad: BadRows) -> str | None:
    """What a file of text holds; None for one that is none, which is noted as bad."""
    file, encoding = root.joinpath(*row), how.coding.encoding
    if file.suffix.lower() != TEXT_ENDING or file.is_dir():
        bad.add(line, "is no file of text (.txt); remove it, or start its name with _ or .")
        return None
    try:
        return file.read_bytes().decode(encoding).removeprefix("\ufeff")
    except UnicodeError as error:
        bad.add(line, f"is not {encoding}: {error}; {how.coding.cure('…')}")
    except OSError as error:
        bad.add(line, f"cannot be read: {error.strerror}")
    return None


def _is_read(
    root: Path, line: int, row: tuple[str, str], holds: Holds | None, bad: BadRows
) -> bool:
    """Whether the input reads such files; otherwise the row is noted as bad."""
    if holds is None or _fits(root.joinpath(*row), holds):
        return True
    bad.add(line, f"is not {_HOLDS[holds]}; remove it, or start its name with _ or .")
    return False


def _fits(path: Path, holds: Holds) -> bool:
    ending = path.suffix.lower()
    if holds == "video":
        return path.is_dir() or ending == ".npy"
    return ending in (SOUNDS if holds == "audio" else PICTURES) and not path.is_dir()
