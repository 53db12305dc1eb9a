"""`rnnspec show`."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Overrides, examples
from rnnspec.errors import RnnspecError
from rnnspec.files import PICTURE, check_output, write_text

if TYPE_CHECKING:
    from rnnspec.builds.folder import BuildFolder
    from rnnspec.plan import Plan
    from rnnspec.spec import Spec

EXAMPLES = examples(
    "rnnspec show dates-language.yaml",
    "rnnspec show dates-language.yaml --set encoder.layers.0.units=128",
    "rnnspec show builds/dates-language",
    "rnnspec show dates-language.yaml --diagram",
    "rnnspec show dates-language.yaml --svg dates-language.svg",
    "rnnspec show --cell gru --units 256",
    "rnnspec show spec.yaml --cell my_cell",
)
WIDEST = 100
"""Most columns of what is shown."""


def show(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SPEC|BUILD", help="A spec file, or a build folder.", show_default=False
        ),
    ] = None,
    overrides: Overrides = None,
    diagram: Annotated[
        bool, typer.Option("--diagram", help="Draw the model in the terminal.")
    ] = False,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the model as SVG into a file.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Show a cell: built in (no spec needed), or one of the spec's own."
        ),
    ] = None,
    inputs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Width of a cell's input, for --cell.")
    ] = None,
    units: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Width of a cell's state, for --cell.")
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="A size of the cell's own, for --cell."),
    ] = None,
) -> None:
    """Show the plan of a spec or a build: layers, shapes, equations. Or one cell, or a picture.

    A spec's training data are read once, for the sizes in the plan depend on them; a cell needs no
    data.
    """
    if source is None and overrides:
        raise RnnspecError("--set is for a spec; name one")
    sizes = {n: v for n, v in (("inputs", inputs), ("units", units)) if v is not None}
    if cell is not None:
        if diagram or svg:
            raise RnnspecError("--diagram and --svg draw a model; leave out --cell")
        from rnnspec.cli.cell import cell_page

        spec = _spec(source, overrides or []) if source else None
        print(cell_page(cell, spec, sizes, size or (), _columns()), end="")
        return
    if sizes or size:
        raise RnnspecError("--inputs, --units and --size are sizes of a cell; add --cell NAME")
    if source is None:
        raise RnnspecError("name a spec or a build, or a cell with --cell NAME")
    if svg is not None:
        check_output(svg, PICTURE)
    if diagram or svg:
        _draw(_plan(source, overrides or []), diagram, svg)
    else:
        print(_text(source, overrides or []), end="")


def _columns() -> int:
    return min(get_terminal_size().columns, WIDEST)


def _draw(plan: Plan, on_screen: bool, file: Path | None) -> None:
    from rnnspec.plan import diagram

    picture = diagram.diagram(plan)
    if on_screen:
        print(diagram.text(picture, _columns(), sys.stdout.encoding or "ascii"), end="")
    if file is not None:
        write_text(file, diagram.svg(picture))
        print(f"wrote {file}")


def _text(source: Path, overrides: list[str]) -> str:
    """The plan as text; of a build, as it was when it was begun."""
    if source.is_dir():
        from rnnspec.builds.files import read_text
        from rnnspec.builds.folder import PLAN

        return read_text(_build(source, overrides).path / PLAN)
    from rnnspec.plan import dump

    return dump(_plan(source, overrides))


def _plan(source: Path, overrides: list[str]) -> Plan:
    spec = _spec(source, overrides)
    with loading():
        from rnnspec.data import survey
        from rnnspec.data.shards import find_sources
        from rnnspec.plan import resolve
        from rnnspec.plan.facts_file import read_facts
    if source.is_dir():
        return resolve(spec, read_facts(_build(source, overrides).path))
    return resolve(spec, survey(spec, find_sources(spec.data, source.parent).train))


def _spec(source: Path, overrides: list[str]) -> Spec:
    from rnnspec.spec.load import load_spec

    if source.is_dir():
        return load_spec(_build(source, overrides).spec).spec
    return load_spec(source, overrides).spec


def _build(folder: Path, overrides: list[str]) -> BuildFolder:
    if overrides:
        raise RnnspecError("--set is for a spec, and a build stays as it was built")
    with loading():
        from rnnspec.builds.folder import find_build

    build = find_build(folder, BUILDS)
    build.check()
    return build
