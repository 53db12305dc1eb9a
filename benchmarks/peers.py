"""Other tools in environments of their own, each a process that is asked line by line."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def environment(folder: Path, peer: str, needs: Sequence[str], options: Sequence[str] = ()) -> Path:
    """The peer's Python, with everything installed: `needs`, the torch that this Python has, and
    the peer without what it asks for itself, by pip's `options`. Made once."""
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"installing {peer} into {folder} (once)", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"torch=={torch.__version__.partition('+')[0]}", *needs], check=True)
        subprocess.run([*pip, "--no-deps", *options, peer], check=True)
        ready.touch()
    return python


class Process:
    """A contestant in a process of its own, asked line by line; see the scripts beside this one.

    What it writes to stderr goes to `log`.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                text=True, env=ENV,
            )  # fmt: skip

    def send(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def told(self) -> dict[str, Any]:
        """The answer to the line sent. Stops with the process's log if it has ended."""
        assert self._process.stdout
        told = self._process.stdout.readline()
        if not told:
            raise SystemExit(f"the process has ended:\n{self.log.read_text(encoding='utf-8')}")
        answer: dict[str, Any] = json.loads(told)
        return answer

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
