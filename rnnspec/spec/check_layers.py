"""Checks of cells, of layers against the cells they name, and of what stands around layers.

A setting without an effect is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from rnnspec.errors import CellError
from rnnspec.spec.base import Loc
from rnnspec.spec.branches import branches, headed, one_pooling, places_of
from rnnspec.spec.cell import source_of
from rnnspec.spec.decoder import LearnedStart, ZeroStart
from rnnspec.spec.encoder import OwnEncoder
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.foreign import meant_value
from rnnspec.spec.head import Head, LastPooling
from rnnspec.spec.init import Init, initializer_of
from rnnspec.spec.inner_views import inner_views
from rnnspec.spec.inputs import FramesInput, TokenInput, TokensInput, WordsInput
from rnnspec.spec.layers import ConvLayer, DenseLayer, DropoutLayer, Layer
from rnnspec.spec.nested import NestedInput
from rnnspec.spec.recurrent import GivenState, RecurrentLayer
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
    """Each layer with its path, first the encoder's, then the decoder's."""
    for index, layer in enumerate(spec.encoder.layers):
        yield ("encoder", "layers", index), layer
    for name, encoder in spec.encoders.items():
        for index, layer in enumerate(encoder.layers if isinstance(encoder, OwnEncoder) else ()):
            yield ("encoders", name, "layers", index), layer
    for index, layer in enumerate(spec.decoder_layers):
        yield ("decoder", "layers", index), layer


def recurrent_layers(spec: Spec) -> Iterator[tuple[Loc, RecurrentLayer]]:
    """Each recurrent layer with its path."""
    for path, layer in all_layers(spec):
        if isinstance(layer, RecurrentLayer):
            yield path, layer


def layers_with_cells(spec: Spec) -> Iterator[tuple[Loc, RecurrentLayer, Cell]]:
    """Each recurrent layer, with its path, whose cell is right."""
    layers = list(recurrent_layers(spec))
    cells = {name: cell_named(spec, name) for name in {layer.cell for _, layer in layers}}
    for path, layer in layers:
        cell = cells[layer.cell]
        if cell is not None:
            yield path, layer, cell


# ---------------------------------------------------------------- cells


def cells_compile(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import mistakes_of

    for name, cell in spec.cells.items():
        for error in mistakes_of(source_of(name, cell)):
            if error.about == "equations":
                inside = (error.line, error.column, error.length)
                yield Finding(("cells", name, "equations"), error.message, inside=inside)
                continue
            where = "states" if error.about == "output" and not cell.output else error.about
            where = "constants" if error.name in cell.constants else where
            path: Loc = ("cells", name, where)
            if isinstance(getattr(cell, where), Mapping) and error.name:
                path = (*path, error.name)
            yield Finding(path, error.message)


def constants_are_no_parameters(spec: Spec) -> Iterator[Finding]:
    for name, cell in spec.cells.items():
        for twice in cell.constants.keys() & cell.parameters.keys():
            message = f"{twice} is a constant of this cell already"
            path: Loc = ("cells", name, "parameters", twice)
            yield Finding(path, message, "keep one of the two", key=True)


def layers_name_known_cells(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import builtin_names

    known = (*builtin_names(), *spec.cells)
    for path, name in _named_cells(spec):
        if name not in known:
            hint = meant_value(name, known) or f"known are {', '.join(known)}"
            yield Finding(path, f"unknown cell {name!r}", hint)


def _named_cells(spec: Spec) -> Iterator[tuple[Loc, str]]:
    """Every path that names a cell, with the name."""
    for path, layer in recurrent_layers(spec):
        yield (*path, "cell"), layer.cell
    for path, source in spec.data.located_inputs:
        if isinstance(source, WordsInput | TokensInput) and source.spelling is not None:
            yield (*path, "spelling", "cell"), source.spelling.cell


def cells_have_names_of_their_own(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import builtin_names

    for name in spec.cells:
        if name in builtin_names():
            hint = f"give it a name of its own, like my_{name}"
            yield Finding(("cells", name), "this is the name of a built-in cell", hint, key=True)


def cells_are_used(spec: Spec) -> Iterator[Finding]:
    used = {name for _, name in _named_cells(spec)}
    inner = (layer for view in inner_views(spec) for layer in view.spec.encoder.layers)
    used |= {layer.cell for layer in inner if isinstance(layer, RecurrentLayer)}
    for name in spec.cells:
        if name not in used:
            hint = f"write 'cell: {name}' in a layer, or remove it"
            yield Finding(("cells", name), "no layer uses this cell", hint, key=True)


# ---------------------------------------------------------------- layers


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


def heads_share_the_units(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells.heads import HEADS

    for path, layer, cell in layers_with_cells(spec):
        if layer.units % layer.heads:
            message = f"{layer.units} units are not {layer.heads} times as many for each head"
            yield Finding((*path, "heads"), message, f"use a divisor of {layer.units}")
        if layer.heads > 1 and HEADS in cell.own_sizes:
            message = f"the cell {cell.name} has a size of this name already"
            yield Finding((*path, "heads"), message, "give the cell's size another name")


def sizes_are_whole(spec: Spec) -> Iterator[Finding]:
    """Sizes such as `units/3`, as far as the numbers behind them are known."""
    from rnnspec.cells.sizes import Numbers, extent

    for path, layer, cell in layers_with_cells(spec):
        numbers = Numbers({"units": max(1, layer.units // layer.heads), **layer.sizes})
        shapes = [*cell.states.values(), *cell.parameters.values()]
        try:
            for shape in (*shapes, *(node.shape for node in cell.graph.nodes)):
                with suppress(KeyError):
                    extent(shape, numbers)
        except ValueError as problem:
            yield Finding(
                (*path, "units"), f"{cell.name}: {problem}", "choose units and sizes that divide"
            )


def merging_has_two_directions(spec: Spec) -> Iterator[Finding]:
    for path, layer in recurrent_layers(spec):
        if layer.merge != "concat" and layer.direction != "bidirectional":
            why = f"with 'direction: {layer.direction}', which has one output"
            yield no_effect((*path, "merge"), why)


def last_pooling_can_tell_directions(spec: Spec) -> Iterator[Finding]:
    """The one pooling of a model stands before what merges the directions of the last layer; where
    others read this layer too, it stands behind."""
    layers, alone = spec.encoder.layers, one_pooling(spec)
    for branch in branches(spec):
        if not isinstance(branch.pooling, LastPooling):
            continue
        for index in places_of(layers, branch.reads):
            layer = layers[index]
            if not isinstance(layer, RecurrentLayer) or layer.merge == "concat":
                continue
            if not alone or layer.skip != "none":
                yield _merged(index, layer, alone)


def _merged(index: int, layer: RecurrentLayer, alone: bool) -> Finding:
    path = ("encoder", "layers", index)
    if alone:
        message = (
            f"'pooling: last' takes the ends of both directions, which 'merge: {layer.merge}' and"
            " skip have made one"
        )
        hint = "use another pooling, 'merge: concat', or no skip in the last layer"
        return Finding((*path, "skip"), message, hint)
    message = "has made the directions one, of which 'pooling: last' takes both ends"
    return Finding((*path, "merge"), message, "use another pooling, or 'merge: concat'")


def given_states_are_columns_of_their_own(spec: Spec) -> Iterator[Finding]:
    taken = {each.column: "data.input" for each in spec.data.inputs}
    taken |= {each.column: "data.output" for each in spec.data.outputs}
    for path, layer in recurrent_layers(spec):
        state = layer.initial_state
        if path[0] == "encoder" and isinstance(state, GivenState) and state.value in taken:
            path = (*path, "initial_state", "column")
            message = f"the same column as {taken[state.value]}"
            yield Finding(path, message, "name a column that holds a list of numbers for each row")


def masks_have_dropout(spec: Spec) -> Iterator[Finding]:
    for path, layer in all_layers(spec):
        if not isinstance(layer, RecurrentLayer | ConvLayer | DenseLayer | DropoutLayer):
            continue
        if layer.dropout_per != "step" and not layer.dropout:
            yield no_effect((*path, "dropout_per"), "without dropout", "add 'dropout: 0.2'")


def recurrent_dropout_has_products(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells.rewrites import recurrent_operands

    for path, layer, cell in layers_with_cells(spec):
        if layer.recurrent_dropout and not recurrent_operands(cell):
            why = f"on {cell.name}, which applies no matrix to a state"
            hint = "use the key zoneout or the key dropout"
            yield no_effect((*path, "recurrent_dropout"), why, hint)


def weight_drop_has_matrices(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells.graph import parameter_roles

    for path, layer, cell in layers_with_cells(spec):
        roles = parameter_roles(cell)
        if layer.weight_drop and not any(
            role == "recurrent" and name not in cell.fixed for name, role in roles.items()
        ):
            why = f"on {cell.name}, which trains no matrix but those applied to x"
            yield no_effect((*path, "weight_drop"), why, "use the key dropout")


def penalties_are_of_the_encoder(spec: Spec) -> Iterator[Finding]:
    for path, layer in recurrent_layers(spec):
        for key in ("activation_l2", "temporal_l2"):
            if path[0] == "decoder" and getattr(layer, key):
                yield no_effect((*path, key), "in a decoder", "use the key dropout")


def forget_bias_has_a_gate(spec: Spec) -> Iterator[Finding]:
    for path, layer, cell in layers_with_cells(spec):
        if layer.forget_bias is None:
            continue
        if "b_f" not in cell.parameters:
            yield no_effect((*path, "forget_bias"), f"on {cell.name}, which has no bias b_f")
        elif "b_f" in cell.starts or "b_f" in cell.fixed:
            why = f"on {cell.name}, whose definition says how b_f starts"
            yield no_effect((*path, "forget_bias"), why)


_ROLES = {"input": "matrix applied to x", "recurrent": "other matrix", "bias": "vector"}


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
                yield no_effect(at, f"on {cell.name}, which leaves no {_ROLES[role]} open")
            elif problem := _misfit(cell, names, init):
                yield Finding(at, problem, "use zeros, ones, {uniform: 0.1} or {normal: 0.1}")


def _misfit(cell: Cell, names: list[str], init: Init) -> str:
    """Why `init` does not suit all the parameters `names`; empty if it does."""
    from rnnspec.cells.initializers import MATRIX_ONLY, SQUARE_ONLY, Legendre

    start = initializer_of(init)
    for name in names:
        shape = cell.parameters[name]
        if isinstance(start, MATRIX_ONLY) and len(shape) != 2:
            kind = "a vector" if shape else "one number"
            return f"{init.name} needs a matrix, and {name} is {kind}"
        if isinstance(start, SQUARE_ONLY) and not shape:
            return f"{init.name} needs a vector or a square matrix, and {name} is one number"
        if isinstance(start, Legendre) and isinstance(start.window, str):
            known = ("inputs", "units", *cell.own_sizes)
            if start.window not in known:
                return f"{start.window!r} is no size of {cell.name}"
        if isinstance(start, SQUARE_ONLY) and shape[0] != shape[-1]:
            return f"{init.name} needs a square matrix, and {name} is {' × '.join(shape)}"
    return ""


def penalties_have_weights(spec: Spec) -> Iterator[Finding]:
    for path, layer, cell in layers_with_cells(spec):
        if layer.l2 and cell.fixed >= cell.parameters.keys():
            yield no_effect((*path, "l2"), f"on {cell.name}, none of whose parameters is trained")


def elapsed_time_is_read(spec: Spec) -> Iterator[Finding]:
    timed = [
        (*path, "elapsed")
        for path, source in spec.data.located_inputs
        if isinstance(source, FramesInput) and source.elapsed is not None
    ]
    layers = (layer for path, layer in recurrent_layers(spec) if path[0] == "encoder")
    cells = [cell_named(spec, layer.cell) for layer in layers]
    if timed and not any(cell is None or cell.inputs for cell in cells):
        message = "has no effect: no layer's cell has the input dt"
        hint = "use cfc, ltc or a cell with 'inputs: [dt]', or remove it"
        yield Finding(timed[0], message, hint, key=True)
    for path in timed[1:]:
        message = "one input has the time between steps already"
        yield Finding(path, message, "keep one of them", key=True)


def embeddings_have_tokens(spec: Spec) -> Iterator[Finding]:
    if any(isinstance(source, TokenInput) for source in spec.data.inputs):
        return
    first = (*spec.data.sequences, *spec.data.inputs)[0]
    why = f"with 'as: {first.as_}', which has no vocabulary"
    hint = "write it in the encoder of the input" if isinstance(first, NestedInput) else "remove it"
    if spec.encoder.embed is not None:
        yield no_effect(("encoder", "embed"), why, hint)
    if spec.encoder.embed_init is not None:
        yield no_effect(("encoder", "embed_init"), why, hint)
    if spec.encoder.embed_dropout:
        yield no_effect(("encoder", "embed_dropout"), why, hint)


def drawn_vectors_are_not_of_a_file(spec: Spec) -> Iterator[Finding]:
    sources = [each for each in spec.data.inputs if isinstance(each, TokenInput)]
    of_files = [each for each in sources if getattr(each, "vectors", None) is not None]
    if spec.encoder.embed_init is not None and of_files and of_files == sources:
        why = "with vectors of a file, by whose mean and deviation those it lacks are drawn"
        yield no_effect(("encoder", "embed_init"), why)


def vectors_reach_a_state(spec: Spec) -> Iterator[Finding]:
    """A vector that makes first states needs a layer that starts from it."""
    if spec.cardinality == "1:N":
        chosen = spec.decoder.start_from if spec.decoder else None
        taken = isinstance(chosen, LearnedStart | ZeroStart)
        why = "decoder.start_from says otherwise"
    else:
        layers = [each for each in spec.encoder.layers if isinstance(each, RecurrentLayer)]
        taken = bool(layers) and all(layer.initial_state.name != "zeros" for layer in layers)
        why = "every layer has an initial_state of its own"
    for path, source in spec.data.located_inputs:
        join = getattr(source, "join", "steps")
        if taken and join != "steps" and spec.cardinality != "1:1":
            message = f"'{join}' makes first states of it, and {why}"
            yield Finding((*path, "join"), message, "write 'join: steps'")


def activation_has_a_layer(spec: Spec) -> Iterator[Finding]:
    default = Head.model_fields["activation"].default
    own = [((*path, "head"), each.head) for path, each in headed(spec) if each.head is not None]
    for path, head in [(("head",), spec.head), *own]:
        if not head.hidden and head.activation != default:
            hint = "remove it, or add a layer with 'hidden: [64]'"
            yield no_effect((*path, "activation"), "without hidden layers", hint)
