"""The plates world: number plates, photographed a little askew, as PNG files and what they say.

The letters are those that look alike in the Latin and the Cyrillic alphabet, without the O; they
have the shapes of a 5 x 7 dot matrix. Each picture has a size, a slant, a light and noise of its
own.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from random import Random

from rnnspec.demo.splits import write_named, write_splits

FONT = {
    "A": "7e1111117e", "B": "7f49494936", "C": "3e41414122", "E": "7f49494941", "H": "7f0808087f",
    "K": "7f08142241", "M": "7f020c027f", "P": "7f09090906", "T": "01017f0101", "X": "6314081463",
    "Y": "0708700807", "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31",
    "4": "1814127f10", "5": "2745454539", "6": "3c4a494930", "7": "0171090503", "8": "3649494936",
    "9": "064949291e", " ": "0000",
}  # fmt: skip
"""Columns of dots from left to right, a byte each; the lowest bit is the dot at the top."""
DOTS = 7
"""Dots of a column."""
LETTERS, DIGITS = "".join(filter(str.isalpha, FONT)), "0123456789"
FORMS = ("AA 999", "A 9999", "AAA 99", "999 AAA", "AA 99 AA", "A 99 AA", "9999 AA")
"""How plates are written: A stands for a letter, 9 for a digit."""
HIGH = 18
"""Pixels of a picture from top to bottom."""
MARGIN = 4
"""Pixels left of the first dot, at least."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a plate is photographed: `dot` pixels from one dot to the next, `top` pixels above the
    letters, `slant` pixels to the right by each pixel upwards; the brightness of `paper` and `ink`,
    0 to 255; `light`, the share by which the right end is brighter than the left one; the deviation
    of the `noise`."""

    dot: float
    top: float
    slant: float = 0.0
    paper: float = 255.0
    ink: float = 0.0
    light: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """What the plate says, and its picture: rows of pixels, 0 is black, 255 white."""

    text: str
    pixels: tuple[bytes, ...]


def rows(seed: int, count: int, split: str) -> Iterator[Row]:
    """Rows of a split; the same seed gives the same rows everywhere, and fewer are the beginning
    of more."""
    random = Random(f"plates {split} {seed}")
    for _ in range(count):
        of = {"A": LETTERS, "9": DIGITS, " ": " "}
        text = "".join(random.choice(of[each]) for each in random.choice(FORMS))
        yield Row(text, photographed(text, look(random), random))


def look(random: Random) -> Look:
    """The look of a plate, drawn at random."""
    dot = random.uniform(1.5, 2.1)
    return Look(
        dot,
        top=random.uniform(1.0, HIGH - 1 - DOTS * dot),
        slant=random.uniform(-0.25, 0.25),
        paper=random.uniform(150, 240),
        ink=random.uniform(10, 80),
        light=random.uniform(-0.3, 0.3),
        noise=random.uniform(3, 18),
    )


def photographed(text: str, look: Look, random: Random) -> tuple[bytes, ...]:
    """The picture of a plate. Between dots and paper brightness changes linearly."""
    lines = dots(text)
    extra = abs(look.slant) * HIGH / 2
    wide = round(len(lines[0]) * look.dot + 2 * (MARGIN + extra))
    found = []
    for y in range(HIGH):
        line = _between(lines, (y + 0.5 - look.top) / look.dot - 0.5)
        left = MARGIN + extra + look.slant * (HIGH / 2 - y - 0.5)
        pixels = bytearray()
        for x in range(wide):
            inked = _at(line, (x + 0.5 - left) / look.dot - 0.5)
            light = 1 + look.light * ((x + 0.5) / wide - 0.5)
            value = (look.paper + inked * (look.ink - look.paper)) * light
            noise = random.gauss(0.0, look.noise) if look.noise else 0.0
            pixels.append(min(255, max(0, round(value + noise))))
        found.append(bytes(pixels))
    return tuple(found)


def dots(text: str) -> list[list[int]]:
    """The dots of a text, 1 where there is one, row by row; a column without any parts letters."""
    columns = [column for each in text for column in (*bytes.fromhex(FONT[each]), 0)][:-1]
    return [[column >> row & 1 for column in columns] for row in range(DOTS)]


def _between(lines: list[list[int]], place: float) -> list[float]:
    """A line between two lines of dots, those outside empty."""
    first, share = floor(place), place - floor(place)
    nothing = [0] * len(lines[0])
    above, below = (lines[at] if 0 <= at < len(lines) else nothing for at in (first, first + 1))
    return [(1 - share) * one + share * other for one, other in zip(above, below, strict=True)]


def _at(line: list[float], place: float) -> float:
    """The value between two places of a line, 0 outside."""
    first, share = floor(place), place - floor(place)
    one = line[first] if 0 <= first < len(line) else 0.0
    other = line[first + 1] if 0 <= first + 1 < len(line) else 0.0
    return (1 - share) * one + share * other


def png(pixels: Sequence[bytes]) -> bytes:
    """Rows of grey pixels as a PNG (ISO/IEC 15948), each with filter 0."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        ends = struct.pack(">I", len(data)), struct.pack(">I", zlib.crc32(kind + data))
        return ends[0] + kind + data + ends[1]

    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in pixels), 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    )


def write(
    folder: Path, seed: int = 0, train: int = 1500, valid: int = 150, test: int = 20
) -> dict[str, Path]:
    """Write train.jsonl, valid.jsonl and test.jsonl into `folder`, made if missing, with the PNG
    files that they name; each argument after the seed is a number of rows. Returns the path of each
    split. Raises OutputError if a file cannot be written."""

    def lines(split: str, count: int) -> Iterator[str]:
        for number, row in enumerate(rows(seed, count, split)):
            name = write_named(folder, f"{split}/{number:04}.png", png(row.pixels))
            yield json.dumps({"picture": name, "text": row.text}) + "\n"

    return write_splits(folder, {"train": train, "valid": valid, "test": test}, lines)
