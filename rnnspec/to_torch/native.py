"""torch's own kernels for the cells they cover, chosen by the equations.

To add one: an entry in `NATIVE` with how its tensors join the built-in cell's parameters, and what
the kernel is given of them. Gate orders are torch's: LSTM i, f, g, o and GRU r, z, n
(`torch.nn.LSTM`, `torch.nn.GRU`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from rnnspec.cells import Cell, Match
from rnnspec.to_torch.generic import States
from rnnspec.to_torch.gru_gradient import gru_steps, is_faster
from rnnspec.to_torch.packed_layout import Layout, picked, put_back
from rnnspec.to_torch.sequences import Lengths, reversed_by_length
from rnnspec.to_torch.weighted import Packed


@dataclass(frozen=True, slots=True)
class Native:
    """`slots`: tensor of the kernel to parameters of the built-in cell; `states` in its order, the
    first of which is the output. `weights` are those that `kernel` takes.

    `held`: what is added to each gate, -1 or 1 times a large number, so that a step leaves all
    states but the first as they are. `trained` takes the kernel's place where `is_faster` says so.
    """

    slots: Mapping[str, tuple[str, ...]]
    states: tuple[str, ...]
    weights: Callable[[Packed], list[Tensor]]
    kernel: Callable[..., tuple[Tensor, ...]]
    held: tuple[float, ...] = ()
    trained: Callable[[Tensor, Tensor, Sequence[Tensor]], tuple[Tensor, Tensor]] | None = None


def _one_bias(packed: Packed) -> list[Tensor]:
    bias = packed.slot("bias")
    return [packed.slot("input"), packed.slot("recurrent"), bias, torch.zeros_like(bias)]


def _two_biases(packed: Packed) -> list[Tensor]:
    bias, candidate = packed.slot("bias"), packed.slot("candidate_bias")
    recurrent_bias = pad(candidate, (bias.shape[0] - candidate.shape[0], 0))  # r and z need none
    return [packed.slot("input"), packed.slot("recurrent"), bias, recurrent_bias]


NATIVE: dict[str, Native] = {
    "rnn": Native(
        {"input": ("W",), "recurrent": ("U",), "bias": ("b",)},
        ("h",),
        _one_bias,
        torch.rnn_tanh,
    ),
    "lstm": Native(
        {
            "input": ("W_i", "W_f", "W_g", "W_o"),
            "recurrent": ("U_i", "U_f", "U_g", "U_o"),
            "bias": ("b_i", "b_f", "b_g", "b_o"),
        },
        ("h", "c"),
        _one_bias,
        torch.lstm,
        held=(-1.0, 1.0, 0.0, 0.0),
    ),
    "gru": Native(
        {
            "input": ("W_r", "W_z", "W_n"),
            "recurrent": ("U_r", "U_z", "U_n"),
            "bias": ("b_r", "b_z", "b_n"),
            "candidate_bias": ("c_n",),
        },
        ("h",),
        _two_biases,
        torch.gru,
        trained=gru_steps,
    ),
}
"""Built-in cell to torch's kernel for it."""


CUT_COSTS = {"rnn": 20_000, "lstm": 20_000, "gru": 15_000}
"""By built-in cell, how many steps of one row take as long on a CPU as one more call of its kernel,
times the units of the layer.

Measured forward and back, one thread (`benchmarks/packed_steps.py --costs`). These are constants,
and nothing is measured in a run: where a batch is cut decides the order of sums, and the same build
must give the same numbers.
"""

MOVING = {"rnn": 30.0, "lstm": 12.0, "gru": 12.0}
"""What it costs to sort out the steps and put the outputs back, as a share of what all steps of the
padded batch cost, times the units; measured likewise."""

PACKED_BELOW = {"rnn": 0.0, "lstm": 0.0, "gru": 0.5}
"""Below which share of real steps a batch is packed on a CPU where no gradient is wanted.

Of a GRU with 128 units and a batch of 32 rows, 50 steps, 28 % of them real, packed takes 0.61 of
the time of the padded batch and cut 0.72 (`benchmarks/packed_steps.py`); at 91 %, 1.10 and 1. With
a gradient nothing is packed: torch's way back through a packed sequence takes longer than one of
parts at any share, and with 200 steps up to 12 times as long as that of the padded batch.
"""


