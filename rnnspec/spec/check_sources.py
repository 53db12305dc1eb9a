"""Checks of a decoder that reads several encoders: what it can write, what it starts from, and what
of each encoder it reads."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.decoder import Decoder, EncoderStart
from rnnspec.spec.explain import Finding
from rnnspec.spec.search import BeamSearch
from rnnspec.spec.spec import Spec

ONE_ENCODER = "or read all columns with one 'encoder'"
SEVERAL = ("N:1", "N:N", "N:M")
"""What several encoders answer."""


def encoders_answer_rows_or_a_decoder(spec: Spec) -> Iterator[Finding]:
    if spec.encoders and spec.cardinality not in SEVERAL:
        message = (
            f"several encoders answer N:1, N:N or N:M, and the cardinality is {spec.cardinality}"
        )
        hint = f"write 'cardinality: N:1', {ONE_ENCODER}"
        yield Finding(("encoders",), message, hint, key=True)


def decoders_fit_several_encoders(spec: Spec) -> Iterator[Finding]:
    """A decoder by layers reads several encoders; steps of one of them are counted nowhere."""
    if not spec.encoders or spec.cardinality != "N:M":
        return
    layers = "write a decoder with layers: 'decoder: {layers: [{cell: gru, units: 64}]}'"
    if spec.data.is_forecast:
        message = "several encoders answer a class, numbers, a text or frames, and no forecast"
        yield Finding(("encoders",), message, "read all series with one 'encoder'", key=True)
    elif spec.aligner is not None:
        message = "aligns tokens with the steps of one encoder, and there are several"
        yield Finding(("decoder", spec.aligner.name), message, f"{layers}, {ONE_ENCODER}", key=True)
    elif spec.decoder is not None:
        yield from _unfit(spec, spec.decoder)


def _unfit(spec: Spec, decoder: Decoder) -> Iterator[Finding]:
    if isinstance(decoder.start_from, EncoderStart):
        message = "several encoders end in states of their own"
        hint = "use dense, which reads them side by side"
        yield Finding(("decoder", "start_from"), message, hint)
    if isinstance(decoder.strategy, BeamSearch) and decoder.strategy.coverage_penalty:
        message = "is about the steps of one encoder, and there are several"
        path: Loc = ("decoder", "strategy", "beam", "coverage_penalty")
        yield Finding(path, message, "remove it", key=True)
    if decoder.inputs:
        message = "have a value for each step of the input, and encoders have steps of their own"
        hint = "remove it, and let an encoder read the columns"
        yield Finding(("decoder", "inputs"), message, hint, key=True)
    elif spec.writes_frames and spec.data.input_of(spec.data.outputs[0]) is not None:
        message = "answers an input again, which is the work of one encoder"
        yield Finding(("encoders",), message, "read all columns with one 'encoder'", key=True)
    elif decoder.length == "input":
        message = "counts the steps of the input, and encoders have steps of their own"
        hint = "use learned, a number, or {column: NAME}"
        yield Finding(("decoder", "length"), message, hint)
