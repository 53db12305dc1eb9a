"""`python -m rnnspec` is `rnnspec`."""

from __future__ import annotations

from rnnspec.cli import main

if __name__ == "__main__":
    main()
