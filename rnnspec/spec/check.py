"""Checks of meaning: what each key allows by itself, but not together with the others.

Each check is a function of a whole spec that reports what it finds. `reads` names the keys that a
finding goes by: a finding is left out where one of them is wrong already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rnnspec.source.problems import did_you_mean
from rnnspec.spec import check_decoder as decoders
from rnnspec.spec import check_files as files
from rnnspec.spec import check_kinds as kinds
from rnnspec.spec import check_layers as layers
from rnnspec.spec import check_names, check_reads, check_series, check_widths
from rnnspec.spec import check_train as train
from rnnspec.spec.cell import source_of
from rnnspec.spec.check_layers import all_layers
from rnnspec.spec.explain import Loc
from rnnspec.spec.finding import Finding
from rnnspec.spec.head import Head
from rnnspec.spec.inputs import (
    BytesInput,
    CharsInput,
    SubwordsInput,
    TokensInput,
    WordsInput,
)
from rnnspec.spec.metrics import answers_numbers
from rnnspec.spec.outputs import ForecastOutput, Output
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
    if finding.path[:2] not in (_LAYERS, ("decoder", "layers")) or len(finding.path) < 3:
        return list(check.reads)
    part, _, index = finding.path[:3]
    reads = [_of_layer(read, part, index) for read in check.reads]
    if check.cell and isinstance(index, int):
        layers_of = spec.decoder if part == "decoder" else spec.encoder
        assert layers_of is not None
        reads.append((*_CELLS, layers_of.layers[index].cell))
    return reads


def _of_layer(read: Loc, part: str | int, index: str | int) -> Loc:
    """A path that names layer `EACH`, as that of the layer `index` of `part`."""
    if EACH not in read:
        return read
    return (part, *(index if step == EACH else step for step in read[1:]))


def _overlap(read: Loc, path: Loc) -> bool:
    return all(
        one == other or (one == EACH and isinstance(other, int))
        for one, other in zip(read, path, strict=False)
    )


def cells_compile(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import mistakes_of

    for name, cell in spec.cells.items():
        for error in mistakes_of(source_of(name, cell)):
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
    named: list[tuple[Loc, str]] = [((*at, "cell"), each.cell) for at, each in all_layers(spec)]
    for index, source in enumerate(spec.data.inputs):
        if isinstance(source, WordsInput | TokensInput) and source.spelling is not None:
            path = (*spec.data.input_path(index), "spelling", "cell")
            named.append((path, source.spelling.cell))
    for path, name in named:
        if name not in known:
            near = did_you_mean(name, known) or f"known are {', '.join(known)}"
            yield Finding(path, f"unknown cell {name!r}", near)


def cells_have_names_of_their_own(spec: Spec) -> Iterator[Finding]:
    from rnnspec.cells import builtin_names

    for name in spec.cells:
        if name in builtin_names():
            hint = f"give it a name of its own, like my_{name}"
            yield Finding(("cells", name), "this is the name of a built-in cell", hint, key=True)


def cells_are_used(spec: Spec) -> Iterator[Finding]:
    used = {layer.cell for _, layer in all_layers(spec)}
    for source in spec.data.inputs:
        if isinstance(source, WordsInput | TokensInput) and source.spelling is not None:
            used.add(source.spelling.cell)
    for name in spec.cells:
        if name not in used:
            hint = f"write 'cell: {name}' in a layer, or remove it"
            yield Finding(("cells", name), "no layer uses this cell", hint, key=True)


def embeddings_have_tokens(spec: Spec) -> Iterator[Finding]:
    tokens = WordsInput | TokensInput | CharsInput | BytesInput | SubwordsInput
    if any(isinstance(source, tokens) for source in spec.data.inputs):
        return
    kinds_read = [source.as_ for source in (*spec.data.sequences, *spec.data.inputs)]
    if not kinds_read:
        return
    kind = kinds_read[0]
    why = f"has no effect with 'as: {kind}', which has no vocabulary"
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
    """A named loss is that of some output."""
    kinds = {output.as_: _losses(spec, output) for output in spec.data.outputs}
    fits = dict.fromkeys(loss for losses in kinds.values() for loss in losses)
    if spec.train.loss not in ("auto", *fits):
        message = f"{spec.train.loss} does not fit 'as: {', '.join(kinds)}'"
        hint = f"use auto or {', '.join(fits)}" if fits else "use auto"
        yield Finding(("train", "loss"), message, hint)


def _losses(spec: Spec, output: Output) -> tuple[str, ...]:
    """What `train.loss` may name for an output, beside auto."""
    if answers_numbers(spec, output):
        return ("mse", "mae", "huber")
    if isinstance(output, ForecastOutput):
        return ("mse", "mae", "huber") if output.distribution.name == "point" else ()
    return () if output.as_ in ("labels", "keys") else ("cross_entropy",)


def _layer(*keys: str) -> tuple[Loc, ...]:
    return tuple((*_LAYERS, EACH, key) for key in keys)


_INPUT: tuple[Loc, ...] = (("data", "input", "as"), ("data", "input", EACH, "as"))
_OUTPUT: tuple[Loc, ...] = (("data", "output", "as"), ("data", "output", EACH, "as"))
_VALID: Loc = ("data", "valid")
_COLUMNS: tuple[Loc, ...] = tuple(
    ("data", side, *each, "column") for side in ("input", "output") for each in ((), (EACH,))
)
_KIND: Loc = ("cardinality",)
_DECODER: Loc = ("decoder",)
_CELLS: Loc = ("cells",)
_LAYERS: Loc = ("encoder", "layers")
_WIDTHS: tuple[Loc, ...] = (_KIND, _DECODER, _CELLS, ("encoder",), ("data",))
CHECKS: tuple[Check, ...] = (
    Check(cells_compile, ()),
    Check(layers_name_known_cells, _layer("cell"), cell=True),
    Check(cells_have_names_of_their_own, ()),
    Check(cells_are_used, _layer("cell")),
    Check(embeddings_have_tokens, (*_INPUT, ("encoder", "embed"), ("encoder", "embed_dropout"))),
    Check(activation_has_a_layer, (("head", "hidden"), ("head", "activation"))),
    Check(loss_fits_output, (*_OUTPUT, ("train", "loss"))),
    Check(
        train.early_stopping_can_measure,
        (*_OUTPUT, _VALID, ("train", "early_stopping"), ("train", "monitor")),
    ),
    Check(
        train.monitor_can_measure,
        (*_OUTPUT, _VALID, ("train", "early_stopping"), ("train", "monitor")),
    ),
    Check(
        train.plateau_can_measure,
        (*_OUTPUT, _VALID, ("train", "schedule"), ("train", "early_stopping")),
    ),
    Check(files.files_are_named_once, (("data", "train"), _VALID)),
    Check(files.valid_is_another_file, (("data", "train"), _VALID)),
    Check(files.documents_are_plain_text, (("data", "format"), ("data", "train"))),
    Check(
        files.plain_text_has_one_column,
        (("data", "format"), ("data", "train"), *_COLUMNS),
    ),
    Check(files.quoting_is_of_delimited, (("data", "format"), ("data", "train"), _VALID)),
    Check(kinds.columns_differ, (*_COLUMNS, *_INPUT, *_OUTPUT)),
    Check(kinds.inputs_fit_cardinality, (_KIND, *_INPUT, *_OUTPUT)),
    Check(kinds.outputs_fit_cardinality, (_KIND, *_OUTPUT)),
    Check(kinds.outputs_go_together, (_KIND, *_OUTPUT)),
    Check(kinds.ahead_is_of_an_input, (*_COLUMNS, *_INPUT, *_OUTPUT)),
    Check(kinds.next_looks_ahead, (*_OUTPUT, *_layer("direction"))),
    Check(kinds.encoder_reads_sequences, (_KIND, ("encoder",))),
    Check(kinds.decoder_writes_sequences, (_KIND, *_OUTPUT, _DECODER)),
    Check(kinds.heads_have_answers, (_KIND, _DECODER, ("head",), ("pooling",))),
    Check(kinds.statics_have_layers, (_KIND, *_INPUT)),
    Check(kinds.series_have_windows, (*_INPUT, *_OUTPUT, ("data", "series"))),
    Check(kinds.quantiles_rise_and_have_a_middle, _OUTPUT),
    Check(
        kinds.steps_of_series_are_answered_in_turn,
        (_KIND, *_INPUT, *_OUTPUT, ("data", "series")),
    ),
    Check(kinds.seasons_are_of_numbers, (*_INPUT, *_OUTPUT)),
    Check(kinds.next_keys_follow_keys, (*_INPUT, *_OUTPUT)),
    Check(check_series.steps_have_times, (check_series.SERIES,)),
    Check(check_series.missing_steps_may_be_missing, (check_series.SERIES, *_INPUT)),
    Check(decoders.decoder_layers_read_forward, _layer("direction", "initial_state")),
    Check(decoders.attention_has_steps, (_KIND, _DECODER)),
    Check(decoders.copies_come_from_tokens, (_DECODER, *_INPUT, *_COLUMNS)),
    Check(decoders.starts_have_sources, (_KIND, _DECODER)),
    Check(decoders.decoders_see_the_input, (_KIND, _DECODER, *_INPUT)),
    Check(decoders.best_are_in_the_beam, (("decoder", "strategy"),)),
    Check(decoders.limits_leave_room, (("decoder", "max_steps"), ("decoder", "min_steps"))),
    Check(decoders.limits_have_steps, (_KIND, ("decoder", "max_steps"))),
    Check(decoders.forecasts_have_no_tokens, (_DECODER, *_OUTPUT)),
    Check(check_widths.tied_scores_are_as_wide_as_vectors, _WIDTHS),
    Check(check_widths.attention_fits_the_widths, _WIDTHS),
    Check(check_widths.first_states_are_as_wide, _WIDTHS),
    Check(check_widths.given_states_of_a_column_are_alike, _WIDTHS),
    Check(check_widths.decoder_skips_join_equal_widths, _WIDTHS),
    Check(check_widths.what_is_fed_has_a_width, _WIDTHS),
    Check(check_names.names_of_the_file_differ, (_KIND, _DECODER, ("data",))),
    Check(check_reads.steps_are_those_of_the_data, (*_INPUT, *_OUTPUT)),
    Check(check_reads.steps_of_subwords_are_their_own, _INPUT),
    Check(check_reads.missing_numbers_have_a_mean, _INPUT),
    Check(check_reads.vectors_reach_a_state, (_KIND, _DECODER, *_INPUT, *_layer("initial_state"))),
    Check(
        check_reads.last_states_are_all_that_is_read,
        (_DECODER, *_layer("merge", "norm", "dropout", "skip", "repeat")),
    ),
    Check(train.nesterov_has_momentum, (("train", "optimizer"),)),
    Check(train.decay_is_more_than_zero, (("train", "optimizer"),)),
    Check(train.one_average, (("train", "ema"), ("train", "average_last"))),
    Check(train.averaged_epochs_come, (("train", "epochs"), ("train", "average_last"))),
    Check(train.smoothing_has_classes, (*_OUTPUT, ("train", "label_smoothing"))),
    Check(
        train.windows_carry_states,
        (*_OUTPUT, ("train", "window"), ("train", "batch"), *_layer("direction")),
    ),
    Check(train.determinism_has_a_gpu, (("train", "deterministic"), ("train", "device"))),
    Check(layers.sizes_are_those_of_the_cell, _layer("cell", "sizes"), cell=True),
    Check(layers.merging_has_two_directions, _layer("direction", "merge")),
    Check(layers.skips_join_equal_widths, (_CELLS, _LAYERS, *_INPUT, ("encoder", "embed"))),
    Check(
        layers.last_pooling_can_tell_directions,
        (_KIND, _DECODER, *_layer("direction", "merge", "skip"), ("pooling",)),
    ),
    Check(layers.given_states_are_columns_of_their_own, (*_layer("initial_state"), *_COLUMNS)),
    Check(layers.masks_have_dropout, _layer("dropout", "dropout_per")),
    Check(layers.recurrent_dropout_has_products, _layer("cell", "recurrent_dropout"), cell=True),
    Check(layers.forget_bias_has_a_gate, _layer("cell", "forget_bias"), cell=True),
    Check(layers.inits_have_parameters, _layer("cell", "init", "forget_bias"), cell=True),
    Check(layers.penalties_have_weights, _layer("cell", "l2"), cell=True),
    Check(layers.elapsed_time_is_read, (_CELLS, *_layer("cell"), ("data", "input"))),
)
