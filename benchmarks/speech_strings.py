"""Strings of 2 to 7 spoken digits, joined from recordings of one speaker with gaps and noise, as
wav files and JSONL: data for reading speech off alignments or by a decoder.

    python benchmarks/speech_strings.py ../shared/data/speech strings --train 3000 --valid 300

The strings of each part are made of the recordings of that part alone. Columns: `audio`, the path;
`text`, a character a digit; `words`, their names.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray

RATE = 8000
SHORTEST, LONGEST = 2, 7
MOST_GAP = 0.25
"""Seconds between two digits, at most."""
NOISE = (0.0005, 0.005)
"""The deviation of the noise under a string, from and to."""
Rows = Sequence[Mapping[str, Any]]


def by_speaker(rows: Rows) -> dict[str, Rows]:
    found = defaultdict(list)
    for row in rows:
        found[row["speaker"]].append(row)
    return dict(found)


def joined(folder: Path, rows: Rows, draw: Generator) -> NDArray[np.float64]:
    """The recordings one after the other, with gaps before, between and after them."""
    parts = []
    for row in rows:
        samples, rate = soundfile.read(folder / row["audio"])
        assert rate == RATE, row
        parts += [np.zeros(int(draw.uniform(0, MOST_GAP) * RATE)), samples]
    parts.append(np.zeros(int(draw.uniform(0, MOST_GAP) * RATE)))
    whole = np.concatenate(parts)
    return (whole + draw.uniform(*NOISE) * draw.normal(size=len(whole))).clip(-1, 1)


def write(source: Path, target: Path, part: str, count: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    with open(source / f"{part}.jsonl", encoding="utf-8") as stream:
        speakers = by_speaker([json.loads(line) for line in stream])
    (target / part).mkdir(parents=True, exist_ok=True)
    with open(target / f"{part}.jsonl", "w", encoding="utf-8") as stream:
        for number in range(count):
            rows = speakers[str(draw.choice(sorted(speakers)))]
            chosen = [
                rows[at]
                for at in draw.integers(len(rows), size=draw.integers(SHORTEST, LONGEST + 1))
            ]
            name = f"{part}/{number:05}.wav"
            soundfile.write(target / name, joined(source, chosen, draw), RATE, subtype="PCM_16")
            row = {
                "audio": name,
                "text": "".join(str(each["digit"]) for each in chosen),
                "words": " ".join(each["word"] for each in chosen),
            }
            stream.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the folder with train.jsonl, valid.jsonl")
    parser.add_argument("target", type=Path)
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--valid", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    write(asked.source, asked.target, "train", asked.train, 2 * asked.seed)
    write(asked.source, asked.target, "valid", asked.valid, 2 * asked.seed + 1)


if __name__ == "__main__":
    main()
