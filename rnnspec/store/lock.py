"""One process at a time trains in a build folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnspec.errors import BuildError
from rnnspec.store.files import DAMAGED


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """While inside, no other process can lock `file`. Raises BuildError if one has.

    The lock ends with the process. On Windows, and on a file system without locks, nothing is
    locked.
    """
    try:
        held = file.open("rb+")
    except FileNotFoundError as error:
        raise BuildError(f"{file}: is missing; {DAMAGED}") from error
    except OSError as error:
        raise BuildError(f"{file}: cannot be opened for writing ({error.strerror})") from error
    with held:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BuildError(
                    f"{file.parent}: another process trains in it right now; wait until it has"
                    " ended, or stop it, and try again"
                ) from error
            except OSError:  # the file system has no locks
                pass
        yield
