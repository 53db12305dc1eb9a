"""A cell as its author writes it, before it is compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rnnspec.cells.initializers import CellStart

RESERVED_SIZES = ("inputs", "units")
"""Sizes every cell has: the width of the step's input, and the layer's `units`."""


@dataclass(frozen=True, slots=True)
class ParameterSource:
    """What a cell says of one of its parameters beyond using it.

    `shape` is needed only where use leaves it open or the name breaks the naming rule, and, `()`,
    for a single number, which would be taken for a vector; `start` None means uniform within
    1/sqrt(units); parameters that are not `trained` keep their start.
    """

    shape: tuple[str, ...] | None = None
    start: CellStart | None = None
    trained: bool = True


@dataclass(frozen=True, slots=True)
class CellSource:
    """A cell's name, states and equations, and what may go with them.

    `states`: names, each of width `units`, or a mapping of names to size names. `output`: a state
    or an assigned name, the first state if None. `inputs`: further inputs beside `x`, one number
    for each row and step. `sizes`: size names of the cell's own, to which a layer gives numbers.
    `constants`: names that stand for numbers.
    """

    name: str
    states: Sequence[str] | Mapping[str, str]
    equations: str
    output: str | None = None
    paper: str = ""
    inputs: Sequence[str] = ()
    sizes: Sequence[str] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, ParameterSource] = field(default_factory=dict)

    def state_sizes(self) -> dict[str, str]:
        """Each state and the name of its width."""
        if isinstance(self.states, Mapping):
            return dict(self.states)
        return dict.fromkeys(self.states, "units")
