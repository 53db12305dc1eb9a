"""Checks of layers against the cells they name: settings that have no effect are errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnnspec.errors import CellError
from rnnspec.spec.cell import source_of
from rnnspec.spec.check_kinds import is_pooled
from rnnspec.spec.encoder import DEFAULT_EMBED, GivenState, Layer
from rnnspec.spec.explain import Loc
from rnnspec.spec.finding import Finding
from rnnspec.spec.head import LastPooling
from rnnspec.spec.init import Init, start_of
from rnnspec.spec.inputs import (
    BytesInput,
    CategoryInput,
    CharsInput,
    FramesInput,
    NumberInput,
    SeriesInput,
    SubwordsInput,
    TokensInput,
    WordsInput,
)
from rnnspec.spec.spec import Spec

if TYPE_CHECKING:
    from rnnspec.cells import Cell


def cell_named(spec: Spec, name: str) -> Cell | None:
    """The compiled cell of that name; None if there is none, or its definition is wrong."""
    from rnnspec.cells import builtin_cell, builtin_names, compile_cell

    if name in builtin_names():
        return builtin_cell(name)
    if name not in spec.cells:
        return None
    try:
        return compile_cell(source_of(name, spec.cells[name]))
    except CellError:
        return None


def all_layers(spec: Spec) -> Iterator[tuple[Loc, Layer]]:
    """Each layer with its path: those of the encoder, then those of the decoder."""
    for index, layer in enumerate(spec.encoder.layers):
        yield ("encoder", "layers", index), layer
    for index, layer in enumerate(spec.decoder.layers if spec.decoder else ()):
        yield ("decoder", "layers", index), layer


def layers_with_cells(spec: Spec) -> Iterator[tuple[Loc, Layer, Cell]]:
    """Each layer, with its path, whose cell is right."""
    cells = {name: cell_named(spec, name) for name in {layer.cell for _, layer in all_layers(spec)}}
    for path, layer in all_layers(spec):
        cell = cells[layer.cell]
        if cell is not None:
            yield path, layer, cell


def sizes_are_those_of_the_cell(spec: Spec) -> Iterator[Finding]:
    for path, layer, cell in layers_with_cells(spec):
        missing = [size for size in cell.own_sizes if size not in layer.sizes]
        if missing:
            listed = ", ".join(f"{size}: …" for size in missing)
            message = f"the cell {cell.name} has sizes of its own: {', '.join(cell.own_sizes)}"
            yield Finding((*path, "sizes"), message, f"add 'sizes: {{{listed}}}'")
        for size in layer.sizes:
            if size not in cell.own_sizes:
                own = ", ".join(cell.own_sizes)
                hint = f"its sizes are {own}" if own else "remove it: it has no sizes of its own"
                message = f"the cell {cell.name} has no size {size!r}"
                yield Finding((*path, "sizes", size), message, hint, key=True)


def merging_has_two_directions(spec: Spec) -> Iterator[Finding]:
    for at, layer in all_layers(spec):
        path = (*at, "merge")
        if layer.merge != "concat" and layer.direction != "bidirectional":
            message = f"has no effect with 'direction: {layer.direction}', which has one output"
            yield Finding(path, message, "remove it", key=True)


def skips_join_equal_widths(spec: Spec) -> Iterator[Finding]:
    """As far as widths are known; that of frames is known with the data only."""
    width = input_width(spec)
    for index, layer in enumerate(spec.encoder.layers):
        cell = cell_named(spec, layer.cell)
        for _ in range(layer.repeat):
            before, width = width, output_width(layer, cell, width)
            if layer.skip != "none" and before and width and before != width:
                message = unequal_widths(layer, before, width)
                hint = f"choose units that give {before}, or put a layer that gives {width} before"
                yield Finding(("encoder", "layers", index, "skip"), message, hint)
                break


def input_width(spec: Spec) -> int | None:
    """Width of what the encoder's first layer reads; None where the data tell it."""
    found = 0
    for source in spec.data.inputs:
        if isinstance(source, WordsInput | TokensInput | CharsInput | BytesInput | SubwordsInput):
            found += spec.encoder.embed or DEFAULT_EMBED
            spelling = getattr(source, "spelling", None)
            if spelling is not None:
                cell = cell_named(spec, spelling.cell)
                if cell is None or cell.output_size != "units":
                    return None
                found += 2 * spelling.units
        elif isinstance(source, SeriesInput):
            found += 1
        elif isinstance(source, CategoryInput):
            found += source.embed if source.join != "state" else 0
        elif isinstance(source, NumberInput):
            found += 1 if source.join != "state" else 0
        else:
            return None
    return found


def unequal_widths(layer: Layer, before: int, after: int) -> str:
    return (
        f"{layer.skip} needs one width on either side of the layer, but its input is {before} wide"
        f" and its output {after}"
    )


def output_width(layer: Layer, cell: Cell | None, inputs: int | None) -> int | None:
    """Width of the layer's output; None where that is not known."""
    known = {"units": layer.units, "inputs": inputs, **layer.sizes}
    one = known.get(cell.output_size) if cell else None
    both = layer.direction == "bidirectional" and layer.merge == "concat"
    return 2 * one if one and both else one


