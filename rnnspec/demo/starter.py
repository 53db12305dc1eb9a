"""Starter specs: a spec that builds as it is, written together with the data it names."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from rnnspec.demo import dates
from rnnspec.errors import DataError
from rnnspec.source.problems import did_you_mean

KINDS = ("dates-language",)

_SCHEMA_LINE = "# yaml-language-server: $schema=rnnspec.schema.json\n"


def spec_text(kind: str) -> str:
    """The text of a starter spec. Raises DataError if there is no such kind."""
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"there is: {', '.join(KINDS)}"
        raise DataError(f"no starter is called {kind!r}; {hint}")
    file = resources.files("rnnspec.demo").joinpath("specs", f"{kind}.yaml")
    return file.read_text(encoding="utf-8")


def write_starter(kind: str, folder: Path, schema: str | None = None) -> list[Path]:
    """Write the starter spec of `kind` and its data into `folder`; return all files, spec first.

    `schema` is the text of the JSON Schema for editors; it becomes rnnspec.schema.json beside the
    spec, whose first line names it. Without it that line is left off. The spec is written last, so
    where there is one, its data are there too.

    Raises DataError, having written nothing, if there is no such kind, Babel is not installed, or
    one of the files is there already; also if a file cannot be written.
    """
    text = spec_text(kind)
    spec, schema_file = folder / f"{kind}.yaml", folder / "rnnspec.schema.json"
    data = [folder / "dates" / f"{split}.jsonl" for split in ("train", "valid", "test")]
    files = [spec, *([schema_file] if schema is not None else []), *data]
    for file in files:
        if os.path.lexists(file):
            raise DataError(
                f"{file}: there already, so nothing was written; name another folder, "
                "or move this file away first"
            )
    dates.write(folder / "dates")
    if schema is None:
        text = text.removeprefix(_SCHEMA_LINE)
    else:
        dates.write_whole(schema_file, iter([schema]))
    dates.write_whole(spec, iter([text]))
    return files
