"""The files that a spec names under `data:`: their formats, and finding them.

A name is the name of a file, of a folder of files, or a pattern.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from glob import glob
from pathlib import Path, PurePath
from typing import Literal, get_args

from rnnspec.errors import DataError

FormatName = Literal[
    "auto",
    "jsonl",
    "csv",
    "tsv",
    "parquet",
    "arrow",
    "npz",
    "conll",
    "text",
    "folders",
    "sqlite",
    "duckdb",
]
"""The formats that a spec names."""
Format = FormatName | Literal["columns"]
"""Also files of which each column has its own."""

FILE_COLUMN, FOLDER_COLUMN, TEXT_COLUMN = "file", "folder", "text"
"""The columns of folders of classes: a file, the name of the folder it is in, and of a file of text
what it holds."""
TEXT_ENDING = ".txt"

Quoting = Literal["auto", "double", "none"]
"""The meaning of double quotes around a field of CSV or TSV."""

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".npz": "npz",
    ".conll": "conll",
    ".conllu": "conll",
    ".txt": "text",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".duckdb": "duckdb",
}


_IN_CELLS = frozenset({".wav", ".flac", ".mp3", ".ogg", ".png", ".jpg", ".jpeg", ".webp", ".npy"})
"""Of files that rows name."""


def format_of(file: Path, format: Format = "auto") -> Format:
    """The format of `file`: `format`, or by the ending of its name (before a `.gz`), or that of a
    folder of folders.

    Raises DataError for an unknown ending.
    """
    if format != "auto":
        return format
    with _readable(file):
        if file.is_dir() and any(path.is_dir() for path in _visible(file)):
            return "folders"
    name = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    found = _ENDINGS.get(name.suffix.lower()) or _database(file)
    if found is None and name.suffix.lower() in _IN_CELLS:
        raise DataError(
            f"{file}: is no file of rows; put the files of each class into a folder of its own in"
            f" {file.parent}, or name them in rows of JSONL, CSV or Parquet"
        )
    if found is None:
        known = ", ".join(name for name in get_args(FormatName) if name not in ("auto", "folders"))
        ending = f"the ending {name.suffix!r}" if name.suffix else "a name without an ending"
        raise DataError(
            f"{file}: {ending} names no known format; set data.format to one of {known}"
        )
    return found


def _database(file: Path) -> Format | None:
    """What a file named .db is, by its first bytes."""
    if file.suffix.lower() != ".db" or not file.is_file():
        return None
    with _readable(file), file.open("rb") as stream:
        start = stream.read(16)
    return (
        "sqlite"
        if start.startswith(b"SQLite format 3")
        else "duckdb"
        if start[8:12] == b"DUCK"
        else None
    )


def one_format(files: Sequence[Path], format: Format = "auto") -> Format:
    """The format of all files. Raises DataError where their endings are unknown, or differ."""
    first, *others = (format_of(file, format) for file in files)
    for file, found in zip(files[1:], others, strict=True):
        if found != first:
            raise DataError(
                f"{file}: is {found} by its ending, and {files[0]} is {first}; name files of one "
                "format, or set data.format"
            )
    return first


_MAGIC = re.compile(r"[*?[]")


def is_pattern(name: str) -> bool:
    """Whether a name that no file has is a pattern for files."""
    return bool(_MAGIC.search(name))


def covers(name: str, other: str) -> bool:
    """Whether `name` includes the file or folder `other`, by their texts alone.

    It does as the same name, as the folder of `other`, or as a pattern that `other` matches.
    """
    one, two = PurePath(name), PurePath(other)
    if one == two or one == two.parent:
        return True
    files = (*one.parts, "*") if one.name == "**" else one.parts
    return is_pattern(name) and not is_pattern(other) and _match(files, two.parts)


def _match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**" and _match(pattern[1:], parts):
        return True
    hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if hidden or not (pattern[0] == "**" or fnmatchcase(parts[0], pattern[0])):
        return False
    return _match(pattern if pattern[0] == "**" else pattern[1:], parts[1:])


Files = tuple[Path, ...]


def files_of(
    train_names: Sequence[str], valid_names: Sequence[str], folder: Path, format: Format = "auto"
) -> tuple[Files, Files]:
    """The training files and the validation files that a spec in `folder` names.

    Raises DataError as `find_files` does, and for a file that is in both.
    """
    train, valid = (find_files(names, folder, format) for names in (train_names, valid_names))
    trained = set(map(os.path.abspath, train))
    for file in valid:
        if os.path.abspath(file) in trained:
            raise DataError(
                f"{file}: the file is named by data.train and by data.valid; keep the rows to "
                "measure on out of training"
            )
    return train, valid


def find_files(
    names: Sequence[str], folder: Path, format: Format = "auto", again: bool = False
) -> Files:
    """The files of `names` in their order, and for each name sorted by name.

    Numbers in names are compared as numbers (`part-2` before `part-10`). Relative names start at
    `folder`. A name is one of: a file, which need not exist; a folder, whose files are taken except
    names that start with `_` or `.`; a pattern, with `*`, `?` and `[…]` within a name and `**` for
    any number of folders. A folder of folders is one file, of the format `folders`, unless another
    is given or the files in it are of another. Raises DataError for a folder or pattern without
    files, a folder within a folder of files, and a file that is named twice, unless it may be named
    `again`.
    """
    found: dict[str, tuple[Path, str]] = {}
    for name in names:
        with _readable(folder / name):
            files = _named(folder / name, name, folder, format)
        for file in files:
            key = f"{len(found)}" if again else os.path.abspath(file)
            if key in found:
                before = found[key][1]
                twice = "twice" if before == name else f"by {before!r} and by {name!r}"
                raise DataError(f"{file}: the file is named {twice}; name it once")
            found[key] = file, name
    return tuple(file for file, _ in found.values())


def absent(names: Sequence[str], folder: Path) -> list[str]:
    """The names without files, each in words that follow "no data file".

    Raises DataError for a path that cannot be read.
    """
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


def _named(path: Path, name: str, folder: Path, format: Format) -> list[Path]:
    if path.is_dir() and (format == "folders" or (format == "auto" and _holds_classes(path))):
        return [path]
    if path.is_dir():
        return sorted(_in_folder(path), key=_in_order)
    if format == "folders" and (path.exists() or is_pattern(name)):
        what = "is a file" if path.exists() else "is a pattern"
        raise DataError(f"{path}: {what}; name the folder that holds a folder for each class")
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


def _holds_classes(folder: Path) -> bool:
    """Whether a folder holds folders, and no file of rows stands in it or in them."""
    found = _visible(folder)
    folders = [path for path in found if path.is_dir()]
    files = [path for path in found if not path.is_dir()]
    inside = [path for each in folders for path in _visible(each) if not path.is_dir()]
    return bool(folders) and not any(map(_has_rows, (*files, *inside)))


def _has_rows(file: Path) -> bool:
    name = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    return name.suffix.lower() in _ENDINGS and name.suffix.lower() != ".txt"


def rows_in(root: Path) -> list[tuple[str, str]]:
    """The rows of a folder of folders: the name of each class and of a file in it, both sorted,
    numbers in them as numbers.

    Names that start with `_` or `.` are left out. Raises DataError for a file beside the folders,
    for a folder without files, and where there are no folders.
    """
    with _readable(root):
        entries, rows = sorted(_visible(root), key=_in_order), list[tuple[str, str]]()
        stray = next((path for path in entries if not path.is_dir()), None)
        if stray is not None:
            raise DataError(
                f"{stray}: stands beside the folders of the classes; move it into one of them, or"
                " start its name with _ or ."
            )
        for entry in entries:
            files = sorted(_visible(entry), key=_in_order)
            if not files:
                raise DataError(
                    f"{entry}: the folder of the class {entry.name!r} is empty; put its files into"
                    " it, or remove it"
                )
            rows += ((entry.name, file.name) for file in files)
    if not rows:
        raise DataError(f"{root}: the folder has no folders; make one for each class")
    return rows


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
    """Sorts numbers within names as numbers; between equal ones, as `01` and `1`, by the text."""
    parts = [_DIGITS.split(part) for part in path.parts]
    return [[int(p) if n % 2 else p for n, p in enumerate(part)] for part in parts], str(path)
