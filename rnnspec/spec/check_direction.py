"""Texts that are read from their ends."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import TokenInput
from rnnspec.spec.outputs import NextOutput, PointedOutput, StepOutput
from rnnspec.spec.spec import Spec


def texts_are_read_backward(spec: Spec) -> Iterator[Finding]:
    """The steps of a text that is read from its end have no others beside them."""
    for path, output in spec.data.located_outputs:
        if not isinstance(output, NextOutput) or output.direction == "forward":
            continue
        source = spec.data.input_of(output)
        if source is None:  # refused for this
            continue
        if not isinstance(source, TokenInput):
            yield no_effect((*path, "direction"), f"with 'as: {source.as_}', which is no text")
            continue
        yield from _beside(spec, (*path, "direction"), output)


def _beside(spec: Spec, path: Loc, output: NextOutput) -> Iterator[Finding]:
    """Inputs and answers whose steps are those of the text."""
    for other in spec.data.sequences:
        if other.column != output.column:
            message = f"{other.column!r} is read beside the text, step by step, from its beginning"
            yield Finding(path, message, f"remove the input {other.column!r}")
    for at, each in spec.data.located_outputs:
        if each is not output and isinstance(each, StepOutput | PointedOutput):
            message = f"{each.as_} stands beside {output.column!r}, which is read from its end"
            yield Finding((*at, "as"), message, "answer it in a model that reads forward")
