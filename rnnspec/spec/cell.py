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


class ConstantFile(Model):
    """A number, a vector or a matrix of a file, which training does not change."""

    file: Text = Field(
        description="File of the numbers, beside the spec: .npy, .npz or .safetensors. A build and "
        "an exported file keep them."
    )
    tensor: Text | None = Field(
        default=None,
        description="Its name in an .npz or .safetensors file; null means the only one there.",
    )
    shape: Annotated[tuple[Size, ...], ListOf, Field(max_length=2)] | None = Field(
        default=None,
        description="Its sizes, as of a parameter; null means as the equations use it, by the rule "
        "of names: a capital is a matrix.",
    )


AnyConstant = Annotated[
    float | ConstantFile,
    ByShape("a number, or {file: …}", by_type(int | float, Mapping | ConstantFile)),
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
    constants: dict[Identifier, AnyConstant] = Field(
        default={},
        description="Names that stand for numbers in the equations, or for the number, the vector "
        "or the matrix of a file.",
    )
    parameters: dict[Identifier, Parameter] = Field(
        default={},
        description="Shapes and initializers of parameters that do not follow from their use.",
    )


def source_of(name: str, cell: CellDefinition) -> CellSource:
    """The definition, for the compiler of cells."""
    from rnnspec.cells import CellSource, ParameterSource
    from rnnspec.cells.initializers import FromFile

    return CellSource(
        name=name,
        states=cell.states,
        equations=cell.equations,
        output=cell.output,
        inputs=cell.inputs,
        sizes=cell.sizes,
        constants={n: c for n, c in cell.constants.items() if not isinstance(c, ConstantFile)},
        parameters={
            constant: ParameterSource(
                shape=about.shape, start=FromFile(about.file, about.tensor or ""), trained=False
            )
            for constant, about in cell.constants.items()
            if isinstance(about, ConstantFile)
        }
        | {
            parameter: ParameterSource(
                shape=about.shape,
                start=initializer_of(about.init) if about.init else None,
                trained=about.trained,
            )
            for parameter, about in cell.parameters.items()
        },
    )
