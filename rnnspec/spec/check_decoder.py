"""Checks of meaning of the keys of `decoder:`."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.branches import read_by_outputs
from rnnspec.spec.decoder import (
    Decoder,
    EncoderStart,
    LearnedStart,
    LocationAttention,
    MultiHeadAttention,
    NoAttention,
    ZeroStart,
)
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.search import BeamSearch, CtcBeamSearch
from rnnspec.spec.spec import Spec
from rnnspec.spec.views import encoder_of

OUTPUT_KEYS = ("merge", "norm", "dropout", "skip")
"""Keys of a layer that change its outputs, not its states."""
ADD_ATTENTION = "remove it, or add 'attention: additive'"


def decoder_layers_read_forward(spec: Spec) -> Iterator[Finding]:
    for index, layer in enumerate(spec.decoder_layers):
        path: Loc = ("decoder", "layers", index)
        if not isinstance(layer, RecurrentLayer):
            continue
        if layer.direction != "forward":
            message = f"a decoder writes forward, and this layer is {layer.direction}"
            yield Finding((*path, "direction"), message, "make it forward")
        if layer.initial_state.name != "zeros" and spec.decoder is not None:
            message = "has no effect: decoder.start_from says what the decoder starts from"
            yield Finding((*path, "initial_state"), message, "remove it", key=True)


def attention_has_steps(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is None:
        return
    chosen = decoder.attention
    attends = not isinstance(chosen, NoAttention)
    if attends and spec.cardinality == "1:N":
        message = "looks back at the steps of an encoder, and 1:N has none"
        yield Finding(("decoder", "attention"), message, "remove it", key=True)
    if not attends:
        yield from _idle_without_attention(decoder)
    if isinstance(chosen, LocationAttention) and chosen.kernel % 2 == 0:
        path: Loc = ("decoder", "attention", "location", "kernel")
        message = f"expected an odd number, found {chosen.kernel}"
        yield Finding(path, message, f"use {chosen.kernel + 1}, which has a middle")
    if isinstance(chosen, MultiHeadAttention) and (chosen.units or 0) % chosen.heads:
        path = ("decoder", "attention", "multi_head", "units")
        message = f"{chosen.units} units cannot be divided equally among {chosen.heads} heads"
        yield Finding(path, message, f"use a multiple of {chosen.heads}")


def _idle_without_attention(decoder: Decoder) -> Iterator[Finding]:
    strategy = decoder.strategy
    idle: dict[Loc, bool] = {
        ("attend",): decoder.attend != "after",
        ("context_dropout",): bool(decoder.context_dropout),
        ("copy",): bool(decoder.copied),
        ("strategy", "beam", "coverage_penalty"): isinstance(strategy, BeamSearch)
        and bool(strategy.coverage_penalty),
    }
    for path, is_set in idle.items():
        if is_set:
            yield no_effect(("decoder", *path), "without attention", ADD_ATTENTION)


def copies_come_from_tokens(spec: Spec) -> Iterator[Finding]:
    if spec.decoder is None or not spec.decoder.copied:
        return
    written = {output.as_ for output in spec.data.outputs}
    kinds_copied = ("chars",) if "chars" in written else ("words", "tokens")
    columns = [each.column for each in spec.data.sequences if each.as_ in kinds_copied]
    read_by, known = encoder_of(spec), dict[str, str]()
    for place, column in enumerate(spec.decoder.copied):
        of_list = isinstance(spec.decoder.copy_from, tuple)
        path: Loc = ("decoder", "copy", place) if of_list else ("decoder", "copy")
        if column not in columns:
            of = " or ".join(kinds_copied)
            message = f"there is no input of {of} called {column!r} to copy from"
            hint = f"name one of {', '.join(columns)}" if columns else "remove it"
            yield Finding(path, message, hint)
        elif column in known.values():
            yield Finding(path, f"column {column!r} is copied from already", "name it once")
        elif (encoder := read_by.get(column, "")) in known:
            message = f"column {column!r} is read step by step with {known[encoder]!r}"
            hint = "copy from one of them, or read each by an encoder of its own"
            yield Finding(path, message, hint)
        else:
            known[encoder] = column


def starts_have_sources(spec: Spec) -> Iterator[Finding]:
    if spec.decoder is None or spec.cardinality != "1:N":
        return
    if isinstance(spec.decoder.start_from, EncoderStart):
        message = "1:N has no encoder to start from"
        hint = "use dense, which starts from the row's vectors, learned or zeros"
        yield Finding(("decoder", "start_from"), message, hint)


def decoders_see_the_input(spec: Spec) -> Iterator[Finding]:
    """The input reaches the decoder by its first states, by attention, or beside each step."""
    decoder = spec.decoder
    if decoder is None:
        return
    attends = not isinstance(decoder.attention, NoAttention)
    has_states = any(isinstance(layer, RecurrentLayer) for layer in decoder.layers)
    if spec.cardinality == "N:M" and not attends and not has_states:
        message = "no layer has states that the encoder's could be, and there is no attention"
        yield Finding(("decoder", "layers"), message, "add 'attention: additive', or a cell")
        return
    if not isinstance(decoder.start_from, LearnedStart | ZeroStart):
        return
    beside = any(each.join != "state" for each in spec.data.statics)
    if not attends and (spec.cardinality == "N:M" or not beside):
        message = f"{decoder.start_from.name} gives the decoder no access to its input"
        hint = "add 'attention: additive', or start from encoder or dense"
        if spec.cardinality == "1:N":
            hint = "start from dense, or write 'join: steps' at an input"
        yield Finding(("decoder", "start_from"), message, hint)


def best_are_in_the_beam(spec: Spec) -> Iterator[Finding]:
    beam = None if spec.decoder_ is None else spec.decoder_.strategy
    path: Loc = ("decoder", "strategy", "beam")
    if isinstance(beam, BeamSearch | CtcBeamSearch) and beam.n_best > beam.width:
        message = f"{beam.n_best} answers cannot come out of a beam of {beam.width}"
        yield Finding((*path, "n_best"), message, f"use {beam.width} at most, or widen the beam")
    if not isinstance(beam, BeamSearch):
        return
    default = BeamSearch.model_fields["length_penalty"].default
    if beam.length_penalty != default and beam.length_norm != "gnmt":
        why = f"with 'length_norm: {beam.length_norm}'"
        yield no_effect((*path, "length_penalty"), why, "add 'length_norm: gnmt'")


def alignments_have_steps_and_tokens(spec: Spec) -> Iterator[Finding]:
    """Tokens of a text are aligned with the steps of an encoder."""
    if spec.aligner is None:
        return
    path: Loc = ("decoder", spec.aligner.name)
    if spec.cardinality == "1:N":
        message = "aligns tokens with the steps of an encoder, and 1:N has none"
        hint = "write a decoder with layers: 'decoder: {layers: [{cell: gru, units: 64}]}'"
        yield Finding(path, message, hint, key=True)
    elif spec.data.is_forecast:
        message = "aligns tokens, and a forecast has none"
        yield Finding(path, message, "remove the decoder", key=True)


def limits_leave_room(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is None or not isinstance(decoder.max_steps, int):
        return
    if decoder.min_steps >= decoder.max_steps:
        of = "frames" if spec.writes_frames else "tokens"
        message = f"at least {decoder.min_steps} {of}, but {decoder.max_steps} at most"
        hint = "set it lower, or decoder.max_steps higher"
        yield Finding(("decoder", "min_steps"), message, hint)
    prefix, path = decoder.strategy.prefix, ("decoder", "strategy", decoder.strategy.name, "prefix")
    if len(prefix) >= decoder.max_steps:
        message = f"{len(prefix)} tokens come first, and {decoder.max_steps} are answered at most"
        yield Finding(path, message, "name fewer, or set decoder.max_steps higher")


def limits_have_steps(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is None or spec.cardinality != "1:N" or isinstance(decoder.max_steps, str | int):
        return
    message = "a multiple of the input's length, and 1:N has no steps to count"
    yield Finding(("decoder", "max_steps"), message, "use auto or a number")


def last_states_are_all_that_is_read(spec: Spec) -> Iterator[Finding]:
    """Without attention a decoder reads the encoder's states, not its outputs."""
    decoder, layers = spec.decoder, spec.encoder.layers
    if decoder is None or not layers or not isinstance(decoder.attention, NoAttention):
        return
    last = layers[-1]
    if not isinstance(last, RecurrentLayer) or None in read_by_outputs(spec, decoder=False):
        return
    for key in OUTPUT_KEYS:
        default = RecurrentLayer.model_fields[key].default
        if last.repeat == 1 and getattr(last, key) != default:
            path: Loc = ("encoder", "layers", len(layers) - 1, key)
            why = "without attention: the decoder reads this layer's states alone"
            yield no_effect(path, why, ADD_ATTENTION)
