"""The names of the columns of data files, of which readers are asked for some."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rnnspec.data.arrays import names_of_npz
from rnnspec.data.arrow import names_of_arrow
from rnnspec.data.database import names_of_query
from rnnspec.data.delimited import header_of
from rnnspec.data.how import How
from rnnspec.data.lines import blocks, check_file
from rnnspec.data.plain import COLUMN
from rnnspec.data.shards import Shards
from rnnspec.spec.files import FILE_COLUMN, FOLDER_COLUMN, TEXT_COLUMN


def column_names(files: Shards, how: How) -> list[str]:
    """The columns of the first of the files, in their order: of JSON lines the keys of the first
    row, of CoNLL files the names that the spec has for them. Empty where they cannot be told; a
    reader then says why. Raises DataError for a file that cannot be read."""
    file, how = files.files[0], replace(how, format=files.format(how.format))
    match how.format:
        case "jsonl":
            return _keys(file, how)
        case "csv" | "tsv":
            return header_of(file, how)
        case "parquet":
            return _fields(file)
        case "sqlite" | "duckdb":
            return names_of_query(file, replace(how, query=files.query))
        case "columns":
            return list(files.columns_of(0))
        case "arrow":
            return names_of_arrow(file)
        case "npz":
            return names_of_npz(file)
        case "folders":
            return [FILE_COLUMN, FOLDER_COLUMN, TEXT_COLUMN]
        case "text":
            return [COLUMN]
    return list(how.names)


def _keys(file: Path, how: How) -> list[str]:
    first = next(
        (text for _, lines in blocks(file, coding=how.coding) for text in lines if text.strip()), ""
    )
    try:
        row = json.loads(first)
    except (ValueError, RecursionError):
        return []
    return list(row) if isinstance(row, dict) else []


def _fields(file: Path) -> list[str]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        return []
    check_file(file)
    try:
        return list(parquet.read_schema(file).names)
    except (ArrowException, OSError):
        return []
