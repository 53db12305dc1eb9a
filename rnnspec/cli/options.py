"""Arguments and options that several commands share, and how examples are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

BUILDS = Path("builds")
"""The default folder of builds."""

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
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def examples(*commands: str) -> str:
    """The last part of a help text; the mark at its start keeps the line breaks."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
