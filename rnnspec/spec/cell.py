"""Models of `cells:`: cells that a spec defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import Identifier, ListOf, Model, Size, Text
from rnnspec.spec.choice import ByShape, by_type
from rnnspec.spec.init import Init, initializer_of

if TYPE_CHECKING:
    from rnnspec.cells import CellSource


class Parameter(Model):
    """Settings of a parameter of a cell, beyond its use in the equations."""

    shape: Annotated[tuple[Size, ...], ListOf, Field(max_length=2)] | None = Field(
        default=None,
        description="Sizes: none, [], for a single number, one for a vector, two for a matrix "
        "(rows, columns); each is inputs, units, a name under 'sizes', or made of these, as "
        "2*units or inputs/3. null means as the equations use it.",
    )
    init: Init | None = Field(
        default=None,
        description="Its initializer; null means the layer's, or uniform within 1/sqrt(units).",
    )
    trained: bool = Field(
        default=True,
        description="Whether training changes it; otherwise it keeps its initial value.",
    )


StateSize = Annotated[
    Size | Annotated[tuple[Size, ...], ListOf, Field(max_length=2)],
    ByShape("a size, or a list of sizes: [] or [units, keys]", by_type(str, list | tuple)),
]
States = Annotated[
    Annotated[tuple[Identifier, ...], ListOf, Field(min_length=1)]
    | Annotated[dict[Identifier, StateSize], Field(min_length=1)],
    ByShape("a list of names, or a mapping of names to sizes", by_type(list | tuple, Mapping)),
]


class CellDefinition(Model):
    """A cell that a spec defines: its states and its equations."""

    states: States = Field(
        description="Names of the states, or a mapping of each to its size, which is 'units' in a "
        "list; [units, keys] is a matrix of so many rows and columns, [] one number. Each must get "
        "its next value in the equations."
    )
    equations: Text = Field(
        description="One equation per line, as in the paper, computed from top to bottom: x is "
        "the input of the step; a state's name is its value of the step before until the line "
        "that gives it its next one, and that next one on all lines after it; every other name is "
        "a learned parameter, or the left side of a line above."
    )
    output: Identifier | None = Field(
        default=None,
        description="The name whose value is the output of a step; null means the first state.",
    )
    inputs: Annotated[tuple[Literal["dt"], ...], ListOf] = Field(
        default=(),
        description="Further inputs beside x: dt is the time since the step before, as "
        "'data.input.elapsed' gives it, or 1.",
    )
    sizes: Annotated[tuple[Identifier, ...], ListOf] = Field(
        default=(), description="Names of sizes of the cell's own; a layer gives each a number."
    )
    constants: dict[Identifier, float] = Field(
        default={}, description="Names that stand for numbers in the equations."
    )
    parameters: dict[Identifier, Parameter] = Field(
        default={},
        description="Shapes and initializers of parameters that do not follow from their use.",
    )


def source_of(name: str, cell: CellDefinition) -> CellSource:
    """The definition, for the compiler of cells."""
    from rnnspec.cells import CellSource, ParameterSource

    return CellSource(
        name=name,
        states=cell.states,
        equations=cell.equations,
        output=cell.output,
        inputs=cell.inputs,
        sizes=cell.sizes,
        constants=cell.constants,
        parameters={
            parameter: ParameterSource(
                shape=about.shape,
                start=initializer_of(about.init) if about.init else None,
                trained=about.trained,
            )
            for parameter, about in cell.parameters.items()
        },
    )
