"""The encoders inside nested sequences, each as a spec that has it alone: what is true of any
encoder is checked and resolved once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from rnnspec.spec.base import Loc
from rnnspec.spec.encoder import Encoder, InnerEncoder
from rnnspec.spec.head import Head
from rnnspec.spec.inputs import CharsInput, TokensInput, WordsInput
from rnnspec.spec.nested import InnerChars, InnerNested, InnerTokens, InnerWords, NestedInput
from rnnspec.spec.outputs import ClassOutput
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import Train

ANSWER = ClassOutput.model_construct(column="\0", as_="class")
"""What stands for all that is made of the vector of a step."""


@dataclass(frozen=True, slots=True)
class InnerView:
    """The nested input at `path`: `spec` reads one of its steps, with its encoder alone."""

    path: Loc
    spec: Spec

    def outside(self, path: Loc) -> Loc | None:
        """A path of `spec` as one of the file; None for what is not of the encoder."""
        match path:
            case ("encoder", *rest):
                return (*self.path, "encoder", *rest)
            case ("pooling", *rest):
                return (*self.path, "encoder", "pooling", *rest)
            case ("data", "input", str(key), *rest) if key != "column":
                return (*self.path, "of", key, *rest)
        return None

    def inside(self, path: Loc) -> Loc | None:
        """A path of the file as one of `spec`; None for what is of no concern to the encoder."""
        if path[:1] == ("cells",):
            return path
        if path[: len(self.path)] != self.path:
            return None
        match path[len(self.path) :]:
            case ("encoder", "pooling", *rest):
                return ("pooling", *rest)
            case ("encoder", *rest):
                return ("encoder", *rest)
            case ("of", *rest):
                return ("data", "input", *rest)
        return None


def inner_views(spec: Spec) -> Iterator[InnerView]:
    """The encoders inside the nested inputs of a spec, the outer ones first."""
    for path, source in spec.data.located_inputs:
        if isinstance(source, NestedInput):
            yield from _views_of(spec, path, source)


def _views_of(spec: Spec, path: Loc, source: NestedInput) -> Iterator[InnerView]:
    alone = inner_spec(spec, source).with_encoder_at((*spec.input_in_file(path), "encoder"))
    view = InnerView(path, alone)
    yield view
    (inner,) = view.spec.data.inputs
    if isinstance(inner, NestedInput):
        yield from _views_of(view.spec, (*path, "of"), inner)


def levels(source: NestedInput) -> Iterator[NestedInput]:
    """A nested input and those inside its steps, each as an input of its own."""
    yield source
    inner = inner_input(source)
    if isinstance(inner, NestedInput):
        yield from levels(inner)


def innermost(source: NestedInput) -> WordsInput | TokensInput | CharsInput:
    """What reads the tokens of a nested input."""
    *_, last = levels(source)
    inner = inner_input(last)
    assert not isinstance(inner, NestedInput)
    return inner


def inner_spec(spec: Spec, source: NestedInput) -> Spec:
    """The spec that reads one step of a nested input."""
    data = {"input": inner_input(source), "output": ANSWER, "series": None, "table": None}
    alone = {
        "cardinality": "N:1",
        "data": spec.data.model_copy(update=data),
        "encoder_": _alone(source.encoder),
        "encoders": {},
        "combine": ("concat",),
        "decoder_": None,
        "pooling": source.encoder.pooling,
        "head": Head.model_construct(),
        "train": Train.model_construct(),
    }
    return spec.model_copy(update=alone)


def inner_input(source: NestedInput) -> WordsInput | TokensInput | CharsInput | NestedInput:
    """One step of a nested input, as an input of its own."""
    of = source.of
    settings = {name: getattr(of, name) for name in type(of).model_fields}
    match of:
        case InnerWords():
            return WordsInput.model_construct(column=source.column, **settings)
        case InnerTokens():
            return TokensInput.model_construct(column=source.column, **settings)
        case InnerChars():
            return CharsInput.model_construct(column=source.column, **settings)
        case InnerNested():
            return NestedInput.model_construct(column=source.column, **settings)
        case _:
            assert_never(of)


def _alone(own: InnerEncoder) -> Encoder:
    return Encoder.model_construct(**{name: getattr(own, name) for name in Encoder.model_fields})
