"""`python -m rnnspec.demo FOLDER` writes the dates world's three files into FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from rnnspec.demo.dates import write
from rnnspec.errors import RnnspecError


def main(arguments: list[str]) -> int:
    """Print the paths written, return 0; a message on standard error and 2 if that failed."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m rnnspec.demo FOLDER", file=sys.stderr)
        return 2
    try:
        paths = write(Path(arguments[0]))
    except RnnspecError as error:
        print(error, file=sys.stderr)
        return 2
    print(*paths.values(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
