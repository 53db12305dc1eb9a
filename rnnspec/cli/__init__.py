"""The command line: each command parses, calls one function, and shows its result."""

from __future__ import annotations


def main() -> None:
    """`rnnspec …` in a shell: exits with 0, with 2 after an error of the user, 130 after Ctrl-C."""
    import atexit
    import gc
    import sys

    from rnnspec.openmp import spin_briefly

    spin_briefly()
    # Modules stay loaded to the end. Searching them for garbage, every 700 objects and again at
    # the exit, would take a third of the time of `rnnspec check`.
    gc.set_threshold(200_000, 10, 10)
    atexit.register(gc.freeze)
    _complete_streams()
    try:
        from rnnspec.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


def _complete_streams() -> None:
    """Replaces streams that the shell closed by the null device; characters that an encoding lacks
    are written as escapes."""
    import os
    import sys

    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
