"""Whether the settings of answers that are positions have effects."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.outputs import PointedOutput
from rnnspec.spec.spec import Spec


def rows_without_a_position_are_told(spec: Spec) -> Iterator[Finding]:
    """Null is an answer, or it is left out."""
    for path, output in spec.data.located_targets:
        if isinstance(output, PointedOutput) and output.none and output.missing == "skip":
            why = "with 'none: true', where a missing answer is an answer"
            yield no_effect((*path, "missing"), why, "remove one of them")


def positions_are_of_one_encoder(spec: Spec) -> Iterator[Finding]:
    """Of several encoders each has steps of its own."""
    for path, output in spec.data.located_targets:
        if isinstance(output, PointedOutput) and spec.encoders:
            message = f"a {output.as_} is a step of one sequence, and each encoder has its own"
            yield Finding((*path, "as"), message, "read all columns with one 'encoder'")
