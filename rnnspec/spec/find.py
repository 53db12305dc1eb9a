"""From what a spec names under `data:` to files: a file, a folder of files, or a pattern."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from rnnspec.errors import DataError
from rnnspec.spec.data import Data
from rnnspec.spec.files import is_pattern

Files = tuple[Path, ...]


def files_of(data: Data, folder: Path) -> tuple[Files, Files]:
    """The files of training and those of validation that a spec in `folder` names, none where
    validation rows are a share or none. Raises DataError: see `find_files`; and for a file of
    training that is one of validation, too."""
    train, valid = find_files(data.train_files, folder), find_files(data.valid_files, folder)
    trained = set(map(os.path.abspath, train))
    for file in valid:
        if os.path.abspath(file) in trained:
            raise DataError(
                f"{file}: the file is named by data.train and by data.valid; keep the rows to "
                "measure on out of training"
            )
    return train, valid


def find_files(names: Sequence[str], folder: Path) -> Files:
    """The files that `names` name, in the order of the names and within each by name, numbers in
    names compared as numbers (`part-2` before `part-10`). Relative names start at `folder`.

    A name is that of a file, whether it is there or not; of a folder, whose files are taken but for
    those whose names start with `_` or `.`; or a pattern, with `*`, `?` and `[…]` within a name and
    `**` for any number of folders. Raises DataError for a folder or pattern without files, a
    folder within a folder, and a file that is named twice.
    """
    found: dict[str, tuple[Path, str]] = {}
    for name in names:
        with _readable(folder / name):
            files = _named(folder / name, name, folder)
        for file in files:
            key = os.path.abspath(file)
            if key in found:
                before = found[key][1]
                twice = "twice" if before == name else f"by {before!r} and by {name!r}"
                raise DataError(f"{file}: the file is named {twice}; name it once")
            found[key] = file, name
    return tuple(file for file, _ in found.values())


def absent(names: Sequence[str], folder: Path) -> list[str]:
    """What `find_files` or reading would not find, each in words after "no data file". Raises
    DataError for what cannot be looked at."""
    found = []
    for name in names:
        path = folder / name
        with _readable(path):
            if path.is_dir() and not _visible(path):
                found.append(f"in {path}")
            elif not path.exists() and not is_pattern(name):
                found.append(str(path))
            elif not path.exists() and not _matches(name, folder):
                found.append(f"that matches {path}")
    return found


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _named(path: Path, name: str, folder: Path) -> list[Path]:
    if path.is_dir():
        return sorted(_in_folder(path), key=_in_order)
    if path.exists() or not is_pattern(name):
        return [path]
    found = _matches(name, folder)
    files = sorted((file for file in found if not file.is_dir()), key=_in_order)
    if files:
        return files
    if found:
        raise DataError(f"{path}: only folders match this pattern; add /* for the files in them")
    start = "" if path.is_absolute() else f"; check the path, it starts at {Path.cwd()}"
    raise DataError(f"{path}: no file matches this pattern{start}")


def _matches(name: str, folder: Path) -> list[Path]:
    return [folder / match for match in glob(name, root_dir=folder, recursive=True)]


def _in_folder(folder: Path) -> list[Path]:
    found = _visible(folder)
    for path in found:
        if path.is_dir():
            raise DataError(
                f"{path}: is a folder within the folder of data files {folder}; name the files "
                f"with a pattern, like {folder / '**' / '*.jsonl'} for those of all folders"
            )
    if not found:
        raise DataError(
            f"{folder}: the folder has no data files (names that start with _ or . are left out); "
            "name a file, a folder with data files, or a pattern"
        )
    return found


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(("_", "."))]


_DIGITS = re.compile(r"([0-9]+)")


def _in_order(path: Path) -> tuple[list[list[str | int]], str]:
    """Numbers within names as numbers; between equal ones, as `01` and `1`, the text decides."""
    parts = [_DIGITS.split(part) for part in path.parts]
    return [[int(p) if n % 2 else p for n, p in enumerate(part)] for part in parts], str(path)
