"""The page of one cell, for `rnnspec show --cell`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rnnspec.cells import builtin_cell, builtin_names
from rnnspec.cells.page import DEFAULT_INPUTS, DEFAULT_UNITS, page
from rnnspec.errors import RnnspecError
from rnnspec.plan.resolve import cell_of
from rnnspec.source.problems import did_you_mean

if TYPE_CHECKING:
    from rnnspec.spec import Spec


def cell_page(
    name: str, spec: Spec | None, given: Mapping[str, int], own: Sequence[str], columns: int
) -> str:
    """The page of the built-in cell `name`, or of the one that `spec` has under `cells:`.

    `given` are the sizes that the user asked for, `own` the assignments `NAME=NUMBER` of sizes of
    the cell's own. Other sizes are those of the first layer of `spec` with this cell, else the
    defaults. Raises RnnspecError for a cell or a size that is not known.
    """
    known = (*builtin_names(), *(spec.cells if spec else ()))
    if name not in known:
        listed = f"known are {', '.join(known)}"
        listed += "" if spec else "; for one of a spec's own: rnnspec show SPEC --cell NAME"
        raise RnnspecError(f"unknown cell {name!r}; {did_you_mean(name, known) or listed}")
    cell = cell_of(spec, name) if spec else builtin_cell(name)
    sizes, notes = {}, {}
    given = {**given, **_assigned(own, cell.own_sizes, name)}
    for size, (number, why) in _defaults(name, cell.own_sizes, spec).items():
        sizes[size], notes[size] = (given[size], "") if size in given else (number, why)
    origin = "built in" if name in builtin_names() else f"of {spec.name}" if spec else ""
    return page(cell, sizes, origin, notes).text(columns)


def _defaults(name: str, own: Sequence[str], spec: Spec | None) -> dict[str, tuple[int, str]]:
    """A number for each size, and why that one."""
    found = {
        "inputs": (DEFAULT_INPUTS, "by default; another with --inputs"),
        "units": (DEFAULT_UNITS, "by default; another with --units"),
    }
    for size in own:
        found[size] = (DEFAULT_UNITS // 2, f"by default; another with --size {size}=…")
    for place, layer in enumerate(spec.encoder.layers if spec else ()):
        if layer.cell == name:
            why = f"as in encoder.layers[{place}]"
            found["units"] = (layer.units, why)
            found |= {size: (number, why) for size, number in layer.sizes.items()}
            break
    return found


def _assigned(given: Sequence[str], own: Sequence[str], name: str) -> dict[str, int]:
    """The numbers in assignments like `projection=64`."""
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
