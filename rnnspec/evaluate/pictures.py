"""Pictures that a model has read, as PNG for a report."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.pictures import in_place
from rnnspec.plan.nodes import Picture

LONGEST = 640
"""Most pixels of a side; of a longer one every second, third, … is shown."""


def png_of(steps: NDArray[np.uint8], picture: Picture) -> bytes:
    """The PNG of the pixels `[T, features, channels]` of a row, of a moving picture of the frame in
    the middle; empty where it has no steps."""
    if not steps.size:
        return b""
    pixels = in_place(steps, picture)
    if picture.steps == "frames":
        pixels = pixels[len(pixels) // 2]
    every = -(-max(pixels.shape[:2]) // LONGEST)
    return png(pixels[::every, ::every])


def png(pixels: NDArray[np.uint8]) -> bytes:
    """`[height, width, 1 or 3]` as a PNG (ISO/IEC 15948): rows of filter 0, deflated."""
    high, wide, channels = pixels.shape
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", wide, high, 8, colour, 0, 0, 0)
    rows: NDArray[Any] = np.ascontiguousarray(pixels).reshape(high, -1)
    filtered = np.concatenate([np.zeros((high, 1), np.uint8), rows], axis=1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
