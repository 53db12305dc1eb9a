"""Rows of unequal lengths through torch's kernels: padded, cut where rows end, and packed.

One layer of rnnspec over rows whose lengths spread evenly about a mean, by kernel, units and the
share of the steps that is real: the time of the padded kernel over that of the kernel run on parts
with fewer and fewer rows, `cut`, and over that of torch's kernel for packed sequences, `packed`.
Over 1 is faster than padded. `ends` asks for every state after the last step of each row.

`--cuts` measures what the choice of the cuts rests on (`rnnspec.to_torch.cuts`): how many steps of
one row take as long as one more call of the kernel, and what share of the time of a padded batch it
takes to bring its steps into the other layout and back.

Contestants take turns call by call, in CPU time on one thread; ratios are medians over turns.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from interleave import interleave, ratio
from torch import Tensor

from rnnspec.cells import builtin_cell, identify
from rnnspec.to_torch.native import NATIVE, NativeKernel
from rnnspec.to_torch.steps import Lengths

PASSES = ("forward", "training", "training with ends")
WAYS = ("padded", "cut", "packed", "chosen")


def kernel_of(cell: str, units: int, way: str) -> NativeKernel:
    """A layer as wide as its input that runs one way; `chosen` as rnnspec would on a CPU."""
    built_in = builtin_cell(cell)
    match = identify(built_in)
    assert match is not None
    torch.manual_seed(0)
    kernel = NativeKernel(built_in, match, units, units)
    for parameter in kernel.parameters():
        torch.nn.init.uniform_(parameter, -(units**-0.5), units**-0.5)
    if way in ("padded", "packed"):
        kernel.cut_cost = math.inf
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
    """Milliseconds of the padded kernel, and how many times as fast the others are."""
    longest, rows = shape
    lengths = lengths_of(share, rows, longest)
    calls = {way: call_of(kernel_of(cell, units, way), lengths, longest, which) for way in WAYS}
    seconds = interleave(calls, rounds)
    found = {"real": float(lengths.sum()) / (longest * rows)}
    found["padded ms"] = 1e3 * statistics.median(seconds["padded"])
    return found | {way: ratio(seconds["padded"], seconds[way]) for way in WAYS[1:]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    shape = (options.steps, options.rows)
    table: dict[str, dict[str, float]] = {}
    for cell in options.cells:
        for units in options.units:
            for which in options.passes:
                for share in options.shares:
                    row = measure(cell, units, share, shape, which, options.rounds)
                    table[f"{cell} {units} {which} {share}"] = row
                    ways = "   ".join(f"{way} {row[way]:.2f}" for way in WAYS[1:])
                    print(
                        f"{cell:<5} H={units:<4} {which:<19} {row['real']:4.0%} real"
                        f"   padded {row['padded ms']:7.2f} ms   {ways}",
                        flush=True,
                    )
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
