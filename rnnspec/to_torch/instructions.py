"""The body of a loop as a list of instructions, each of which writes to an existing tensor.

A value is known by a number: a node's index in the graph, larger numbers for other values. An
instruction runs on the tensors of one step `[B, width]` or of all steps `[T, B, width]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rnnspec.cells.schedule import JoinedProduct

Value = int
Steps = Sequence[Tensor]
"""A value's tensor at each step."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """`function(*args, out)`."""

    function: Callable[..., object]
    args: tuple[Value, ...]
    out: Value


@dataclass(frozen=True)
class Body:
    """Instructions in the order in which they run."""

    instructions: tuple[Instruction, ...]

    @cached_property
    def reads(self) -> frozenset[Value]:
        return frozenset(arg for step in self.instructions for arg in step.args)

    @cached_property
    def writes(self) -> frozenset[Value]:
        return frozenset(step.out for step in self.instructions)

    def execute(self, steps: Mapping[Value, Steps]) -> None:
        """Runs the instructions once for each step, in the order of the lists in `steps`."""
        functions = [step.function for step in self.instructions]
        arguments = [
            zip(*(steps[value] for value in (*step.args, step.out)), strict=True)
            for step in self.instructions
        ]
        for each in zip(*arguments, strict=True):
            for function, args in zip(functions, each, strict=True):
                function(*args)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a joined product that hold a value."""

    product: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring columns of a joined product with the same activation ("": none)."""

    activation: str
    columns: Columns
    results: tuple[tuple[int, Columns], ...]


def runs(number: int, product: JoinedProduct, rows: Mapping[str, int]) -> list[Run]:
    """The runs of the joined product with this number, from left to right."""
    found: list[Run] = []
    start = 0
    for name, function, result in zip(
        product.matrices, product.activations, product.results, strict=True
    ):
        columns = Columns(number, start, start + rows[name])
        one = Run(function, columns, ((result, columns),))
        if found and found[-1].activation == function:
            last = found.pop()
            whole = Columns(number, last.columns.start, columns.stop)
            one = Run(function, whole, (*last.results, *one.results))
        found.append(one)
        start = columns.stop
    return found


def into(operation: Callable[..., object], arity: int) -> Callable[..., object]:
    """An operation that takes its result's tensor as the last argument."""

    def one(a: Tensor, out: Tensor) -> None:
        operation(a, out=out)

    def two(a: Tensor, b: Tensor, out: Tensor) -> None:
        operation(a, b, out=out)

    def three(a: Tensor, b: Tensor, c: Tensor, out: Tensor) -> None:
        operation(a, b, c, out=out)

    return (one, two, three)[arity - 1]


neg = into(torch.neg, 1)
add, sub, mul, matmul = (into(of_two, 2) for of_two in (torch.add, torch.sub, torch.mul, torch.mm))
add_product, add_matmul = into(torch.addcmul, 3), into(torch.addmm, 3)


def copy(a: Tensor, out: Tensor) -> None:
    out.copy_(a)


def zero(out: Tensor) -> None:
    out.zero_()


def subtract_product(total: Tensor, a: Tensor, b: Tensor, out: Tensor) -> None:
    torch.addcmul(total, a, b, value=-1, out=out)


def accumulate_matmul(a: Tensor, matrix: Tensor, out: Tensor) -> None:
    out.addmm_(a, matrix)


def sum_columns(a: Tensor, out: Tensor) -> None:
    torch.sum(a, -1, keepdim=True, out=out)
