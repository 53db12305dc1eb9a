"""Rows of unequal lengths through torch's kernels: padded, cut where rows end, and packed.

One layer of rnnspec over rows whose lengths spread evenly about a mean, by kernel, units and the
share of the steps that is real: the time of the padded batch over that of the ways in which steps
past the ends of rows are left out. `cut` runs the kernel on `parts` with fewer and fewer rows, one
part where that gains nothing; `packed` runs torch's kernel for packed sequences. Over 1 is faster
than padded. `ends` asks for every state after the last step of each row.

`--costs` measures what the choice of the cuts rests on (`CUT_COSTS` and `MOVING` in
`rnnspec.to_torch.native`): how many steps of one row take as long as one more call of the kernel,
and what it costs to bring all steps into the other layout and back, as a share of the time of the
padded batch.

Contestants take turns call by call, in CPU time on one thread; ratios are medians over turns.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import torch
from interleave import interleave, ratio
from torch import Tensor

from rnnspec.cells import builtin_cell, identify
from rnnspec.to_torch.native import NATIVE, NativeKernel
from rnnspec.to_torch.packed_layout import Layout
from rnnspec.to_torch.sequences import Lengths

PASSES = ("forward", "training", "training with ends")
WAYS = ("padded", "cut", "packed")


def kernel_of(cell: str, units: int, way: str) -> NativeKernel:
    """A layer as wide as its input that runs one way."""
    built_in = builtin_cell(cell)
    match = identify(built_in)
    assert match is not None
    torch.manual_seed(0)
    kernel = NativeKernel(built_in, match, units, units)
    for parameter in kernel.parameters():
        torch.nn.init.uniform_(parameter, -(units**-0.5), units**-0.5)
    if way == "padded":
        kernel.cut_cost = math.inf
    kernel.answered_below = 0.0
    kernel.packed_below = math.inf if way == "packed" else 0.0
    return kernel


def lengths_of(share: float, rows: int, longest: int) -> Tensor:
    """Spread evenly about `share * longest`, as wide as they can be, one of them `longest`."""
    least = max(1.0, (2 * share - 1) * longest)
    lengths = torch.linspace(least, 2 * share * longest - least, rows).round().long()
    lengths[0] = longest
    return lengths[torch.randperm(rows, generator=torch.Generator().manual_seed(0))]


def call_of(kernel: NativeKernel, lengths: Tensor, longest: int, which: str) -> Callable[[], None]:
    """One pass over a batch; its lengths are looked at anew each time."""
    rows, units = len(lengths), kernel.units
    steps = torch.randn(longest, rows, units, requires_grad=which != "forward")
    gradient = torch.randn(longest, rows, units)
    ends = kernel.states if which == "training with ends" else ()

    def forward() -> None:
        with torch.no_grad():
            kernel(steps, None, Lengths(lengths, longest))

    def training() -> None:
        kernel.zero_grad()
        steps.grad = None
        out, after = kernel(steps, None, Lengths(lengths, longest), False, ends)
        torch.autograd.backward([out, *(after[s] for s in ends)], [gradient, *map(ones, ends)])

    ones = dict.fromkeys(kernel.states, torch.ones(rows, units)).__getitem__
    return forward if which == "forward" else training


def measure(
    cell: str, units: int, share: float, shape: tuple[int, int], which: str, rounds: int
) -> dict[str, float]:
    """Milliseconds of the padded batch, and how many times as fast the other ways are."""
    longest, rows = shape
    lengths = lengths_of(share, rows, longest)
    calls = {way: call_of(kernel_of(cell, units, way), lengths, longest, which) for way in WAYS}
    seconds = interleave(calls, rounds)
    found = {"real": float(lengths.sum()) / (longest * rows)}
    layout = kernel_of(cell, units, "cut").layout(Lengths(lengths, longest), lengths.device)
    found["parts"] = 1 if layout is None else len(layout.parts)
    found["padded ms"] = 1e3 * statistics.median(seconds["padded"])
    return found | {way: ratio(seconds["padded"], seconds[way]) for way in WAYS[1:]}


def costs(cell: str, units: int, shape: tuple[int, int], rounds: int) -> dict[str, float]:
    """Of rows of equal lengths, which nothing can be gained with: `row_step` in microseconds, `cut`
    in such steps, `moving` as a share of the padded batch."""
    longest, rows = shape
    batches = {"padded": (rows, 0), "half": (rows // 2, 0), "moved": (rows, 1), "cut": (rows, 5)}
    calls = {}
    for name, (many, parts) in batches.items():
        kernel = kernel_of(cell, units, "padded")
        if parts:
            kernel.layout = partial(in_parts, parts)  # type: ignore[method-assign]
        calls[name] = call_of(kernel, torch.full((many,), longest), longest, "training")
    seconds = interleave(calls, rounds)

    def difference(one: str, other: str) -> float:
        pairs = zip(seconds[one], seconds[other], strict=True)
        return statistics.median(first - second for first, second in pairs)

    row_step = difference("padded", "half") / (longest * (rows - rows // 2))
    return {
        "row_step": 1e6 * row_step,
        "cut": difference("cut", "moved") / 4 / row_step,
        "moving": difference("moved", "padded") / statistics.median(seconds["padded"]),
    }


def in_parts(parts: int, lengths: Lengths, device: torch.device) -> Layout:
    """Everything is read, in parts of as many steps."""
    rows, each = len(lengths.of_rows), lengths.longest // parts
    sizes = ((each, rows),) * (parts - 1) + ((lengths.longest - each * (parts - 1), rows),)
    places = torch.arange(lengths.longest * rows)
    return Layout(torch.arange(rows), places, sizes, lengths.of_rows, lengths.longest)


def compared(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}
    choices = product(options.cells, options.units, options.passes, options.shares)
    for cell, units, which, share in choices:
        shape = (options.steps, options.rows)
        row = measure(cell, units, share, shape, which, options.rounds)
        table[f"{cell} {units} {which} {share}"] = row
        print(
            f"{cell:<5} H={units:<4} {which:<19} {row['real']:4.0%} real   padded"
            f" {row['padded ms']:7.2f} ms   cut {row['cut']:.2f} ({row['parts']:2.0f} parts)"
            f"   packed {row['packed']:.2f}",
            flush=True,
        )
    return table


def costs_of_all(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, float]] = {}
    for cell, units in product(options.cells, options.units):
        row = costs(cell, units, (options.steps, options.rows), options.rounds)
        table[f"{cell} {units}"] = row
        print(
            f"{cell:<5} H={units:<4} a step of a row {row['row_step']:6.2f} us   a cut"
            f" {row['cut']:5.0f} such steps, {row['cut'] * units:7.0f} by units   moving"
            f" {row['moving']:5.1%}",
            flush=True,
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--costs", action="store_true", help="what the choice rests on")
    parser.add_argument("--rounds", type=int, default=9, help="of each comparison (default 9)")
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--cells", nargs="+", default=sorted(NATIVE), choices=sorted(NATIVE))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
    parser.add_argument("--passes", nargs="+", default=PASSES, choices=PASSES)
    parser.add_argument("--steps", type=int, default=50, help="of the longest row (default 50)")
    parser.add_argument("--rows", type=int, default=32, help="of a batch (default 32)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as in training
    table = costs_of_all(options) if options.costs else compared(options)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
