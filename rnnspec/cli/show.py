"""`rnnspec show`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Json, Overrides, examples
from rnnspec.errors import RnnspecError
from rnnspec.files import PICTURE, check_output, write_text

if TYPE_CHECKING:
    from rnnspec.cells import Cell
    from rnnspec.plan import Plan, Weight
    from rnnspec.plan.nodes import Node
    from rnnspec.spec import Spec
    from rnnspec.store.folder import BuildFolder

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
"""Most columns of the output."""


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
            metavar="NAME", help="Show a cell: built in (no spec needed), or defined in the spec."
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
    as_json: Json = False,
) -> None:
    """Show the plan of a spec or a build: layers, shapes, equations. Or one cell, or a picture.

    The training data of a spec are read once, since the sizes in the plan depend on them; a cell
    needs no data.
    """
    if source is None and overrides:
        raise RnnspecError("--set is for a spec; name one")
    sizes = {n: v for n, v in (("inputs", inputs), ("units", units)) if v is not None}
    if as_json and (diagram or svg or cell is not None):
        raise RnnspecError("--json prints the plan; leave out --diagram, --svg and --cell")
    if cell is not None:
        if diagram or svg:
            raise RnnspecError("--diagram and --svg draw a model; leave out --cell")
        spec = _spec(source, overrides or []) if source else None
        print(_cell_page(cell, spec, sizes, size or (), _columns()), end="")
        return
    if sizes or size:
        raise RnnspecError("--inputs, --units and --size are sizes of a cell; add --cell NAME")
    if source is None:
        raise RnnspecError("name a spec or a build, or a cell with --cell NAME")
    if svg is not None:
        check_output(svg, PICTURE)
    if as_json:
        print(json.dumps(_as_json(_plan(source, overrides or []))))
    elif diagram or svg:
        _draw(_plan(source, overrides or []), diagram, svg)
    else:
        print(_text(source, overrides or []), end="")


def _as_json(plan: Plan) -> dict[str, object]:
    """The nodes in their order, with what they read, and shapes of values and weights."""
    from rnnspec.plan.nodes import shapes

    by_name = shapes(plan)
    nodes = [
        {
            "name": node.name,
            "type": type(node).__name__,
            "reads": list(node.sources()),
            "shape": [str(axis) if isinstance(axis, str) else axis for axis in by_name[node.name]],
            "weights": {weight.name: list(weight.shape) for weight in _own_weights(node)},
            **({"same_as": node.same_as} if node.same_as else {}),
        }
        for node in plan.every_node()
    ]
    return {"name": plan.name, "cardinality": plan.cardinality, "nodes": nodes}


def _own_weights(node: Node) -> Iterator[Weight]:
    """The weights of a node that are not another's."""
    return iter(()) if node.same_as else node.weights()


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
    """The plan as text; for a build, the plan that it was begun with."""
    if source.is_dir():
        from rnnspec.store.files import read_text
        from rnnspec.store.folder import PLAN

        return read_text(_build(source, overrides).path / PLAN)
    from rnnspec.plan import dump

    return dump(_plan(source, overrides))


def _plan(source: Path, overrides: list[str]) -> Plan:
    spec = _spec(source, overrides)
    with loading():
        from rnnspec.data import survey
        from rnnspec.data.shards import find_sources
        from rnnspec.plan import resolve
        from rnnspec.store.folder import all_facts
    if source.is_dir():
        return resolve(spec, all_facts(_build(source, overrides)))
    train = find_sources(spec.data, source.parent).train
    return resolve(spec, survey(spec, train, folder=source.parent))


def _spec(source: Path, overrides: list[str]) -> Spec:
    from rnnspec.spec.load import load_spec

    if source.is_dir():
        return load_spec(_build(source, overrides).spec).spec
    return load_spec(source, overrides).spec


def _build(folder: Path, overrides: list[str]) -> BuildFolder:
    if overrides:
        raise RnnspecError("--set is for a spec, and a build stays as it was built")
    with loading():
        from rnnspec.store.folder import find_build

    build = find_build(folder, BUILDS)
    build.check()
    return build


def _cell_page(
    name: str, spec: Spec | None, given: Mapping[str, int], own: Sequence[str], columns: int
) -> str:
    """The page of the built-in cell `name`, or of the one that `spec` has under `cells:`.

    `given` are sizes from options, `own` the assignments `NAME=NUMBER` of the cell's own sizes.
    Other sizes come from the first layer of `spec` with this cell, else they are the defaults.
    Raises RnnspecError for an unknown cell or size.
    """
    from rnnspec.cells import builtin_cell, builtin_names
    from rnnspec.cells.page import page
    from rnnspec.plan.builder import cell_of
    from rnnspec.source.problems import did_you_mean

    known = (*builtin_names(), *(spec.cells if spec else ()))
    if name not in known:
        listed = f"known are {', '.join(known)}"
        listed += "" if spec else "; for one of a spec's own: rnnspec show SPEC --cell NAME"
        raise RnnspecError(f"unknown cell {name!r}; {did_you_mean(name, known) or listed}")
    cell = cell_of(spec, name) if spec else builtin_cell(name)
    sizes, notes = {}, {}
    given = {**given, **_assigned(own, cell.own_sizes, name)}
    for size, (number, why) in _defaults(name, cell, spec).items():
        sizes[size], notes[size] = (given[size], "") if size in given else (number, why)
    origin = "built in" if name in builtin_names() else f"of {spec.name}" if spec else ""
    try:
        return page(cell, sizes, origin, notes).text(columns)
    except ValueError as problem:
        raise RnnspecError(f"the cell {name}: {problem}; choose others") from None


def _defaults(name: str, cell: Cell, spec: Spec | None) -> dict[str, tuple[int, str]]:
    """A number for each size, and its reason."""
    from rnnspec.cells.page import default_sizes
    from rnnspec.source.nodes import shown_path
    from rnnspec.spec.check_layers import all_layers
    from rnnspec.spec.recurrent import RecurrentLayer

    options = {"inputs": "--inputs", "units": "--units"}
    found = {
        size: (number, f"by default; another with {options.get(size, f'--size {size}=…')}")
        for size, number in default_sizes(cell).items()
    }
    for path, layer in all_layers(spec) if spec else ():
        if path[0] != "decoder" and isinstance(layer, RecurrentLayer) and layer.cell == name:
            why = f"as in {shown_path(path)}"
            found["units"] = (layer.units, why)
            found |= {size: (number, why) for size, number in layer.sizes.items()}
            break
    return found


def _assigned(given: Sequence[str], own: Sequence[str], name: str) -> dict[str, int]:
    """The numbers in assignments like `projection=64`."""
    from rnnspec.source.problems import did_you_mean

    found = {}
    for text in given:
        size, _, number = text.partition("=")
        if size not in own:
            listed = f"it has {', '.join(own)}" if own else "it has none"
            near = did_you_mean(size, own) or listed
            raise RnnspecError(f"--size {text}: the cell {name} has no size {size!r}; {near}")
        if not number.isdecimal() or int(number) == 0:
            raise RnnspecError(f"--size {text}: expected a whole number of at least 1 after '='")
        found[size] = int(number)
    return found
