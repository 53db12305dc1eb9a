"""torch's own kernels for the cells they cover, chosen by the equations.

To add one: an entry in `NATIVE`, which says how the kernel's tensors join the parameters of the
built-in cell, and which tensors the kernel takes. Gate orders are torch's: LSTM i, f, g, o and GRU
r, z, n (`torch.nn.LSTM`, `torch.nn.GRU`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from rnnspec.cells import Cell, Match
from rnnspec.to_torch.gathered import Gathered, gathered
from rnnspec.to_torch.generic import States
from rnnspec.to_torch.gru_gradient import gru_steps, is_faster
from rnnspec.to_torch.gru_step import gru_step
from rnnspec.to_torch.packed_layout import Layout, picked, put_back
from rnnspec.to_torch.sequences import Lengths, LookedUp, reversed_by_length
from rnnspec.to_torch.weighted import Packed

Trained = Callable[[Tensor, Tensor, Sequence[Tensor], LookedUp | None], tuple[Tensor, Tensor]]
OneStep = Callable[[Gathered, Tensor, Tensor, Sequence[Tensor]], Tensor]


@dataclass(frozen=True, slots=True)
class Native:
    """`slots`: the parameters of the built-in cell in each tensor; `states` in the kernel's order,
    the output first. `weights`: the tensors that `kernel` takes.

    `held`: a large number times this is added to each gate to make a step keep all states but the
    first. `trained` replaces the kernel if `is_faster`, `one_step` where a loop gathers gradients.
    """

    slots: Mapping[str, tuple[str, ...]]
    states: tuple[str, ...]
    weights: Callable[[Packed], list[Tensor]]
    kernel: Callable[..., tuple[Tensor, ...]]
    held: tuple[float, ...] = ()
    trained: Trained | None = None
    one_step: OneStep | None = None


def _one_bias(packed: Packed) -> list[Tensor]:
    bias = packed.slot("bias")
    return [packed.slot("input"), packed.slot("recurrent"), bias, torch.zeros_like(bias)]


def _two_biases(packed: Packed) -> list[Tensor]:
    bias, candidate = packed.slot("bias"), packed.slot("candidate_bias")
    recurrent_bias = pad(candidate, (bias.shape[0] - candidate.shape[0], 0))  # r and z need none
    return [packed.slot("input"), packed.slot("recurrent"), bias, recurrent_bias]


NATIVE: dict[str, Native] = {
    "rnn": Native(
        {"input": ("W",), "recurrent": ("U",), "bias": ("b",)}, ("h",), _one_bias, torch.rnn_tanh
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
        one_step=gru_step,
    ),
}
"""Built-in cell to torch's kernel for it."""


CUT_COSTS = {"rnn": 20_000, "lstm": 20_000, "gru": 15_000}
"""By built-in cell, the number of steps of one row that take as long on a CPU as one more call of
its kernel, times the units of the layer.

Measured forward and backward, on one thread (`benchmarks/packed_steps.py --costs`). They are
constants, not measured in a run: the cuts of a batch decide the order of sums, and the same build
must give the same numbers.
"""

MOVING = {"rnn": 30.0, "lstm": 12.0, "gru": 12.0}
"""The cost of picking the steps and putting the outputs back, as a share of the cost of the padded
batch, times the units; measured in the same way."""

PACKED_BELOW = {"rnn": 0.0, "lstm": 0.0, "gru": 0.5}
"""The share of real steps below which a batch is packed on a CPU if no gradient is needed.

For a GRU with 128 units, 32 rows and 50 steps, 28 % of them real, a packed batch takes 0.61 of the
time of the padded one and a cut batch 0.72; at 91 %, 1.10 and 1 (`benchmarks/packed_steps.py`).
With a gradient nothing is packed: torch's backward pass of a packed sequence takes longer than that
of a cut one at any share, and with 200 steps up to 12 times as long as that of a padded one.
"""


