"""The formats of data files, and which one a file has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from rnnspec.errors import DataError

Format = Literal["auto", "jsonl", "csv", "tsv", "parquet", "text"]

Quoting = Literal["auto", "double", "none"]
"""Whether a field of CSV or TSV in double quotes is what they enclose."""

_ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".txt": "text",
}


def format_of(file: Path, format: Format = "auto") -> Format:
    """The format of `file`: as given, or by the ending of its name (before a `.gz`).

    Raises DataError for an ending that says nothing.
    """
    if format != "auto":
        return format
    name = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    found = _ENDINGS.get(name.suffix.lower())
    if found is None:
        known = ", ".join(name for name in get_args(Format) if name != "auto")
        ending = f"the ending {name.suffix!r}" if name.suffix else "a name without an ending"
        raise DataError(
            f"{file}: {ending} names no known format; set data.format to one of {known}"
        )
    return found


def one_format(files: Sequence[Path], format: Format = "auto") -> Format:
    """The format of all files. Raises DataError where their endings say nothing, or differ."""
    first, *others = (format_of(file, format) for file in files)
    for file, found in zip(files[1:], others, strict=True):
        if found != first:
            raise DataError(
                f"{file}: is {found} by its ending, and {files[0]} is {first}; name files of one "
                "format, or set data.format"
            )
    return first
