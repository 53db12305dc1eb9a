"""Training beside Ludwig 0.17.10 and hand-written loops: epochs of one text classifier, in turns.

Words embedded in 64 numbers, an LSTM of 128 units, its output after the last word, six classes;
batches of 32 rows, Adam, norms clipped at 1, float32, one thread. Two sets of drawn rows: of 5 to
200 words, and of 5 to 20. A rate is real words (no padding) a CPU-second, the median over passes;
the quotient is the other's CPU time by rnnspec's, in the same pass.

  rnnspec                 `build` from the first row read to the last step: its batches, padding,
                          steps and mean loss as in any build, no validation
  rnnspec, whole epochs   and after them the statistics of gradients, the weights and the checkpoint
  padded, packed          the two loops of twins/, over batches of rows of about one length as
                          rnnspec makes them, or of rows in random order. Like rnnspec they take
                          subnormal numbers for 0, or, as torch does by itself, keep them: what is
                          left of a gradient that fades over long rows makes steps slow
  Ludwig                  `LudwigModel.train` without evaluation, checkpoints, logs and progress
                          bar: from the begin of an epoch to the end of its last step. Every row
                          is padded to the longest of all

Ludwig asks for Python 3.12, and works on 3.11. It gets an environment of its own (`--venv`), made
once with the torch that this Python has: where that is a build without CUDA, pip must find the same
one. What it imports for sound and images alone is left out.

  python benchmarks/ludwig.py --json results.json
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from interleave import ratio
from peers import Process, environment
from torch import Tensor
from twins.data import Batch, Examples, Vocabulary
from twins.model import Shape, Twin
from twins.train import step

from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.train import loop
from rnnspec.train.build import build

HERE = Path(__file__).parent
PEER = "ludwig==0.17.10"
NEEDS = (
    "absl-py", "dataclasses-json", "filelock", "fsspec", "jsonschema", "nvidia-ml-py", "packaging",
    "pandas", "pillow", "psutil", "pyarrow", "pydantic", "pyyaml", "requests", "retry", "rich",
    "safetensors", "scikit-learn", "scipy", "sentencepiece", "setuptools<81", "tabulate",
    "tensorboard", "torchmetrics", "tqdm", "transformers>=5",
)  # fmt: skip
"""What Ludwig imports to train on a text; it also asks for data sets, images and sound."""
EMBED, UNITS, CLASSES, WORDS, RATE, CLIP = 64, 128, 6, 1000, 1e-3, 1.0
OURS, WHOLE = "rnnspec", "rnnspec, whole epochs"
TARGETS = {"the better twin": 1.0, "packed": 1.2, "Ludwig": 2.0}
Epoch = Callable[[], float]
"""Trains one epoch; its CPU seconds."""


@dataclass(frozen=True)
class Rows:
    """Texts of drawn words and a class for each."""

    texts: list[list[str]]
    labels: list[int]

    @property
    def words(self) -> int:
        return sum(map(len, self.texts))

    @property
    def longest(self) -> int:
        return max(map(len, self.texts))


def drawn(count: int, shortest: int, longest: int) -> Rows:
    draw = random.Random(0)
    lengths = [draw.randint(shortest, longest) for _ in range(count)]
    texts = [[f"w{draw.randrange(WORDS)}" for _ in range(length)] for length in lengths]
    return Rows(texts, [draw.randrange(CLASSES) for _ in range(count)])


def tool_spec(epochs: int, batch: int) -> dict[str, Any]:
    return {
        "name": "classes",
        "cardinality": "N:1",
        "data": {
            "train": "rows.jsonl",
            "input": {"column": "text", "as": "words"},
            "output": {"column": "label", "as": "class"},
        },
        "encoder": {"embed": EMBED, "layers": [{"cell": "lstm", "units": UNITS}]},
        "pooling": "last",
        "train": {
            "epochs": epochs,
            "batch": batch,
            "optimizer": {"adam": {"lr": RATE}},
            "clip_norm": CLIP,
            "precision": "float32",
            "device": "cpu",
            "threads": 1,
        },
    }


def peer_config(epochs: int, batch: int, longest: int) -> dict[str, Any]:
    """Ludwig's configuration; what is not named is as it comes."""
    encoder = {
        "type": "rnn",
        "cell_type": "lstm",
        "embedding_size": EMBED,
        "state_size": UNITS,
        "num_layers": 1,
        "reduce_output": "last",
    }
    reading = {"tokenizer": "space", "max_sequence_length": longest + 2}  # with a begin and an end
    return {
        "input_features": [
            {"name": "text", "type": "text", "preprocessing": reading, "encoder": encoder}
        ],
        "output_features": [{"name": "label", "type": "category"}],
        "trainer": {
            "epochs": epochs,
            "batch_size": batch,
            "optimizer": {"type": "adam"},
            "learning_rate": RATE,
            "gradient_clipping": {"clipglobalnorm": CLIP},
            "skip_all_evaluation": True,
            "early_stop": -1,
        },
    }


def twin_epochs(examples: Examples, size: int, *, packed: bool, sorted_: bool, keep: bool) -> Epoch:
    """Epochs of a hand-written loop: rows put in batches anew for each, a fused Adam."""
    torch.manual_seed(0)
    shape = Shape(
        outputs=CLASSES, vocabulary=WORDS + 2, embed=EMBED, units=UNITS, bidirectional=False
    )
    model = Twin(shape, packed=packed)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    order = torch.Generator().manual_seed(0)

    def batches() -> list[Batch]:
        if sorted_:
            return examples.shuffled(size, order)
        rows: tuple[Tensor, ...] = torch.randperm(len(examples), generator=order).split(size)
        return [examples.batch(of_batch) for of_batch in rows]

    def epoch() -> float:
        torch.set_flush_denormal(not keep)
        began = time.process_time()
        for batch in batches():
            step(model, optimizer, batch, CLIP)
        seconds = time.process_time() - began
        torch.set_flush_denormal(False)
        return seconds

    return epoch


