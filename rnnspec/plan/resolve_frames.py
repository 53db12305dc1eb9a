"""The output of a decoder that writes frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnnspec import spec as language
from rnnspec.plan.facts import Facts, NumericFacts
from rnnspec.plan.nodes import FramesInput, FramesOutput, Node
from rnnspec.plan.resolve_outputs import law_of
from rnnspec.spec import decoder as kinds
from rnnspec.spec.distributions import paths_of
from rnnspec.spec.search import TimesInput


def frames_output(
    spec: language.Spec, facts: Facts, target: language.FramesOutput, nodes: Sequence[Node]
) -> FramesOutput:
    """The output node; `nodes` are those of the inputs. Raises DataError where a correlation is
    asked for of frames of another width than 2."""
    known, column = facts.outputs[target.column], target.column
    assert isinstance(known, NumericFacts) and spec.decoder is not None
    scaled = target.scale == "standard" and target.distribution.name != "beta"
    law, paths = law_of(target.distribution, column, known.width), paths_of(target.paths)
    read = (n.name for n in nodes if isinstance(n, FramesInput) and n.column == column)
    plain = FramesOutput(
        f"output.{column}",
        "decoder",
        column,
        known.width,
        "input",
        scaled,
        scaled and known.is_double(),
        reverse=spec.decoder.reverse,
        read=next(read, ""),
        distribution=law.name,
        quantiles=law.quantiles if paths is None else paths.quantiles,
        components=law.components,
        correlated=law.correlated,
        paths=0 if paths is None else paths.samples,
    )
    return _with_length(plain, spec.decoder, known)


def _with_length(plain: FramesOutput, settings: kinds.Decoder, known: NumericFacts) -> FramesOutput:
    """The output with the length that the spec says."""
    length = settings.length
    if isinstance(length, kinds.CountedLength):
        return replace(plain, length="column", counted=f"input.{length.column}")
    if isinstance(length, int):
        return replace(plain, length="fixed", limit=length)
    if length == "input":
        return plain
    most, least = settings.max_steps, settings.min_steps
    if isinstance(most, TimesInput):
        return replace(plain, length="learned", limit=most.plus, factor=most.times, least=least)
    limit = max(known.longest, least, 1) if isinstance(most, str) else most
    return replace(plain, length="learned", limit=limit, least=least)
