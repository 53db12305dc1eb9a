"""Ending on request: Ctrl-C, or the SIGTERM of a scheduler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Interrupt:
    """Set by Ctrl-C or a request to end; the loop writes a checkpoint and leaves."""

    requested: threading.Event = field(default_factory=threading.Event)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """While inside, the first SIGINT or SIGTERM asks the loop to end; a second one ends at once."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def request(number: int, frame: object) -> None:
        if interrupt.requested.is_set():
            raise KeyboardInterrupt
        interrupt.requested.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
