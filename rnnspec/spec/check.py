"""Checks of meaning: what each key allows by itself, but not together with the others.

Each check is a function of a whole spec that reports what it finds. `reads` names the keys that a
finding goes by: a finding is left out where one of them is wrong already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from rnnspec.errors import CellError
from rnnspec.source.problems import did_you_mean
from rnnspec.spec import check_layers as layers
from rnnspec.spec import check_train as train
from rnnspec.spec.cell import source_of
from rnnspec.spec.explain import Loc
from rnnspec.spec.finding import Finding
from rnnspec.spec.head import Head
from rnnspec.spec.inputs import FramesInput
from rnnspec.spec.outputs import ClassOutput
from rnnspec.spec.spec import Spec

EACH = "*"
"""In `Check.reads`: the number of the layer that the finding is about, or of every layer."""


@dataclass(frozen=True, slots=True)
class Check:
    """`find` gives the findings in a spec; `reads` are the paths that one goes by.

    With `cell`, a finding about a layer also goes by the definition of the layer's cell.
    """

    find: Callable[[Spec], Iterator[Finding]]
    reads: tuple[Loc, ...]
    cell: bool = False


def findings(spec: Spec, touched: frozenset[Loc] = frozenset()) -> Iterator[Finding]:
    """All findings of the checks that go by none of the paths in `touched`."""
    for check in CHECKS:
        for finding in check.find(spec):
            reads = _reads(check, finding, spec)
            if not any(_overlap(read, path) for read in reads for path in touched):
                yield finding


def _reads(check: Check, finding: Finding, spec: Spec) -> list[Loc]:
    """The paths that the finding goes by, with the number of its layer where it is about one."""
    if finding.path[:2] != _LAYERS:
        return list(check.reads)
    index = finding.path[2]
    reads: list[Loc] = [tuple(index if p == EACH else p for p in read) for read in check.reads]
    if check.cell and isinstance(index, int):
        reads.append((*_CELLS, spec.encoder.layers[index].cell))
    return reads


def _overlap(read: Loc, path: Loc) -> bool:
    return all(one in (other, EACH) for one, other in zip(read, path, strict=False))


def cells_compile(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import compile_cell

    for name, cell in spec.cells.items():
        try:
            compile_cell(source_of(name, cell))
        except CellError as error:
            if error.about == "equations":
                inside = (error.line, error.column, error.length)
                yield Finding(("cells", name, "equations"), error.message, inside=inside)
                continue
            where = "states" if error.about == "output" and not cell.output else error.about
            path: Loc = ("cells", name, where)
            if isinstance(getattr(cell, where), Mapping) and error.name:
                path = (*path, error.name)
            yield Finding(path, error.message)


def layers_name_known_cells(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import builtin_names

    known = (*builtin_names(), *spec.cells)
    for index, layer in enumerate(spec.encoder.layers):
        if layer.cell not in known:
            near = did_you_mean(layer.cell, known) or f"known are {', '.join(known)}"
            yield Finding(
                ("encoder", "layers", index, "cell"), f"unknown cell {layer.cell!r}", near
            )


def cells_have_names_of_their_own(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import builtin_names

    for name in spec.cells:
        if name in builtin_names():
            hint = f"give it a name of its own, like my_{name}"
            yield Finding(("cells", name), "this is the name of a built-in cell", hint, key=True)


def cells_are_used(spec: Spec) -> Iterator[Finding]:
    used = {layer.cell for layer in spec.encoder.layers}
    for name in spec.cells:
        if name not in used:
            hint = f"write 'cell: {name}' in a layer, or remove it"
            yield Finding(("cells", name), "no layer uses this cell", hint, key=True)


def frames_have_no_embedding(spec: Spec) -> Iterator[Finding]:
    if not isinstance(spec.data.input, FramesInput):
        return
    why = "has no effect with 'as: frames', which has no vocabulary"
    if spec.encoder.embed is not None:
        yield Finding(("encoder", "embed"), why, "remove it", key=True)
    if spec.encoder.embed_dropout:
        yield Finding(("encoder", "embed_dropout"), why, "remove it", key=True)


def activation_has_a_layer(spec: Spec) -> Iterator[Finding]:
    default = Head.model_fields["activation"].default
    if not spec.head.hidden and spec.head.activation != default:
        why = "has no effect without hidden layers"
        hint = "remove it, or add a layer with 'hidden: [64]'"
        yield Finding(("head", "activation"), why, hint, key=True)


def loss_fits_output(spec: Spec) -> Iterator[Finding]:
    is_class = isinstance(spec.data.output, ClassOutput)
    fits = ("cross_entropy",) if is_class else ("mse", "mae", "huber")
    if spec.train.loss not in ("auto", *fits):
        message = f"{spec.train.loss} does not fit 'as: {spec.data.output.as_}'"
        yield Finding(("train", "loss"), message, f"use auto or {', '.join(fits)}")


def valid_is_another_file(spec: Spec) -> Iterator[Finding]:
    valid = spec.data.valid
    if isinstance(valid, str) and PurePath(valid) == PurePath(spec.data.train):
        hint = "name another file, or write 'valid: 0.1' to keep a tenth of its rows for it"
        yield Finding(("data", "valid"), "the same file as data.train", hint)


def columns_differ(spec: Spec) -> Iterator[Finding]:
    if spec.data.input.column == spec.data.output.column:
        message = "the same column as data.input, so the answer is in the question"
        yield Finding(("data", "output", "column"), message, "name the column to be predicted")


def _layer(*keys: str) -> tuple[Loc, ...]:
    return tuple((*_LAYERS, EACH, key) for key in keys)


_INPUT: Loc = ("data", "input", "as")
_OUTPUT: Loc = ("data", "output", "as")
_VALID: Loc = ("data", "valid")
_COLUMNS: tuple[Loc, Loc] = (("data", "input", "column"), ("data", "output", "column"))
_CELLS: Loc = ("cells",)
_LAYERS: Loc = ("encoder", "layers")
CHECKS: tuple[Check, ...] = (
    Check(cells_compile, ()),
    Check(layers_name_known_cells, _layer("cell"), cell=True),
    Check(cells_have_names_of_their_own, ()),
    Check(cells_are_used, _layer("cell")),
    Check(frames_have_no_embedding, (_INPUT, ("encoder", "embed"), ("encoder", "embed_dropout"))),
    Check(activation_has_a_layer, (("head", "hidden"), ("head", "activation"))),
    Check(loss_fits_output, (_OUTPUT, ("train", "loss"))),
    Check(train.early_stopping_can_measure, (_OUTPUT, _VALID, ("train", "early_stopping"))),
    Check(train.plateau_can_measure, (_VALID, ("train", "schedule"))),
    Check(valid_is_another_file, (("data", "train"), ("data", "valid"))),
    Check(columns_differ, _COLUMNS),
    Check(train.nesterov_has_momentum, (("train", "optimizer"),)),
    Check(train.decay_is_more_than_zero, (("train", "optimizer"),)),
    Check(train.one_average, (("train", "ema"), ("train", "average_last"))),
    Check(train.averaged_epochs_come, (("train", "epochs"), ("train", "average_last"))),
    Check(train.smoothing_has_classes, (_OUTPUT, ("train", "label_smoothing"))),
    Check(train.windows_carry_states, (_OUTPUT, ("train", "window"), *_layer("direction"))),
    Check(train.determinism_has_a_gpu, (("train", "deterministic"), ("train", "device"))),
    Check(layers.sizes_are_those_of_the_cell, _layer("cell", "sizes"), cell=True),
    Check(layers.merging_has_two_directions, _layer("direction", "merge")),
    Check(layers.skips_join_equal_widths, (_CELLS, _LAYERS, _INPUT, ("encoder", "embed"))),
    Check(
        layers.last_pooling_can_tell_directions,
        (*_layer("direction", "merge", "skip"), ("pooling",)),
    ),
    Check(layers.given_states_are_columns_of_their_own, (*_layer("initial_state"), *_COLUMNS)),
    Check(layers.masks_have_dropout, _layer("dropout", "dropout_per")),
    Check(layers.recurrent_dropout_has_products, _layer("cell", "recurrent_dropout"), cell=True),
    Check(layers.forget_bias_has_a_gate, _layer("cell", "forget_bias"), cell=True),
    Check(layers.inits_have_parameters, _layer("cell", "init", "forget_bias"), cell=True),
    Check(layers.penalties_have_weights, _layer("cell", "l2"), cell=True),
    Check(layers.elapsed_time_is_read, (_CELLS, *_layer("cell"), ("data", "input"))),
)
