"""Memory that the libraries beneath torch keep for later."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of settings in malloc.h of glibc."""
KERNELS = 64
"""Kernels that oneDNN keeps, of 1,024: one of an LSTM holds up to a megabyte, and there is one for
every length and number of rows.

Measured on a tagger of 12,544 sentences: 64 take 250 MB less than 1,024, and no more time. Those of
one training step must fit, or each step makes its kernels anew: without any an epoch takes 15 %
longer.
"""


MAPPED = 24 * 2**20
"""Bytes of a block that is mapped by itself, and so goes back to the system when it is freed. Left
alone glibc raises this to 32 MiB as such blocks are freed: those of the longest batches are then
cut out of the heap, where the next ones, of other sizes, do not fit between what lies there."""
TOP = 4 * 2**20
"""Free bytes at the end of the heap that are kept. glibc keeps twice what it maps, 64 MiB.

Measured on a tagger of 12,544 sentences (`benchmarks/memory.py`): 482 MB in place of 518, and no
more time. With 1 MiB or 4 MiB mapped it takes 430 MB and three to ten times the system's time.
"""


def keep_few_kernels() -> None:
    """Set `KERNELS` if the environment says nothing. oneDNN reads it once, at its first kernel."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))


def map_large_blocks() -> None:
    """Set `MAPPED` and `TOP`, where the C library can do that (glibc, mallopt), if the environment
    says nothing of its malloc."""
    said = "GLIBC_TUNABLES" in os.environ or any(key.startswith("MALLOC_") for key in os.environ)
    mallopt = _of_c("mallopt")
    if mallopt is not None and not said:
        mallopt(M_MMAP_THRESHOLD, MAPPED)
        mallopt(M_TRIM_THRESHOLD, TOP)


def give_back() -> None:
    """Free memory goes back to the system, where the C library can do that (glibc, malloc_trim).

    For moments at which other sizes are needed than before: between training and validation.
    """
    trim = _of_c("malloc_trim")
    if trim is not None:
        trim(0)


@cache
def _of_c(name: str) -> Callable[..., int] | None:
    """A function of the C library; None where it has no such one."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library of all
        return None
    return found
