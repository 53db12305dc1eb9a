"""Data that outgrow memory: seconds and peak memory of each phase of a build.

With --rows, classifiers over generated JSONL rows, one epoch each: time grows with the rows, memory
does not. With --gigabytes, a model of the next character of one generated text of that size,
trained for --seconds and then interrupted. Data are made in a temporary folder, and each build runs
in a process of its own. Peak memory is that of the process, pages of files that are resident
included; its own is what it holds beside them when the phase ends. Linux tells both.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.train.build import build

WORDS = 5000
ROWS = """\
name: rows
cardinality: "N:1"
data:
  train: {file}
  input: {{column: text, as: words}}
  output: {{column: label, as: class}}
encoder: {{embed: 8, layers: [{{cell: gru, units: 8}}]}}
train: {{epochs: 1, batch: {batch}, threads: 1}}
"""
TEXT = """\
name: text
cardinality: "N:N"
data:
  train: {file}
  input: {{column: text, as: chars}}
  output: {{column: text, as: next}}
encoder: {{embed: 16, layers: [{{cell: lstm, units: 128}}]}}
train: {{epochs: 1, batch: 64, window: 64, threads: 1}}
"""

Phase = dict[str, Any]
"""Name, seconds, seconds of CPU, peak memory and the process's own, in MB."""


def vocabulary(draw: np.random.Generator) -> list[str]:
    """Words of 2 to 10 letters, the first of which are drawn most often (`drawn`)."""
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    return ["".join(draw.choice(letters, draw.integers(2, 11))) for _ in range(WORDS)]


def drawn(words: list[str], count: int, draw: np.random.Generator) -> list[str]:
    places = (WORDS ** draw.random(count)).astype(np.int64) - 1
    return [words[place] for place in places.tolist()]


def write_rows(file: Path, rows: int) -> None:
    """Rows of 2 to 40 words; the label is that of the first word."""
    draw = np.random.default_rng(0)
    words = vocabulary(draw)
    with file.open("w", encoding="utf-8") as stream:
        for first in range(0, rows, 10_000):
            lengths = draw.integers(2, 41, min(10_000, rows - first))
            found = iter(drawn(words, int(lengths.sum()), draw))
            for length in lengths.tolist():
                row = [next(found) for _ in range(length)]
                label = "even" if len(row[0]) % 2 == 0 else "odd"
                stream.write(json.dumps({"text": " ".join(row), "label": label}) + "\n")


def write_text(file: Path, gigabytes: float) -> None:
    draw = np.random.default_rng(0)
    words, left = vocabulary(draw), int(gigabytes * 1e9)
    with file.open("w", encoding="utf-8") as stream:
        while left > 0:
            left -= stream.write(" ".join(drawn(words, 1 << 17, draw)) + "\n")


class Phases(Silent):
    """Prints each phase of a build when it ends, as a line of JSON."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._name, self._began = "starting", (time.perf_counter(), time.process_time())

    def stage(self, text: str) -> None:
        self.enter(text)
        if text == "training" and self.seconds:
            stop = threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGINT))
            stop.daemon = True
            stop.start()

    def reading(self, done: float, text: str) -> None:
        self.enter("survey" if text.startswith("looking") else "encoding")

    def begun(self, folder: Path) -> None:
        self.enter("building the model")

    def enter(self, name: str) -> None:
        """Ends the phase that is going on, if it is another."""
        if name == self._name:
            return
        wall, cpu = self._began
        found = {"phase": self._name, "seconds": time.perf_counter() - wall}
        found["cpu_seconds"] = time.process_time() - cpu
        print(json.dumps(found | memory()), flush=True)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
        self._name, self._began = name, (time.perf_counter(), time.process_time())


def memory() -> dict[str, float]:
    """Peak memory since the phase began, and the process's own now, in MB."""
    lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
    kibibytes = {line[0]: int(line[1]) for line in lines if line[-1] == "kB"}
    names = {"peak": "VmHWM:", "own": "RssAnon:"}
    return {name: kibibytes[key] * 1024 / 1e6 for name, key in names.items()}


def phases(spec: Path, seconds: float) -> Iterator[Phase]:
    """Those of a build in another process."""
    command = [sys.executable, __file__, "--build", str(spec), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield from map(json.loads, running.stdout)
    if running.returncode:
        raise SystemExit(f"the build failed with {running.returncode}")


def measured(name: str, spec: str, file: Path, seconds: float) -> list[Phase]:
    path = file.with_name("spec.yaml")
    path.write_text(spec, encoding="utf-8")
    print(f"{name}, {file.stat().st_size / 1e9:.2f} GB")
    found = []
    for phase in phases(path, seconds):
        found.append(phase)
        print(
            f"  {phase['phase']:<20} {phase['seconds']:8.1f} s, CPU {phase['cpu_seconds']:8.1f} s"
            f"   peak {phase['peak']:5.0f} MB, own {phase['own']:5.0f} MB"
        )
    cached = sum(each.stat().st_size for each in file.parent.glob("builds/.cache/*/*"))
    print(f"  encoded: {cached / 1e9:.2f} GB")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--batch", default="512", help="of the rows: 512, or {tokens: 8000}")
    parser.add_argument("--gigabytes", type=float, default=0, help="of the text (default none)")
    parser.add_argument("--seconds", type=float, default=60, help="of training on the text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        listener = Phases(options.seconds)
        build(load_spec(options.build), options.build.parent / "builds", listener)
        listener.enter("end")
        return
    results = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="rnnspec-") as folder:
            file = Path(folder) / "rows.jsonl"
            write_rows(file, rows)
            spec = ROWS.format(file=file, batch=options.batch)
            results[f"{rows:,} rows"] = measured(f"{rows:,} rows", spec, file, 0)
    if options.gigabytes:
        with tempfile.TemporaryDirectory(prefix="rnnspec-") as folder:
            file = Path(folder) / "text.txt"
            write_text(file, options.gigabytes)
            results["text"] = measured("text", TEXT.format(file=file), file, options.seconds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
