"""`rnnspec schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rnnspec.cli.options import Json, examples
from rnnspec.errors import RnnspecError

EXAMPLES = examples(
    "rnnspec schema --output rnnspec.schema.json",
    "rnnspec schema --check schemas/rnnspec.schema.json",
)


def schema(
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it to a file instead of the terminal."),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Only check whether a file has the current schema."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the JSON Schema of specs, for editors.

    With it an editor completes and explains every key.
    An editor finds it by the first line of a spec:
    # yaml-language-server: $schema=rnnspec.schema.json
    """
    from rnnspec.files import SCHEMA, check_output, writing
    from rnnspec.spec.schema import json_schema

    if output and check:
        raise RnnspecError("--output writes a file and --check only reads one; give one")
    if check:
        _check(check, json_schema())
        print(json.dumps({"current": True}) if as_json else f"{check}: up to date")
    elif output:
        check_output(output, SCHEMA)
        with writing(output) as file:
            file.write(json_schema())
    else:
        print(json_schema(), end="")


def _check(file: Path, now: str) -> None:
    try:
        fresh = file.read_text(encoding="utf-8") == now
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise RnnspecError(f"{file}: cannot be read: {cause}") from error
    if not fresh:
        raise RnnspecError(
            f"{file}: not the schema of this version; write it with: rnnspec schema --output {file}"
        )
