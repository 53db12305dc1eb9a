"""`rnnspec list`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Json, examples
from rnnspec.cli.terminal import number, table
from rnnspec.errors import BuildError
from rnnspec.files import json_text

if TYPE_CHECKING:
    from rnnspec.store.summary import Summary

EXAMPLES = examples("rnnspec list", "rnnspec list builds/dates-language", "rnnspec list --json")


def list_builds(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder of builds, or of those of one spec.")
    ] = BUILDS,
    as_json: Json = False,
) -> None:
    """List builds, newest first, with state, metric and data."""
    with loading():
        from rnnspec.store.folder import builds_in
        from rnnspec.store.summary import summary
    found = [summary(build) for build in builds_in(folder)]
    if as_json:
        print(json_text([each.as_json() for each in found], indent=2))
        return
    if not found:
        raise BuildError(f"{folder}: no build here; make one with: rnnspec build SPEC")
    head = ("build", "state", "data", "metric", "value", "best epoch", "MB", "begun")
    print(table(head, [_row(each) for each in found], left=4))
    for each in found:
        if each.why:
            print(f"{each.path}: {each.why}")


def _row(build: Summary) -> tuple[str, ...]:
    valid = f" | {_files(build.valid)}" if build.valid else ""
    value = "" if build.value is None else number(build.value)
    epochs = f"{build.best_epoch} of {build.epochs}" if build.epochs else ""
    size = f"{build.size / 1e6:.2f}" if build.size else ""
    data = f"{_files(build.train)}{valid}"
    return (str(build.path), build.state, data, build.metric, value, epochs, size, _date(build))


def _date(build: Summary) -> str:
    """When it was begun, in local time."""
    if not build.begun:
        return ""
    return f"{datetime.fromisoformat(build.begun).astimezone():%Y-%m-%d %H:%M}"


def _files(names: tuple[str, ...]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)
