"""Whether the settings of answers that are positions have effects."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.decoder import Decoder
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.outputs import PointedOutput, PositionsOutput
from rnnspec.spec.spec import Spec


def rows_without_a_position_are_told(spec: Spec) -> Iterator[Finding]:
    """Null is an answer, or it is left out."""
    for path, output in spec.data.located_targets:
        if isinstance(output, PointedOutput) and output.none and output.missing == "skip":
            why = "with 'none: true', where a missing answer is an answer"
            yield no_effect((*path, "missing"), why, "remove one of them")


def positions_are_of_one_encoder(spec: Spec) -> Iterator[Finding]:
    """A decoder points at the steps of the one encoder that it reads."""
    for path, output in spec.data.located_targets:
        if isinstance(output, PositionsOutput) and spec.encoders:
            message = "a decoder points at the steps of one encoder, and there are several"
            hint = "read all columns with one 'encoder', or answer 'as: position' or 'as: span'"
            yield Finding((*path, "as"), message, hint)


def positions_have_no_tokens(spec: Spec) -> Iterator[Finding]:
    """A decoder that points has no vocabulary, and is no alignment."""
    if not spec.points:
        return
    if spec.aligner is not None:
        message = "aligns tokens, and positions are none"
        hint = "write a decoder with layers: 'decoder: {layers: [{cell: gru, units: 64}]}'"
        yield Finding(("decoder", spec.aligner.name), message, hint, key=True)
    if spec.decoder is None:
        return
    for name in ("embed", "embed_dropout", "embed_init", "tied", "copy_from"):
        field = Decoder.model_fields[name]
        if getattr(spec.decoder, name) != field.default:
            yield no_effect(("decoder", field.alias or name), "on positions, which are no tokens")
    strategy, path = spec.decoder.strategy, ("decoder", "strategy")
    for name in ("banned", "prefix"):
        if getattr(strategy, name):
            yield no_effect((*path, strategy.name, name), "on positions, which are no tokens")
    for at, output in spec.data.located_targets:
        if isinstance(output, PositionsOutput) and output.once and strategy.no_repeat:
            why = "beside 'no_repeat' of decoder.strategy"
            yield no_effect((*at, "once"), why, "keep one of the two")
