"""The seeds of draws that a caller gives."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex, cast

from rnnspec.errors import ModelFileError

LEAST, BEYOND = -(2**63), 2**62
"""Seeds are int64; above them there is room for those of 2**62 more rows."""


def checked_seed(seed: object, called: str = "seed") -> int:
    """The seed of the first row. Raises ModelFileError for what is no whole number in their range;
    `called` says where it was given."""
    try:
        found = index(cast(SupportsIndex, seed))
    except TypeError:
        found = BEYOND
    if not LEAST <= found < BEYOND:
        raise ModelFileError(
            f"{called} {seed!r}: expected a whole number from {LEAST} to {BEYOND - 1}"
        )
    return found
