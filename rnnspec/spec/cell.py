"""Model of a cell of the user's own, under `cells:`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rnnspec.spec.base import Identifier, ListOf, Model, Text


class CellDefinition(Model):
    """A cell of one's own: its states and its equations."""

    states: Annotated[tuple[Identifier, ...], ListOf, Field(min_length=1)] = Field(
        description="Names of the states; each must get its next value in the equations."
    )
    equations: Text = Field(
        description="One equation per line, as in the paper: x is the input of the step, a "
        "state's name on the right its last value, on the left its next one; every other name "
        "is a learned parameter."
    )
    output: Identifier | None = Field(
        default=None,
        description="The name whose value is the output of a step; null means the first state.",
    )
