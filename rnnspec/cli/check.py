"""`rnnspec check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.options import Overrides, examples

if TYPE_CHECKING:
    from rnnspec.spec.load import LoadedSpec

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
) -> None:
    """Check spec files; shows every mistake in one run.

    A data file that is not there is a note, not a mistake: only `show` and `build` read data.
    """
    from rnnspec.errors import SpecError
    from rnnspec.source.problems import Problem
    from rnnspec.spec.load import load_spec

    problems: dict[Problem, None] = {}
    for path in specs:
        try:
            print(_line(load_spec(path, overrides or ())))
        except SpecError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise SpecError(list(problems))


def _line(loaded: LoadedSpec) -> str:
    data = loaded.spec.data
    named = [data.train, *([data.valid] if isinstance(data.valid, str) else [])]
    missing = [str(file) for name in named if not (file := loaded.resolve_path(name)).exists()]
    note = f"; note: no data file {', '.join(missing)} yet" if missing else ""
    return f"{loaded.path}: ok{note}"
