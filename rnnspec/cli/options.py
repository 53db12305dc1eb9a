"""Arguments and options that several commands share, and how examples are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

BUILDS = Path("builds")
"""Where builds go, and are looked for, unless told otherwise."""

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
        help="A build folder, or a folder of builds whose newest is meant; without it, the "
        "newest of all.",
        show_default=False,
    ),
]
Weights = Annotated[
    Literal["best", "last"],
    typer.Option(
        "--weights",
        help="Which weights of the build: those of its best epoch, or those that training ended "
        "with, once it is finished.",
    ),
]
QuotingOption = Annotated[
    Literal["auto", "double", "none"] | None,
    typer.Option(
        "--quoting",
        help="What double quotes around a field of the CSV or TSV files of --data are, as "
        "data.quoting of a spec says it; without it, as the spec of the model does.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def examples(*commands: str) -> str:
    """The last part of a help text; the mark at its start keeps the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {command}" for command in commands)])
