"""rnnspec beside its hand-written twins on tasks that answer sequences: same sizes, seed, budget.

For each task the spec of specs/ is built and exported, and the exported file answers the validation
rows in a process that has onnxruntime and NumPy alone. Its figures are told, beside the twin's.

  python benchmarks/real_sequences.py word-classes chorales --seeds 0 1 --twins

The data sets are not part of the project: RNNSPEC_DATA names their folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sequence_figures import (
    characters,
    chords,
    commands,
    forecast,
    letters,
    pronunciation,
    sentences,
    surnames,
    tags,
)
from twins.data import data_folder

from rnnspec.export import export_onnx
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.train.build import build

ROOT = Path(__file__).parent.parent
Feeds = list[dict[str, NDArray[Any]]]
Figures = dict[str, float]


@dataclass(frozen=True)
class Task:
    """`spec` of specs/ or of benchmarks/specs/ with `overrides`; `measure` gives the feeds and
    then, of what the file answers, the figures; `twin` is a module and, where it has several, its
    variant."""

    target: str
    spec: str
    measure: Callable[[Path], tuple[Feeds, Callable[[Feeds], Figures]]]
    twin: str
    variant: str = ""
    overrides: tuple[str, ...] = ()


STATE = ("decoder.attention=none", "encoder.layers.0.dropout=0.0")
"""Without attention nothing reads the encoder's steps, nor their dropout."""
GREEK = ("data.train=data/g2p/gre_train.tsv", "data.valid=data/g2p/gre_dev.tsv")
FRENCH = (
    "data.train=data/g2p/fre_train.tsv",
    "data.valid=data/g2p/fre_dev.tsv",
    "encoder.embed=96",
    "encoder.layers.0.units=192",
    "decoder.embed=96",
    "decoder.layers.0.units=384",
    "train.epochs=22",
    "train.optimizer.adam.lr=2e-3",
)
TASKS: dict[str, Task] = {
    "word-classes": Task("accuracy >= 90 %", "word-classes", tags, "twin_ud_en_ewt"),
    "chorales": Task("nats a step <= 8.9", "chorales", chords, "twin_jsb"),
    "shakespeare": Task(
        "nats a character <= 1.65", "shakespeare", characters, "twin_tinyshakespeare"
    ),
    "restaurants": Task(
        "BLEU >= 0.72, slot error < 3 %", "restaurants", sentences, "twin_sfx_restaurant"
    ),
    "names": Task("accuracy >= 78 %", "names", surnames, "twin_names"),
    "spoken-letters": Task("exact >= 95 %", "spoken-letters", letters, "twin_fsdd_letters"),
    "oil-temperature": Task(
        "MSE below both naive ones", "oil-temperature", forecast, "twin_etth1",
        overrides=("data.train=etth1_train.csv", "data.valid=etth1_test.csv",
                   "data.output.distribution=point"),
    ),
    "commands": Task("exact >= 99.5 %", "commands", commands, "twin_scan", "attention"),
    "commands-state": Task("to be beaten", "commands", commands, "twin_scan", "state", STATE),
    "greek": Task(
        "wrong words <= 20 %", "pronunciation", pronunciation("gre"), "twin_g2p", "gre", GREEK
    ),
    "greek-state": Task(
        "to be beaten", "pronunciation", pronunciation("gre"), "twin_g2p", "gre-state",
        (*GREEK, *STATE, "encoder.layers.0.repeat=1", "train.label_smoothing=0.0"),
    ),
    "french": Task(
        "wrong words <= 9 %", "pronunciation", pronunciation("fre"), "twin_g2p", "fre", FRENCH
    ),
    "hungarian": Task(
        "wrong words <= 7 %", "pronunciation", pronunciation("hun"), "twin_g2p", "hun"
    ),
}  # fmt: skip


def alone(model: Path, feeds: Feeds, folder: Path) -> Feeds:
    """What the exported file answers by itself; see answer_whole.py."""
    asked, told = folder / "feeds.npz", folder / "answers.npz"
    arrays: dict[str, Any] = {
        f"{i}/{name}": value for i, batch in enumerate(feeds) for name, value in batch.items()
    }
    np.savez(asked, **arrays)
    command = [sys.executable, str(ROOT / "benchmarks" / "answer_whole.py"), str(model)]
    ran = subprocess.run([*command, str(asked), str(told)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [], f"the process had loaded {ran.stdout}"
    found: Feeds = [{} for _ in feeds]
    with np.load(told) as answers:
        for key in answers.files:
            number, _, name = key.partition("/")
            found[int(number)][name] = answers[key]
    return found


class Clock(Silent):
    """CPU seconds of the training of each epoch, without what is measured after it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.begun_at = self.last = 0.0

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        self.begun_at = time.process_time()

    def batch(self, loss: float) -> None:
        self.last = time.process_time()

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        self.seconds.append(self.last - self.begun_at)


def copied(task: Task, folder: Path) -> Path:
    """The spec of a task in a folder, beside the data sets."""
    (folder / "data").symlink_to(data_folder().resolve())
    name = f"{task.spec}.yaml"
    (found,) = filter(Path.exists, (ROOT / "specs" / name, ROOT / "benchmarks" / "specs" / name))
    spec = folder / name
    spec.write_text(found.read_text(encoding="utf-8"), encoding="utf-8")
    return spec


def tool(task: Task, seed: int, folder: Path) -> Figures:
    """Build, export, answer alone: the figures of the exported file."""
    feeds, figures = task.measure(folder)
    spec = copied(task, folder)
    loaded = load_spec(spec, (*task.overrides, f"train.seed={seed}", "train.threads=1"))
    started, clock = time.process_time(), Clock()
    trained = read_build(build(loaded, folder / "builds", clock).folder)
    seconds = time.process_time() - started
    export_onnx(trained, folder / "model.onnx")
    found = figures(alone(folder / "model.onnx", feeds, folder))
    epoch = statistics.median(clock.seconds)
    return {**found, "epoch s": round(epoch, 2), "CPU s": round(seconds)}


def twin(task: Task, seed: int) -> Figures:
    module = import_module(task.twin)
    run = module.VARIANTS[task.variant].run if task.variant else module.run
    found: Figures = run(seed)
    return found


def shown(figures: Figures) -> str:
    return "  ".join(f"{name} {value:.5g}" for name, value in figures.items())


def main(description: str | None, tasks: Mapping[str, Task]) -> None:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", default=list(tasks), help=f"of {', '.join(tasks)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--twins", action="store_true", help="run the twins too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.tasks:
        task = tasks[name]
        print(f"{name}: {task.target}", flush=True)
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                found = tool(task, seed, Path(folder))
            print(f"  seed {seed}  exported file  {shown(found)}", flush=True)
            if options.twins:
                print(f"  seed {seed}  twin           {shown(twin(task, seed))}", flush=True)


if __name__ == "__main__":
    main(__doc__, TASKS)
