"""rnnspec beside JoeyNMT 2.3.0's recurrent model: the same task, sizes, batches and epochs.

The task is to write a word backwards: 5,000 pairs of 5 to 20 letters to train on, 500 others held
out. Both are a bidirectional GRU encoder, a GRU decoder and additive attention, of the same sizes,
the attention asked by the decoder's output (`--input-feeding`: what it finds is an input of the
next step too, in both). Both decode the held-out words 64 at a time, greedily and with a beam of 5:
JoeyNMT by its own `predict`, rnnspec from the exported file in a process that has onnxruntime and
NumPy alone.

JoeyNMT gets an environment of its own (`--venv`), made once, with the torch that this Python has.

The clock is CPU time of the process, everything runs on one thread, and neither start-up nor
loading counts; there is no validation while training. Decoding goes in turns, and a time is the
median over rounds after a first one that does not count. A target token is a letter of the right
answer or its end.

  python benchmarks/joeynmt.py --epochs 10
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import torch
from peers import Process, environment

from rnnspec.export import export_onnx
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.train.build import build

HERE = Path(__file__).parent
PEER = "joeynmt==2.3.0"
NEEDS = (
    "numpy", "pyyaml", "packaging", "tqdm", "setuptools<81", "tensorboard", "sacrebleu",
    "sentencepiece", "subword-nmt", "matplotlib", "plotly", "importlib_metadata",
)  # fmt: skip
"""What JoeyNMT imports to train and translate; it also asks for linters and for data sets."""
TARGETS = {"training": 3.0, "greedy": 8.0, "beam 5": 8.0}
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Settings:
    """Of both; `width` is that of each direction of the encoder and of the decoder."""

    epochs: int
    rate: float
    seed: int
    feeding: bool
    embed: int = 64
    width: int = 128
    batch: int = 64
    longest: int = 30


def words(count: int, seed: int) -> Pairs:
    """Words of 5 to 20 letters, no two alike, with their reversals."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(draw.choices(ascii_lowercase, k=draw.randint(5, 20)))] = None
    return [(word, word[::-1]) for word in found]


def tokens(pairs: Pairs) -> int:
    return sum(len(answer) + 1 for _, answer in pairs)


def peer_config(folder: Path, settings: Settings) -> dict[str, Any]:
    """JoeyNMT's configuration; what is not named is as it comes."""
    side = {"level": "char", "voc_min_freq": 1, "max_length": 100}
    part = {
        "type": "recurrent",
        "rnn_type": "gru",
        "hidden_size": settings.width,
        "num_layers": 1,
        "embeddings": {"embedding_dim": settings.embed},
    }
    return {
        "name": "reversal",
        "model_dir": str(folder / "joeynmt"),
        "use_cuda": False,
        "random_seed": settings.seed,
        "data": {
            "train": str(folder / "train"),
            "dev": str(folder / "held"),
            "dataset_type": "plain",
            "src": {**side, "lang": "text"},
            "trg": {**side, "lang": "answer"},
        },
        "model": {
            "encoder": {**part, "bidirectional": True},
            "decoder": {
                **part,
                "attention": "bahdanau",
                "init_hidden": "bridge",
                "input_feeding": settings.feeding,
            },
        },
        "training": {
            "optimizer": "adam",
            "learning_rate": settings.rate,
            "scheduling": "exponential",  # it wants one, and its "plateau" fails on newer torch
            "decrease_factor": 1.0,
            "learning_rate_min": 1e-9,
            "clip_grad_norm": 1.0,
            "normalization": "tokens",
            "batch_size": settings.batch,
            "epochs": settings.epochs,
            "validation_freq": 10**9,
            "logging_freq": 1000,
        },
        "testing": {"batch_size": settings.batch, "max_output_length": settings.longest},
    }


def tool_spec(settings: Settings) -> dict[str, Any]:
    layer = {"cell": "gru", "units": settings.width}
    return {
        "name": "reversal",
        "cardinality": "N:M",
        "data": {
            "train": "train.jsonl",
            "input": {"column": "text", "as": "chars"},
            "output": {"column": "answer", "as": "chars"},
        },
        "encoder": {"embed": settings.embed, "layers": [{**layer, "direction": "bidirectional"}]},
        "decoder": {
            "embed": settings.embed,
            "layers": [layer],
            "attention": "additive",
            "input_feeding": settings.feeding,
            "max_steps": settings.longest,
        },
        "train": {
            "epochs": settings.epochs,
            "batch": settings.batch,
            "optimizer": {"adam": {"lr": settings.rate}},
            "clip_norm": 1.0,
            "ema": 0.998,  # of the weights, in the place of the last ones
            "seed": settings.seed,
            "threads": 1,
            "device": "cpu",
        },
    }