def last_pooling_can_tell_directions(spec: Spec) -> Iterator[Finding]:
    if not spec.encoder.layers or not is_pooled(spec):
        return
    index, layer = len(spec.encoder.layers) - 1, spec.encoder.layers[-1]
    if layer.merge != "concat" and layer.skip != "none" and isinstance(spec.pooling, LastPooling):
        message = (
            f"'pooling: last' takes the ends of both directions, which 'merge: {layer.merge}' and"
            " skip have made one"
        )
        hint = "use another pooling, 'merge: concat', or no skip in the last layer"
        yield Finding(("encoder", "layers", index, "skip"), message, hint)


def given_states_are_columns_of_their_own(spec: Spec) -> Iterator[Finding]:
    taken = {each.column: "data.input" for each in spec.data.inputs}
    taken |= {each.column: "data.output" for each in spec.data.outputs}
    for index, layer in enumerate(spec.encoder.layers):
        state = layer.initial_state
        if isinstance(state, GivenState) and state.value in taken:
            path = ("encoder", "layers", index, "initial_state", "column")
            message = f"the same column as {taken[state.value]}"
            yield Finding(path, message, "name a column that holds a list of numbers for each row")


def masks_have_dropout(spec: Spec) -> Iterator[Finding]:
    for path, layer in all_layers(spec):
        if layer.dropout_per != "step" and not layer.dropout:
            yield Finding(
                (*path, "dropout_per"),
                "has no effect without dropout",
                "add 'dropout: 0.2'",
                key=True,
            )


def recurrent_dropout_has_products(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells.rewrites import recurrent_operands

    for path, layer, cell in layers_with_cells(spec):
        if layer.recurrent_dropout and not recurrent_operands(cell):
            message = f"has no effect on {cell.name}, which applies no matrix to a state"
            hint = "use the key zoneout or the key dropout"
            yield Finding((*path, "recurrent_dropout"), message, hint, key=True)


def forget_bias_has_a_gate(spec: Spec) -> Iterator[Finding]:
    for path, layer, cell in layers_with_cells(spec):
        if layer.forget_bias is None:
            continue
        if "b_f" not in cell.parameters:
            message = f"has no effect on {cell.name}, which has no bias b_f"
            yield Finding((*path, "forget_bias"), message, "remove it", key=True)
        elif "b_f" in cell.starts or "b_f" in cell.fixed:
            message = f"has no effect on {cell.name}, whose definition says how b_f starts"
            yield Finding((*path, "forget_bias"), message, "remove it", key=True)


def inits_have_parameters(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells.graph import parameter_roles

    for path, layer, cell in layers_with_cells(spec):
        roles = parameter_roles(cell)
        chosen: dict[str, Init | None] = dict(layer.init)
        for role, init in chosen.items():
            if init is None:
                continue
            taken = {"b_f"} if layer.forget_bias is not None else set()
            names = [n for n in roles if roles[n] == role and n not in {*cell.starts, *taken}]
            at = (*path, "init", role)
            if not names:
                what = {"input": "matrix applied to x", "recurrent": "other matrix"}
                message = f"has no effect on {cell.name}, which leaves no"
                message += f" {what.get(role, 'vector')} open"
                yield Finding(at, message, "remove it", key=True)
            elif problem := _misfit(cell, names, init):
                yield Finding(at, problem, "use zeros, ones, {uniform: 0.1} or {normal: 0.1}")


def _misfit(cell: Cell, names: list[str], init: Init) -> str:
    """Why a start cannot be that of all the parameters `names`; empty if it can."""
    from rnnspec.cells.initializers import MATRIX_ONLY, SQUARE_ONLY

    start = start_of(init)
    for name in names:
        shape = cell.parameters[name]
        if isinstance(start, MATRIX_ONLY) and len(shape) != 2:
            kind = "a vector" if shape else "one number"
            return f"{init.name} needs a matrix, and {name} is {kind}"
        if isinstance(start, SQUARE_ONLY) and shape[0] != shape[1]:
            return f"{init.name} needs a square matrix, and {name} is {' × '.join(shape)}"
    return ""


def penalties_have_weights(spec: Spec) -> Iterator[Finding]:
    for path, layer, cell in layers_with_cells(spec):
        if layer.l2 and cell.fixed >= cell.parameters.keys():
            message = f"has no effect on {cell.name}, none of whose parameters is trained"
            yield Finding((*path, "l2"), message, "remove it", key=True)


def elapsed_time_is_read(spec: Spec) -> Iterator[Finding]:
    timed = [
        (index, source)
        for index, source in enumerate(spec.data.inputs)
        if isinstance(source, FramesInput) and source.elapsed is not None
    ]
    cells = [cell_named(spec, layer.cell) for layer in spec.encoder.layers]
    for number, (index, _) in enumerate(timed):
        path = (*spec.data.input_path(index), "elapsed")
        if number:
            message = "one input has the time between steps already"
            yield Finding(path, message, "keep one of them", key=True)
        elif not any(cell is None or cell.inputs for cell in cells):
            message = "has no effect: no layer's cell has the input dt"
            hint = "use cfc, ltc or a cell with 'inputs: [dt]', or remove it"
            yield Finding(path, message, hint, key=True)
