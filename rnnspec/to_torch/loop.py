"""A loop over time with a gradient of its own, made from the equations.

torch's autograd would record every operation of every step and accumulate the gradients of weights
step by step. Here the steps run without autograd and write what the backward pass needs into
tensors of all steps. The backward pass is the loop's adjoint. The gradient of a recurrent matrix is
one product over all steps, sum_t g_t^T h_{t-1}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnspec.to_torch.adjoint import Adjoint
from rnnspec.to_torch.instructions import Body, Columns, Steps, Value
from rnnspec.to_torch.loop_code import Backward, LoopCode

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class LoopInputs(Generic[T]):
    """What a loop reads, with T = Tensor; or one item for each of these, of any other type T.

    `nodes`: values from outside, `[T, B, width]`, `[width]` or one number. `addends`: for each
    joined product its columns from left to right, each a tensor of these shapes (None: 0) and its
    number of columns. `matrices`: for each joined product, `[rows, width of the operand]`.
    `before`: the states before the first step, `[B, width]`. `spare`: numbers of the products whose
    only addend, of all steps, has no other reader, so that the loop may overwrite it.
    """

    nodes: Mapping[int, T]
    addends: Sequence[Sequence[tuple[T | None, int]]]
    matrices: Sequence[T]
    before: Mapping[str, T]
    spare: frozenset[int]

    def flat(self) -> list[T]:
        added = [part for columns in self.addends for part, _ in columns if part is not None]
        return [*self.nodes.values(), *added, *self.matrices, *self.before.values()]

    def with_flat(self, items: Iterable[U]) -> LoopInputs[U]:
        """Other items in the same places, in the order of `flat()`."""
        rest = iter(items)
        return LoopInputs(
            {index: next(rest) for index in self.nodes},
            [
                [(None if part is None else next(rest), width) for part, width in columns]
                for columns in self.addends
            ],
            [next(rest) for _ in self.matrices],
            {state: next(rest) for state in self.before},
            self.spare,
        )


def run_loop(
    code: LoopCode, inputs: LoopInputs[Tensor], length: int, rows: int
) -> tuple[dict[int, Tensor], dict[str, Tensor]]:
    """The exports of a loop, `[T, B, width]`, and its states after the last of `length` steps, of
    which there is at least one; gradients flow to all `inputs`."""
    tensors = inputs.flat()
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        wanted = frozenset(i for i, tensor in inputs.nodes.items() if tensor.requires_grad)
        places = inputs.with_flat(range(len(tensors)))
        found = _with_gradient(code, code.backward(wanted), places, (length, rows), *tensors)
    else:
        found = StepsForward(code, inputs, (length, rows), frozenset()).run()
    exports = code.loop.exports
    values = dict(zip(exports, found[: len(exports)], strict=True))
    return values, dict(zip(code.states, found[len(exports) :], strict=True))


def _with_gradient(*args: object) -> Sequence[Tensor]:
    found: Sequence[Tensor] = _Loop.apply(*args)  # type: ignore[no-untyped-call]
    return found


class _Loop(torch.autograd.Function):
    """The steps of a loop, with its adjoint as their gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        code: LoopCode,
        backward: Backward,
        places: LoopInputs[int],
        extent: tuple[int, int],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        inputs = places.with_flat(tensors)
        steps = StepsForward(code, inputs, extent, backward.kept)
        found = steps.run()
        saved = steps.saved(backward)
        ctx.save_for_backward(*inputs.matrices, *saved.values())
        ctx.code, ctx.adjoint, ctx.places, ctx.extent = code, backward.adjoint, places, extent
        ctx.saved, ctx.shapes = tuple(saved), [tensor.shape for tensor in tensors]
        ctx.like = steps.like.new_empty(())
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        matrices = ctx.saved_tensors[: len(ctx.places.matrices)]
        saved = ctx.saved_tensors[len(ctx.places.matrices) :]
        values = dict(zip(ctx.saved, saved, strict=True))
        steps = StepsBackward(ctx.code, ctx.adjoint, ctx.extent, ctx.like, matrices, values)
        exports = ctx.code.loop.exports
        steps.run(
            dict(zip(exports, gradients[: len(exports)], strict=True)),
            dict(zip(ctx.code.states, gradients[len(exports) :], strict=True)),
        )
        found = steps.gradients(ctx.places, ctx.needs_input_grad[4:], ctx.shapes)
        return (None, None, None, None, *found)


