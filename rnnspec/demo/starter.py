"""Starter specs: a spec that is ready to build, written together with its data."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from rnnspec.demo import dates, demand, entities, morse, plates
from rnnspec.errors import DataError
from rnnspec.files import write_lines
from rnnspec.source.problems import did_you_mean

DATES = tuple(Path("dates") / f"{split}.jsonl" for split in ("train", "valid", "test"))
DEMAND = tuple(Path("demand") / f"{name}.csv" for name in ("demand", "next"))
MORSE, PLATES, ENTITIES = (
    tuple(Path(world) / f"{split}.jsonl" for split in ("train", "valid", "test"))
    for world in ("morse", "plates", "entities")
)
DATA: dict[str, tuple[Path, ...]] = {
    "dates-iso": DATES,
    "dates-language": DATES,
    "dates-tags": DATES,
    "dates-next": DATES,
    "dates-writing": DATES,
    "day-of-year": DATES,
    "demand": DEMAND,
    "morse": MORSE,
    "plates": PLATES,
    "entities": ENTITIES,
}
"""The data files of each starter, relative to its folder."""
ASKED = {files: files[-1] for files in DATA.values()}
"""The data file to answer with the exported file."""
KINDS = tuple(DATA)

_SCHEMA_LINE = "# yaml-language-server: $schema=rnnspec.schema.json\n"


def spec_text(kind: str) -> str:
    """The text of a starter spec. Raises DataError if there is no such kind."""
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"there are: {', '.join(KINDS)}"
        raise DataError(f"no starter is called {kind!r}; {hint}")
    file = resources.files("rnnspec.demo").joinpath("specs", f"{kind}.yaml")
    return file.read_text(encoding="utf-8")


def asked_file(kind: str, folder: Path) -> Path:
    """The file of a starter in `folder` to answer with the exported file."""
    return folder / ASKED[DATA[kind]]


def write_starter(kind: str, folder: Path, schema: str | None = None) -> list[Path]:
    """Write the starter spec of `kind` and its data into `folder`; return all files, spec first.

    `schema` is the text of the JSON Schema for editors; it becomes rnnspec.schema.json beside the
    spec, whose first line names it. Without it that line is left out. The spec is written last, so
    that a spec always has its data. Existing data and schema, from another starter, are unchanged.

    Raises DataError, with nothing written, if there is no such kind, if Babel is not installed, or
    if the spec or a part of the data exists already; OutputError if a file cannot be written.
    """
    text = spec_text(kind)
    spec, schema_file = folder / f"{kind}.yaml", folder / "rnnspec.schema.json"
    data = [folder / file for file in DATA[kind]]
    there = [file for file in data if os.path.lexists(file)]
    for file in [spec, *(there if len(there) < len(data) else [])]:
        if os.path.lexists(file):
            raise DataError(
                f"{file}: there already, so nothing was written; name another folder, "
                "or move this file away first"
            )
    written = [spec]
    if not there:
        _WRITERS[DATA[kind]](data[0].parent)
        written += data
    if schema is None:
        text = text.removeprefix(_SCHEMA_LINE)
    elif not schema_file.exists():
        write_lines(schema_file, [schema])
        written.insert(1, schema_file)
    write_lines(spec, [text])
    return written


_WRITERS: dict[tuple[Path, ...], Callable[[Path], object]] = {
    DATES: dates.write,
    DEMAND: demand.write,
    MORSE: morse.write,
    PLATES: plates.write,
    ENTITIES: entities.write,
}
