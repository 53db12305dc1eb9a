"""rnnspec beside its hand-written twins on real data: same sizes, seeds and budget.

For each set: the spec of specs/ is built, exported, and the exported file answers the validation
rows in a process that imports onnxruntime and numpy alone; its accuracy is the one reported, and
its answers must be those of the trained module. The twin is trained on the same rows.

  python benchmarks/real_data.py trec fsdd japanese_vowels --seeds 0 1 2

The data sets are not part of the project: RNNSPEC_DATA names their folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import twin_fsdd
import twin_japanese_vowels
import twin_trec
from twins.data import data_folder, read_rows
from twins.train import fit

from rnnspec.data import encode, in_order_batches
from rnnspec.export import export_onnx
from rnnspec.plan.facts import ClassFacts
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import tensors
from rnnspec.train.build import build

ROOT = Path(__file__).parent.parent
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One set: its spec, what the tool must reach, and the accuracies of tool and twin."""

    target: float
    tool: Callable[[int, Path], float]
    twin: Callable[[int], float]


def alone(model: Path, rows: Path, given: str, wanted: str) -> dict[str, Any]:
    """What the exported file answers by itself; see answer_alone.py."""
    command = [sys.executable, str(ROOT / "benchmarks" / "answer_alone.py"), str(model), str(rows)]
    ran = subprocess.run([*command, given, wanted], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    assert not found["loaded"], f"the process had loaded {found['loaded']}"
    return found


def module_answers(trained: Trained, rows: Path, cache: Path) -> list[str]:
    """The labels that the trained module answers, in the order of the rows."""
    model = Model(trained.plan).eval()
    model.load_canonical(trained.weights)
    data = encode(trained.plan, trained.facts, rows, "jsonl", cache)
    (output,) = trained.plan.outputs
    known = trained.facts.outputs[output.column]
    assert isinstance(known, ClassFacts)
    found = [""] * data.rows
    for batch in in_order_batches(data, 64):
        inputs, _ = tensors(data.collate(batch))
        with torch.inference_mode():
            best = model(inputs)[output.column].argmax(-1).tolist()
        for row, number in zip(batch.tolist(), best, strict=True):
            found[row] = known.labels[number]
    return found


def tool_accuracy(spec: str, overrides: Sequence[str], valid: Path, folder: Path) -> float:
    """Build, export, answer alone; the exported file's accuracy on the rows of `valid` (JSONL)."""
    loaded = load_spec(ROOT / "specs" / spec, overrides)
    trained = read_build(build(loaded, folder, Silent()).folder)
    given, wanted = loaded.spec.data.inputs[0].column, loaded.spec.data.outputs[0].column
    model = folder / "model.onnx"
    export_onnx(trained, model)
    found = alone(model, valid, given, wanted)
    assert found["answers"] == module_answers(trained, valid, folder), "the answers differ"
    return float(found["accuracy"])


def write_rows(rows: Rows, path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def trec(seed: int, folder: Path) -> float:
    data = data_folder().resolve() / "trec"
    overrides = [f"data.train={data}/train.jsonl", f"data.valid={data}/valid.jsonl"]
    overrides += [f"train.seed={seed}", "train.threads=1"]
    return tool_accuracy("trec.yaml", overrides, data / "valid.jsonl", folder)


def trec_twin(seed: int) -> float:
    train, valid, size = twin_trec.load()
    return fit(twin_trec.shape(size), twin_trec.BUDGET, train, valid, seed).accuracy


def fsdd(seed: int, folder: Path) -> float:
    data = data_folder().resolve() / "fsdd"
    overrides = [f"data.train={data}/train.parquet", f"data.valid={data}/valid.parquet"]
    overrides += [f"train.seed={seed}", "train.threads=1"]
    valid = write_rows(read_rows(data / "valid.parquet"), folder / "valid.jsonl")
    return tool_accuracy("spoken-digits.yaml", overrides, valid, folder)


def fsdd_twin(seed: int) -> float:
    train, valid = twin_fsdd.load("train"), twin_fsdd.load("valid")
    return fit(twin_fsdd.SHAPE, twin_fsdd.BUDGET, train, valid, seed).accuracy


def japanese_vowels(seed: int, folder: Path) -> float:
    """Mean over the twin's own folds; no fold chooses its own stopping point."""
    rows = read_rows(data_folder() / "japanese_vowels" / "train.jsonl")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    folds = [fold.tolist() for fold in order.tensor_split(twin_japanese_vowels.FOLDS)]
    found = []
    for index, fold in enumerate(folds):
        place = folder / str(index)
        place.mkdir()
        others = [row for other in folds if other is not fold for row in other]
        train = write_rows([rows[row] for row in others], place / "train.jsonl")
        valid = write_rows([rows[row] for row in fold], place / "valid.jsonl")
        overrides = [f"data.train={train}", "data.valid=null", "train.threads=1"]
        overrides.append(f"train.seed={seed * len(folds) + index}")
        found.append(tool_accuracy("japanese-vowels.yaml", overrides, valid, place))
    return statistics.mean(found)


def japanese_vowels_twin(seed: int) -> float:
    return statistics.mean(r.accuracy for r in twin_japanese_vowels.cross_validate(seed))


TASKS = {
    "trec": Task(0.85, trec, trec_twin),
    "fsdd": Task(0.98, fsdd, fsdd_twin),
    "japanese_vowels": Task(0.92, japanese_vowels, japanese_vowels_twin),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'set':<16} {'target':>7}  {'exported file':<24} {'twin':<24}")
    for name in options.sets:
        task, tool, twin = TASKS[name], [], []
        for seed in options.seeds:
            with tempfile.TemporaryDirectory() as folder:
                tool.append(task.tool(seed, Path(folder)))
            twin.append(task.twin(seed))
        shown = ["  ".join(f"{value:.1%}" for value in values) for values in (tool, twin)]
        print(f"{name:<16} {task.target:>7.0%}  {shown[0]:<24} {shown[1]:<24}", flush=True)
        means = f"{statistics.mean(tool):.2%}", f"{statistics.mean(twin):.2%}"
        print(f"{'':<16} {'mean':>7}  {means[0]:<24} {means[1]:<24}", flush=True)


if __name__ == "__main__":
    main()
