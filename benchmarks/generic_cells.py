"""Training a cell from its equations against torch's own kernels.

One layer, forward and backward, gradients of all weights and of the input.

1. LSTM, GRU (reset after) and RNN as torch's kernel and as the generic lowering of the same
   equations: the time of the generic one over the kernel's. At most 1.5 at 256 units and 3 at 64.
   Beside them the GRU's steps with a gradient of their own, which training takes (`gru_gradient`).
2. minGRU, given as a user would write it, at T=1,000 against torch's GRU of the same width: the
   tokens a second of minGRU over the GRU's. At least 2.5 at a batch of 32, and 5 at one of 1.

Ratios are medians over rounds in which the two take turns, in CPU time on one thread. `first`
is what the first call costs beside a later one: nothing is compiled by a compiler.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from interleave import interleave, ratio

from rnnspec.cells import Cell, CellSource, builtin_cell, compile_cell, identify
from rnnspec.to_torch.generic import GenericKernel
from rnnspec.to_torch.native import NativeKernel

MINGRU = CellSource(
    name="mine",
    states=("h",),
    equations="""
z = sigmoid(W_z @ x + b_z)
h = (1 - z) * h + z * (W_h @ x + b_h)
""",
)
"""Feng et al. 2024, Were RNNs All We Needed?, section 3.1."""


def training_step(
    make: Callable[[], NativeKernel | GenericKernel], units: int, batch: int, length: int
) -> Callable[[], None]:
    """A call that goes forward and back once."""
    torch.manual_seed(0)
    kernel = make()
    for parameter in kernel.parameters():
        torch.nn.init.uniform_(parameter, -(units**-0.5), units**-0.5)
    steps = torch.randn(length, batch, units, requires_grad=True)
    gradient = torch.randn(length, batch, units)

    def call() -> None:
        kernel.zero_grad()
        steps.grad = None
        out, _ = kernel(steps)
        out.backward(gradient)

    return call


def native(cell: Cell, units: int, *, trained: bool = False) -> Callable[[], NativeKernel]:
    """torch's kernel, or with `trained` what takes its place in training."""
    match = identify(cell)
    assert match is not None

    def make() -> NativeKernel:
        kernel = NativeKernel(cell, match, units, units)
        if not trained:
            kernel.native = replace(kernel.native, trained=None)
        return kernel

    return make


def generic(cell: Cell, units: int) -> Callable[[], GenericKernel]:
    return lambda: GenericKernel(cell, cell.sizes(units, units))


def same_equations(rounds: int) -> dict[str, dict[str, float]]:
    print("generic lowering against torch's kernel, T=50, batch 32")
    table: dict[str, dict[str, float]] = {}
    for units in (256, 64):
        for name in ("lstm", "gru", "rnn"):
            cell = builtin_cell(name)
            calls = {
                "native": training_step(native(cell, units), units, 32, 50),
                "generic": training_step(generic(cell, units), units, 32, 50),
            }
            if name == "gru":
                calls["own gradient"] = training_step(
                    native(cell, units, trained=True), units, 32, 50
                )
            started = time.process_time()
            calls["generic"]()
            first = time.process_time() - started
            seconds = interleave(calls, rounds * (1 if units > 100 else 4))
            row = {who: 1e3 * statistics.median(each) for who, each in seconds.items()}
            row["ratio"] = ratio(seconds["generic"], seconds["native"])
            row["first"] = 1e3 * first
            table[f"{name} {units}"] = row
            times = f"native {row['native']:7.1f} ms   generic {row['generic']:7.1f} ms"
            last = f"ratio {row['ratio']:.2f}   (first {row['first']:.0f} ms)"
            print(f"  {name:<5} H={units:<4} {times}   {last}")
            if name == "gru":
                row["own_ratio"] = ratio(seconds["own gradient"], seconds["native"])
                print(f"    of its own gradient: ratio {row['own_ratio']:.2f}")
    return table


def scans(rounds: int) -> dict[str, dict[str, float]]:
    print("minGRU from its equations against torch's GRU, H=256, T=1000")
    units, length = 256, 1000
    table: dict[str, dict[str, float]] = {}
    for batch in (32, 1):
        gru, mingru = builtin_cell("gru"), compile_cell(MINGRU)
        calls = {
            "gru": training_step(native(gru, units), units, batch, length),
            "mingru": training_step(generic(mingru, units), units, batch, length),
        }
        seconds = interleave(calls, rounds if batch == 1 else max(3, rounds // 4))
        row = {who: batch * length / statistics.median(each) for who, each in seconds.items()}
        row["ratio"] = ratio(seconds["gru"], seconds["mingru"])
        table[f"batch {batch}"] = row
        print(
            f"  batch {batch:<3} GRU {row['gru']:9.0f} tokens/s   minGRU {row['mingru']:9.0f}"
            f" tokens/s   ratio {row['ratio']:.2f}"
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=16, help="of each comparison (default 16)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = {"same equations": same_equations(options.rounds), "scans": scans(options.rounds)}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
