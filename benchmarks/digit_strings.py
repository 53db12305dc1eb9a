"""Strings of spoken digits: recordings of single digits joined with gaps, noise over the whole.

    python benchmarks/digit_strings.py SPEECH OUT --train 6000 --valid 600

SPEECH is a folder with train.jsonl, valid.jsonl (`audio`, `word`) and the wav files they name; the
strings of a part are made of its recordings alone. OUT gets wav files and the same two lists, with
`audio`, `text` (words with spaces between) and `words`. The same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

RATE = 8000
SHORTEST, LONGEST = 2, 7
GAPS = (0.02, 0.30)
"""Seconds of silence between two recordings, and before the first and behind the last."""
NOISE = (20.0, 40.0)
"""Decibels of the speech above the noise."""
Samples = NDArray[np.float64]


def read(path: Path) -> Samples:
    """The samples of a wav file of one channel and 16 bits, between -1 and 1."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2), path
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def write(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def joined(recordings: Sequence[Samples], draw: Generator) -> Samples:
    """The recordings one after the other, with gaps and noise."""
    parts = [_gap(draw)]
    for each in recordings:
        parts += [each, _gap(draw)]
    samples = np.concatenate(parts)
    power = np.mean(samples**2)
    level = np.sqrt(power / 10 ** (draw.uniform(*NOISE) / 10))
    return np.asarray(samples + draw.normal(0, level, len(samples)))


def _gap(draw: Generator) -> Samples:
    return np.zeros(int(draw.uniform(*GAPS) * RATE))


def make(speech: Path, out: Path, part: str, count: int, seed: int) -> None:
    """The strings of one part of the data."""
    rows = [json.loads(line) for line in (speech / f"{part}.jsonl").read_text().splitlines()]
    recordings = [(read(speech / row["audio"]), row["word"]) for row in rows]
    draw = np.random.default_rng(seed)
    folder = out / "wav" / part
    folder.mkdir(parents=True, exist_ok=True)
    with (out / f"{part}.jsonl").open("w", encoding="utf-8") as lines:
        for number in range(count):
            chosen = draw.integers(len(recordings), size=draw.integers(SHORTEST, LONGEST + 1))
            path = folder / f"{number:05}.wav"
            write(path, joined([recordings[each][0] for each in chosen], draw))
            words = [recordings[each][1] for each in chosen]
            row = {"audio": str(path.relative_to(out)), "text": " ".join(words), "words": words}
            lines.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=int, default=6000)
    parser.add_argument("--valid", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    make(settings.speech, settings.out, "train", settings.train, settings.seed)
    make(settings.speech, settings.out, "valid", settings.valid, settings.seed + 1)


if __name__ == "__main__":
    main()
