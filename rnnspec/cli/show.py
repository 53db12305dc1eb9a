"""`rnnspec show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Overrides, examples
from rnnspec.errors import RnnspecError

EXAMPLES = examples(
    "rnnspec show dates-language.yaml",
    "rnnspec show dates-language.yaml --set encoder.layers.0.units=128",
    "rnnspec show builds/dates-language",
)


def show(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SPEC|BUILD", help="A spec file, or a build folder.", show_default=False
        ),
    ],
    overrides: Overrides = None,
) -> None:
    """Show the plan of a spec or a build: layers, shapes, equations.

    A spec's training data are read once, for the sizes in the plan depend on them.
    """
    if source.is_dir():
        if overrides:
            raise RnnspecError("--set is for a spec, and a build stays as it was built")
        print(_of_build(source), end="")
    else:
        print(_of_spec(source, overrides or []), end="")


def _of_build(folder: Path) -> str:
    with loading():
        from rnnspec.train.files import read_text
        from rnnspec.train.folder import find_build

    return read_text(find_build(folder, BUILDS).path / "plan.txt")


def _of_spec(path: Path, overrides: list[str]) -> str:
    from rnnspec.spec.load import load_spec

    loaded = load_spec(path, overrides)
    with loading():
        from rnnspec.data import survey
        from rnnspec.plan import dump, resolve
    facts = survey(loaded.spec, loaded.resolve_path(loaded.spec.data.train))
    return dump(resolve(loaded.spec, facts))
