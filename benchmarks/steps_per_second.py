"""Training steps per second: the padded-and-gathered twin, the packed twin, and others.

All contestants take the same steps on the same batches in one process on one thread, in turns,
in CPU time. A step is forward, loss, backward, gradient clipping and Adam. The relative speed is
the padded twin's time divided by the contestant's (median over passes): over 1 is faster.

Workloads: TREC questions (2 to 37 words), and synthetic rows of 5 to 200 steps, once in
length-bucketed batches as in training and once in random order (much padding).
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import torch
import twin_trec
from interleave import interleave, ratio
from tool import tool_step
from twins.data import Batch, Examples
from twins.model import Shape, Twin
from twins.train import Budget, step

Contestants = dict[str, Callable[[], Callable[[], None]]]
"""By name: a factory that builds a model once and returns its ``step()``. Each step takes the
next of the workload's batches, round and round."""

BUDGET = Budget(epochs=0, lr=1e-3)


@dataclass(frozen=True)
class Workload:
    shape: Shape
    batches: list[Batch]

    @property
    def filled(self) -> float:
        """The part of all batch positions that is not padding."""
        positions = sum(batch.x.shape[0] * batch.x.shape[1] for batch in self.batches)
        return sum(int(batch.lengths.sum()) for batch in self.batches) / positions


def contestants(workload: Workload) -> Contestants:
    """Who takes part: one line each. The first is the one the others are compared with."""
    return {
        "padded": lambda: twin_step(workload, packed=False),
        "packed": lambda: twin_step(workload, packed=True),
        "rnnspec": lambda: tool_step(workload.shape, workload.batches, BUDGET),
    }


def twin_step(workload: Workload, *, packed: bool) -> Callable[[], None]:
    torch.manual_seed(0)
    model = Twin(workload.shape, packed=packed)
    optimizer = torch.optim.Adam(model.parameters(), lr=BUDGET.lr)
    batches = cycle(workload.batches)

    def one_step() -> None:
        step(model, optimizer, next(batches), BUDGET.clip_norm)

    return one_step


def trec() -> Workload:
    train, _, vocabulary = twin_trec.load()
    return Workload(twin_trec.shape(vocabulary), train.shuffled(32, seeded())[:20])


def synthetic(units: int, *, bucketed: bool) -> Workload:
    """256 rows of 5 to 200 ids below 1,000, in batches of 32."""
    draw = seeded()
    lengths = torch.randint(5, 201, (256,), generator=draw).tolist()
    rows = [torch.randint(2, 1000, (length,), generator=draw) for length in lengths]
    examples = Examples(rows, torch.randint(0, 6, (256,), generator=draw))
    batches = examples.shuffled(32, draw) if bucketed else examples.in_order(32)
    return Workload(Shape(outputs=6, vocabulary=1000, embed=64, units=units), batches)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def assert_alike(workload: Workload) -> None:
    """The two twins are one model: with equal weights their answers agree within 1e-5."""
    padded, packed = Twin(workload.shape).eval(), Twin(workload.shape, packed=True).eval()
    packed.copy(padded)
    batch = max(workload.batches, key=lambda batch: int(batch.lengths.max() - batch.lengths.min()))
    with torch.no_grad():
        torch.testing.assert_close(
            packed(batch.x, batch.lengths), padded(batch.x, batch.lengths), atol=1e-5, rtol=0
        )


def measure(name: str, workload: Workload, passes: int) -> dict[str, dict[str, float]]:
    """Contestants take turns step by step; times are summed over each pass of all batches."""
    assert_alike(workload)
    steps = len(workload.batches)
    calls = {who: make() for who, make in contestants(workload).items()}
    taken = interleave(calls, passes * steps)
    seconds = {
        who: [sum(times[start : start + steps]) for start in range(0, len(times), steps)]
        for who, times in taken.items()
    }
    first = next(iter(calls))
    table = {
        who: {
            "steps_per_second": steps / statistics.median(sums),
            "relative_speed": ratio(seconds[first], sums),
        }
        for who, sums in seconds.items()
    }
    print(f"{name}: {steps} batches, {workload.filled:.0%} of the positions filled")
    for who, row in table.items():
        speeds = f"{row['steps_per_second']:8.2f} steps/s   {row['relative_speed']:.3f} of {first}"
        print(f"  {who:<10} {speeds}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passes", type=int, default=5, help="over each workload (default 5)")
    parser.add_argument("--units", type=int, default=100, help="of the synthetic model's layer")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    workloads = {
        "trec": trec(),
        "synthetic, bucketed": synthetic(options.units, bucketed=True),
        "synthetic, random order": synthetic(options.units, bucketed=False),
    }
    results = {name: measure(name, load, options.passes) for name, load in workloads.items()}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
