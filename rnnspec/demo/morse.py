"""The Morse world: letters keyed by hand, a tone in noise, as wav files and the text they say.

Code and spacing are those of ITU-R M.1677-1: a dash is three dots long, one dot of silence parts
the marks of a letter, three part letters. Each row has a speed, a tone, a loudness and noise of its
own, and marks as uneven as a hand makes them.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import pi, sin
from pathlib import Path
from random import Random

from rnnspec.demo.splits import write_named, write_splits

RATE = 2000
"""Samples a second."""
CODE = {
    "a": ".-", "b": "-...", "c": "-.-.", "d": "-..", "e": ".", "f": "..-.", "g": "--.", "h": "....",
    "i": "..", "j": ".---", "k": "-.-", "l": ".-..", "m": "--", "n": "-.", "o": "---", "p": ".--.",
    "q": "--.-", "r": ".-.", "s": "...", "t": "-", "u": "..-", "v": "...-", "w": ".--", "x": "-..-",
    "y": "-.--", "z": "--..",
}  # fmt: skip
SHORTEST, LONGEST = 2, 6
"""Letters of a row."""
DOT = (0.035, 0.055)
"""Seconds of a dot."""
TONE = (350.0, 750.0)
"""Hz of the tone."""
UNEVEN = 0.15
"""Share by which a mark or a pause is longer or shorter than it should be, at most."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is said, and its samples at `RATE`, between -1 and 1."""

    text: str
    samples: tuple[float, ...]


def rows(seed: int, count: int, split: str) -> Iterator[Row]:
    """Rows of a split; the same seed gives the same rows everywhere, and fewer are the beginning
    of more."""
    random = Random(f"morse {split} {seed}")
    for _ in range(count):
        text = "".join(random.choices(sorted(CODE), k=random.randint(SHORTEST, LONGEST)))
        yield Row(text, tuple(keyed(text, random)))


def keyed(text: str, random: Random) -> Iterator[float]:
    """The samples of a text."""
    dot, tone = random.uniform(*DOT), 2 * pi * random.uniform(*TONE) / RATE
    loud, noise = random.uniform(0.2, 0.6), random.uniform(0.01, 0.08)
    number = 0
    for on, dots in (*_pause(2), *_marks(text), *_pause(2)):
        length = dots * dot * random.uniform(1 - UNEVEN, 1 + UNEVEN)
        for _ in range(round(length * RATE)):
            number += 1
            yield on * loud * sin(tone * number) + random.gauss(0.0, noise)


def _marks(text: str) -> Iterator[tuple[bool, int]]:
    """Whether the key is down, and for how many dots."""
    for place, letter in enumerate(text):
        yield from _pause(3 if place else 0)
        for part, mark in enumerate(CODE[letter]):
            yield from _pause(1 if part else 0)
            yield True, 1 if mark == "." else 3


def _pause(dots: int) -> Iterator[tuple[bool, int]]:
    if dots:
        yield False, dots


def wav(samples: tuple[float, ...]) -> bytes:
    """A wav file of one channel of 16 bits (RIFF, PCM)."""
    numbers = array("h", (round(32767 * min(1.0, max(-1.0, each))) for each in samples))
    if array("h", [1]).tobytes() != b"\x01\x00":
        numbers.byteswap()
    data = numbers.tobytes()

    def whole(value: int, width: int = 4) -> bytes:
        return value.to_bytes(width, "little")

    layout = whole(1, 2) + whole(1, 2) + whole(RATE) + whole(2 * RATE) + whole(2, 2) + whole(16, 2)
    body = b"WAVEfmt " + whole(len(layout)) + layout + b"data" + whole(len(data)) + data
    return b"RIFF" + whole(len(body)) + body


def write(
    folder: Path, seed: int = 0, train: int = 1500, valid: int = 150, test: int = 20
) -> dict[str, Path]:
    """Write train.jsonl, valid.jsonl and test.jsonl into `folder`, made if missing, with the wav
    files that they name; each argument after the seed is a number of rows. Returns the path of each
    split. Raises OutputError if a file cannot be written."""

    def lines(split: str, count: int) -> Iterator[str]:
        for number, row in enumerate(rows(seed, count, split)):
            name = write_named(folder, f"{split}/{number:04}.wav", wav(row.samples))
            yield json.dumps({"audio": name, "text": row.text}) + "\n"

    return write_splits(folder, {"train": train, "valid": valid, "test": test}, lines)
