"""`rnnspec data`."""

from __future__ import annotations

from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import Json, Overrides, SpecFile, examples
from rnnspec.cli.terminal import near, table
from rnnspec.files import REPORT, check_output, json_text, write_text

EXAMPLES = examples(
    "rnnspec data dates-language.yaml",
    "rnnspec data dates-language.yaml --report data.html",
    "rnnspec data dates-language.yaml --json",
)
WIDEST = 40
"""Most characters of a cell in the terminal."""


def data(
    spec: SpecFile,
    overrides: Overrides = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at the rows of a spec before training.

    Rows, lengths, labels, unknown tokens and missing cells; rows that are in training and in
    validation; columns that look like a mistake. Bad rows are counted, and do not end it.
    """
    from rnnspec.spec.load import load_spec

    if report is not None:
        check_output(report, REPORT)
    loaded = load_spec(spec, overrides or ())
    with loading():
        from rnnspec.api.data_page import page_of, tables
        from rnnspec.data.profile import profile
        from rnnspec.data.shards import find_sources
    folder = loaded.path.parent
    found = profile(loaded.spec, find_sources(loaded.spec.data, folder), folder)
    if report is not None:
        from rnnspec.report import render

        write_text(report, render(page_of(found)))
    if as_json:
        print(json_text(found.as_json(), indent=2))
        return
    rows = ", ".join(f"{part.rows:,} rows of {part.name}" for part in found.parts)
    print(f"{loaded.path}: {rows}\n")
    for each in tables(found):
        text = f"\n{each.text}" if each.text else ""
        cells = [[_cut(cell) for cell in row] for row in each.rows]
        print(f"{each.title}{text}\n{table(each.head, cells, left=each.left)}\n")
    for finding in found.findings:
        print(f"look: {finding}")
    if not found.findings:
        print("nothing looks like a mistake")
    if report is not None:
        print(f"wrote {near(report)}")


def _cut(cell: str) -> str:
    most = max(WIDEST, get_terminal_size().columns // 3)
    return cell if len(cell) <= most else cell[: most - 1] + "…"
