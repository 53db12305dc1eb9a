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

    A missing data file is a note, not a mistake: only `show` and `build` read data. Of existing
    files only the names are checked: each file once, all of one format.
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
    from rnnspec.spec.files import absent

    data = loaded.spec.data
    missing = absent([*data.train_files, *data.valid_files], loaded.path.parent)
    if not missing:
        _check_files(loaded)
    note = f"; note: no data file {', '.join(missing)} yet" if missing else ""
    return f"{loaded.path}: ok{note}"


def _check_files(loaded: LoadedSpec) -> None:
    """Raises SpecError where the files of the spec cannot make one data set."""
    from rnnspec.errors import DataError, SpecError
    from rnnspec.spec.files import files_of, find_files, one_format

    data, folder, key = loaded.spec.data, loaded.path.parent, "train"
    try:
        one_format(find_files(data.train_files, folder, data.format), data.format)
        key = "valid"
        _, valid = files_of(data.train_files, data.valid_files, folder, data.format)
        if valid:
            one_format(valid, data.format)
    except DataError as error:
        raise SpecError([loaded.document.problem(("data", key), str(error))]) from error
