"""JoeyNMT's side of joeynmt.py, run by the Python that has it.

Reads lines from stdin: `train`, then `greedy` and `beam` as often as wanted. Each is answered by a
line of JSON: CPU `seconds`, and the number of `weights` or the `answers` to the held-out rows.
Python's -P keeps this folder, where a file has JoeyNMT's name, out of the search for modules.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch


def main(config: str) -> None:
    torch.set_num_threads(1)
    read = import_module("joeynmt.config").parse_global_args
    training, prediction = import_module("joeynmt.training"), import_module("joeynmt.prediction")
    settings = json.loads(Path(config).read_text(encoding="utf-8"))
    Path(settings["model_dir"]).mkdir()
    args = read(settings, rank=0, mode="train")
    model, train, held, _ = prediction.prepare(args, rank=0, mode="train")
    trainer = training.TrainManager(
        rank=0,
        model=model,
        model_dir=args.model_dir,
        device=args.device,
        autocast=args.autocast,
        seed=args.seed,
        train_args=args.train,
        dev_args=args.test,
    )
    weight = torch.nn.Parameter(torch.zeros(1))
    torch.optim.Adam([weight]).step()  # torch loads more of itself at the first optimizer

    def fit() -> dict[str, Any]:
        trainer.train_and_validate(train, held)
        return {"weights": sum(weight.numel() for weight in model.parameters())}

    def decode(width: int) -> dict[str, Any]:
        search = args.test._replace(beam_size=width, beam_alpha=1.0 if width > 1 else -1)
        found = prediction.predict(
            model=model, data=held, device=args.device, n_gpu=0, args=search, autocast=args.autocast
        )
        return {"answers": found[2]}

    calls: dict[str, Callable[[], dict[str, Any]]] = {
        "train": fit,
        "greedy": lambda: decode(1),
        "beam": lambda: decode(5),
    }
    for line in sys.stdin:
        started = time.process_time()
        answer = calls[line.strip()]()
        print(json.dumps({"seconds": time.process_time() - started, **answer}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