class _Tensors:
    """The tensors of each value: `whole`, of all steps `[T, B, width]`, or one that is the same at
    each step; `steps`, one per step, in the order in which the steps run."""

    def __init__(self, extent: tuple[int, int], like: Tensor, backwards: bool) -> None:
        self.length, self.rows = extent
        self.like, self.order = like, slice(None, None, -1 if backwards else 1)
        self.whole: dict[Value, Tensor] = {}
        self.steps: dict[Value, Steps] = {}
        self._apart: dict[int, Steps] = {}

    def new(self, *shape: int) -> Tensor:
        return self.like.new_empty(shape)

    def add_joined(self, number: int, joined: Tensor, columns: Mapping[Value, Columns]) -> None:
        """The tensor of a joined product, and its columns as the tensors of the values in them."""
        views: dict[Columns, Tensor] = {}
        for value, part in columns.items():
            if part.product == number:
                if part not in views:
                    views[part] = joined[..., part.start : part.stop]
                self.whole[value] = views[part]

    def execute(self, body: Body) -> None:
        for value in (body.reads | body.writes) - self.steps.keys():
            self.steps[value] = self.one_by_one(self.whole[value])
        body.execute(self.steps)

    def one_by_one(self, tensor: Tensor) -> Steps:
        """A tensor at each step, in the order of the steps."""
        if tensor.dim() < 3:
            return self.same(tensor)
        # Values in the same columns share a tensor; unbinding it costs as much as computing a step.
        if id(tensor) not in self._apart:
            self._apart[id(tensor)] = tensor.unbind(0)[self.order]
        return self._apart[id(tensor)]

    def same(self, tensor: Tensor) -> Steps:
        """One tensor for all steps."""
        return [tensor] * self.length

    def in_turns(self, width: int, length: int) -> list[Tensor]:
        """Two tensors by turns: each step's is kept until the next step only."""
        pair = (self.new(self.rows, width), self.new(self.rows, width))
        return [pair[t % 2] for t in range(length)]


class StepsForward(_Tensors):
    """The steps of a loop from the first to the last.

    After `run`, `whole` has the values `kept` and those read from outside.
    """

    def __init__(
        self,
        code: LoopCode,
        inputs: LoopInputs[Tensor],
        extent: tuple[int, int],
        kept: frozenset[Value],
    ) -> None:
        super().__init__(extent, next(iter(inputs.before.values())), backwards=False)
        self.code, self.inputs = code, inputs
        self.kept = kept | set(code.loop.exports)

    def run(self) -> list[Tensor]:
        """The loop's exports, and its states after the last step."""
        self.whole.update(self.inputs.nodes)
        for number, matrix in enumerate(self.inputs.matrices):
            self.steps[self.code.matrices[number]] = self.same(matrix.t().contiguous())
        self._place_products()
        for state in self.code.states:
            self._place_state(state)
        for out in self.code.body.writes - self.whole.keys():
            if out in self.kept:
                self.whole[out] = self.new(self.length, self.rows, self.code.widths[out])
            elif out not in self.steps:
                self.steps[out] = self.same(self.new(self.rows, self.code.widths[out]))
        self.execute(self.code.body)
        for state, leaf in self.code.leaves.items():
            if leaf in self.kept and leaf not in self.whole:
                result = self.whole[self.code.states[state]]
                self.whole[leaf] = torch.cat([self.inputs.before[state][None], result[:-1]])
        after = [self.steps[result][-1].clone() for result in self.code.states.values()]
        return [*(self.whole[index] for index in self.code.loop.exports), *after]

    def _place_products(self) -> None:
        """The tensors of the joined products, filled with their addends."""
        for number, columns in enumerate(self.inputs.addends):
            (first, _), *_ = columns
            if first is not None and number in self.inputs.spare:
                joined = first.detach()
            else:
                widths = [width for _, width in columns]
                joined = self.new(self.length, self.rows, sum(widths))
                for part, (added, _) in zip(joined.split(widths, dim=-1), columns, strict=True):
                    part.zero_() if added is None else part.copy_(added)
            self.add_joined(number, joined, self.code.columns)

    def _place_state(self, state: str) -> None:
        """A state before and after each step: the same tensors, one step apart."""
        leaf, result = self.code.leaves[state], self.code.states[state]
        before = self.inputs.before[state]
        if result not in self.whole and {leaf, result} & self.kept:
            around = self.new(self.length + 1, *before.shape)
            around[0] = before
            self.whole[result], self.whole[leaf] = around[1:], around[:-1]
        if result in self.whole:
            self.steps[result] = self.one_by_one(self.whole[result])
        else:
            self.steps[result] = self.in_turns(self.code.widths[result], self.length)
        self.steps[leaf] = [before, *self.steps[result][:-1]]

    def saved(self, backward: Backward) -> dict[Value, Tensor]:
        """What the backward pass needs, after `run`; joined products as a whole."""
        saved: dict[Value, Tensor] = {}
        for value in (*backward.outside, *backward.kept):
            if value in self.code.columns:
                value = self.code.joined[self.code.columns[value].product]
            saved[value] = self.whole[value]
        return saved


