"""The command line: each command parses, calls one function, and shows what it gave back."""

from __future__ import annotations


def main() -> None:
    """`rnnspec …` in a shell: exits with 0, with 2 for what the user can mend, 130 after Ctrl-C."""
    import sys

    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a letter shows its code instead of ending the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from rnnspec.cli.app import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)
