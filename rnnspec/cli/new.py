"""`rnnspec new`."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from rnnspec.cli.options import examples
from rnnspec.cli.terminal import table

EXAMPLES = examples("rnnspec new", "rnnspec new dates-language", "rnnspec new dates-language demo/")


def new(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", help="Which starter; without it, a list of them.", show_default=False
        ),
    ] = None,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write it.", show_default="here")
    ] = Path(),
) -> None:
    """Write a starter spec with its data, ready to build."""
    if kind is None:
        _list()
        return
    from rnnspec.demo.starter import asked_file, write_starter
    from rnnspec.spec.schema import json_schema

    files = write_starter(kind, folder, json_schema())
    for file in files:
        print(f"wrote {file}")
    model, asked = quote(f"{kind}.onnx"), quote(str(asked_file(kind, folder)))
    print(f"next: rnnspec build {quote(str(files[0]))}")
    print(f"      rnnspec export --onnx --output {model}")
    print(f"      rnnspec run {model} --data {asked}")


def _list() -> None:
    from rnnspec.demo.starter import KINDS, spec_text

    print(table(("kind", "task"), [(kind, _task(spec_text(kind))) for kind in KINDS], left=2))
    print("\nwrite one with: rnnspec new KIND [FOLDER]")


def _task(spec: str) -> str:
    """The first sentence of the comment at the start of a spec, after the line for editors."""
    lines = (line.removeprefix("#").strip() for line in spec.splitlines()[1:])
    return re.split(r"(?<=[.?!:])\s", next(filter(None, lines), ""))[0]
