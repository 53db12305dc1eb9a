"""`rnnspec new`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from rnnspec.cli.options import Json, examples
from rnnspec.cli.terminal import say, table

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
    as_json: Json = False,
) -> None:
    """Write a starter spec with its data, ready to build."""
    if kind is None:
        _list(as_json)
        return
    from rnnspec.demo.starter import asked_file, write_starter
    from rnnspec.spec.schema import json_schema

    files = write_starter(kind, folder, json_schema())
    if as_json:
        print(json.dumps({"files": [str(file) for file in files]}))
        return
    for file in files:
        print(f"wrote {file}")
    model, asked = quote(f"{kind}.onnx"), quote(str(asked_file(kind, folder)))
    say(f"next: rnnspec build {quote(str(files[0]))}")
    say(f"      rnnspec export --onnx --output {model}")
    say(f"      rnnspec run {model} --data {asked}")


def _list(as_json: bool) -> None:
    from rnnspec.demo.starter import KINDS, spec_text

    tasks = [(kind, _task(spec_text(kind))) for kind in KINDS]
    if as_json:
        print(json.dumps(dict(tasks), ensure_ascii=False))
        return
    print(table(("kind", "task"), tasks, left=2))
    say("\nwrite one with: rnnspec new KIND [FOLDER]")


def _task(spec: str) -> str:
    """The first sentence of the comment at the start of a spec, after the line for editors."""
    lines = (line.removeprefix("#").strip() for line in spec.splitlines()[1:])
    return re.split(r"(?<=[.?!:])\s", next(filter(None, lines), ""))[0]
