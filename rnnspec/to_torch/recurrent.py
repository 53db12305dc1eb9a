"""A recurrent layer in torch: one kernel a direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from rnnspec.cells import identify
from rnnspec.cells.recurrent_dropout import with_recurrent_masks
from rnnspec.cells.zoneout import MASK as ZONEOUT_MASK
from rnnspec.cells.zoneout import with_zoneout_masks
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_torch.generic import GenericKernel
from rnnspec.to_torch.native import NATIVE, NativeKernel
from rnnspec.to_torch.packing import Packed
from rnnspec.to_torch.stack import kept
from rnnspec.to_torch.steps import Steps, reversed_by_length


class RecurrentLayer(nn.Module):
    """`rnnspec.plan.nodes.Recurrent`. With `generic`, torch's own kernels are not used."""

    def __init__(self, node: Recurrent, generic: bool = False) -> None:
        super().__init__()
        self.node = node
        self.kernels = nn.ModuleList(_kernel(node, generic) for _ in node.directions)
        self.initial = nn.ModuleList(_initial(node) for _ in node.directions)

    def forward(
        self,
        source: Steps,
        elapsed: Steps | None = None,
        given: Sequence[Tensor | None] = (),
    ) -> Steps:
        """`[T, B, inputs]` to `[T, B, width]`; past a row's length the values are arbitrary.

        `elapsed` `[T, B, 1]` is the time since the step before, 1 if there is none; `given`
        the states before the first step, `[B, width]` each, 0 where there is None.
        """
        outputs = []
        dt = self._elapsed(source, elapsed)
        for number, direction in enumerate(self.node.directions):
            steps, inputs = source.values, dt
            if direction == "reverse":
                steps = reversed_by_length(steps, source.lengths)
                inputs = {name: reversed_by_length(v, source.lengths) for name, v in dt.items()}
            states = self._states(number, steps, given)
            out, _ = self.kernels[number](steps, states, inputs, source.lengths.of_rows)
            if direction == "reverse":
                out = reversed_by_length(out, source.lengths)
            outputs.append(out)
        values = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        return Steps(values, source.lengths)

    def carry(
        self, source: Steps, before: Mapping[str, Tensor], elapsed: Steps | None = None
    ) -> tuple[Steps, dict[str, Tensor]]:
        """As `forward` in its forward direction from the states `before`, and those after step T.

        States are `[B, width]` each, by the cell's names. Those of a row that ends before step T
        are arbitrary, and finite.
        """
        assert self.node.directions == ("forward",), "a state is carried from past to future"
        inputs = self._elapsed(source, elapsed)
        out, after = self.kernels[0](source.values, dict(before), inputs, source.lengths.of_rows)
        return Steps(out, source.lengths), dict(after)

    def first(self, rows: int) -> dict[str, Tensor]:
        """The states before the first step of a sequence, `[rows, width]` each."""
        like = next(self.kernels[0].parameters())
        learned = self._learned(0)
        return {
            state: learned[state].expand(rows, -1)
            if state in learned
            else like.new_zeros((rows, self.node.state_width(state)))
            for state in self.node.cell.states
        }

    def _elapsed(self, source: Steps, elapsed: Steps | None) -> dict[str, Tensor]:
        if not self.node.cell.inputs:
            return {}
        ones = source.values.new_ones((*source.values.shape[:2], 1))
        return {"dt": ones if elapsed is None else elapsed.values}

    def _states(
        self, number: int, steps: Tensor, given: Sequence[Tensor | None]
    ) -> dict[str, Tensor] | None:
        """The states before the first step, `[B, width]` each; None if they are 0."""
        rows = steps.shape[1]
        if not given:
            learned = self._learned(number)
            return {name: value.expand(rows, -1) for name, value in learned.items()} or None
        return {
            name: steps.new_zeros((rows, self.node.state_width(name))) if value is None else value
            for name, value in zip(self.node.cell.states, given, strict=True)
        }

    def _learned(self, number: int) -> dict[str, Tensor]:
        return dict(zip(self.node.cell.states, self.initial[number].parameters(), strict=False))

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """Canonical names below the layer's own, and the tensors that hold them."""
        for number, direction in enumerate(self.node.directions):
            packed = self.kernels[number].packed
            assert isinstance(packed, Packed)
            yield from ((f"{direction}.{name}", value) for name, value in packed.canonical())
            for name, value in self._learned(number).items():
                yield f"{direction}.initial.{name}", value.detach()


class MaskedKernel(nn.Module):
    """Runs a cell with zoneout or recurrent dropout: with masks drawn anew for each sequence while
    training, and with their expectation otherwise."""

    def __init__(self, node: Recurrent) -> None:
        super().__init__()
        self.zoneout, self.dropout = node.zoneout, node.recurrent_dropout
        cell = node.cell
        if self.zoneout:
            cell = with_zoneout_masks(cell)
        if self.dropout:
            cell = with_recurrent_masks(cell)
        masks = (name for name in cell.inputs if name not in node.cell.inputs)
        self.masks = {name: node.state_width(name.partition(".")[2]) for name in masks}
        self.kernel = GenericKernel(cell, node.extents)
        self.packed = self.kernel.packed

    def forward(
        self,
        steps: Tensor,
        states: dict[str, Tensor] | None,
        inputs: dict[str, Tensor],
        lengths: Tensor,
    ) -> tuple[Tensor, object]:
        """As `GenericKernel.forward`."""
        masks = {name: self._mask(name, width, steps) for name, width in self.masks.items()}
        out: tuple[Tensor, object] = self.kernel(steps, states, {**inputs, **masks}, lengths)
        return out

    def _mask(self, name: str, width: int, steps: Tensor) -> Tensor:
        """`[T, B, width]`: see `rnnspec.cells.zoneout` and `rnnspec.cells.recurrent_dropout`."""
        shape = (*steps.shape[:2], width)
        if name.startswith(ZONEOUT_MASK):
            rate = steps.new_full((1, 1, 1), self.zoneout).expand(shape)
            return torch.bernoulli(rate) if self.training else rate
        ones = steps.new_ones((1, shape[1], width))
        return (kept(ones, self.dropout) if self.training else ones).expand(shape)


def _initial(node: Recurrent) -> nn.ParameterList:
    """The learned states before the first step, in the cell's order; none if they are 0."""
    states = node.cell.states if node.initial == "learned" else ()
    return nn.ParameterList(nn.Parameter(torch.zeros(node.state_width(s))) for s in states)


def _kernel(node: Recurrent, generic: bool) -> GenericKernel | NativeKernel | MaskedKernel:
    if node.zoneout or node.recurrent_dropout:
        return MaskedKernel(node)
    match = None if generic or node.cell.fixed else identify(node.cell)
    if match is not None and match.pattern in NATIVE:
        return NativeKernel(node.cell, match, node.inputs, node.units)
    return GenericKernel(node.cell, node.extents)
