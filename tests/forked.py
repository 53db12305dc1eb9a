"""Processes that are forked from one in which torch is loaded already: they start at once.

The server that they are forked from computes nothing itself, so that none of its threads is lost in
a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

LOADED = ["rnnspec.cli.app", "rnnspec.train.build", "rnnspec.evaluate.score"]
"""What the server imports: all that a build needs."""


@dataclass(frozen=True)
class Forked:
    """Processes that run one command, and the file that takes what they say."""

    processes: tuple[BaseProcess, ...]
    said: Path

    def ended(self) -> tuple[int, str]:
        """The largest exit code, and all that was said."""
        for process in self.processes:
            process.join(timeout=500)
        codes = [process.exitcode for process in self.processes]
        assert None not in codes, "a process does not end"
        return max(abs(code or 0) for code in codes), self.said.read_text(encoding="utf-8")


def forked(arguments: Sequence[str], folder: Path, count: int = 1) -> Forked:
    """`rnnspec` with these arguments in a folder, as one process or as torchrun starts several."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read where torch is loaded
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    said = folder / f"said-{len(list(folder.glob('said-*')))}.txt"
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    processes = []
    for rank in range(count):
        own = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = context.Process(target=_run, args=(list(arguments), folder, said, own))
        process.start()
        processes.append(process)
    return Forked(tuple(processes), said)


def _run(arguments: list[str], folder: Path, said: Path, environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    with said.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["rnnspec", *arguments]
    from rnnspec.cli import main

    main()


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])