class Clock(Silent):
    """CPU seconds of the stage named training."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def stage(self, text: str) -> None:
        self.began[text] = time.process_time()

    @property
    def seconds(self) -> float:
        return self.began["writing the report"] - self.began["training"]


def write_pairs(folder: Path, name: str, pairs: Pairs) -> None:
    """For both: a file of lines for each side, and one of JSON."""
    for side, column in enumerate(("text", "answer")):
        lines = "".join(f"{pair[side]}\n" for pair in pairs)
        (folder / f"{name}.{column}").write_text(lines, encoding="utf-8")
    rows = "".join(json.dumps({"text": text, "answer": to}) + "\n" for text, to in pairs)
    (folder / f"{name}.jsonl").write_text(rows, encoding="utf-8")


def trained_tool(folder: Path, settings: Settings) -> tuple[float, int]:
    """Train and export both searches; CPU seconds of the training, and the number of weights."""
    spec = folder / "reversal.yaml"
    spec.write_text(json.dumps(tool_spec(settings)), encoding="utf-8")
    weight = torch.nn.Parameter(torch.zeros(1))
    torch.optim.Adam([weight]).step()  # torch loads more of itself at the first optimizer
    clock = Clock()
    trained = read_build(build(load_spec(spec), folder / "builds", clock).folder)
    export_onnx(trained, folder / "greedy.onnx")
    export_onnx(trained, folder / "beam.onnx", strategy="beam:5")
    weights = [weight for node in trained.plan.nodes for weight in node.weights()]
    return clock.seconds, sum(weight.size for weight in weights if weight.trained)


def decoded(
    contestants: dict[str, Process], search: str, held: Pairs, rounds: int
) -> dict[str, tuple[float, float]]:
    """By contestant: median CPU seconds of all held-out words, and the share answered right."""
    right = [answer for _, answer in held]
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    exact: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, process in contestants.items():
            process.send(search)
            told = process.told()
            exact[name] = statistics.mean(
                a == b for a, b in zip(told["answers"], right, strict=True)
            )
            if turn:
                seconds[name].append(told["seconds"])
    return {name: (statistics.median(seconds[name]), exact[name]) for name in contestants}


def compare(folder: Path, python: Path, settings: Settings, rounds: int) -> dict[str, Any]:
    """Everything that the table shows."""
    pairs = words(5500, settings.seed)
    train, held = pairs[:5000], pairs[5000:]
    write_pairs(folder, "train", train)
    write_pairs(folder, "held", held)
    config = folder / "joeynmt.json"
    config.write_text(json.dumps(peer_config(folder, settings)), encoding="utf-8")
    peer = Process(
        [str(python), "-P", str(HERE / "joeynmt_peer.py"), str(config)], folder / "peer.log"
    )
    peer.send("train")  # both train at once: what else the machine does falls on both alike
    seconds, weights = trained_tool(folder, settings)
    told = peer.told()
    files = [str(folder / name) for name in ("greedy.onnx", "beam.onnx", "held.text")]
    script = str(HERE / "joeynmt_onnx.py")
    ours = Process([sys.executable, script, *files, str(settings.batch)], folder / "ours.log")
    contestants = {"joeynmt": peer, "rnnspec": ours}
    found: dict[str, Any] = {
        "weights": {"joeynmt": told["weights"], "rnnspec": weights},
        "training": rates(settings.epochs * tokens(train), told["seconds"], seconds),
    }
    show(found)
    for search, name in (("greedy", "greedy"), ("beam", "beam 5")):
        results = decoded(contestants, search, held, rounds)
        taken = [results[who][0] for who in ("joeynmt", "rnnspec")]
        found[name] = rates(tokens(held), *taken)
        found[f"{name}, exact"] = {who: results[who][1] for who in contestants}
        show({key: found[key] for key in (name, f"{name}, exact")})
    for process in contestants.values():
        process.end()
    return found


def rates(count: int, peer: float, ours: float) -> dict[str, float]:
    return {"joeynmt": count / peer, "rnnspec": count / ours, "ratio": peer / ours}


def show(found: dict[str, Any]) -> None:
    """Rows of the table."""
    for name, row in found.items():
        cell: Callable[[float], str] = (
            (lambda value: f"{value:>10.1%}") if "exact" in name else (lambda v: f"{v:>10,.0f}")
        )
        label = f"{name}, tokens/CPU-s" if name in TARGETS else name
        line = f"{label:<24}{cell(row['joeynmt'])}{cell(row['rnnspec'])}"
        print(
            f"{line}{row['ratio']:>8.2f}  >= {TARGETS[name]:g}" if name in TARGETS else line,
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(tempfile.gettempdir()) / "joeynmt-2.3.0"
    parser.add_argument("--venv", type=Path, default=default, help=f"default {default}")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3, help="of decoding (default 3)")
    parser.add_argument("--input-feeding", action="store_true", help="in both")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = Settings(options.epochs, options.lr, options.seed, options.input_feeding)
    python = environment(options.venv, PEER, NEEDS)
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'':<24}{'JoeyNMT':>10}{'rnnspec':>10}{'ratio':>8}  target", flush=True)
        found = compare(Path(folder), python, settings, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
