"""Where a training step of the encoder-decoder of joeynmt.py goes, by torch's operators.

Prints the CPU time of a step, the share of the peak of a product of matrices that it reaches, what
its multiply-adds take at that peak, what the element-wise kernels of GRUs and additive attention
take when nothing else is done, and the share of the time of each kind of operator, by torch's
profiler. One thread, 20 batches of 64.

  python benchmarks/seq2seq_step.py
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from joeynmt import Settings, tool_spec, words, write_pairs
from torch.profiler import ProfilerActivity, profile

from rnnspec.bench.clock import peak
from rnnspec.bench.training import extents_of
from rnnspec.bench.work import multiply_adds
from rnnspec.objective.settings import loss_settings_of
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import CACHE, read_build
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, PrecisionName
from rnnspec.train.build import build, datasets
from rnnspec.train.feed import feed_of
from rnnspec.train.step import TrainStep

PRODUCTS = ("mm", "addmm", "addmm_", "bmm", "addmv", "addmv_", "mv")
ROUNDS = 4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input-feeding", action="store_true")
    parser.add_argument("--cell", choices=("gru", "lstm"), default="gru")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(1, 3e-3, 0, options.input_feeding)
        found = measured(Path(folder), settings, options.cell, options.precision)
    for name, value in found.items():
        print(f"{name:<24}{value:>10.3f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(
    folder: Path, settings: Settings, cell: str, precision: PrecisionName
) -> dict[str, float]:
    """Milliseconds of a step, its share of the peak, and shares of its time by operator."""
    written = tool_spec(settings)
    for part in ("encoder", "decoder"):
        written[part]["layers"][0]["cell"] = cell
    write_pairs(folder, "train", words(1280, 0))
    spec = folder / "reversal.yaml"
    spec.write_text(json.dumps(written), encoding="utf-8")
    loaded = load_spec(spec)
    trained = read_build(build(loaded, folder / "builds", Silent(), train=False).folder)
    data, _ = datasets(loaded, trained.plan, trained.facts, folder / "builds" / CACHE)
    model, train = Model(trained.plan), trained.spec.train
    model.start(trained.facts, 0)
    losses = loss_settings_of(trained.spec, trained.facts)
    made = TrainStep(model, train, Precision(name=precision), loss_settings=losses)
    batches = list(islice(feed_of(data, train).micro_batches(0, 0), 20))

    def steps() -> float:
        began = time.process_time()
        for number, batch in enumerate(batches):
            made.step([batch], number=number)
        return (time.process_time() - began) / len(batches)

    steps()
    best, most = min((steps(), -peak(1, 0.1)) for _ in range(ROUNDS))
    extents = [extents_of(trained.plan, batch) for batch in batches]
    counts = [multiply_adds(trained.plan, each) for each in extents]
    work = 3 * sum(sum(each.values()) for each in counts) / len(batches)
    bare = [kernels(each.rows, each.steps, each.answered, settings.width) for each in extents]
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        steps()
    return {
        "ms a step": 1e3 * best,
        "share of the peak": work / best / -most,
        "products at it, ms": 1e3 * work / -most,
        "kernels alone, ms": 1e3 * sum(bare) / len(bare),
    } | shares(seen)


def kernels(rows: int, read: int, written: int, units: int) -> float:
    """Seconds of the element-wise kernels of a step with three GRUs, two of them over the steps
    `read`, and additive attention: each alone, on the same numbers again and again."""
    one, three = torch.rand(rows, units), torch.rand(rows, 3, units)
    two, of_three = torch.rand(rows, 2 * units), torch.empty(rows, 3, units)
    into, into_two = torch.empty_like(one), torch.empty_like(two)
    step = (
        lambda: torch.sigmoid(two, out=into_two),
        lambda: torch.addcmul(one, one, one, out=into),
        lambda: torch.sigmoid(one, out=into),
        lambda: torch.add(one, one, alpha=2, out=into),
        lambda: torch.lerp(one, one, one, out=into),
        lambda: torch.addcmul(one, one, one, out=into),  # from here on the backward pass
        lambda: torch.mul(one[:, None], three, out=of_three),
    )
    hidden, query = torch.rand(4, written, read, units), torch.rand(4, written, 1, units)
    keys, out, v = torch.rand(4, 1, read, units), torch.empty_like(hidden), torch.rand(units)
    again = (
        lambda: torch.addcmul(v[0], query, keys, out=out),
        lambda: torch.reciprocal(hidden, out=out),
        lambda: torch.mv(hidden.view(-1, units), v),
    )
    back = (
        lambda: torch.addcmul(hidden, hidden, hidden, out=out),
        lambda: torch.mul(hidden, query, out=out),
        lambda: torch.sum(hidden, 1),
        lambda: torch.sum(hidden, 2),
    )
    # After the loop, eight products and derivatives of all steps, as long as this one.
    every = torch.rand(read, rows, units)
    after = lambda: torch.mul(every, every, out=every)  # noqa: E731
    loops = sum(map(least, step)) * (2 * read + written) + 24 * least(after)
    return loops + (2 * sum(map(least, again)) + sum(map(least, back))) * rows / 4


def least(call: Callable[[], object]) -> float:
    """Seconds of a call, the least of some."""
    found = []
    for _ in range(12):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def shares(seen: profile) -> dict[str, float]:
    """Shares of the time by operator, largest first, and of all products together."""
    own = {e.key.removeprefix("aten::"): float(e.self_cpu_time_total) for e in seen.key_averages()}
    total = sum(own.values())
    found = {"products": sum(own.get(name, 0.0) for name in PRODUCTS) / total}
    others = sorted((n for n in own if n not in PRODUCTS), key=lambda name: -own[name])
    return found | {name: own[name] / total for name in others[:12]}


if __name__ == "__main__":
    main()