class NativeKernel(nn.Module):
    """Runs a cell over `[T, B, inputs]` by torch's kernel for the built-in it matches.

    Steps past the ends of rows are left out where that is faster. On a CPU the tables above say
    where; on other devices a batch is packed if a smaller share of its steps than `packed_below` is
    real. The answers differ by rounding alone.
    """

    def __init__(self, cell: Cell, match: Match, inputs: int, units: int) -> None:
        super().__init__()
        self.cell, self.native, self.units = cell, NATIVE[match.pattern], units
        self.states = tuple(match.states[state] for state in self.native.states)
        sizes = cell.sizes(inputs, units)
        shapes = {n: tuple(sizes[size] for size in shape) for n, shape in cell.parameters.items()}
        slots = {
            slot: tuple(match.parameters[name] for name in names)
            for slot, names in self.native.slots.items()
        }
        self.packed = Packed(slots, shapes)
        self.cut_cost, self.moving = CUT_COSTS[match.pattern] / units, MOVING[match.pattern] / units
        self.packed_below, self.answered_below = 0.0, PACKED_BELOW[match.pattern]

    def forward(
        self,
        steps: Tensor,
        states: States | None = None,
        lengths: Lengths | None = None,
        reverse: bool = False,
        ends: Collection[str] = (),
    ) -> tuple[Tensor, States]:
        """The outputs `[T, B, units]` and the states after step T, `[B, units]` each.

        `states` before the first step are 0 if not given. With `lengths`, outputs past the end of
        a row are arbitrary, and so are the states of rows that end before step T, all finite; but
        the states in `ends` are those after each row's last step, or before the first in a row of
        none. With `reverse`, which needs lengths, every row is read from its end.
        """
        assert lengths is not None or not (reverse or ends), "without lengths rows have no ends"
        zero = steps.new_zeros((steps.shape[1], self.units))
        before = tuple(zero if states is None else states[name] for name in self.states)
        layout = None if lengths is None else self.layout(lengths, steps.device)
        hold = any(state != self.states[0] for state in ends)
        if layout is None or lengths is None:
            out, after = self._padded(steps, before, lengths, reverse, hold)
        else:
            out, after = self._laid_out(steps, before, lengths, layout, reverse, hold)
        if lengths is not None and self.states[0] in ends:
            after = (_last(out, before[0], lengths, reverse), *after[1:])
        return out, dict(zip(self.states, after, strict=True))

    def layout(self, lengths: Lengths, device: torch.device) -> Layout | None:
        """The steps of a batch that are read; None where all of them are."""
        if lengths.longest == 1:
            return None
        on_cpu, below = device.type == "cpu", self.packed_below
        if on_cpu and not torch.is_grad_enabled():
            below = max(below, self.answered_below)
        if below:
            real, every = sum(lengths.rising), lengths.longest * len(lengths.rising)
            if 0 < real < below * every:
                return lengths.packed
        return lengths.cut(self.cut_cost, self.moving) if on_cpu else None

    def _padded(
        self,
        steps: Tensor,
        before: tuple[Tensor, ...],
        lengths: Lengths | None,
        reverse: bool,
        hold: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        weights = self.native.weights(self.packed)
        if lengths is not None and reverse:
            steps = reversed_by_length(steps, lengths)
        if lengths is not None and hold:
            steps, weights[0] = self._held(steps, ~lengths.mask, weights[0])
        out, after = self._run(weights, before, steps)
        if lengths is not None and reverse:
            out = reversed_by_length(out, lengths)
        return out, after

    def _laid_out(
        self,
        steps: Tensor,
        before: tuple[Tensor, ...],
        lengths: Lengths,
        layout: Layout,
        reverse: bool,
        hold: bool,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Only the steps of `layout`."""
        weights, order = self.native.weights(self.packed), layout.order
        read = layout.reversed if reverse else layout
        data = picked(steps, read)
        now = tuple(state.index_select(0, order) for state in before)
        if layout.packed:
            sizes = torch.tensor([rows for many, rows in layout.parts for _ in range(many)])
            rows = layout.parts[0][1]
            out, found = self._run(weights, tuple(state[:rows] for state in now), data, sizes)
            pairs = zip(found, now, strict=True)
            after = tuple(torch.cat([ended, none[rows:]]) for ended, none in pairs)
        else:
            if hold:
                data, weights[0] = self._held(data, layout.past, weights[0])
            out, after = self._in_parts(weights, now, data, layout)
        after = tuple(state.index_select(0, layout.back) for state in after)
        return put_back(out, read, lengths.longest), after

    def _in_parts(
        self, weights: list[Tensor], now: tuple[Tensor, ...], data: Tensor, layout: Layout
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The outputs `[N, units]`, and the states of rows by falling length."""
        outputs: list[Tensor] = []
        ended: list[tuple[Tensor, ...]] = []
        each = data.split([many * rows for many, rows in layout.parts])
        for part, (many, rows) in zip(each, layout.parts, strict=True):
            ended.append(tuple(state[rows:] for state in now))
            now = tuple(state[:rows] for state in now)
            out, now = self._run(weights, now, part.view(many, rows, -1))
            outputs.append(out.flatten(0, 1))
        ended.append(now)
        return torch.cat(outputs), tuple(map(torch.cat, zip(*reversed(ended), strict=True)))

    def _held(self, steps: Tensor, past: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Steps and the weight on them with an element that keeps states past the ends of rows.

        It is 1 there and 0 elsewhere. Gates saturate wholly, and leave no gradient either.
        """
        device = steps.device.type
        kind = steps.dtype
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        large = torch.finfo(kind).max / 4
        column = weight.new_tensor(self.native.held).mul_(large).repeat_interleave(self.units)
        wider = torch.cat([steps, past[..., None].to(steps.dtype)], dim=-1)
        return wider, torch.cat([weight, column[:, None]], dim=1)

    def _run(
        self,
        weights: Sequence[Tensor],
        before: tuple[Tensor, ...],
        steps: Tensor,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """After `[T, B, inputs]`, or `[N, inputs]` with the number of rows of each step."""
        if sizes is None and self.native.trained is not None and is_faster(steps):
            out, last = self.native.trained(steps, before[0], weights)
            return out, (last,)
        each = [state[None] for state in before]
        first: Any = each if len(each) > 1 else each[0]
        further = (True, 1, 0.0, self.training, False)  # biases, one layer, no dropout, one way
        if sizes is None:
            out, *after = self.native.kernel(steps, first, weights, *further, False)
        else:
            out, *after = self.native.kernel(steps, sizes, first, weights, *further)
        return out, tuple(state[0] for state in after)


def _last(out: Tensor, before: Tensor, lengths: Lengths, reverse: bool) -> Tensor:
    """The output after the last step that was read, `[B, units]`."""
    of_rows = lengths.of_rows
    rows = torch.arange(len(of_rows), device=of_rows.device)
    place = torch.zeros_like(of_rows) if reverse else (of_rows - 1).clamp(min=0)
    return torch.where((of_rows == 0)[:, None], before, out[place, rows])
