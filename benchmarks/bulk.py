"""Rows by the million through `rnnspec run`: its rate beside a bare loop of onnxruntime over the
same batches, and its memory.

The bare loop has its arrays ready-made, in batches of rows of similar length; it neither reads,
parses nor writes anything. Both run in this process, in turn, on one thread of onnxruntime and on
several: of the bare loop, the faster of threads inside an operator and of batches side by side.
`rnnspec run` reads JSON lines and writes JSON lines, CSV or Parquet. Rates and ratios are those of
the best rounds. The ratio of CPU is that of the seconds of all processors together: what is left
of the rate where no processor is idle, and the figure to trust on a machine that others use too.
Memory is the largest of a process of its own, as Linux tells it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import onnxruntime
from large_data import write_rows

from rnnspec.cli.app import app
from rnnspec.export import export_onnx
from rnnspec.run import Model
from rnnspec.run.bulk import WINDOW
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.train.build import build

SPEC = """\
name: rows
cardinality: "N:1"
data:
  train: few.jsonl
  input: {{column: text, as: words}}
  output: {{column: label, as: class}}
encoder: {{embed: {units}, layers: [{{cell: lstm, units: {units}, direction: bidirectional}}]}}
pooling: max
train: {{epochs: 1, batch: 64, threads: 1}}
"""
Feeds = list[dict[str, Any]]


def make_model(folder: Path, units: int) -> Path:
    """A classifier of 2 to 40 words by an LSTM in two directions, trained for one short epoch."""
    write_rows(folder / "few.jsonl", 2000)
    spec = folder / "rows.yaml"
    spec.write_text(SPEC.format(units=units))
    made = build(load_spec(spec), folder / "builds", Silent())
    export_onnx(read_build(made.folder), folder / "rows.onnx")
    return folder / "rows.onnx"


def ready_made(model: Path, rows: Path, batch: int) -> Feeds:
    """The batches that `rnnspec run` makes of the rows."""
    asked, found = Model.load(model, 1), []
    with rows.open(encoding="utf-8") as lines:
        while window := list(islice(lines, batch * WINDOW)):
            values = [asked.values(json.loads(line)) for line in window]
            values.sort(key=lambda each: each.steps)
            found += [asked.feeds(values[at : at + batch]) for at in range(0, len(values), batch)]
    return found


def bare(model: Path, feeds: Feeds, inside: int, beside: int) -> Callable[[], None]:
    """The loop, with threads inside an operator, or over batches side by side."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = inside, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(each: dict[str, Any]) -> None:
        session.run(None, each)

    def loop() -> None:
        if beside == 1:
            for each in feeds:
                run(each)
            return
        with ThreadPoolExecutor(beside) as pool:
            for _ in pool.map(run, feeds):
                pass

    return loop


def command(model: Path, rows: Path, output: Path, batch: int, threads: int) -> list[str]:
    options = {"--data": rows, "--output": output, "--batch": batch, "--threads": threads}
    return ["run", str(model), *(str(part) for pair in options.items() for part in pair)]


def whole(arguments: Sequence[str]) -> Callable[[], None]:
    return lambda: app(list(arguments), standalone_mode=False)


def seconds(call: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and seconds of all processors."""
    began, busy = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - began, time.process_time() - busy


def measured(
    calls: dict[str, Callable[[], None]], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The least seconds of each call over the rounds, in each of which all run in turn, and the
    least seconds of all processors."""
    took = dict.fromkeys(calls, float("inf"))
    busy = dict(took)
    for _ in range(rounds):
        for name, call in calls.items():
            passed, used = seconds(call)
            took[name], busy[name] = min(passed, took[name]), min(used, busy[name])
    return took, busy


PEAK = """\
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""A small program that starts another: until that begins, Linux counts the memory of its parent."""


def peak(arguments: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak memory in MB of the command in a process of its own."""
    began = time.perf_counter()
    small = [sys.executable, "-S", "-c", PEAK]
    asked = [*small, sys.executable, "-m", "rnnspec", *arguments]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - began, int(done.stdout.split()[-1]) / 1024


def rates(model: Path, rows: Path, count: int, batch: int, rounds: int) -> list[dict[str, Any]]:
    feeds, found = ready_made(model, rows, batch), []
    for threads in (1, 2):
        calls = {"bare": bare(model, feeds, threads, 1)}
        if threads > 1:
            calls["bare, batches side by side"] = bare(model, feeds, 1, threads)
        for ending in ("jsonl", "csv", "parquet"):
            output = rows.with_name(f"answers.{ending}")
            calls[ending] = whole(command(model, rows, output, batch, threads))
        took, busy = measured(calls, rounds)
        loops = [name for name in took if name.startswith("bare")]
        fastest, thriftiest = (min(each[name] for name in loops) for each in (took, busy))
        for name, each in took.items():
            ratio, of_cpu = fastest / each, thriftiest / busy[name]
            rate = f"{count / each:>10,.0f} rows/s"
            print(f"{threads} threads  {name:<28}{rate}  {ratio:.2f}, of CPU {of_cpu:.2f}")
            figures = {"seconds": each, "ratio": ratio, "ratio_of_cpu": of_cpu}
            found.append({"threads": threads, "what": name, **figures})
    return found


def memory(model: Path, folder: Path, sizes: Sequence[int], batch: int) -> list[dict[str, Any]]:
    found = []
    for size in sizes:
        rows = folder / f"rows{size}.jsonl"
        write_rows(rows, size)
        for ending in ("jsonl", "parquet"):
            output = folder / f"answers.{ending}"
            took, peaked = peak(command(model, rows, output, batch, 2))
            print(f"{size:>9,} rows  {ending:<8}{took:>8.1f} s{peaked:>7.0f} MB", flush=True)
            found.append({"rows": size, "to": ending, "seconds": took, "peak_mb": peaked})
        rows.unlink()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="rows whose rate is measured")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--units", type=int, nargs="*", default=[100])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for units in asked.units:
            folder = Path(name) / str(units)
            folder.mkdir()
            model, rows = make_model(folder, units), folder / "rows.jsonl"
            write_rows(rows, asked.rows)
            print(f"LSTM of {units} units in two directions, batches of {asked.batch} rows")
            figures = {"rates": rates(model, rows, asked.rows, asked.batch, asked.rounds)}
            figures["memory"] = memory(model, folder, asked.sizes, asked.batch)
            found[str(units)] = figures
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