def twins(rows: Rows, batch: int) -> dict[str, Epoch]:
    vocabulary = Vocabulary.of(rows.texts, 1)
    texts = [vocabulary.encode(text) for text in rows.texts]
    examples = Examples(texts, torch.tensor(rows.labels))
    return {
        f"{form}{suffix}": twin_epochs(
            examples, batch, packed=form == "packed", sorted_=sorted_, keep=keep
        )
        for form in ("packed", "padded")
        for suffix, sorted_, keep in (
            ("", True, False),
            (", random order", False, False),
            (", subnormals kept", True, True),
        )
    }


class Turns(Silent):
    """Before each epoch of rnnspec's, everyone else has one; all CPU seconds by contestant."""

    def __init__(self, others: dict[str, Epoch]) -> None:
        self.others = others
        self.seconds: dict[str, list[float]] = {name: [] for name in (OURS, WHOLE, *others)}
        self.began = self.ended = 0.0

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        for name, epoch in self.others.items():
            self.seconds[name].append(epoch())
        self.began = time.process_time()

    def batch(self, loss: float) -> None:
        self.ended = time.process_time()

    def epoch_done(self, record: object) -> None:
        self.seconds[OURS].append(self.ended - self.began)
        self.seconds[WHOLE].append(time.process_time() - self.began)


def peer_epochs(process: Process) -> Epoch:
    def epoch() -> float:
        process.send("epoch")
        return float(process.told()["seconds"])

    return epoch


def measured(rows: Rows, python: Path, passes: int, batch: int) -> dict[str, list[float]]:
    """CPU seconds of each pass by contestant; a first one does not count."""
    epochs = passes + 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (
            json.dumps({"text": " ".join(text), "label": f"c{label}"})
            for text, label in zip(rows.texts, rows.labels, strict=True)
        )
        (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "spec.yaml").write_text(json.dumps(tool_spec(epochs, batch)), encoding="utf-8")
        config = json.dumps(peer_config(epochs, batch, rows.longest))
        (folder / "ludwig.json").write_text(config, encoding="utf-8")
        files = [str(folder / part) for part in ("ludwig.json", "rows.jsonl", "ludwig")]
        command = [str(python), "-P", str(HERE / "ludwig_peer.py"), *files]
        peers = {
            "Ludwig": Process(command, folder / "ludwig.log"),
            "Ludwig, subnormals as 0": Process([*command, "--flush"], folder / "flushed.log"),
        }
        asked = {name: peer_epochs(process) for name, process in peers.items()}
        turns = Turns({**asked, **twins(rows, batch)})  # who waits for others starts cold
        build(load_spec(folder / "spec.yaml"), folder / "builds", turns)
        for process in peers.values():
            process.end()
    return {name: seconds[1:] for name, seconds in turns.seconds.items()}


def compare(name: str, rows: Rows, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Prints the rows of the table, and gives them."""
    kept = [who for who in seconds if who.startswith(("padded", "packed"))]
    better = [min(times) for times in zip(*(seconds[who] for who in kept), strict=True)]
    found: dict[str, Any] = {}
    print(f"\n{name}: {len(rows.texts):,} rows, {rows.words:,} words")
    print(f"{'':<28}{'words/s':>9}{'rows/s':>9}  rnnspec / it, whole epochs / it")
    for who, times in {**seconds, "the better twin": better}.items():
        taken = statistics.median(times)
        found[who] = row = {
            "words_per_second": rows.words / taken,
            "rows_per_second": len(rows.texts) / taken,
            "ratio": ratio(times, seconds[OURS]),
            "ratio_whole": ratio(times, seconds[WHOLE]),
        }
        target = f"   >= {TARGETS[who]:g}" if who in TARGETS else ""
        rates = f"{row['words_per_second']:>9,.0f}{row['rows_per_second']:>9,.0f}"
        print(f"{who:<28}{rates}{row['ratio']:>10.2f}{row['ratio_whole']:>10.2f}{target}")
    sys.stdout.flush()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(tempfile.gettempdir()) / "ludwig-0.17.10"
    parser.add_argument("--venv", type=Path, default=default, help=f"default {default}")
    parser.add_argument("--passes", type=int, default=5, help="that count (default 5)")
    parser.add_argument("--batch", type=int, default=32, help="rows (default 32)")
    parser.add_argument("--long", type=int, default=512, help="rows of 5 to 200 words, or 0")
    parser.add_argument("--short", type=int, default=2048, help="rows of 5 to 20 words, or 0")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    loop.CHECKPOINT_SECONDS = math.inf  # those within epochs: here most of the time is the others'
    python = environment(options.venv, PEER, NEEDS, ["--ignore-requires-python"])
    results: dict[str, Any] = {}
    for name, count, longest in (("long", options.long, 200), ("short", options.short, 20)):
        if not count:
            continue
        rows = drawn(count, 5, longest)
        seconds = measured(rows, python, options.passes, options.batch)
        results[name] = compare(f"5 to {longest} words", rows, seconds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
