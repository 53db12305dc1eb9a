"""Arguments and options that several commands share, and how examples are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rnnspec.errors import RnnspecError

if TYPE_CHECKING:
    from rnnspec.spec.files import FormatName
    from rnnspec.spec.formats import FormatSettings

BUILDS = Path("builds")
"""The default folder of builds."""

SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Put a value into the spec, like train.epochs=3. May be given several times.",
    ),
]
Builds = Annotated[
    Path, typer.Option("--builds", metavar="DIR", help="The folder that holds the builds.")
]
Build = Annotated[
    Path | None,
    typer.Argument(
        metavar="BUILD",
        help="A build folder, or a folder of builds, of which the newest is taken; without it, "
        "the newest of all.",
        show_default=False,
    ),
]
Weights = Annotated[
    Literal["best", "last"],
    typer.Option(
        "--weights",
        help="Which weights of the build: of its best epoch, or the last ones of a finished "
        "training.",
    ),
]
QuotingOption = Annotated[
    Literal["auto", "double", "none"] | None,
    typer.Option(
        "--quoting",
        help="The meaning of double quotes around a field of the CSV or TSV files of --data, "
        "by the values of data.quoting; without it, as in the spec of the model.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="The format of the files of --data, as data.format of a spec has it: csv, or "
        "'{csv: {delimiter: \";\", encoding: latin-1}}'; without it, by the endings of their "
        "names, with the settings of the model's spec.",
        show_default=False,
    ),
]
QueryOption = Annotated[
    str | None,
    typer.Option(
        "--query",
        metavar="SQL",
        help="What the file of --data, a database of SQLite or DuckDB, is asked for its rows.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def check_files_of_data(
    data: Sequence[str] | None, quoting: str | None, format: str | None, query: str | None
) -> None:
    """Raises RnnspecError for an option on the files of --data without --data."""
    if data:
        return
    if quoting:
        raise RnnspecError("--quoting is for the files of --data; leave it out")
    if format:
        raise RnnspecError("--format is for the files of --data; leave it out")
    if query:
        raise RnnspecError("--query is for a database of --data; leave it out")


def format_of(text: str | None) -> FormatName | FormatSettings | None:
    """The value of --format. Raises SpecError for one that is no `data.format`."""
    if text is None:
        return None
    from rnnspec.spec.formats import read_format

    return read_format(text)


def examples(*commands: str) -> str:
    """The last part of a help text; the mark at its start keeps the line breaks."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
