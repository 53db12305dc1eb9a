"""Whether the files that cells read hold what their equations need."""

from __future__ import annotations

from rnnspec import spec as language
from rnnspec.cells.initializers import EachHead, FromFile
from rnnspec.errors import DataError
from rnnspec.plan.facts import Facts, constant_key
from rnnspec.plan.nodes import Plan, Weight, weights


def check_constants(spec: language.Spec, plan: Plan, facts: Facts) -> None:
    """Raises DataError, with the place in the spec, for a file with numbers of another shape."""
    for weight in weights(plan):
        start, shape = weight.initializer, weight.shape
        if isinstance(start, EachHead) and isinstance(start.start, FromFile):
            shape = (shape[0] // start.heads, *shape[1:]) if shape else shape
            start = start.start
        if not isinstance(start, FromFile):
            continue
        known = facts.constants[constant_key(start.file, start.tensor)]
        if known.shape != shape:
            raise DataError(
                f"{_place(spec, weight, start)}: {known.file} holds {_text(known.shape)}, and the"
                f" equations need {_text(shape)}"
            )


def _place(spec: language.Spec, weight: Weight, start: FromFile) -> str:
    name = weight.name.rpartition(".")[2]
    for cell, about in spec.cells.items():
        if getattr(about.constants.get(name), "file", None) == start.file:
            return f"cells.{cell}.constants.{name}"
    raise AssertionError(f"no cell names {start.file}")


def _text(shape: tuple[int, ...]) -> str:
    if not shape:
        return "one number"
    return f"{shape[0]} numbers" if len(shape) == 1 else f"{shape[0]} x {shape[1]} numbers"
