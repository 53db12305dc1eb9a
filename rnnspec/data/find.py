"""From what a spec names under `data:` to files: a file, a folder of files, or a pattern."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from glob import glob
from pathlib import Path

from rnnspec.data.formats import Format
from rnnspec.data.lines import unreadable
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.spec.files import is_pattern


def find_shards(names: Sequence[str], folder: Path = Path(), format: Format = "auto") -> Shards:
    """The files that `names` name, in the order of the names and within each by name, numbers in
    names compared as numbers (`part-2` before `part-10`). Relative names start at `folder`.

    A name is that of a file, whether it is there or not; of a folder, whose files are taken but for
    those whose names start with `_` or `.`; or a pattern, with `*`, `?` and `[…]` within a name and
    `**` for any number of folders. Raises DataError for a folder or pattern without files, a
    folder within a folder, a file that is named twice, and files of different formats.
    """
    found: dict[str, tuple[Path, str]] = {}
    for name in names:
        for file in _files(folder / name, name, folder):
            key = os.path.abspath(file)
            if key in found:
                before = found[key][1]
                twice = "twice" if before == name else f"by {before!r} and by {name!r}"
                raise DataError(f"{file}: the file is named {twice}; name it once")
            found[key] = file, name
    shards = Shards(tuple(file for file, _ in found.values()), folder / names[0], len(names) - 1)
    if len(shards.files) > 1:
        shards.format(format)
    return shards


def absent(names: Sequence[str], folder: Path) -> list[str]:
    """What `find_shards` or reading would not find, each in words."""
    return [
        f"that matches {folder / name}" if is_pattern(name) else str(folder / name)
        for name in names
        if not (folder / name).exists() and not (is_pattern(name) and _matches(name, folder))
    ]


def _files(path: Path, name: str, folder: Path) -> list[Path]:
    try:
        if path.is_dir():
            return sorted(_in_folder(path), key=_in_order)
        if path.exists() or not is_pattern(name):
            return [path]
        found = _matches(name, folder)
    except OSError as error:
        raise unreadable(path, error) from error
    files = sorted((file for file in found if not file.is_dir()), key=_in_order)
    if files:
        return files
    if found:
        raise DataError(f"{path}: only folders match this pattern; add /* for the files in them")
    start = "" if path.is_absolute() else f"; check the path, it starts at {Path.cwd()}"
    raise DataError(f"{path}: no file matches this pattern{start}")


def _matches(name: str, folder: Path) -> list[Path]:
    return [folder / match for match in glob(name, root_dir=folder, recursive=True)]


def _in_folder(folder: Path) -> Iterator[Path]:
    empty = True
    for path in folder.iterdir():
        if path.name.startswith(("_", ".")):
            continue
        if path.is_dir():
            raise DataError(
                f"{path}: is a folder within the folder of data files {folder}; name the files "
                f"with a pattern, like {folder / '**' / '*.jsonl'} for those of all folders"
            )
        empty = False
        yield path
    if empty:
        raise DataError(
            f"{folder}: the folder has no data files (names that start with _ or . are left out); "
            "name a file, a folder with data files, or a pattern"
        )


_DIGITS = re.compile(r"([0-9]+)")


def _in_order(path: Path) -> tuple[list[list[str | int]], str]:
    """Numbers within names as numbers; between equal ones, as `01` and `1`, the text decides."""
    parts = [_DIGITS.split(part) for part in path.parts]
    return [[int(p) if n % 2 else p for n, p in enumerate(part)] for part in parts], str(path)
