"""`rnnspec check`."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import WRONG
from rnnspec.cli.options import Json, Overrides, examples

if TYPE_CHECKING:
    from rnnspec.source.problems import Problem
    from rnnspec.spec.load import LoadedSpec, Tunable

EXAMPLES = examples(
    "rnnspec check dates-language.yaml",
    "rnnspec check specs/*.yaml",
    "rnnspec check dates-language.yaml --set train.epochs=3",
)


def check(
    specs: Annotated[
        list[Path], typer.Argument(metavar="SPEC", help="Spec files.", show_default=False)
    ],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Check spec files; shows every mistake in one run.

    A spec with ranges is checked with both ends of each. A missing data file is a note, not a
    mistake: only `show` and `build` read data. Of existing files only the names are checked: each
    file once, all of one format.
    """
    from rnnspec.errors import SpecError
    from rnnspec.spec.load import load_tunable

    problems: dict[Problem, None] = {}
    for path in specs:
        try:
            tunable = load_tunable(path, overrides or ())
            if as_json:
                continue
            print(_line(tunable.first))
            if tunable.ranges:
                print(_ranges(tunable))
        except SpecError as error:
            problems |= dict.fromkeys(error.problems)
    if as_json:
        print(json.dumps([_as_json(each) for each in problems], ensure_ascii=False))
        if problems:
            raise typer.Exit(WRONG)
    if problems:
        raise SpecError(list(problems))


def _as_json(problem: Problem) -> dict[str, object]:
    """A mistake as a program reads it; lines and columns count from 1."""
    return {
        "file": problem.file,
        "line": problem.span.line,
        "column": problem.span.column,
        "key": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def _line(loaded: LoadedSpec) -> str:
    from rnnspec.spec.data_files import missing_files

    missing = missing_files(loaded)
    note = f"; note: no data file {', '.join(missing)} yet" if missing else ""
    return f"{loaded.path}: ok{note}"


def _ranges(tunable: Tunable) -> str:
    """The ranges of a spec, below its line."""
    wide = max(len(each.name) for each in tunable.ranges)
    lines = [f"  {each.name:<{wide}}  {each.described()}" for each in tunable.ranges]
    search = join(["rnnspec", "tune", str(tunable.path)])
    return "\n".join(["ranges, each of whose ends is right:", *lines, f"next: {search}"])
