"""Ludwig's side of ludwig.py, run by the Python that has it.

Trains by Ludwig's own `LudwigModel.train` in this process, on the rows of a JSONL file and by the
configuration in a JSON file. Each line read from stdin lets it go on for one epoch, answered by a
line of JSON: CPU `seconds` from the epoch's begin to the end of its last step, and its `steps`.
After stdin ends so does the training. With `--flush`, subnormal numbers are 0 (Ludwig leaves them).
Python's -P keeps this folder, where a file has Ludwig's name, out of the search for modules.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch

LEFT_OUT = ("torchaudio", "torchvision")
"""What Ludwig imports for sound and images, not asked for here."""


class Empty(ModuleType):
    """A module in which everything can be found, and nothing is."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()


class LeftOut:
    """Finds an empty module for each of `LEFT_OUT`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        there = name.partition(".")[0] in LEFT_OUT
        return ModuleSpec(name, self, is_package=True) if there else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def main(config: str, rows: str, folder: str, *options: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ludwig writes to stdout
    sys.meta_path.append(LeftOut())
    pandas, api = import_module("pandas"), import_module("ludwig.api")
    callback = import_module("ludwig.callbacks").Callback
    import_module("ludwig.globals").set_disable_progressbar(True)
    torch.set_num_threads(1)
    torch.set_flush_denormal("--flush" in options)

    class Turns(callback):  # type: ignore[misc, valid-type]
        def on_epoch_start(self, *of: Any, **more: Any) -> None:
            if not sys.stdin.readline():
                os._exit(0)
            self.steps, self.began = 0, time.process_time()

        def on_batch_end(self, *of: Any, **more: Any) -> None:
            self.steps, self.ended = self.steps + 1, time.process_time()

        def on_epoch_end(self, *of: Any, **more: Any) -> None:
            told = {"seconds": self.ended - self.began, "steps": self.steps}
            print(json.dumps(told), file=answers, flush=True)

    settings = json.loads(Path(config).read_text(encoding="utf-8"))
    model = api.LudwigModel(
        settings, logging_level=logging.ERROR, backend="local", allow_parallel_threads=False
    )
    model.train(
        training_set=pandas.read_json(rows, lines=True),
        output_directory=folder,
        callbacks=[Turns()],
        skip_save_training_description=True,
        skip_save_training_statistics=True,
        skip_save_model=True,
        skip_save_progress=True,
        skip_save_log=True,
        skip_save_processed_input=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