class NativeKernel(nn.Module):
    """Runs a cell over `[T, B, inputs]` by torch's kernel for the built-in cell it matches.

    Steps past the ends of rows are left out if that is faster: on a CPU by the tables above, on
    other devices a batch is packed if its share of real steps is below `packed_below`. The answers
    differ by rounding only.
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
        looked_up: LookedUp | None = None,
    ) -> tuple[Tensor, States]:
        """The outputs `[T, B, units]` and the states after step T, `[B, units]` each.

        `states` are those before the first step (None: 0). With `lengths`, outputs past the end of
        a row and the states of rows that end before step T are arbitrary, but finite; the states in
        `ends` are those after each row's last step, of a row of none those before the first. With
        `reverse`, which needs lengths, each row is read from its end. `looked_up`: the same steps.
        """
        assert lengths is not None or not (reverse or ends), "without lengths rows have no ends"
        zero = steps.new_zeros((steps.shape[1], self.units))
        before = tuple(zero if states is None else states[name] for name in self.states)
        layout = None if lengths is None else self.layout(lengths, steps.device)
        hold = any(state != self.states[0] for state in ends)
        if layout is None or lengths is None:
            out, after = self._padded(steps, before, lengths, reverse, hold, looked_up)
        else:
            out, after = self._laid_out(steps, before, lengths, layout, reverse, hold, looked_up)
        if lengths is not None and self.states[0] in ends:
            after = (_last(out, before[0], lengths, reverse), *after[1:])
        return out, dict(zip(self.states, after, strict=True))

    def layout(self, lengths: Lengths, device: torch.device) -> Layout | None:
        """The layout of the steps that are read; None if all are."""
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
        looked_up: LookedUp | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        weights = self._weights()
        if lengths is not None and reverse:
            steps = reversed_by_length(steps, lengths)
            looked_up = looked_up and looked_up.at(lengths.reversal)
        if lengths is not None and hold:
            steps, weights[0] = self._held(steps, ~lengths.mask, weights[0])
        out, after = self._run(weights, before, steps, looked_up)
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
        looked_up: LookedUp | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs only the steps of `layout`."""
        weights, order = self._weights(), layout.order
        read = layout.reversed if reverse else layout
        data = picked(steps, read)
        now = tuple(state.index_select(0, order) for state in before)
        if layout.packed:
            sizes = torch.tensor([rows for many, rows in layout.parts for _ in range(many)])
            rows = layout.parts[0][1]
            first = tuple(state[:rows] for state in now)
            out, found = self._run(weights, first, data, sizes=sizes)
            pairs = zip(found, now, strict=True)
            after = tuple(torch.cat([ended, none[rows:]]) for ended, none in pairs)
        else:
            if hold:
                data, weights[0] = self._held(data, layout.past, weights[0])
            looked_up = looked_up and looked_up.at(read.places)
            out, after = self._in_parts(weights, now, data, layout, looked_up)
        after = tuple(state.index_select(0, layout.back) for state in after)
        return put_back(out, read, lengths.longest), after

    def _in_parts(
        self,
        weights: list[Tensor],
        now: tuple[Tensor, ...],
        data: Tensor,
        layout: Layout,
        looked_up: LookedUp | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The outputs `[N, units]`, and the final states of rows by falling length."""
        outputs: list[Tensor] = []
        ended: list[tuple[Tensor, ...]] = []
        counts = [many * rows for many, rows in layout.parts]
        looked = looked_up.split(counts) if looked_up else [None] * len(counts)
        each = zip(data.split(counts), looked, layout.parts, strict=True)
        for part, own, (many, rows) in each:
            ended.append(tuple(state[rows:] for state in now))
            now = tuple(state[:rows] for state in now)
            out, now = self._run(weights, now, part.view(many, rows, -1), own)
            outputs.append(out.flatten(0, 1))
        ended.append(now)
        return torch.cat(outputs), tuple(map(torch.cat, zip(*reversed(ended), strict=True)))

    def _weights(self) -> list[Tensor]:
        loop = gathered(next(self.parameters()))  # whose steps all have the same weights
        if loop is None:
            return self.native.weights(self.packed)
        return [*loop.once((self,), lambda: self.native.weights(self.packed))]

    def _held(self, steps: Tensor, past: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Steps and their weight with one more element, 1 past the ends of rows and 0 elsewhere,
        which makes a step keep the states. The gates saturate, so their gradient is 0 as well."""
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
        looked_up: LookedUp | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs the kernel over `[T, B, inputs]`, or `[N, inputs]` with the rows of each step."""
        if sizes is None and self.native.trained is not None and is_faster(steps):
            out, last = self.native.trained(steps, before[0], weights, looked_up)
            return out, (last,)
        loop = gathered(steps) if sizes is None and len(steps) == 1 else None
        if loop is not None and self.native.one_step is not None:
            state = self.native.one_step(loop, steps[0], before[0], weights)
            return state[None], (state,)
        each = [state[None] for state in before]
        first: Any = each if len(each) > 1 else each[0]
        further = (True, 1, 0.0, self.training, False)  # biases, one layer, no dropout, one way
        if sizes is None:
            out, *after = self.native.kernel(steps, first, weights, *further, False)
        else:
            out, *after = self.native.kernel(steps, sizes, first, weights, *further)
        return out, tuple(state[0] for state in after)


def _last(out: Tensor, before: Tensor, lengths: Lengths, reverse: bool) -> Tensor:
    """The output of the last step that was read, `[B, units]`."""
    steps = lengths.of_rows
    rows = torch.arange(len(steps), device=steps.device)
    place = torch.zeros_like(steps) if reverse else (steps - 1).clamp(min=0)
    return torch.where((steps == 0)[:, None], before, out[place, rows])
