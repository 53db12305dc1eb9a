"""Errors become a message and an exit code; a defect keeps its traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from rnnspec.cli.terminal import error, has_colour, loudness, problem_text
from rnnspec.errors import RnnspecError, SpecError
from rnnspec.source.problems import Problem

WRONG = 2
"""Exit code after an error of the user; typer has the same for wrong options."""
INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 and the number of the signal."""
FULL = (errno.ENOSPC, errno.EDQUOT)
MACHINE = (*FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO)
"""Errors of the system that are no defects of the program."""


@contextmanager
def loading() -> Iterator[None]:
    """While large packages are imported, Ctrl-C ends the process at once.

    Some packages swallow a KeyboardInterrupt in their import, and go on half imported.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def reported() -> Iterator[None]:
    """Errors of rnnspec and of the machine end the command with exit code 2."""
    try:
        yield
        sys.stdout.flush()
    except SpecError as wrong:
        _trace()
        show_problems(wrong.problems)
        raise typer.Exit(WRONG) from None
    except RnnspecError as wrong:
        _trace()
        notes: list[str] = getattr(wrong, "__notes__", [])
        error("\n".join([str(wrong) + _more_space(wrong.__cause__), *notes]))
        raise typer.Exit(WRONG) from None
    except OSError as wrong:
        if wrong.errno not in MACHINE:
            raise
        error(f"{wrong.filename or 'output'}: {wrong.strerror}{_more_space(wrong)}")
        raise typer.Exit(WRONG) from None


def _trace() -> None:
    """With --verbose, where in the program an error was raised."""
    if loudness.verbose:
        traceback.print_exc()


def _more_space(wrong: BaseException | None) -> str:
    """Advice where the disk is full."""
    full = isinstance(wrong, OSError) and wrong.errno in FULL
    return "; free some space and try again" if full else ""


def show_problems(problems: Sequence[Problem]) -> None:
    """Prints the problems of specs to standard error, and their number if there are several."""
    sys.stdout.flush()
    colour = has_colour(sys.stderr)
    for problem in problems:
        print(problem_text(problem, colour), file=sys.stderr)
    if len(problems) > 1:
        print(f"{len(problems)} problems", file=sys.stderr)
