"""The files of a data set, read as one file whose rows follow one another."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rnnspec.data.lines import unreadable
from rnnspec.errors import DataError
from rnnspec.spec import Data
from rnnspec.spec.data import Fold, Named, Query
from rnnspec.spec.files import TEXT_ENDING, Format, files_of, find_files, one_format, rows_in

FILE = 1 << 40
"""The *location* of a row is the number of its file, from 0, times this, plus its line (of Parquet
its row) in that file, from 1. So it is the line itself where there is one file."""


@dataclass(frozen=True, slots=True)
class Content:
    """The SHA-256 of a file, and size and time of change, to see whether it has changed since; of
    folders those of the names in them, and their number."""

    digest: str
    size: int
    changed: int


@dataclass(frozen=True)
class Shards:
    """One file or several, in order. `named` is the first of the `others` + 1 names that the user
    gave: a file, a folder or a pattern."""

    files: tuple[Path, ...]
    named: Path
    others: int = 0
    beside: tuple[tuple[str, tuple[Path, ...]], ...] = ()
    """Where each column has files of its own, these, as many as `files`, which are of the first
    column."""
    query: str | None = None
    """What the files, which are databases, are asked."""

    @staticmethod
    def of(file: Path | Shards) -> Shards:
        return file if isinstance(file, Shards) else Shards((file,), file)

    def __str__(self) -> str:
        return f"{self.named}{self.and_others}"

    @property
    def name(self) -> str:
        """The name without its folder."""
        return f"{self.named.name}{self.and_others}"

    @property
    def and_others(self) -> str:
        return f" and {self.others} more" if self.others else ""

    @property
    def short_names(self) -> tuple[str, ...]:
        """The names of the files, relative to the folder that holds all of them."""
        files = self.every_file
        above = os.path.commonpath([os.path.abspath(file.parent) for file in files])
        return tuple(Path(os.path.relpath(file, above)).as_posix() for file in files)

    def format(self, given: Format = "auto") -> Format:
        """The format of all files: as given, or by their endings. Raises DataError: see
        `one_format`."""
        if self.beside:
            return "columns"
        found = one_format(self.files, given)
        if self.query is not None and found not in ("sqlite", "duckdb"):
            raise DataError(
                f"{self}: is {found}, and a query is for SQLite and DuckDB; leave it out"
            )
        return found

    def columns_of(self, number: int) -> dict[str, Path]:
        """The file of each column of file `number`, where each has its own."""
        return {column: files[number] for column, files in self.beside}

    @property
    def every_file(self) -> tuple[Path, ...]:
        """All files; of columns with files of their own those of every column."""
        of_columns = (file for _, files in self.beside for file in files)
        return tuple(dict.fromkeys((*self.files, *of_columns)))

    def place(self, location: int, word: str = "line") -> str:
        """`file:line`, or `file: row n` where rows have no lines; of folders the file that is the
        row."""
        number, line = divmod(location, FILE)
        file = self.files[number]
        if self._is_folder[number]:
            return str(file.joinpath(*self._rows_in_folders[number][line - 1]))
        return f"{file}:{line}" if word == "line" else f"{file}: row {line}"

    def named_in(self, text: str) -> bool:
        """Whether `text` names one of the files."""
        return any(str(file) in text for file in self.files)

    def in_folders(self, location: int) -> str:
        """The row's own file, below the folder of the classes; empty where rows are no files."""
        number, line = divmod(location, FILE)
        found = self._rows_in_folders[number]
        return "/".join(found[line - 1]) if found else ""

    @cached_property
    def _is_folder(self) -> list[bool]:
        return [file.is_dir() for file in self.files]

    @cached_property
    def _rows_in_folders(self) -> list[list[tuple[str, str]]]:
        return [rows_in(file) if file.is_dir() else [] for file in self.files]

    @cached_property
    def content(self) -> tuple[Content, ...]:
        """The content of each of all files, read once; of a database with the query. Raises
        DataError."""
        found = tuple(map(_content, self.every_file))
        if self.query is None:
            return found
        return tuple(replace(each, digest=_with(each.digest, self.query)) for each in found)

    def check_unchanged(self) -> None:
        """Raises DataError where a file has changed since its content was asked for."""
        for file, before in zip(self.every_file, self.content, strict=True):
            if file.is_dir():
                same = _of_folders(file).digest == before.digest
            else:
                now = file.stat()
                same = (before.size, before.changed) == (now.st_size, now.st_mtime_ns)
            if not same:
                raise DataError(f"{file}: the file changed while it was read; try again")


