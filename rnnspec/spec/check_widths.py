"""Checks of widths, as far as a spec alone decides them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.spec.base import Loc
from rnnspec.spec.branches import Branch, branches, headed
from rnnspec.spec.decoder import DotAttention, EncoderStart, MultiHeadAttention
from rnnspec.spec.encoder import DEFAULT_EMBED
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import TokenInput
from rnnspec.spec.layers import ConvLayer, DenseLayer
from rnnspec.spec.outputs import NextOutput, TextOutput
from rnnspec.spec.recurrent import GivenState, RecurrentLayer
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import Sized, unequal_tied, unequal_widths
from rnnspec.spec.widths import (
    decoder_layers,
    encoder_layers,
    fed_without_end,
    memory_width,
    memory_widths,
    prediction_layers,
    scored_width,
    top_width,
)


def tied_scores_are_as_wide_as_vectors(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    texts = any(isinstance(output, TextOutput) for output in spec.data.outputs)
    if decoder is None or not decoder.tied or not texts:
        return
    width, embed = scored_width(spec, decoder), decoder.embed or DEFAULT_EMBED
    if width and width != embed:
        message = (
            f"the input of the scores is {width} wide and the learned vectors are {embed} wide,"
            " but they share one matrix"
        )
        hint = f"write 'decoder.embed: {width}', or 'decoder.hidden: {embed}'"
        yield Finding(("decoder", "tied"), message, hint)


def tied_answers_are_as_wide_as_vectors(spec: Spec) -> Iterator[Finding]:
    for branch in branches(spec):
        if branch.head.tied:
            paths = {output.column: path for path, output in headed(spec)}
            path = paths[branch.headed_by] if branch.headed_by else ()
            yield from _untied(spec, branch, (*path, "head", "tied"))


def _untied(spec: Spec, branch: Branch, path: Loc) -> Iterator[Finding]:
    """Why the answers of a branch cannot be scored by the vectors that are read."""
    ahead = {each.column for each in branch.outputs if isinstance(each, NextOutput)}
    sources = [each for each in spec.data.inputs if isinstance(each, TokenInput)]
    tied = [each for each in sources if each.column in ahead]
    if not tied:
        yield no_effect(path, "without an output 'as: next' over text")
        return
    if any(getattr(each, "vectors", None) is not None for each in tied):
        message = "the vectors of a file have words that no next word is"
        yield Finding(path, message, "remove it, or the vectors")
        return
    of_last = memory_width(spec) if branch.reads is None else None
    width = branch.head.hidden[-1] if branch.head.hidden else of_last
    embed = spec.encoder.embed or DEFAULT_EMBED
    if width and width != embed:
        hint = f"write '{spec.in_encoder('embed')}: {width}', or 'hidden: [{embed}]' beside it"
        yield Finding(path, unequal_tied(width, embed), hint)


def attention_fits_the_widths(spec: Spec) -> Iterator[Finding]:
    """Dot products need equal widths, heads equal parts of the units."""
    decoder = spec.decoder
    if decoder is None or not memory_widths(spec):
        return
    chosen, query = decoder.attention, top_width(spec, decoder)
    path: Loc = ("decoder", "attention")
    if isinstance(chosen, DotAttention) and query:
        memory = next((each for each in memory_widths(spec) if each and each != query), None)
        if memory:
            message = (
                f"dot needs equal widths, and the decoder's last layer is {query} wide and each"
                f" step of the encoder {memory}"
            )
            yield Finding(path, message, "use general, or choose units that give equal widths")
    if not isinstance(chosen, MultiHeadAttention) or chosen.units is not None:
        return
    if query and query % chosen.heads:
        units = chosen.heads * max(1, round(query / chosen.heads))
        message = f"{query} units, the width of the query, cannot be divided equally among"
        hint = (
            f"write 'decoder.attention: {{multi_head: {{heads: {chosen.heads}, units: {units}}}}}'"
        )
        yield Finding(path, f"{message} {chosen.heads} heads", hint)


def first_states_are_as_wide(spec: Spec) -> Iterator[Finding]:
    """`start_from: encoder` puts no dense layer between."""
    decoder = spec.decoder
    if decoder is None or not isinstance(decoder.start_from, EncoderStart):
        return
    encoder, layers = (
        [each for each in stack if isinstance(each.layer, RecurrentLayer)]
        for stack in (encoder_layers(spec), decoder_layers(spec, decoder))
    )
    for number, layer in enumerate(layers):
        source = encoder[number if len(encoder) == len(layers) else -1] if encoder else None
        if source is None or source.cell is None or layer.cell is None:
            continue
        for state in layer.cell.states:
            finding = _unequal(spec, layer, state, source)
            if finding is not None:
                yield finding
                return


def _unequal(spec: Spec, layer: Sized, state: str, source: Sized) -> Finding | None:
    """The widths of a decoder state and of the encoder state that it starts from differ."""
    assert source.cell is not None
    of = state if state in source.cell.states else next(iter(source.cell.states))
    width, known = layer.state(state), source.state(of)
    if not width or not known or width == known:
        return None
    message = (
        f"the state {state} of decoder.layers[{layer.index}] is {width} wide, and {of} of"
        f" {spec.in_encoder('layers', source.index)} {known}"
    )
    assert isinstance(source.layer, RecurrentLayer)
    if source.layer.direction == "bidirectional":
        message += " in both directions"
    return Finding(("decoder", "start_from"), message, "use dense, or choose units that fit")


def given_states_of_a_column_are_alike(spec: Spec) -> Iterator[Finding]:
    """Encoder layers that start from one column need states of one width."""
    first: dict[str, tuple[Sized, int]] = {}
    for layer in encoder_layers(spec):
        if not isinstance(layer.layer, RecurrentLayer) or layer.cell is None:
            continue
        given = layer.layer.initial_state
        if not isinstance(given, GivenState):
            continue
        state = next(iter(layer.cell.states))
        width = layer.state_each_way(state)  # both directions start alike
        if not width:
            continue
        other, known = first.setdefault(given.value, (layer, width))
        if width != known:
            here, there = (spec.in_encoder("layers", each.index) for each in (layer, other))
            message = (
                f"the state {state} of {here} is {width} wide, and {given.value!r} is also the"
                f" state of {there}, {known} wide"
            )
            path: Loc = ("encoder", "layers", layer.index, "initial_state", "column")
            yield Finding(path, message, "name another column, or choose units that fit")


def skips_join_equal_widths(spec: Spec) -> Iterator[Finding]:
    yield from _unequal_skips("encoder", encoder_layers(spec))


def decoder_skips_join_equal_widths(spec: Spec) -> Iterator[Finding]:
    if spec.decoder is not None:
        yield from _unequal_skips("decoder", decoder_layers(spec, spec.decoder))
    if spec.transducer is not None:
        yield from _unequal_skips("decoder", prediction_layers(spec, spec.transducer))


def _unequal_skips(part: str, layers: Sequence[Sized]) -> Iterator[Finding]:
    """Layers with a skip between two different widths, each once however often it repeats."""
    seen: set[int] = set()
    for each in layers:
        before, after, layer = each.inputs, each.output, each.layer
        if not isinstance(layer, RecurrentLayer | ConvLayer | DenseLayer) or layer.skip == "none":
            continue
        if not before or not after or before == after:
            continue
        if each.index not in seen:
            seen.add(each.index)
            message = unequal_widths(layer.skip, before, after)
            hint = f"choose units that give {before}, or put a layer that gives {after} before"
            yield Finding((part, "layers", each.index, "skip"), message, hint)


def what_is_fed_has_a_width(spec: Spec) -> Iterator[Finding]:
    decoder = spec.decoder
    if decoder is not None and fed_without_end(spec, decoder):
        message = (
            "feeds the layers with their own output, and the output of their cell is as wide as"
            " their input"
        )
        hint = "set decoder.hidden, whose output is then fed, or use another cell"
        yield Finding(("decoder", "input_feeding"), message, hint, key=True)
