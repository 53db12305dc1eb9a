"""Data in memory in place of the files of a spec."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnnspec.data.memory import memory_rows, told_by_row, written_rows
from rnnspec.errors import DataError
from rnnspec.source.problems import did_you_mean
from rnnspec.spec import Spec
from rnnspec.spec.distributions import censored_by
from rnnspec.spec.load import LoadedSpec, load_source
from rnnspec.spec.metrics import distribution_of

FILES = ("audio", "image", "video")
"""Inputs whose cells may be paths."""
PARTS = ("train", "valid")
MEASURED = "rows"
"""The name of the file of rows that are measured, which need no weights."""
FOLDER = ".rows"
"""Folder beside the builds in which rows that came from memory are kept, as JSON lines."""
Data = Mapping[str, Any]
"""`train` and `valid`: rows in memory (`rnnspec.data.memory`), or the path of a file."""


def columns_of(spec: Spec) -> list[str]:
    """The columns that a spec reads for training, each once."""
    data = spec.data
    found = [getattr(each, "column", None) for each in (*data.inputs, *data.targets)]
    if data.series is not None:
        found += [data.series.id, data.series.time]
    found += [data.weight, *(censored_by(distribution_of(each)) for each in data.targets)]
    return list(dict.fromkeys(column for column in found if column))


def row_file(spec: Spec, rows: Any, folder: Path, name: str, others: Sequence[str] = ()) -> Path:
    """The rows as a file in `folder`, with `others` of their columns beside those of the spec.
    Raises DataError, with the number of the row from 1, and without the name of the data."""
    columns = list(dict.fromkeys([*columns_of(spec), *others]))
    weight = spec.data.weight
    if name == MEASURED and weight is not None and _lacks(rows, weight):
        columns.remove(weight)
    paths = [each.column for each in spec.data.inputs if getattr(each, "as_", "") in FILES]
    found = memory_rows(rows, columns).rows()
    chosen = ({name: row[name] for name in columns if name in row} for row in found)
    return written_rows(chosen, folder, name, paths)


def _lacks(rows: Any, column: str) -> bool:
    """Whether rows have columns, and this is none of them."""
    names = rows if isinstance(rows, Mapping) else getattr(rows, "columns", None)
    names = getattr(rows, "column_names", names)
    return names is not None and column not in list(names)


def with_data(
    loaded: LoadedSpec, overrides: Sequence[str], data: Data, folder: Path
) -> tuple[LoadedSpec, dict[Path, str]]:
    """The spec with files of the rows in `data` in place of its own, and how messages call them.

    Without `valid` the spec's own `data.valid` stays. Raises DataError for rows that cannot be
    written, and SpecError where settings of the spec do not fit them.
    """
    if not isinstance(data, Mapping):
        raise DataError(
            f"data is a {type(data).__name__}, and its parts have names; give"
            " data={'train': rows}"
        )
    if not data:
        return loaded, {}
    files, names = dict[str, Path](), dict[Path, str]()
    for part, rows in data.items():
        if part not in PARTS:
            hint = did_you_mean(part, PARTS) or f"the parts are {' and '.join(PARTS)}"
            raise DataError(f"data[{part!r}]: there is no such part of the data; {hint}")
        if isinstance(rows, str | os.PathLike):
            files[part] = Path(rows).absolute()
            continue
        called = f"data[{part!r}]"
        try:
            files[part] = row_file(loaded.spec, rows, folder.absolute(), part)
        except DataError as error:
            raise DataError(f"{called}: {error}") from error
        names[files[part]] = called
    more = [f"data.{part}={json.dumps(str(file))}" for part, file in files.items()]
    if names and loaded.spec.data.format_name not in ("auto", "jsonl"):
        more.append("data.format=auto")
    source = loaded.document.source
    return load_source(source, loaded.path, [*overrides, *more]), names


@contextmanager
def rows_of(spec: Spec, rows: Any, folder: Path, others: Sequence[str] = ()) -> Iterator[Path]:
    """A file of rows in memory, in `folder`, with `others` of their columns beside those of the
    spec; or the path itself. Inside, errors name rows by their numbers."""
    if isinstance(rows, str | os.PathLike):
        yield Path(rows)
        return
    file = row_file(spec, rows, folder, MEASURED, others)
    with told_by_row({file: "the rows"}):
        yield file
