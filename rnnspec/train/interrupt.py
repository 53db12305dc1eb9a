"""Requests to end: Ctrl-C, SIGTERM of a scheduler, SIGHUP of a terminal that was closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


Interrupt = threading.Event
"""Set by a request to end; the loop writes a checkpoint and leaves."""


@contextmanager
def ending() -> Iterator[None]:
    """While inside, SIGTERM and SIGHUP end a command as Ctrl-C does, so that half-written files are
    removed."""

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with _handled(end):
        yield


@contextmanager
def interruptible(several: bool = False) -> Iterator[Interrupt]:
    """While inside, SIGINT, SIGTERM or SIGHUP asks the loop to end; a second Ctrl-C ends at once.

    Other signals may come twice, from a scheduler and from what it started. So may SIGINT where
    there are `several` processes: from the terminal, and from torchrun, which ends by force those
    that take too long.
    """
    interrupt = Interrupt()

    def request(number: int, frame: object) -> None:
        if number == signal.SIGINT and interrupt.is_set() and not several:
            raise KeyboardInterrupt
        interrupt.set()

    with _handled(request):
        yield interrupt


@contextmanager
def _handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """The signals that ask to end go to `handler`; but SIGHUP not under nohup."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, of_caller in before.items():
        if number == signal.SIGINT or of_caller is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, of_caller in before.items():
            signal.signal(number, of_caller)