def _with(digest: str, query: str) -> str:
    return hashlib.sha256(f"{digest}\0{query}".encode()).hexdigest()


def _of_folders(root: Path) -> Content:
    """The names of the rows, and what files of text hold; what others hold is kept with the columns
    that read them."""
    rows = rows_in(root)
    names = "".join(f"{kind}/{file}\0" for kind, file in rows)
    for kind, file in rows:
        if file.lower().endswith(TEXT_ENDING):
            names += _content(root / kind / file).digest
    digest = hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()
    return Content(digest, len(rows), 0)


def _content(file: Path) -> Content:
    if file.is_dir():
        return _of_folders(file)
    try:
        before = file.stat()
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(file, error) from error
    return Content(digest, before.st_size, before.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a spec. `valid` is None if there are none, or if a `share` of the training rows
    is kept for validation."""

    train: Shards
    valid: Shards | None = None
    share: float = 0.0

    @property
    def measured(self) -> Shards | None:
        """The files with the validation rows."""
        return self.train if self.share else self.valid


def find_sources(data: Data, folder: Path) -> Sources:
    """The files that a spec in `folder` names. Raises DataError: see `files_of`."""
    share, measured = data.valid_share, data.valid
    named = None if isinstance(measured, float | Fold) else measured
    if isinstance(data.train, str | tuple) and isinstance(named, str | tuple | None):
        train, valid = files_of(data.train_files, data.valid_files, folder, data.format_name)
        found = _shards(valid, data.valid_files, folder) if valid else None
        return Sources(_shards(train, data.train_files, folder), found, share)
    other = None if named is None else _named(named, folder)
    return Sources(_named(data.train, folder), other, share)


def _named(named: Named, folder: Path) -> Shards:
    """The files that `data.train` or `data.valid` names."""
    match named:
        case Query():
            return Shards((folder / named.file,), folder / named.file, query=named.query)
        case str():
            return find_shards([named], folder)
        case tuple():
            return find_shards(named, folder)
    return of_columns(named, folder)


def of_columns(named: Mapping[str, str | tuple[str, ...]], folder: Path = Path()) -> Shards:
    """Files of which each column has its own. Raises DataError where they are not as many."""
    found = {}
    for column, files in named.items():
        names = (files,) if isinstance(files, str) else files
        found[column] = find_files(names, folder, "text", again=True)
    first = next(iter(found))
    for column, each in found.items():
        if len(each) != len(found[first]):
            raise DataError(
                f"column {column!r} has {len(each)} files, and {first!r} has {len(found[first])};"
                " name as many for each column, in the same order"
            )
    return Shards(found[first], found[first][0], len(found[first]) - 1, tuple(found.items()))


def find_shards(names: Sequence[str], folder: Path = Path(), query: str | None = None) -> Shards:
    """The files that `names` name; names like `text=test.de` are those of columns. `query`: what a
    database is asked. Raises DataError: see `find_files`."""
    if query is not None:
        return replace(_shards(find_files(names, folder), names, folder), query=query)
    pairs = [name.partition("=") for name in names]
    if all(equals and column.isidentifier() for column, equals, _ in pairs) and not any(
        (folder / name).exists() for name in names
    ):
        by_column: dict[str, tuple[str, ...]] = {}
        for column, _, file in pairs:
            by_column[column] = (*by_column.get(column, ()), file)
        return of_columns(by_column, folder)
    return _shards(find_files(names, folder), names, folder)


def _shards(files: tuple[Path, ...], names: Sequence[str], folder: Path) -> Shards:
    return Shards(files, folder / names[0], len(names) - 1)