class StepsBackward(_Tensors):
    """The steps of a loop's adjoint, from the last to the first, and what follows for all steps.

    Gradients have the type and device of `like`; `saved` may be of another type.
    """

    def __init__(
        self,
        code: LoopCode,
        adjoint: Adjoint,
        extent: tuple[int, int],
        like: Tensor,
        matrices: Sequence[Tensor],
        saved: Mapping[Value, Tensor],
    ) -> None:
        super().__init__(extent, like, backwards=True)
        self.code, self.adjoint = code, adjoint
        self.whole.update(saved)
        for number, matrix in enumerate(matrices):
            self.steps[code.matrices[number]] = self.same(matrix)
            if code.joined[number] in saved:
                self.add_joined(number, saved[code.joined[number]], code.columns)
        self.kept = adjoint.kept_whole

    def run(self, exports: Mapping[int, Tensor | None], after: Mapping[str, Tensor | None]) -> None:
        """Go back from the gradients of the exports and of the states after the last step."""
        adjoint = self.adjoint
        for index, seed in adjoint.seeds.items():
            self.whole[seed] = self._given(exports[index], adjoint.widths[seed])
        for number, value in adjoint.products.items():
            joined = self.new(self.length, self.rows, adjoint.widths[value])
            self.add_joined(number, joined, adjoint.columns)
        for state, gradient in after.items():
            self._place_state(state, gradient, exports.get(self.code.states[state]))
        for out in adjoint.steps.writes - self.whole.keys() - self.steps.keys():
            shape = (self.rows, adjoint.widths[out])
            if out in self.kept:
                self.whole[out] = self.new(self.length, *shape)
            else:
                self.steps[out] = self.same(self.new(*shape))
        self.execute(adjoint.steps)
        for step in adjoint.after.instructions:
            if step.out not in self.whole:
                self.whole[step.out] = self.new(self.length, self.rows, adjoint.widths[step.out])
            step.function(*(self.whole[value] for value in step.args), self.whole[step.out])

    def _given(self, gradient: Tensor | None, width: int) -> Tensor:
        if gradient is not None:
            return gradient
        return self.like.new_zeros(()).expand(self.length, self.rows, width)

    def _place_state(self, state: str, after: Tensor | None, exported: Tensor | None) -> None:
        """The gradients of a state at all times, `[T + 1, B, width]`, or two tensors by turns."""
        adjoint = self.adjoint
        late, soon = adjoint.after_step[state], adjoint.before_step[state]
        width = adjoint.widths[late]
        if late in self.kept or soon in self.kept:
            around = self.new(self.length + 1, self.rows, width)
            self.whole[late], self.whole[soon] = around[1:], around[:-1]
            times: Sequence[Tensor] = around.unbind(0)
        else:
            times = self.in_turns(width, self.length + 1)
        self.steps[late], self.steps[soon] = times[:0:-1], times[-2::-1]
        times[-1].zero_() if after is None else times[-1].copy_(after)
        if exported is not None:
            times[-1].add_(exported[-1])
        if state in adjoint.earlier:
            given = self._given(exported, width).unbind(0)
            self.steps[adjoint.earlier[state]] = [*given[-2::-1], torch.zeros_like(times[0])]

    def gradients(
        self, places: LoopInputs[int], needed: Sequence[bool], shapes: Sequence[torch.Size]
    ) -> list[Tensor | None]:
        """The gradients of the loop's inputs that are `needed`, in the order of `places`."""
        found: list[Tensor | None] = [None] * len(needed)
        for index, at in places.nodes.items():
            if needed[at] and index in self.adjoint.gradients:
                found[at] = _summed(self.whole[self.adjoint.gradients[index]], shapes[at])
        for number, columns in enumerate(places.addends):
            whole = self.whole[self.adjoint.products[number]]
            parts = whole.split([width for _, width in columns], dim=-1)
            for part, (place, _) in zip(parts, columns, strict=True):
                if place is not None and needed[place]:
                    found[place] = _summed(part, shapes[place])
            if needed[places.matrices[number]]:
                operand = self.whole[self.code.products[number].operand]
                found[places.matrices[number]] = whole.flatten(0, 1).t() @ operand.flatten(0, 1)
        for state, at in places.before.items():
            if needed[at]:
                found[at] = self.steps[self.adjoint.before_step[state]][-1].clone()
        return found


def _summed(gradient: Tensor, shape: torch.Size) -> Tensor:
    """The gradient of a tensor that was broadcast over steps, rows or columns."""
    if not shape:
        return gradient.sum()
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)
