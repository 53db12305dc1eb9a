"""Checks of meaning of the keys of `decoder:`."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec import decoder as kinds
from rnnspec.spec.decoder import Decoder, NoAttention
from rnnspec.spec.encoder import Layer
from rnnspec.spec.explain import Finding, Loc
from rnnspec.spec.outputs import ForecastOutput
from rnnspec.spec.search import BeamSearch
from rnnspec.spec.spec import Spec

AFTER_A_LAYER = ("merge", "norm", "dropout", "skip")
"""Keys of a layer about what is made of its outputs, not of its states."""


def decoder_layers_read_forward(spec: Spec) -> Iterator[Finding]:
    for index, layer in enumerate(spec.decoder.layers if spec.decoder else ()):
        path: Loc = ("decoder", "layers", index)
        if layer.direction != "forward":
            message = f"a decoder writes forward, and this layer is {layer.direction}"
            yield Finding((*path, "direction"), message, "make it forward")
        if layer.initial_state.name != "zeros":
            message = "has no effect: decoder.start_from says what the decoder starts from"
            yield Finding((*path, "initial_state"), message, "remove it", key=True)


def attention_has_steps(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is None:
        return
    chosen = decoder.attention
    attends = not isinstance(chosen, kinds.NoAttention)
    if attends and spec.cardinality == "1:N":
        message = "looks back at the steps of an encoder, and 1:N has none"
        yield Finding(("decoder", "attention"), message, "remove it", key=True)
    if not attends:
        yield from _idle_without_attention(decoder)
    if isinstance(chosen, kinds.LocationAttention) and chosen.kernel % 2 == 0:
        path: Loc = ("decoder", "attention", "location", "kernel")
        message = f"expected an odd number, found {chosen.kernel}"
        yield Finding(path, message, f"use {chosen.kernel + 1}, which has a middle")
    if isinstance(chosen, kinds.MultiHeadAttention) and (chosen.units or 0) % chosen.heads:
        path = ("decoder", "attention", "multi_head", "units")
        message = f"{chosen.units} units cannot be shared by {chosen.heads} heads alike"
        yield Finding(path, message, f"use a multiple of {chosen.heads}")


def _idle_without_attention(decoder: Decoder) -> Iterator[Finding]:
    why, hint = "has no effect without attention", "remove it, or add 'attention: additive'"
    if decoder.attend != "after":
        yield Finding(("decoder", "attend"), why, hint, key=True)
    if decoder.context_dropout:
        yield Finding(("decoder", "context_dropout"), why, hint, key=True)
    if decoder.copy_from is not None:
        yield Finding(("decoder", "copy"), why, hint, key=True)
    strategy = decoder.strategy
    if isinstance(strategy, BeamSearch) and strategy.coverage_penalty:
        path = ("decoder", "strategy", "beam", "coverage_penalty")
        yield Finding(path, why, hint, key=True)


def copies_come_from_tokens(spec: Spec) -> Iterator[Finding]:
    if spec.decoder is None or spec.decoder.copy_from is None:
        return
    column = spec.decoder.copy_from
    written = {output.as_ for output in spec.data.outputs}
    alike = ("chars",) if "chars" in written else ("words", "tokens")
    fits = [each.column for each in spec.data.sequences if each.as_ in alike]
    if column not in fits:
        of = " or ".join(alike)
        message = f"no input of {of} is called {column!r}, which could stand in the answer"
        hint = f"name one of {', '.join(fits)}" if fits else "remove it"
        yield Finding(("decoder", "copy"), message, hint)


def starts_have_sources(spec: Spec) -> Iterator[Finding]:
    if spec.decoder is None or spec.cardinality != "1:N":
        return
    if isinstance(spec.decoder.start_from, kinds.EncoderStart):
        message = "1:N has no encoder to start from"
        hint = "use dense, which starts from the row's vectors, learned or zeros"
        yield Finding(("decoder", "start_from"), message, hint)


def decoders_see_the_input(spec: Spec) -> Iterator[Finding]:
    """By its first states, by attention, or beside each step."""
    decoder = spec.decoder
    if decoder is None or not isinstance(decoder.start_from, kinds.LearnedStart | kinds.ZeroStart):
        return
    attends = not isinstance(decoder.attention, kinds.NoAttention)
    beside = any(each.join != "state" for each in spec.data.statics)
    if not attends and (spec.cardinality == "N:M" or not beside):
        message = f"{decoder.start_from.name} leaves the decoder without a sight of its input"
        hint = "add 'attention: additive', or start from encoder or dense"
        if spec.cardinality == "1:N":
            hint = "start from dense, or write 'join: steps' at an input"
        yield Finding(("decoder", "start_from"), message, hint)


def best_are_in_the_beam(spec: Spec) -> Iterator[Finding]:
    if spec.decoder is None:
        return
    beam = spec.decoder.strategy
    if not isinstance(beam, BeamSearch):
        return
    path: Loc = ("decoder", "strategy", "beam")
    if beam.n_best > beam.width:
        message = f"{beam.n_best} answers cannot come out of a beam of {beam.width}"
        yield Finding((*path, "n_best"), message, f"use {beam.width} at most, or widen the beam")
    default = BeamSearch.model_fields["length_penalty"].default
    if beam.length_penalty != default and beam.length_norm != "gnmt":
        message = f"has no effect with 'length_norm: {beam.length_norm}'"
        yield Finding((*path, "length_penalty"), message, "add 'length_norm: gnmt'", key=True)


def limits_leave_room(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is None or not isinstance(decoder.max_steps, int):
        return
    if decoder.min_steps >= decoder.max_steps:
        message = f"at least {decoder.min_steps} tokens, of {decoder.max_steps} at most"
        hint = "set it lower, or decoder.max_steps higher"
        yield Finding(("decoder", "min_steps"), message, hint)


def forecasts_have_no_tokens(spec: Spec) -> Iterator[Finding]:
    """Keys that are about tokens, beside a forecast; and tokens' own, of 1:N."""
    decoder = spec.decoder
    if decoder is None or not any(isinstance(o, ForecastOutput) for o in spec.data.outputs):
        return
    why = "has no effect on a forecast, which has no tokens"
    names = ("embed", "embed_dropout", "tied", "copy_from", "max_steps", "min_steps", "strategy")
    for name in names:
        if getattr(decoder, name) != Decoder.model_fields[name].default:
            key = "copy" if name == "copy_from" else name
            yield Finding(("decoder", key), why, "remove it", key=True)


def limits_have_steps(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is None or spec.cardinality != "1:N" or isinstance(decoder.max_steps, str | int):
        return
    message = "a multiple of the input's length, and 1:N has no steps to count"
    yield Finding(("decoder", "max_steps"), message, "use auto or a number")


def last_states_are_all_that_is_read(spec: Spec) -> Iterator[Finding]:
    """Without attention a decoder sees the encoder's states, not what is made of its outputs."""
    decoder, layers = spec.decoder, spec.encoder.layers
    if decoder is None or not layers or not isinstance(decoder.attention, NoAttention):
        return
    last = layers[-1]
    for key in AFTER_A_LAYER:
        default = Layer.model_fields[key].default
        if last.repeat == 1 and getattr(last, key) != default:
            path: Loc = ("encoder", "layers", len(layers) - 1, key)
            message = "has no effect without attention: the decoder reads this layer's states alone"
            yield Finding(path, message, "remove it, or add 'attention: additive'", key=True)
