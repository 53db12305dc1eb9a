"""`rnnspec compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Builds, Json, examples
from rnnspec.cli.terminal import near, table
from rnnspec.files import REPORT, check_output, json_text, write_text

if TYPE_CHECKING:
    from rnnspec.evaluate.compare import Comparison

EXAMPLES = examples(
    "rnnspec compare builds/dates-language/001 builds/dates-language/002",
    "rnnspec compare builds/small builds/large --report compared.html",
    "rnnspec compare builds --json",
)


def compare(
    builds: Annotated[
        list[Path],
        typer.Argument(
            metavar="BUILD...",
            help="Build folders, or folders of builds, of which all that have weights.",
            show_default=False,
        ),
    ],
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write a page with the curves over each other to this file."
        ),
    ] = None,
    as_json: Json = False,
    folder: Builds = BUILDS,
) -> None:
    """Compare the metrics, specs and data of builds.

    Builds that differ in train.seed alone are one column, with the mean and the standard deviation
    of each metric.
    """
    if report is not None:
        check_output(report, REPORT)
    with loading():
        from rnnspec.evaluate.compare import builds_of, page_of, tables
        from rnnspec.evaluate.compare import compare as compared
    found = compared(builds_of(builds, folder))
    if report is not None:
        from rnnspec.report import render

        write_text(report, render(page_of(found)))
    if as_json:
        print(json_text(_json(found), indent=2))
        return
    for each in tables(found):
        text = f"\n{each.text}" if each.text else ""
        shown = table(each.head, each.rows, left=each.left) if each.rows else ""
        print("\n".join(filter(None, [f"{each.title}{text}", shown])), end="\n\n")
    if report is not None:
        print(f"wrote {near(report)}")


def _json(found: Comparison) -> dict[str, Any]:
    return {
        "groups": [
            {
                "builds": [str(build.path) for build in group.builds],
                "monitor": group.monitor,
                "metrics": {name: list(values) for name, values in group.metrics.items()},
            }
            for group in found.groups
        ],
        "spec": {key: list(row) for key, row in found.spec.items()},
        "data": {key: list(row) for key, row in found.data.items()},
    }
