"""A recurrent layer: one kernel per direction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import torch
from torch import Tensor, nn

from rnnspec.cells import identify
from rnnspec.cells.graph import parameter_roles
from rnnspec.cells.rewrites import ZONEOUT_MASK, with_recurrent_masks, with_zoneout_masks
from rnnspec.plan.nodes import Recurrent
from rnnspec.to_torch.generic import GenericKernel, States
from rnnspec.to_torch.layers import Masks, drawn_once, dropout_mask
from rnnspec.to_torch.native import NATIVE, NativeKernel
from rnnspec.to_torch.sequences import PaddedSequence, reversed_by_length
from rnnspec.to_torch.weighted import Packed


class RecurrentLayer(nn.Module):
    """`rnnspec.plan.nodes.Recurrent`; with `generic`, without torch's own kernels."""

    def __init__(self, node: Recurrent, generic: bool = False) -> None:
        super().__init__()
        self.node = node
        self.kernels = nn.ModuleList(_kernel(node, generic) for _ in node.directions)
        self.initial = nn.ModuleList(_initial(node) for _ in node.directions)
        roles = parameter_roles(node.cell).items() if node.weight_drop else ()
        self.thinned = {name for name, role in roles if role == "recurrent"}

    def forward(
        self,
        source: PaddedSequence,
        elapsed: PaddedSequence | None = None,
        given: Sequence[Tensor | None] = (),
    ) -> PaddedSequence:
        """`[T, B, inputs]` to `[T, B, width]`, arbitrary past a row's length.

        `elapsed` `[T, B, 1]` is the time since the step before (None: 1), `given` the states before
        the first step, `[B, width]` each (None: 0).
        """
        return self.with_ends(source, (), elapsed, given)[0]

    def with_ends(
        self,
        source: PaddedSequence,
        states: Collection[str],
        elapsed: PaddedSequence | None = None,
        given: Sequence[Tensor | None] = (),
    ) -> tuple[PaddedSequence, dict[str, Tensor]]:
        """As `forward`; also returns the final value of each of `states`, after the last step that
        each direction read, `[B, width of all directions]`; the first one for a row of no steps."""
        found = [
            self._direction(n, source, elapsed, given, states) for n in range(len(self.kernels))
        ]
        ends = {state: _side_by_side([after[state] for _, after in found]) for state in states}
        return PaddedSequence(_side_by_side([out for out, _ in found]), source.lengths), ends

    def _direction(
        self,
        number: int,
        source: PaddedSequence,
        elapsed: PaddedSequence | None,
        given: Sequence[Tensor | None],
        ends: Collection[str] = (),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The output of one direction, and the final value of the states `ends`."""
        reverse = self.node.directions[number] == "reverse"
        states, kernel = self._states(number, source.values, given), self.kernels[number]
        with self._thinned(number):
            return self._run(kernel, source, elapsed, states, reverse, ends)

    def _run(
        self,
        kernel: nn.Module,
        source: PaddedSequence,
        elapsed: PaddedSequence | None,
        states: dict[str, Tensor] | None,
        reverse: bool,
        ends: Collection[str],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        steps, lengths = source.values, source.lengths
        if isinstance(kernel, NativeKernel):
            out, after = kernel(steps, states, lengths, reverse, ends, source.looked_up)
            return out, dict(after)
        inputs = self._elapsed(source, elapsed)
        if reverse:
            steps = reversed_by_length(steps, lengths)
            inputs = {name: reversed_by_length(v, lengths) for name, v in inputs.items()}
        if not ends:
            out, _ = kernel(steps, states, inputs, lengths.of_rows)
            found: dict[str, Tensor] = {}
        else:
            out, found = _ends(kernel, steps, states, inputs, lengths.of_rows, ends)
        return (reversed_by_length(out, lengths) if reverse else out), found

    def carry(
        self,
        source: PaddedSequence,
        before: Mapping[str, Tensor],
        elapsed: PaddedSequence | None = None,
        masks: Masks | None = None,
    ) -> tuple[PaddedSequence, dict[str, Tensor]]:
        """As `forward` in the forward direction from the states `before`; also returns those after
        step T.

        States are `[B, width]` each, by the cell's names. Those of a row that ends before step T
        are arbitrary, but finite. `masks` keeps the masks of a sequence that is run in parts.
        """
        assert self.node.directions == ("forward",), "a state is carried from past to future"
        kernel = self.kernels[0]
        with self._thinned(0, masks):
            if isinstance(kernel, NativeKernel):
                steps, lengths, rows = source.values, source.lengths, source.looked_up
                out, after = kernel(steps, before, lengths, looked_up=rows)
                return PaddedSequence(out, source.lengths), dict(after)
            inputs = self._elapsed(source, elapsed)
            more = (masks,) if isinstance(kernel, MaskedKernel) else ()
            of_rows = source.lengths.of_rows
            out, after = kernel(source.values, dict(before), inputs, of_rows, *more)
            return PaddedSequence(out, source.lengths), dict(after)

    def _thinned(self, number: int, masks: Masks | None = None) -> AbstractContextManager[None]:
        """While inside, and while training, elements of the recurrent matrices are 0 by new masks,
        or by those in `masks`, of a sequence that is run in parts."""
        packed = self.kernels[number].packed
        assert isinstance(packed, Packed)
        slots = packed.slots if self.training else {}
        chosen = [slot for slot, names in slots.items() if self.thinned.intersection(names)]
        draw = partial(self._weight_mask, packed)
        return packed.masked(
            {s: drawn_once(masks, f"{s} {number}", partial(draw, s)) for s in chosen}
        )

    def _weight_mask(self, packed: Packed, slot: str) -> Tensor:
        """The mask of a slot, 1 for what is no recurrent matrix."""
        parts = []
        for name in packed.slots[slot]:
            ones = torch.ones_like(packed.part(name))
            is_thinned = name in self.thinned
            parts.append(dropout_mask(ones, self.node.weight_drop) if is_thinned else ones)
        return torch.cat(parts)

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

    def _elapsed(self, source: PaddedSequence, elapsed: PaddedSequence | None) -> dict[str, Tensor]:
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
    """Runs a cell with zoneout or recurrent dropout: with new masks for each sequence in training,
    otherwise with their expectation."""

    def __init__(self, node: Recurrent) -> None:
        super().__init__()
        self.zoneout, self.dropout = node.zoneout, node.recurrent_dropout
        cell = node.cell
        if self.zoneout:
            cell = with_zoneout_masks(cell)
        if self.dropout:
            cell = with_recurrent_masks(cell)
        names = (name for name in cell.inputs if name not in node.cell.inputs)
        self.mask_widths = {name: node.state_width(name.partition(".")[2]) for name in names}
        self.kernel = GenericKernel(cell, node.extents)
        self.packed, self.cell = self.kernel.packed, cell

    def forward(
        self,
        steps: Tensor,
        states: States | None,
        inputs: Mapping[str, Tensor],
        lengths: Tensor,
        masks: Masks | None = None,
        ends: bool = False,
    ) -> tuple[Tensor, States]:
        """As `GenericKernel.forward`. Masks of whole sequences are kept in `masks`."""
        widths = self.mask_widths.items()
        drawn = {name: self._mask(name, width, steps, masks) for name, width in widths}
        found: tuple[Tensor, States] = self.kernel(
            steps, states, {**inputs, **drawn}, lengths, ends
        )
        return found

    def _mask(self, name: str, width: int, steps: Tensor, masks: Masks | None) -> Tensor:
        """`[T, B, width]`: see `rnnspec.cells.rewrites`."""
        shape = (*steps.shape[:2], width)
        if name.startswith(ZONEOUT_MASK):
            rate = steps.new_full((1, 1, 1), self.zoneout).expand(shape)
            return torch.bernoulli(rate) if self.training else rate
        ones = steps.new_ones((1, shape[1], width))
        if not self.training:
            return ones.expand(shape)
        return drawn_once(masks, name, lambda: dropout_mask(ones, self.dropout)).expand(shape)


def _side_by_side(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-1)


def _ends(
    kernel: nn.Module,
    steps: Tensor,
    states: States | None,
    inputs: Mapping[str, Tensor],
    lengths: Tensor,
    wanted: Collection[str],
) -> tuple[Tensor, dict[str, Tensor]]:
    """The outputs, and the states `wanted` after each row's last step.

    Where all of these are the output, they are taken from it; otherwise the kernel has to stop at
    each length.
    """
    assert isinstance(kernel, GenericKernel | MaskedKernel)
    graph = kernel.cell.graph
    if any(graph.next_states[state] != graph.output for state in wanted):
        out, after = kernel(steps, states, inputs, lengths, ends=True)
        return out, {state: after[state] for state in wanted}
    out, _ = kernel(steps, states, inputs, lengths)
    rows = torch.arange(len(lengths), device=lengths.device)
    last = out[(lengths - 1).clamp(min=0), rows]
    empty = (lengths == 0)[:, None]
    before = {s: 0.0 if states is None else states[s] for s in wanted}
    return out, {state: torch.where(empty, before[state], last) for state in wanted}


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
