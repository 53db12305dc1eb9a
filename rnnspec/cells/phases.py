"""What a schedule is made of: phases, each of which makes the values of some states known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from rnnspec.cells.graph import Graph


@dataclass(frozen=True, slots=True)
class JoinedProduct:
    """Products of one `operand` that are computed as one.

    `matrices` are the parameters' names, rows joined in this order. For each of them `addends` has
    the node that is added (None: none), `activations` the function that is applied then ("": none),
    and `results` the node that then has its value.
    """

    operand: int
    matrices: tuple[str, ...]
    addends: tuple[int | None, ...]
    activations: tuple[str, ...]
    results: tuple[int, ...]


Entry = int | JoinedProduct
"""A node to compute, or several by a joined product."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Computed for all steps at once. A state's node: its values before each step."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Delay:
    """A state that is only looked up one step late: its next values are known."""

    state: str


@dataclass(frozen=True, slots=True)
class Scan:
    """`state = factor * state + addend`, of known nodes."""

    state: str
    factor: int
    addend: int


@dataclass(frozen=True, slots=True)
class Loop:
    """States that need a step after the other; `exports` are the nodes that are read outside."""

    states: tuple[str, ...]
    entries: tuple[Entry, ...]
    exports: tuple[int, ...]


Phase = Whole | Delay | Scan | Loop


@dataclass(frozen=True, slots=True)
class Schedule:
    """`graph` is the cell's, rearranged. Inputs and parameters are there from the start.

    The next values of two states are two nodes, and no leaves.
    """

    graph: Graph
    phases: tuple[Phase, ...]

    def products(self) -> tuple[JoinedProduct, ...]:
        phases = (phase for phase in self.phases if isinstance(phase, Whole | Loop))
        return tuple(e for p in phases for e in p.entries if isinstance(e, JoinedProduct))

    def parts(self, product: JoinedProduct) -> tuple[tuple[int, ...], ...]:
        """A product's results, divided as the products of loops take them in side by side."""
        addends = [other.addends for other in self.products()]
        beside = {pair for columns in addends for pair in pairwise(columns)}
        found: list[tuple[int, ...]] = []
        for result in product.results:
            if found and (found[-1][-1], result) in beside:
                found[-1] = (*found[-1], result)
            else:
                found.append((result,))
        return tuple(found)
