"""Any cell over a sequence, from its equations: hoisted work once, the rest step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rnnspec.cells import Cell
from rnnspec.cells.schedule import JoinedProduct, Schedule, schedule
from rnnspec.to_torch.functions import FUNCTIONS, PRIMITIVES
from rnnspec.to_torch.packing import Packed

Values = dict[int, Tensor]
States = Mapping[str, Tensor]


class GenericKernel(nn.Module):
    """Runs a cell forward over `[T, B, inputs]` by its schedule."""

    def __init__(self, cell: Cell, inputs: int, units: int) -> None:
        super().__init__()
        self.cell, self.units = cell, units
        self.schedule = schedule(cell.graph)
        sizes = cell.sizes(inputs, units)
        shapes = {n: tuple(sizes[size] for size in shape) for n, shape in cell.parameters.items()}
        self.packed = Packed(_slots(self.schedule, cell), shapes)
        nodes = self.schedule.graph.nodes
        self._input = next(i for i, node in enumerate(nodes) if node.op == "input")
        self._states = {node.name: i for i, node in enumerate(nodes) if node.op == "state"}
        self._read_in_steps = _read_in_steps(self.schedule)

    def forward(self, steps: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """`[T, B, inputs]` to the outputs `[T, B, units]` and the states after step T.

        `states` before the first step are `[B, units]` each, 0 if not given.
        """
        graph, rows = self.schedule.graph, steps.shape[1]
        matrices = self._matrices()
        fixed = self._vectors()
        fixed[self._input] = steps
        joined: dict[tuple[int, ...], Tensor] = {}
        for entry in self.schedule.hoisted:
            self._compute(entry, fixed, matrices, joined)
        # Indexing a step of a whole-sequence tensor would cost the whole tensor in the backward
        # pass, once a step; unbinding costs it once.
        along = {i: fixed[i].unbind(0) for i in self._read_in_steps if fixed[i].dim() == 3}
        addends = self._addends(fixed, joined)
        current = dict(states or self.zero_states(rows, steps))
        outputs = []
        for t in range(steps.shape[0]):
            values = fixed | {index: each[t] for index, each in along.items()}
            values |= {index: current[name] for name, index in self._states.items()}
            for entry in self.schedule.stepwise:
                if isinstance(entry, int):
                    self._operation(entry, values)
                else:
                    added = addends.get(entry)
                    self._product(entry, values, matrices, added[t % len(added)] if added else None)
            current = {name: _rows(values[i], rows) for name, i in graph.next_states.items()}
            outputs.append(_rows(values[graph.output], rows))
        out = torch.stack(outputs) if outputs else steps.new_zeros((0, rows, self.units))
        return out, current

    def zero_states(self, rows: int, like: Tensor) -> dict[str, Tensor]:
        return {name: like.new_zeros((rows, self.units)) for name in self.cell.states}

    def _vectors(self) -> Values:
        """Vector parameters by node; matrices are used through their joined slots."""
        nodes = enumerate(self.schedule.graph.nodes)
        return {
            index: self.packed.slot(node.name)
            for index, node in nodes
            if node.op == "parameter" and len(node.shape) == 1
        }

    def _matrices(self) -> dict[JoinedProduct, Tensor]:
        """The joined matrix of each product; one that stands in several products is stored once."""
        slots = self.packed.slots
        return {
            entry: self.packed.slot(_slot(entry))
            if _slot(entry) in slots
            else torch.cat([self.packed.slot(name) for name in entry.matrices])
            for entry in _products(self.schedule)
        }

    def _compute(
        self,
        entry: int | JoinedProduct,
        values: Values,
        matrices: dict[JoinedProduct, Tensor],
        joined: dict[tuple[int, ...], Tensor],
    ) -> None:
        """One hoisted entry, on values of the whole sequence."""
        if isinstance(entry, int):
            self._operation(entry, values)
            return
        bias = self._joined_addends(entry, values) if _has_addend(entry) else None
        joined[entry.results] = linear(values[entry.operand], matrices[entry], bias)
        self._split(entry, joined[entry.results], values)

    def _product(
        self,
        entry: JoinedProduct,
        values: Values,
        matrices: dict[JoinedProduct, Tensor],
        added: Tensor | None,
    ) -> None:
        """One joined product at one step."""
        operand, matrix = values[entry.operand], matrices[entry].t()
        whole = operand @ matrix if added is None else torch.addmm(added, operand, matrix)
        self._split(entry, whole, values)

    def _addends(
        self, fixed: Values, joined: dict[tuple[int, ...], Tensor]
    ) -> dict[JoinedProduct, tuple[Tensor, ...]]:
        """What is added inside each stepwise product: one `[B, rows]` a step, or one for all."""
        found: dict[JoinedProduct, tuple[Tensor, ...]] = {}
        for entry in self.schedule.stepwise:
            if isinstance(entry, JoinedProduct) and _has_addend(entry):
                whole = joined.get(tuple(-1 if a is None else a for a in entry.addends))
                if whole is None:
                    whole = self._joined_addends(entry, fixed)
                found[entry] = whole.unbind(0) if whole.dim() == 3 else (whole,)
        return found

    def _joined_addends(self, entry: JoinedProduct, values: Values) -> Tensor:
        """`[T, B, rows]` or `[rows]`; 0 where a product has no addend."""
        given = [None if addend is None else values[addend] for addend in entry.addends]
        like = next(part for part in given if part is not None)
        parts = [like.new_zeros(()) if part is None else part for part in given]
        leading = max((part.shape[:-1] for part in parts), key=len)
        widths = [self.packed.rows[name] for name in entry.matrices]
        whole = [p.expand(*leading, width) for p, width in zip(parts, widths, strict=True)]
        return torch.cat(whole, dim=-1)

    def _split(self, entry: JoinedProduct, whole: Tensor, values: Values) -> None:
        widths = [self.packed.rows[name] for name in entry.matrices]
        for result, part in zip(entry.results, whole.split(widths, dim=-1), strict=True):
            values[result] = part

    def _operation(self, index: int, values: Values) -> None:
        node = self.schedule.graph.nodes[index]
        if node.op == "constant":
            like = self.packed.slot(next(iter(self.packed.slots)))
            values[index] = like.new_tensor(node.value)
            return
        function = PRIMITIVES.get(node.op) or FUNCTIONS[node.op]
        values[index] = function(*(values[arg] for arg in node.args))


def _rows(value: Tensor, rows: int) -> Tensor:
    """`[B, width]`, where an equation may give one vector for all rows."""
    return value if value.dim() == 2 else value.expand(rows, -1)


def _has_addend(entry: JoinedProduct) -> bool:
    return any(addend is not None for addend in entry.addends)


def _products(plan: Schedule) -> list[JoinedProduct]:
    return [e for e in (*plan.hoisted, *plan.stepwise) if isinstance(e, JoinedProduct)]


def _slot(entry: JoinedProduct) -> str:
    return "|".join(entry.matrices)


def _slots(plan: Schedule, cell: Cell) -> dict[str, tuple[str, ...]]:
    """One parameter for each joined product, but one for each matrix that is in several."""
    uses = Counter(name for entry in _products(plan) for name in entry.matrices)
    slots: dict[str, tuple[str, ...]] = {}
    for entry in _products(plan):
        if all(uses[name] == 1 for name in entry.matrices):
            slots[_slot(entry)] = entry.matrices
        else:
            slots |= {name: (name,) for name in entry.matrices}
    return slots | {name: (name,) for name, shape in cell.parameters.items() if len(shape) == 1}


def _read_in_steps(plan: Schedule) -> set[int]:
    """Hoisted nodes that a step reads one by one, not through the addends of a joined product."""
    read = {*plan.graph.next_states.values(), plan.graph.output}
    computed: set[int] = set()
    for entry in plan.stepwise:
        if isinstance(entry, int):
            read.update(plan.graph.nodes[entry].args)
            computed.add(entry)
        else:
            read.add(entry.operand)
            computed.update(entry.results)
    states = {i for i, node in enumerate(plan.graph.nodes) if node.op == "state"}
    return read - computed - states
