"""Checks of meaning: what each key allows by itself, but not together with the others.

Each check is a function of a whole spec that yields its findings, in the module `check_…` of what
it checks. `CHECKS` lists them all, each with the keys that its findings depend on: a finding is
left out where one of these keys is wrong already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rnnspec.spec import (
    check_attending,
    check_audio,
    check_branches,
    check_calendar,
    check_categories,
    check_data,
    check_decoder,
    check_differences,
    check_direction,
    check_encoders,
    check_forecast,
    check_formats,
    check_frames,
    check_intervals,
    check_kinds,
    check_layers,
    check_losses,
    check_names,
    check_nested,
    check_paths,
    check_pictures,
    check_positions,
    check_reads,
    check_sources,
    check_stack,
    check_tables,
    check_text,
    check_train,
    check_weights,
    check_widths,
)
from rnnspec.spec.base import Loc
from rnnspec.spec.explain import Finding
from rnnspec.spec.inner_views import InnerView, inner_views
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.spec import Spec
from rnnspec.spec.views import View, views
from rnnspec.spec.widths import contexts_of

EACH = "*"
"""In `Check.reads`: the number of the layer that the finding is about, or of every layer."""
ANY = "+"
"""The number of any layer, also where a finding is about one."""


@dataclass(frozen=True, slots=True)
class Check:
    """`find` yields the findings in a spec, `reads` are the paths that they depend on.

    With `cell`, a finding about a layer also depends on the definition of the layer's cell. Of
    several encoders, and of those inside nested sequences, each is checked alone, but for checks of
    the `whole` spec.
    """

    find: Callable[[Spec], Iterator[Finding]]
    reads: tuple[Loc, ...]
    cell: bool = False
    whole: bool = False


def findings(spec: Spec, removed: frozenset[Loc] = frozenset()) -> Iterator[Finding]:
    """The findings of all checks, except those that depend on a path in `removed`."""
    inner = [finding for view in inner_views(spec) for finding in _of_view(view, removed)]
    if not spec.encoders:
        yield from (*_found(CHECKS, spec, removed), *inner)
        return
    found = list(_found((check for check in CHECKS if check.whole), spec, removed))
    contexts = {} if removed else contexts_of(spec)  # of layers that may be mended otherwise
    for view in views(spec):
        found += _of_view(replace(view, spec=view.spec.with_contexts(contexts)), removed)
    yield from dict.fromkeys([*found, *inner])


def _of_view(view: View | InnerView, removed: frozenset[Loc]) -> Iterator[Finding]:
    """What is found in one of several encoders, by the paths of the file."""
    gone = frozenset(path for each in removed if (path := view.inside(each)) is not None)
    for finding in _found((check for check in CHECKS if not check.whole), view.spec, gone):
        path = view.outside(finding.path)
        if path is not None:
            yield replace(finding, path=path)


def _found(checks: Iterable[Check], spec: Spec, removed: frozenset[Loc]) -> Iterator[Finding]:
    for check in checks:
        for finding in check.find(spec):
            reads = _reads(check, finding, spec)
            if not any(_overlap(read, path) for read in reads for path in removed):
                yield finding


def _reads(check: Check, finding: Finding, spec: Spec) -> list[Loc]:
    """The paths that a finding depends on; `EACH` is its layer where it is about one layer."""
    if finding.path[:2] not in (_LAYERS, ("decoder", "layers")) or len(finding.path) < 3:
        return list(check.reads)
    part, _, index = finding.path[:3]
    reads = [_in_layer(read, part, index) for read in check.reads]
    if check.cell and isinstance(index, int):
        layers = spec.decoder_layers if part == "decoder" else spec.encoder.layers
        layer = layers[index]
        assert isinstance(layer, RecurrentLayer), "only recurrent layers have a cell"
        reads.append((*_CELLS, layer.cell))
    return reads


def _in_layer(read: Loc, part: str | int, index: str | int) -> Loc:
    """A path through layer `EACH`, through layer `index` of `part` instead."""
    if EACH not in read:
        return read
    return (part, *(index if step == EACH else step for step in read[1:]))


def _overlap(read: Loc, path: Loc) -> bool:
    return all(
        one == other or (one in (EACH, ANY) and isinstance(other, int))
        for one, other in zip(read, path, strict=False)
    )


def _layer(*keys: str) -> tuple[Loc, ...]:
    return tuple((*_LAYERS, EACH, key) for key in keys)


_INPUT: tuple[Loc, ...] = (("data", "input", "as"), ("data", "input", EACH, "as"))
_SOUND: tuple[Loc, ...] = (
    *_INPUT,
    *(
        ("data", "input", *each, key)
        for each in ((), (EACH,))
        for key in ("rate", "features", "augment")
    ),
)
_PICTURES: tuple[Loc, ...] = (
    *_INPUT,
    *(
        ("data", "input", *each, key)
        for each in ((), (EACH,))
        for key in ("height", "width", "steps", "augment")
    ),
)
_OUTPUT: tuple[Loc, ...] = (("data", "output", "as"), ("data", "output", EACH, "as"))
_LAWS: tuple[Loc, ...] = (
    *_OUTPUT,
    ("data", "output", "distribution"),
    ("data", "output", EACH, "distribution"),
)
_LOSSES: tuple[Loc, ...] = (
    *_OUTPUT,
    ("train", "loss"),
    *(
        ("data", "output", *each, key)
        for each in ((), (EACH,))
        for key in ("loss", "label_smoothing", "distribution", "crf")
    ),
)
_BRANCH: tuple[Loc, ...] = (
    *_OUTPUT,
    *(
        ("data", "output", *each, key)
        for each in ((), (EACH,))
        for key in ("reads", "pooling", "head")
    ),
)
_VALID: Loc = ("data", "valid")
_COLUMNS: tuple[Loc, ...] = tuple(
    ("data", side, *each, "column") for side in ("input", "output") for each in ((), (EACH,))
)
_DIRECTIONS: tuple[Loc, ...] = tuple(
    ("data", side, *each, key)
    for side, key in (("output", "direction"), ("input", "spelling"))
    for each in ((), (EACH,))
)
_SPLITS: tuple[Loc, ...] = tuple(("data", "input", *each, "split") for each in ((), (EACH,)))
_CARDINALITY: Loc = ("cardinality",)
_DECODER: Loc = ("decoder",)
_CELLS: Loc = ("cells",)
_LAYERS: Loc = ("encoder", "layers")
_WIDTHS: tuple[Loc, ...] = (_CARDINALITY, _DECODER, _CELLS, ("encoder",), ("encoders",), ("data",))
_GRAPH: tuple[Loc, ...] = tuple(
    (part, "layers", ANY, key) for part in ("encoder", "decoder") for key in ("name", "reads")
)
_ENCODERS: Loc = ("encoders",)
_SOURCES: tuple[Loc, ...] = (_ENCODERS, _CARDINALITY, _DECODER, *_OUTPUT, *_COLUMNS)
CHECKS: tuple[Check, ...] = (
    Check(check_encoders.encoders_are_several, (_ENCODERS,), whole=True),
    Check(check_encoders.encoders_stand_alone, (_ENCODERS, ("encoder",), *_BRANCH), whole=True),
    Check(check_encoders.combinations_have_encoders, (_ENCODERS, ("combine",)), whole=True),
    Check(check_sources.encoders_answer_rows_or_a_decoder, (_ENCODERS, _CARDINALITY), whole=True),
    Check(check_sources.decoders_fit_several_encoders, _SOURCES, whole=True),
    Check(check_reads.answers_of_steps_name_an_encoder, (*_SOURCES, *_BRANCH), whole=True),
    Check(check_reads.next_steps_are_written, _SOURCES, whole=True),
    Check(
        check_reads.encoders_read_whole_rows, (*_SOURCES, *_INPUT, ("train", "window")), whole=True
    ),
    Check(check_reads.encoders_are_read, (*_SOURCES, *_BRANCH), whole=True),
    Check(check_reads.combined_vectors_are_read, (*_SOURCES, ("combine",)), whole=True),
    Check(check_attending.attention_has_another_encoder, (), whole=True),
    Check(check_attending.attended_layers_exist, (_ENCODERS,), whole=True),
    Check(check_attending.attention_ends, (_ENCODERS,), whole=True),
    Check(check_attending.meetings_are_named_once, (_ENCODERS,), whole=True),
    Check(
        check_attending.what_is_attended_to_fits,
        (_ENCODERS, _CELLS, *_COLUMNS, *_INPUT),
        whole=True,
    ),
    Check(check_attending.poolings_are_of_last_layers, (_ENCODERS,), whole=True),
    Check(check_encoders.inputs_have_one_encoder, (_ENCODERS, *_COLUMNS), whole=True),
    Check(check_encoders.encoders_read_sequences, (_ENCODERS, *_COLUMNS, *_INPUT), whole=True),
    Check(check_encoders.shared_encoders_exist, (_ENCODERS,), whole=True),
    Check(check_encoders.shared_columns_are_alike, (_ENCODERS, *_COLUMNS, *_INPUT), whole=True),
    Check(
        check_encoders.compared_vectors_have_one_width,
        (_ENCODERS, ("combine",), _CELLS, *_COLUMNS, *_INPUT),
        whole=True,
    ),
    Check(check_layers.cells_compile, (), whole=True),
    Check(check_layers.constants_are_no_parameters, (_CELLS,)),
    Check(check_layers.layers_name_known_cells, _layer("cell"), cell=True),
    Check(check_layers.cells_have_names_of_their_own, (), whole=True),
    Check(check_layers.cells_are_used, (*_layer("cell"), _ENCODERS), whole=True),
    Check(
        check_layers.embeddings_have_tokens,
        (*_INPUT, ("encoder", "embed"), ("encoder", "embed_dropout"), ("encoder", "embed_init")),
    ),
    Check(
        check_layers.drawn_vectors_are_not_of_a_file,
        (
            *_INPUT,
            ("data", "input", "vectors"),
            ("data", "input", EACH, "vectors"),
            ("encoder", "embed_init"),
        ),
    ),
    Check(
        check_layers.activation_has_a_layer, (("head", "hidden"), ("head", "activation"), *_BRANCH)
    ),
    Check(check_losses.loss_fits_output, (*_LOSSES, _DECODER)),
    Check(check_losses.losses_fit_answers, (*_LOSSES, _DECODER)),
    Check(
        check_train.early_stopping_can_measure,
        (*_OUTPUT, _VALID, ("train", "early_stopping"), ("train", "monitor")),
    ),
    Check(check_train.thresholds_can_be_chosen, (*_OUTPUT, ("data", "valid"))),
    Check(
        check_train.metrics_can_be_measured,
        (*_OUTPUT, ("train", "metrics"), ("data", "valid"), ("data", "input")),
    ),
    Check(
        check_train.monitor_can_measure,
        (*_OUTPUT, _VALID, ("train", "early_stopping"), ("train", "monitor")),
    ),
    Check(
        check_train.plateau_can_measure,
        (*_OUTPUT, _VALID, ("train", "schedule"), ("train", "early_stopping")),
    ),
    Check(check_data.files_are_named_once, (("data", "train"), _VALID), whole=True),
    Check(check_data.folds_are_of_rows, (_VALID, check_data.SERIES), whole=True),
    Check(check_data.valid_is_another_file, (("data", "train"), _VALID), whole=True),
    Check(
        check_data.columns_have_files,
        (("data", "format"), ("data", "train"), _VALID, *_COLUMNS, *_INPUT, *_OUTPUT),
        whole=True,
    ),
    Check(check_data.documents_are_plain_text, (("data", "format"), ("data", "train")), whole=True),
    Check(
        check_data.plain_text_has_one_column,
        (("data", "format"), ("data", "train"), *_COLUMNS),
        whole=True,
    ),
    Check(
        check_weights.weights_are_of_rows,
        (("data", "weight"), ("data", "format"), ("data", "train"), _VALID),
        whole=True,
    ),
    Check(check_data.quoting_is_of_delimited, (("data", "format"), ("data", "train"), _VALID)),
    Check(check_text.vectors_have_words, (*_COLUMNS, *_INPUT)),
    Check(
        check_data.folders_have_two_columns, (("data", "format"), *_COLUMNS, *_INPUT), whole=True
    ),
    Check(
        check_data.columns_are_not_named_in_files,
        (("data", "columns"), ("data", "format"), ("data", "train"), _VALID, *_COLUMNS),
        whole=True,
    ),
    Check(check_formats.quotes_enclose_fields, (("data", "format"), ("data", "quoting"))),
    Check(
        check_formats.cells_have_the_kinds_of_the_settings,
        (("data", "format"), check_data.SERIES, *_COLUMNS, *_INPUT, *_OUTPUT),
        whole=True,
    ),
    Check(
        check_tables.tables_make_columns_that_are_read,
        (check_tables.TABLE, ("data", "format"), *_COLUMNS, *_INPUT, *_OUTPUT),
        whole=True,
    ),
    Check(
        check_tables.long_tables_make_sequences,
        (check_tables.TABLE, check_data.SERIES, *_INPUT, *_OUTPUT),
        whole=True,
    ),
    Check(
        check_text.patterns_are_offered, (("data", "format"), ("data", "train"), *_INPUT, *_SPLITS)
    ),
    Check(check_audio.sound_has_steps_of_its_own, (*_INPUT, ("train", "window"))),
    Check(check_audio.windows_cover_the_samples, _SOUND),
    Check(check_audio.filters_have_frequencies, _SOUND),
    Check(check_audio.augmentation_has_effects, (_CARDINALITY, *_SOUND)),
    Check(check_pictures.changes_have_effects, _PICTURES),
    Check(check_pictures.changes_keep_what_is_answered, (_CARDINALITY, _DECODER, *_PICTURES)),
    Check(check_kinds.columns_differ, (*_COLUMNS, *_INPUT, *_OUTPUT), whole=True),
    Check(check_kinds.inputs_fit_cardinality, (_CARDINALITY, *_INPUT, *_OUTPUT)),
    Check(check_kinds.outputs_fit_cardinality, (_CARDINALITY, *_OUTPUT)),
    Check(check_kinds.pictures_have_steps, (*_INPUT, *_OUTPUT)),
    Check(check_kinds.outputs_go_together, (_CARDINALITY, *_OUTPUT)),
    Check(
        check_direction.texts_are_read_backward,
        (*_COLUMNS, *_INPUT, *_OUTPUT, *_DIRECTIONS),
        whole=True,
    ),
    Check(check_kinds.ahead_is_of_an_input, (*_COLUMNS, *_INPUT, *_OUTPUT)),
    Check(check_kinds.next_looks_ahead, (*_BRANCH, *_GRAPH, *_layer("direction"))),
    Check(check_kinds.encoder_reads_sequences, (_CARDINALITY, ("encoder",), _ENCODERS)),
    Check(check_kinds.decoder_writes_sequences, (_CARDINALITY, *_OUTPUT, _DECODER)),
    Check(
        check_branches.heads_have_answers,
        (_CARDINALITY, _DECODER, ("head",), ("pooling",), ("encoder",), *_BRANCH),
    ),
    Check(check_branches.branches_have_effects, (_CARDINALITY, _DECODER, *_BRANCH)),
    Check(check_branches.answers_read_what_is_there, (*_WIDTHS, *_BRANCH)),
    Check(check_branches.states_have_steps, (_CARDINALITY, *_OUTPUT, ("data", "series"))),
    Check(check_positions.rows_without_a_position_are_told, _OUTPUT),
    Check(check_positions.positions_have_no_tokens, (*_OUTPUT, _DECODER)),
    Check(check_positions.positions_are_of_one_encoder, (*_OUTPUT, _ENCODERS), whole=True),
    Check(check_branches.rows_of_series_are_steps, (_CARDINALITY, *_OUTPUT, ("data", "series"))),
    Check(check_kinds.statics_have_layers, (_CARDINALITY, *_INPUT)),
    Check(check_data.series_have_windows, (*_INPUT, *_OUTPUT, ("data", "series"))),
    Check(check_data.quantiles_rise_and_have_a_middle, _OUTPUT),
    Check(check_data.distributions_fit_answers, (*_INPUT, *_OUTPUT)),
    Check(check_intervals.intervals_have_a_distribution, (*_INPUT, *_LAWS)),
    Check(check_intervals.draws_have_a_distribution, (_DECODER, *_INPUT, *_LAWS)),
    Check(
        check_data.steps_of_series_are_answered_in_turn,
        (_CARDINALITY, *_INPUT, *_OUTPUT, ("data", "series")),
    ),
    Check(check_data.seasons_are_of_numbers, (*_INPUT, *_OUTPUT)),
    Check(check_kinds.next_keys_follow_keys, (*_INPUT, *_OUTPUT)),
    Check(check_forecast.logarithms_are_of_forecasts, (*_INPUT, *_OUTPUT, check_data.SERIES)),
    Check(check_forecast.residuals_have_a_season, (*_INPUT, *_OUTPUT, check_data.SERIES)),
    Check(check_forecast.lags_are_of_forecasts, (*_INPUT, *_OUTPUT)),
    Check(
        check_differences.differences_are_summed_up,
        (*_INPUT, *_OUTPUT, check_data.SERIES, _DECODER),
    ),
    Check(check_frames.nulls_are_of_lists, (*_OUTPUT, *_INPUT, _DECODER)),
    Check(check_paths.paths_have_a_density, (*_LAWS, _DECODER)),
    Check(check_paths.forecasts_are_drawn_together, (*_LAWS, _DECODER)),
    Check(check_calendar.calendars_read_times, (*_INPUT, *_OUTPUT, check_data.SERIES)),
    Check(check_categories.categories_are_of_series, (*_INPUT, *_OUTPUT)),
    Check(
        check_nested.inner_states_are_of_no_column,
        (*_INPUT, *(("data", "input", *each, "encoder") for each in ((), (EACH,)))),
    ),
    Check(check_nested.nested_steps_are_not_answered, (*_COLUMNS, *_INPUT, *_OUTPUT)),
    Check(check_data.steps_have_times, (check_data.SERIES,)),
    Check(check_data.what_may_miss_is_observed, _INPUT),
    Check(check_data.missing_steps_may_be_missing, (check_data.SERIES, *_INPUT)),
    Check(check_decoder.decoder_layers_read_forward, _layer("direction", "initial_state")),
    Check(check_decoder.attention_has_steps, (_CARDINALITY, _DECODER)),
    Check(check_decoder.copies_come_from_tokens, (_DECODER, *_INPUT, *_COLUMNS), whole=True),
    Check(check_decoder.starts_have_sources, (_CARDINALITY, _DECODER)),
    Check(check_decoder.decoders_see_the_input, (_CARDINALITY, _DECODER, *_INPUT)),
    Check(check_decoder.best_are_in_the_beam, (("decoder", "strategy"),)),
    Check(check_decoder.alignments_have_steps_and_tokens, (_CARDINALITY, *_OUTPUT, _DECODER)),
    Check(
        check_decoder.limits_leave_room,
        tuple(("decoder", key) for key in ("max_steps", "min_steps", "strategy")),
    ),
    Check(check_decoder.limits_have_steps, (_CARDINALITY, ("decoder", "max_steps"))),
    Check(check_frames.keys_of_the_decoder_fit_the_answer, (_CARDINALITY, _DECODER, *_OUTPUT)),
    Check(
        check_frames.frames_have_a_length, (_CARDINALITY, _DECODER, *_INPUT, *_OUTPUT, *_COLUMNS)
    ),
    Check(
        check_frames.own_inputs_have_steps, (_CARDINALITY, _DECODER, *_INPUT, *_OUTPUT, *_COLUMNS)
    ),
    Check(check_frames.feedback_is_forced, (_CARDINALITY, _DECODER, *_OUTPUT)),
    Check(check_frames.frames_are_not_aligned, (_CARDINALITY, _DECODER, *_OUTPUT)),
    Check(check_frames.anomalies_have_scores, (_CARDINALITY, *_INPUT, *_OUTPUT, *_COLUMNS)),
    Check(
        check_frames.reconstructions_keep_their_steps,
        (_CARDINALITY, _DECODER, *_INPUT, *_OUTPUT, *_COLUMNS),
    ),
    Check(check_widths.tied_scores_are_as_wide_as_vectors, _WIDTHS, whole=True),
    Check(check_widths.tied_answers_are_as_wide_as_vectors, (*_WIDTHS, ("head",))),
    Check(check_widths.attention_fits_the_widths, _WIDTHS, whole=True),
    Check(check_widths.first_states_are_as_wide, _WIDTHS, whole=True),
    Check(check_widths.given_states_of_a_column_are_alike, _WIDTHS),
    Check(check_widths.decoder_skips_join_equal_widths, _WIDTHS, whole=True),
    Check(check_widths.what_is_fed_has_a_width, _WIDTHS, whole=True),
    Check(check_stack.layers_have_names_of_their_own, _layer("name")),
    Check(check_stack.layers_read_what_is_there, _GRAPH),
    Check(check_stack.layers_are_read, (*_GRAPH, *_BRANCH, _DECODER)),
    Check(check_stack.joined_layers_have_the_same_steps, _WIDTHS),
    Check(check_stack.combined_layers_have_one_width, _WIDTHS),
    Check(check_stack.squeezed_layers_are_grids, _WIDTHS),
    Check(check_stack.groups_divide_channels, _WIDTHS),
    Check(check_stack.inputs_divide, _WIDTHS, cell=True),
    Check(check_stack.gaps_are_those_of_series, (*_WIDTHS, *_INPUT)),
    Check(check_stack.extents_fit_the_size, _layer("size", "stride", "dilation", "skip")),
    Check(check_stack.three_sizes_are_of_frames, _WIDTHS),
    Check(check_stack.answers_of_steps_keep_the_steps, (*_WIDTHS, *_BRANCH)),
    Check(
        check_stack.layers_look_back_alone,
        (*_BRANCH, *_GRAPH, ("train", "window"), *_layer("causal")),
    ),
    Check(check_stack.decoder_layers_run_step_by_step, (_DECODER,)),
    Check(check_stack.decoders_start_from_states, (_DECODER, _LAYERS)),
    Check(check_stack.first_states_have_layers, (*_INPUT, _LAYERS)),
    Check(check_stack.last_pooling_reads_ends, (_CARDINALITY, ("pooling",), _LAYERS, *_BRANCH)),
    Check(check_names.names_of_the_file_differ, (_CARDINALITY, _DECODER, ("data",)), whole=True),
    Check(check_kinds.steps_are_those_of_the_data, (*_INPUT, *_OUTPUT)),
    Check(check_kinds.steps_of_subwords_are_their_own, _INPUT),
    Check(check_data.missing_numbers_have_a_mean, _INPUT),
    Check(
        check_layers.vectors_reach_a_state,
        (_CARDINALITY, _DECODER, *_INPUT, *_layer("initial_state")),
    ),
    Check(
        check_decoder.last_states_are_all_that_is_read,
        (_DECODER, *_layer("merge", "norm", "dropout", "skip", "repeat")),
    ),
    Check(check_train.nesterov_has_momentum, (("train", "optimizer"),)),
    Check(check_train.decay_is_more_than_zero, (("train", "optimizer"),)),
    Check(
        check_train.one_average,
        (("train", "ema"), ("train", "average_last"), ("train", "average_when_stale")),
    ),
    Check(
        check_train.stale_averages_come,
        (_VALID, ("train", "epochs"), ("train", "average_when_stale"), ("train", "monitor")),
    ),
    Check(check_train.averaged_epochs_come, (("train", "epochs"), ("train", "average_last"))),
    Check(check_losses.times_have_a_column_of_their_own, (*_LOSSES, *_COLUMNS)),
    Check(check_losses.ordered_tags_are_of_steps_alone, _OUTPUT),
    Check(check_losses.weights_are_of_labels, _OUTPUT),
    Check(check_losses.smoothing_has_classes, (*_LOSSES, _DECODER, ("train", "label_smoothing"))),
    Check(
        check_train.chains_are_of_whole_rows, (*_OUTPUT, ("data", "series"), ("train", "window"))
    ),
    Check(
        check_train.windows_carry_states,
        (*_OUTPUT, ("train", "window"), ("train", "batch"), *_layer("direction")),
    ),
    Check(check_train.determinism_has_a_gpu, (("train", "deterministic"), ("train", "device"))),
    Check(check_layers.sizes_are_those_of_the_cell, _layer("cell", "sizes"), cell=True),
    Check(check_layers.heads_share_the_units, _layer("cell", "units", "heads"), cell=True),
    Check(check_layers.sizes_are_whole, _layer("cell", "units", "heads", "sizes"), cell=True),
    Check(check_layers.merging_has_two_directions, _layer("direction", "merge")),
    Check(check_widths.skips_join_equal_widths, (_CELLS, _LAYERS, *_INPUT, ("encoder", "embed"))),
    Check(
        check_layers.last_pooling_can_tell_directions,
        (_CARDINALITY, _DECODER, *_layer("direction", "merge", "skip"), ("pooling",), *_BRANCH),
    ),
    Check(
        check_layers.given_states_are_columns_of_their_own, (*_layer("initial_state"), *_COLUMNS)
    ),
    Check(check_layers.masks_have_dropout, _layer("dropout", "dropout_per")),
    Check(
        check_layers.recurrent_dropout_has_products, _layer("cell", "recurrent_dropout"), cell=True
    ),
    Check(check_layers.weight_drop_has_matrices, _layer("cell", "weight_drop"), cell=True),
    Check(check_layers.penalties_are_of_the_encoder, _layer("activation_l2", "temporal_l2")),
    Check(check_layers.forget_bias_has_a_gate, _layer("cell", "forget_bias"), cell=True),
    Check(check_layers.inits_have_parameters, _layer("cell", "init", "forget_bias"), cell=True),
    Check(check_layers.penalties_have_weights, _layer("cell", "l2"), cell=True),
    Check(check_layers.elapsed_time_is_read, (_CELLS, *_layer("cell"), ("data", "input"))),
)
