"""A loop over time with a gradient of its own, made from the equations.

torch's autograd would record every operation of every step, and add a weight's gradient up step by
step. Here the steps run without it and write what the way back needs into tensors of all steps; the
way back is the loop's adjoint; and the gradient of a recurrent matrix is one product over all
steps, sum_t g_t^T h_{t-1}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnnspec.to_torch.loop_code import Backward, LoopCode
from rnnspec.to_torch.loop_steps import LoopInputs, StepsBackward, StepsForward


@dataclass(frozen=True)
class LoopOutputs:
    """`exports`: values of all steps, `[T, B, width]`; `after`: the states after the last step."""

    exports: Mapping[int, Tensor]
    after: Mapping[str, Tensor]


def run_loop(code: LoopCode, inputs: LoopInputs[Tensor], length: int, rows: int) -> LoopOutputs:
    """Run a loop over `length` steps, at least one; gradients flow to all `inputs`."""
    tensors = inputs.flat()
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        wanted = frozenset(i for i, tensor in inputs.nodes.items() if tensor.requires_grad)
        way_back = code.way_back(wanted)
        places = inputs.with_flat(range(len(tensors)))
        found = _with_gradient(code, way_back, places, (length, rows), *tensors)
    else:
        found = StepsForward(code, inputs, (length, rows), frozenset()).run()
    exports = code.loop.exports
    return LoopOutputs(
        dict(zip(exports, found[: len(exports)], strict=True)),
        dict(zip(code.states, found[len(exports) :], strict=True)),
    )


def _with_gradient(*args: object) -> Sequence[Tensor]:
    found: Sequence[Tensor] = _Loop.apply(*args)  # type: ignore[no-untyped-call]
    return found


class _Loop(torch.autograd.Function):
    """The steps forward, and the loop's adjoint as their gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        code: LoopCode,
        way_back: Backward,
        places: LoopInputs[int],
        extent: tuple[int, int],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        inputs = places.with_flat(tensors)
        steps = StepsForward(code, inputs, extent, way_back.kept)
        found = steps.run()
        saved = steps.saved(way_back)
        ctx.save_for_backward(*inputs.matrices, *saved.values())
        ctx.code, ctx.adjoint, ctx.places, ctx.extent = code, way_back.adjoint, places, extent
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
