"""Builds that end at a chosen moment: at the n-th time that a file is opened, flushed or moved.

As in `tests.kills` each attempt is a child forked from this process.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rnnspec.errors import RnnspecError
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.train import loop
from rnnspec.train.build import build

WRONG, DEFECT = 2, 1


@dataclass(slots=True)
class Writes:
    """Counts what is written below `folder`, in `seen` as words, and acts at number `at`."""

    folder: Path
    at: int
    act: Callable[[Path], None]
    seen: list[str] = field(default_factory=list)

    def note(self, what: str, path: object) -> None:
        file = Path(os.path.abspath(str(path)))
        if not file.is_relative_to(self.folder):
            return
        self.seen.append(f"{what} {file.name}")
        if len(self.seen) >= self.at > 0:
            self.act(file)

    def watch(self) -> None:
        """From here on, in this process; it flushes nothing to the disk, which a process that is
        killed does not need and which takes most of the time."""

        self._watch_move("replace")
        self._watch_move("rename")
        for module in (builtins, io):
            self._watch_open(module)
        fsync = "fsync"  # under its own name mypy does not let it be replaced
        setattr(os, fsync, lambda file: self.note(fsync, os.readlink(f"/proc/self/fd/{file}")))

    def _watch_move(self, name: str) -> None:
        plain = getattr(os, name)

        def noted(source: object, target: object) -> None:
            self.note(name, target)
            plain(source, target)

        setattr(os, name, noted)

    def _watch_open(self, module: Any) -> None:
        plain = module.open

        def noted(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if mode[0] in "wax" and isinstance(file, str | os.PathLike):
                self.note("open", file)
            return plain(file, mode, *arguments, **named)

        module.open = noted


def kill(file: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(file: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))


def nothing(file: Path) -> None:
    pass


def attempt(
    spec: Path,
    builds: Path,
    at: int = 0,
    act: Callable[[Path], None] = nothing,
    resume: bool = False,
    checkpoint_seconds: float = 30.0,
) -> tuple[int, str]:
    """How a child ended that was forked to build, as a shell counts it, and what it said."""
    said = builds.parent / "said.txt"
    child = os.fork()
    if not child:
        code = DEFECT
        with said.open("w", encoding="utf-8") as out:
            try:
                torch.set_num_threads(1)
                loop.CHECKPOINT_SECONDS = loop.EPOCH_SECONDS = checkpoint_seconds
                writes = Writes(builds, at, act)
                writes.watch()
                build(load_spec(spec), builds, Silent(), resume=resume)
                out.write("\n".join(writes.seen))
                code = 0
            except RnnspecError as error:
                out.write(str(error))
                code = WRONG
            except BaseException:
                traceback.print_exc(file=out)
            out.flush()
            sys.stdout.flush()
            os._exit(code)  # nothing of the parent's is to be cleaned up here
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(encoding="utf-8")
